//go:build (darwin || dragonfly || freebsd || netbsd || openbsd || solaris) && !tinygo && !vita

// Unix other than Linux and AIX: pages that go when they are needed.

package blocksrc

import "golang.org/x/sys/unix"

func (Mmap) granularity() int { return sysPage() }

func (Mmap) advise([]byte) {}

func sysDiscard(pages []byte) error { return unix.Madvise(pages, unix.MADV_FREE) }
