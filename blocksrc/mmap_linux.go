//go:build !tinygo && !vita

// What only Linux has: huge pages on request, named mappings, discarded pages that go at once.

package blocksrc

import (
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The size that one entry of the second-lowest level of page table maps with pages of
// 4 KiB. Kernels with larger pages have larger huge pages and ignore the request.
const hugePage = 2 << 20

// advise applies m's options to a fresh block. A kernel without huge pages or names
// refuses; the block is as good without.
func (m Mmap) advise(block []byte, huge bool) {
	if huge {
		_ = unix.Madvise(block, unix.MADV_HUGEPAGE)
	}
	if m.Name != "" {
		_ = nameMapping(block, m.Name)
	}
}

// nameMapping costs a system call. The conversions are in the call expression itself,
// which keeps the name in place while the kernel reads it.
func nameMapping(block []byte, name string) error {
	text := append([]byte(kernelName(name)), 0)
	_, _, errno := unix.Syscall6(unix.SYS_PRCTL, unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME,
		uintptr(unsafe.Pointer(unsafe.SliceData(block))), uintptr(len(block)),
		uintptr(unsafe.Pointer(unsafe.SliceData(text))), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// kernelName makes a name that PR_SET_VMA_ANON_NAME accepts: at most 79 bytes of
// printable ASCII without \ ` $ [ ].
func kernelName(name string) string {
	name = name[:min(len(name), 79)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("\\`$[]", r) {
			return '_'
		}
		return r
	}, name)
}

// sysDiscard fails with EINVAL if the pages are locked (mlockall).
func sysDiscard(pages []byte) error { return advised(unix.Madvise(pages, unix.MADV_DONTNEED)) }

// sysPopulate fails with EINVAL before Linux 5.14.
func sysPopulate(pages []byte) error {
	return advised(unix.Madvise(pages, unix.MADV_POPULATE_WRITE))
}

// advised returns errors.ErrUnsupported for EINVAL: the range is always valid.
func advised(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
