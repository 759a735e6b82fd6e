//go:build !tinygo && !vita

// Mapping on Windows: reserve too much, commit the aligned part.

package blocksrc

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

const haveMmap = true

// Reservations begin at multiples of this on every Windows so far, and what a reservation
// leaves of its last 64 KiB is lost to the process.
const reservationUnit = 64 << 10

const hugePage = 0 // there are some, but they take a privilege

func (Mmap) advise([]byte, bool) {}

func sysPage() int { return os.Getpagesize() }

func sysUnit() int { return reservationUnit }

// sysMap maps size bytes at a multiple of align; both are multiples of 64 KiB and their
// sum fits an int.
//
// A reservation can only be freed whole, so its ends cannot be trimmed. To free it and
// reserve again at the aligned address would race with every other thread. So it is kept:
// what is not committed is only address space.
func sysMap(size, align int) (block, whole []byte, err error) {
	whole, err = reserve(size + align - reservationUnit)
	if err != nil {
		return nil, nil, mapError(err)
	}
	skip := padding(whole, align)
	block = whole[skip : skip+size : skip+size]
	if _, err := windows.VirtualAlloc(address(block), uintptr(size), windows.MEM_COMMIT, windows.PAGE_READWRITE); err != nil {
		return nil, nil, errors.Join(mapError(err), sysUnmap(whole))
	}
	return block, whole, nil
}

// reserve takes address space. VirtualAlloc returns a number and VirtualQuery pointers;
// the slice has to come from a pointer.
func reserve(size int) ([]byte, error) {
	at, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, err
	}
	var r region
	if err := windows.VirtualQuery(at, (*windows.MemoryBasicInformation)(unsafe.Pointer(&r)), unsafe.Sizeof(r)); err != nil {
		return nil, errors.Join(err, windows.VirtualFree(at, 0, windows.MEM_RELEASE))
	}
	return unsafe.Slice((*byte)(r.base), size), nil
}

// region is windows.MemoryBasicInformation with its first field as the C header
// declares it.
type region struct {
	base unsafe.Pointer
	_    [unsafe.Sizeof(windows.MemoryBasicInformation{}) - unsafe.Sizeof(uintptr(0))]byte
}

// sysUnmap is a variable so that a test can play a system that refuses.
var sysUnmap = func(whole []byte) error {
	return windows.VirtualFree(address(whole), 0, windows.MEM_RELEASE)
}

// sysDiscard declares the pages' contents worthless and takes the pages out of the
// working set: to unlock pages that are not locked does that, though it is an error.
func sysDiscard(pages []byte) error {
	_, err := windows.VirtualAlloc(address(pages), uintptr(len(pages)), windows.MEM_RESET, windows.PAGE_READWRITE)
	if err == nil {
		_ = windows.VirtualUnlock(address(pages), uintptr(len(pages)))
	}
	return err
}

func sysPopulate([]byte) error { return errors.ErrUnsupported }

// mapError says which refusals mean that there is no room. An invalid parameter is a
// length beyond the address space, since nothing else in the calls varies.
func mapError(err error) error {
	for _, full := range []windows.Errno{
		windows.ERROR_NOT_ENOUGH_MEMORY,
		windows.ERROR_OUTOFMEMORY,
		windows.ERROR_COMMITMENT_LIMIT,
		windows.ERROR_NO_SYSTEM_RESOURCES,
		windows.ERROR_WORKING_SET_QUOTA,
		windows.ERROR_PAGEFILE_QUOTA,
		windows.ERROR_INVALID_PARAMETER,
	} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", ErrExhausted, err)
		}
	}
	return err
}
