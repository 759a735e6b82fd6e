// A hard budget in front of a source, enforced before memory is taken, not after.

package blocksrc

import (
	"fmt"
	"sync"
)

// Limit returns a source that draws on src and never has more than max bytes out. It
// counts len(block), not what src may need beside a block, as vita.Source may for an
// alignment. An Acquire beyond max is an error wrapping [ErrExhausted] that says how much
// is held; with a max of 0 or less every Acquire is. Only for more than max does it say itself
// that there never will be room, see [Never]: while the budget is short, it does not ask src, and
// so refuses for now what src may never have room for. Limit panics if src is nil.
//
// The source is goroutine-safe, and the budget holds against concurrent calls: each
// Acquire reserves size, rounded up to the granularity of src, before it asks src. If src
// returns more than that, and more than fits, the block goes straight back.
//
// [Granular], [Zeroer], [Discarder] and [Populator] are those of src. Where src lacks them,
// the granularity is 1, Zeroed is false, and Discard and Populate return an error wrapping
// errors.ErrUnsupported. Discarded bytes still count as held.
//
// Blocks must be released through the Limit that they came from.
//
// An allocator on a limit needs room for its own records as well, in blocks of 32 KiB: of a
// budget below 256 KiB, half or more may go to those and to what is not used of a block.
func Limit(src Source, max int) Source {
	if src == nil {
		panic("blocksrc: Limit of a nil Source")
	}
	return &limit{src: src, max: max}
}

type limit struct {
	src Source
	max int

	mu    sync.Mutex
	held  int      // bytes out, stuck, or reserved by an Acquire under way
	stuck [][]byte // too large to hand on, and refused by src when given back

	out ledger
}

func (l *limit) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	l.unstick()
	need, ok := roundUp(size, l.Granularity())
	if !ok {
		return nil, errBeyond(size, align)
	}
	if err := l.reserve(need, size, need, need > l.max); err != nil {
		return nil, err
	}
	block, err := l.src.Acquire(size, align)
	if err != nil {
		l.count(-need)
		return nil, err
	}
	if err := l.reserve(len(block)-need, size, len(block), false); err != nil { // the next may be shorter
		l.count(len(block) - need) // it is held until src has it back
		if e := l.giveBack(block); e != nil {
			err = fmt.Errorf("%w; and its source did not take it back: %w", err, e)
		}
		return nil, err
	}
	l.out.add(block, nil)
	return block, nil
}

func (l *limit) Release(block []byte) error {
	l.unstick()
	if _, err := l.out.take(block); err != nil {
		return err
	}
	err := l.src.Release(block)
	if stillHeld(err) {
		l.out.add(block, nil) // its address cannot have been given to anyone else
		return err
	}
	l.count(-len(block))
	return err
}

func (l *limit) Discard(part []byte) error { return l.pass(part, Discard) }

func (l *limit) Populate(part []byte) error { return l.pass(part, Populate) }

// pass does something at src with part of a block that came through l.
func (l *limit) pass(part []byte, do func(Source, []byte) error) error {
	if len(part) == 0 {
		return nil
	}
	if _, err := l.out.around(part); err != nil {
		return err
	}
	return do(l.src, part)
}

func (l *limit) Granularity() int { return Granularity(l.src) }

func (l *limit) Zeroed() bool { return Zeroed(l.src) }

// reserve takes n bytes of the budget, or gives some back if n is negative, for a request of asked
// bytes that takes so many in all. If it cannot, never tells whether it never will.
func (l *limit) reserve(n, asked, takes int, never bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && n > l.max-l.held {
		r := &refusal{
			format: "blocksrc: limit of %[1]d bytes, %[2]d held, asked for %[3]d: %[6]v",
			n:      [5]int{l.max, l.held, asked, takes}, err: exhausted(never),
		}
		if takes != asked {
			r.format = "blocksrc: limit of %[1]d bytes, %[2]d held, asked for %[3]d, which take %[4]d: %[6]v"
		}
		return r
	}
	l.held += n
	return nil
}

func (l *limit) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += n
}

// giveBack returns to src blocks that are counted but handed out to nobody. A block that
// src refuses stays counted and is offered again at the next call. The error is that of
// the last refusal.
func (l *limit) giveBack(blocks ...[]byte) (refused error) {
	for _, block := range blocks {
		err := l.src.Release(block)
		l.mu.Lock()
		if stillHeld(err) {
			l.stuck = append(l.stuck, block)
			refused = err
		} else {
			l.held -= len(block)
		}
		l.mu.Unlock()
	}
	return refused
}

func (l *limit) unstick() {
	l.mu.Lock()
	stuck := l.stuck
	l.stuck = nil
	l.mu.Unlock()
	_ = l.giveBack(stuck...)
}
