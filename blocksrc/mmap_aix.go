//go:build !tinygo && !vita

// AIX, whose madvise accepts advice without taking it.

package blocksrc

import "errors"

const hugePage = 0 // there are none to ask for

func (Mmap) advise([]byte, bool) {}

func sysDiscard([]byte) error { return errors.ErrUnsupported }

func sysPopulate([]byte) error { return errors.ErrUnsupported }
