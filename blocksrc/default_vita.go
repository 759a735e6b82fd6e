//go:build vita

// The source that a program for a console gets when it names none: the one it set.
// There is no memory here that would be right by default.

package blocksrc

import (
	"errors"
	"fmt"
	"sync/atomic"
)

var chosen atomic.Pointer[Source]

// SetDefault makes src the source that [Default] returns from now on; nil unsets it. It
// is goroutine-safe and exists only with the build tag vita. It is for main: a library
// that called it would choose for the whole program.
func SetDefault(src Source) {
	if src == nil {
		chosen.Store(nil)
		return
	}
	chosen.Store(&src)
}

// Default returns the source given to SetDefault. Before that it returns one
// whose Acquire fails with an error wrapping errors.ErrUnsupported.
func Default() Source {
	if src := chosen.Load(); src != nil {
		return *src
	}
	return unset{}
}

type unset struct{}

func (unset) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("blocksrc: no default source with the build tag vita: name one or call SetDefault: %w", errors.ErrUnsupported)
}

func (unset) Release(block []byte) error { return errNotHeld(block) }
