// A source that fails when it is told to.

package blocksrctest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// Calls names the calls that a [Failing] counts.
type Calls uint8

// What On of a [Failing] can be.
const (
	Acquires Calls = 1 << iota
	Releases

	Both Calls = 0 // the default
)

// ErrInjected is wrapped by every error that a [Failing] makes itself.
var ErrInjected = errors.New("injected failure")

// Failing wraps a source and fails call number At, counting from 1 the calls that On
// names. It does not pass that call on: a failed Acquire has taken nothing, and the block
// of a failed Release is still out. Other calls go through to Source and, if On names
// them, count whether they succeed or not.
//
// Set the exported fields before use. A Failing is goroutine-safe and must not be copied.
// The package comment shows the loop that it is made for.
type Failing struct {
	Source  blocksrc.Source
	On      Calls // Acquires, Releases or, by default, both
	At      int   // 0 fails none
	Persist bool  // fail every later counted call too
	Err     error // nil: ErrInjected and, from Acquire, blocksrc.ErrExhausted

	mu            sync.Mutex
	calls, failed int
}

// Arm restarts the count and fails the k-th counted call from now; 0 fails none. It
// serves where something has to be set up first.
func (f *Failing) Arm(k int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.At, f.calls, f.failed = k, 0, 0
}

// Calls returns how many calls were counted, including those made to fail.
func (f *Failing) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Failed returns how many calls were made to fail; with At above 0, 0 means that there
// have been fewer calls than At.
func (f *Failing) Failed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Acquire implements [blocksrc.Source].
func (f *Failing) Acquire(size, align int) ([]byte, error) {
	if n := f.fails(Acquires); n > 0 {
		if f.Err != nil {
			return nil, f.Err
		}
		return nil, fmt.Errorf("blocksrctest: call %d, Acquire(%d, %d): %w: %w", n, size, align, ErrInjected, blocksrc.ErrExhausted)
	}
	return f.Source.Acquire(size, align)
}

// Release implements [blocksrc.Source].
func (f *Failing) Release(mem []byte) error {
	if n := f.fails(Releases); n > 0 {
		if f.Err != nil {
			return f.Err
		}
		return fmt.Errorf("blocksrctest: call %d, Release of %d bytes: %w", n, len(mem), ErrInjected)
	}
	return f.Source.Release(mem)
}

// fails counts a call and returns its number if it is to fail.
func (f *Failing) fails(kind Calls) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.On != Both && f.On&kind == 0 {
		return 0
	}
	f.calls++
	if f.At < 1 || f.calls < f.At || f.calls > f.At && !f.Persist {
		return 0
	}
	f.failed++
	return f.calls
}

// Discard implements [blocksrc.Discarder] if Source does. It is not counted and
// does not fail.
func (f *Failing) Discard(part []byte) error { return blocksrc.Discard(f.Source, part) }

// Populate implements [blocksrc.Populator] if Source does. It is not counted and
// does not fail.
func (f *Failing) Populate(part []byte) error { return blocksrc.Populate(f.Source, part) }

// Granularity is that of Source.
func (f *Failing) Granularity() int { return blocksrc.Granularity(f.Source) }

// Zeroed is that of Source.
func (f *Failing) Zeroed() bool { return blocksrc.Zeroed(f.Source) }
