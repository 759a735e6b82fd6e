package arena_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// The model for tests of iteration: an arena beside a map of what is live in it.

// cell has a size that gives slabs of few slots and of many.
type cell struct {
	ID  int
	pad [120]byte
}

var _ = cell{}.pad

// herd is an arena with n cells and what is known about them.
type herd struct {
	t      testing.TB
	a      *arena.Arena[cell]
	live   map[arena.Handle[cell]]*cell
	next   int
	values bool // walk by Values
}

func newHerd(t testing.TB, n int) *herd {
	h := &herd{t: t, a: newArena[cell](t, nil), live: map[arena.Handle[cell]]*cell{}}
	for range n {
		h.add()
	}
	return h
}

func (h *herd) add() arena.Handle[cell] {
	c := arena.Must(h.a.Insert(cell{ID: h.next}))
	h.next++
	h.live[c], _ = h.a.Get(c)
	return c
}

func (h *herd) remove(c arena.Handle[cell]) {
	require.True(h.t, h.a.Remove(c))
	delete(h.live, c)
}

// any returns a random handle.
func (h *herd) any() arena.Handle[cell] {
	for c := range h.live {
		return c
	}
	return arena.Handle[cell]{}
}

// walk calls body for each object. It asserts that each object visited is live, where it was,
// in order and not visited before, and that every object that lives all along is visited.
func (h *herd) walk(body func(n int, c arena.Handle[cell]) bool) {
	h.t.Helper()
	missed := map[arena.Handle[cell]]bool{}
	for c := range h.live {
		missed[c] = true
	}
	n, last := 0, int64(-1)
	stopped := false
	all := h.a.All()
	if h.values {
		all = func(yield func(arena.Handle[cell], *cell) bool) {
			for p := range h.a.Values() {
				if !yield(h.a.Handle(p), p) { // which panics if it is not live
					return
				}
			}
		}
	}
	for c, p := range all {
		if stopped {
			h.t.Fatal("the loop was left")
		}
		if h.live[c] == nil || h.live[c] != p || h.a.Handle(p) != c {
			h.t.Fatalf("visit %d: %x at %p is not live, or is at %p", n, c.Bits(), p, h.live[c])
		}
		at := int64(c.Bits() & (1<<32 - 1))
		if at <= last {
			h.t.Fatalf("visit %d: slot %x after %x", n, at, last)
		}
		last = at
		delete(missed, c)
		if !body(n, c) {
			stopped = true
			break
		}
		n++
		if n > 100_000 {
			h.t.Fatal("the loop does not end")
		}
	}
	if !stopped {
		for c := range missed {
			require.Nil(h.t, h.live[c], "missed")
		}
	}
	require.Equal(h.t, len(h.live), h.a.Len())
	require.NoError(h.t, h.a.Allocator().Check())
}

var herdSizes = []int{0, 1, 31, 32, 33, 64, 65, 200, 1000}
