//go:build !tinygo && !vita

// AIX, whose madvise accepts advice without taking it.

package blocksrc

import "errors"

func (Mmap) granularity() int { return sysPage() }

func (Mmap) advise([]byte) {}

func sysDiscard([]byte) error { return errors.ErrUnsupported }
