//go:build (darwin || dragonfly || freebsd || netbsd || openbsd || solaris) && !tinygo && !vita

// Unix other than Linux and AIX: discarded pages go when the system needs memory.

package blocksrc

import (
	"errors"

	"golang.org/x/sys/unix"
)

const hugePage = 0 // there are none to ask for

func (Mmap) advise([]byte, bool) {}

func sysDiscard(pages []byte) error { return unix.Madvise(pages, unix.MADV_FREE) }

func sysPopulate([]byte) error { return errors.ErrUnsupported }
