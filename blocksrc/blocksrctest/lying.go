// A source that breaks the contract in one chosen way and is sound otherwise.

package blocksrctest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// Lie is what a [Lying] does wrong.
type Lie uint8

// What Lie of a [Lying] can be.
const (
	TooShort    Lie = iota // one byte fewer than asked for, so none for one
	Misaligned             // half the alignment asked for, unless that was 1
	Overlapping            // a block begins within the last one, where it fits
	Dirty                  // says that blocks are zeroed and fills them with 0xA5
)

var lies = [...]string{"TooShort", "Misaligned", "Overlapping", "Dirty"}

func (l Lie) String() string {
	if int(l) < len(lies) {
		return lies[l]
	}
	return fmt.Sprintf("Lie(%d)", uint8(l))
}

// Lying wraps a source and returns blocks that are not what was asked for. All of them
// are in memory that Source has given for them, so using one does no harm beyond the lie,
// and releasing them gives everything back to Source.
//
// Set the exported fields before use. A Lying is goroutine-safe and must not be copied.
type Lying struct {
	Source blocksrc.Source
	Lie    Lie
	From   int // Acquires below this number, from 1, are honest; for Dirty, Zeroed is always true

	mu    sync.Mutex
	calls int
	tales []tale
}

// A tale is a block as the caller got it and as Source gave it. Two that overlap have the
// same truth.
type tale struct{ told, truth []byte }

// Acquire implements [blocksrc.Source] badly.
func (l *Lying) Acquire(size, align int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls++; l.calls < l.From || blocksrc.CheckRequest(size, align) != nil {
		return l.tell(size, align, func(truth []byte) []byte { return truth })
	}
	switch l.Lie {
	case TooShort:
		return l.tell(size, align, func(truth []byte) []byte { return truth[: size-1 : size-1] })
	case Misaligned:
		off := align / 2
		if align == 0 {
			off = l.Granularity() / 2
		}
		return l.tell(saturate(size, off), align, func(truth []byte) []byte { return truth[off:] })
	case Overlapping:
		return l.overlap(size, align)
	default:
		return l.tell(size, align, func(truth []byte) []byte {
			for i := range truth {
				truth[i] = 0xA5
			}
			return truth
		})
	}
}

// overlap returns the first part of a truth, and at the next call the second.
//
//	|<- truth ----------------->|
//	|<- first --------->|
//	     |<- second ----------->|
//	     ^ one granule or alignment on, or 0 if that is past the first
func (l *Lying) overlap(size, align int) ([]byte, error) {
	step := max(align, l.Granularity())
	if step >= size {
		step = 0
	}
	if n := len(l.tales) - 1; n >= 0 {
		last := l.tales[n]
		if address(last.told) == address(last.truth) && len(last.told) > step && len(last.truth)-step >= size &&
			address(last.truth)%uintptr(max(align, 1)) == 0 { // step is a multiple of align
			told := last.truth[step:]
			l.tales = append(l.tales, tale{told, last.truth})
			return told, nil
		}
	}
	return l.tell(saturate(size, step), align, func(truth []byte) []byte {
		n := len(truth) - step
		return truth[:n:n]
	})
}

// tell acquires a block and returns what lie makes of it.
func (l *Lying) tell(size, align int, lie func([]byte) []byte) ([]byte, error) {
	truth, err := l.Source.Acquire(size, align)
	if err != nil {
		return nil, err
	}
	told := lie(truth)
	l.tales = append(l.tales, tale{told, truth})
	return told, nil
}

// Release implements [blocksrc.Source] truthfully.
func (l *Lying) Release(mem []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.tales, func(t tale) bool { return address(t.told) == address(mem) && len(t.told) == len(mem) })
	if i < 0 {
		return fmt.Errorf("blocksrctest: %d bytes at %#x: %w", len(mem), address(mem), blocksrc.ErrNotHeld)
	}
	gone := l.tales[i]
	rest := slices.Delete(slices.Clone(l.tales), i, i+1)
	if !slices.ContainsFunc(rest, func(t tale) bool { return address(t.truth) == address(gone.truth) }) {
		if err := l.Source.Release(gone.truth); err != nil {
			return err
		}
	}
	l.tales = rest
	return nil
}

// Discard implements [blocksrc.Discarder] if Source does.
func (l *Lying) Discard(part []byte) error { return blocksrc.Discard(l.Source, part) }

// Populate implements [blocksrc.Populator] if Source does.
func (l *Lying) Populate(part []byte) error { return blocksrc.Populate(l.Source, part) }

// Granularity is that of Source.
func (l *Lying) Granularity() int { return blocksrc.Granularity(l.Source) }

// Zeroed is that of Source, unless the lie is Dirty.
func (l *Lying) Zeroed() bool { return l.Lie == Dirty || blocksrc.Zeroed(l.Source) }

// saturate is a+b, or the largest int where that is more.
func saturate(a, b int) int {
	if sum := a + b; sum >= a {
		return sum
	}
	return int(^uint(0) >> 1)
}
