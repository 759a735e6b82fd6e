//go:build !(aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows) || tinygo || vita

// Mapping where there is nothing to map: the type is there, the memory is not.

package blocksrc

import "errors"

const haveMmap = false

const hugePage = 0

func (Mmap) advise([]byte, bool) {}

func sysPage() int { return 1 }

func sysUnit() int { return 1 }

func sysMap(int, int) (block, whole []byte, err error) { return nil, nil, errors.ErrUnsupported }

func sysUnmap([]byte) error { return errors.ErrUnsupported }

func sysDiscard([]byte) error { return errors.ErrUnsupported }

func sysPopulate([]byte) error { return errors.ErrUnsupported }
