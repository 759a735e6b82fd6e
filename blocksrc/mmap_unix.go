//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris) && !tinygo && !vita

// Mapping on Unix: map too much, unmap both ends.

package blocksrc

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const haveMmap = true

func sysPage() int { return os.Getpagesize() }

func sysUnit() int { return sysPage() }

// sysMap maps size bytes at a multiple of align; both are multiples of a page and their
// sum fits an int. The block's mapping is whole. It is more than block only where the
// system refused to unmap an end: no mapping is forgotten, and such an end goes when the
// block goes.
//
//	|<- whole ------------------------------------->|
//	|   head   |<- block ------------->|    tail    |
//	           ^ align                ^ size
func sysMap(size, align int) (block, whole []byte, err error) {
	slack := align - sysPage()
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(size+slack), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, mapError(err)
	}
	whole = unsafe.Slice((*byte)(base), size+slack)
	head := padding(whole, align)
	block = whole[head : head+size : head+size]
	if tail := whole[head+size:]; len(tail) > 0 && sysUnmap(tail) == nil {
		whole = whole[:head+size]
	}
	if head > 0 && sysUnmap(whole[:head]) == nil {
		whole = whole[head:]
	}
	return block, whole, nil
}

// sysUnmap is a variable so that a test can play a kernel that refuses.
var sysUnmap = func(whole []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(whole)), uintptr(len(whole)))
}

// mapError says which refusals mean that there is no room: ENOMEM for memory, address
// space or the number of mappings, EAGAIN for locked memory or swap, and EINVAL for a
// length beyond the address space, since nothing else in the call varies.
func mapError(err error) error {
	if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", ErrExhausted, err)
	}
	return err
}
