package slab_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// remove() did not push the slot on the free list.
func TestB27_RemovedSlotsAreUsedAgain(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 32, 8)
	require.NoError(t, err)
	const n = 1000
	require.NoError(t, p.Reserve(n))
	slabs := p.Stats().Slabs
	for range 20 {
		hs := make([]slab.Handle, n)
		for i := range hs {
			_, hs[i], err = p.Insert()
			require.NoError(t, err)
		}
		rand.Shuffle(n, func(i, j int) { hs[i], hs[j] = hs[j], hs[i] })
		for i, h := range hs {
			if i%2 == 0 {
				require.True(t, p.Remove(h))
			} else {
				p.Free(p.Slot(h))
			}
		}
		require.Zero(t, p.Len())
		require.LessOrEqual(t, p.Stats().Slabs, slabs)
	}
	require.NoError(t, p.Close())
}

// Generations were packed with a shift that was right for one configuration.
func TestB28_HandlesOfEverySlotSize(t *testing.T) {
	for _, size := range []int{0, 1, 3, 8, 24, 100, 1000, 5000, 70_000} {
		a, _ := onCounting(t, slab.Config{})
		p, err := slab.NewPool(a, size, 1)
		require.NoError(t, err)
		n := 5000
		if size > 100 {
			n = 300
		}
		at := make(map[slab.Handle]unsafe.Pointer, n)
		slots := make(map[unsafe.Pointer]bool, n)
		for range n {
			q, h, err := p.Insert()
			require.NoError(t, err)
			if slots[q] || at[h] != nil || h != slab.HandleFromBits(h.Bits()) {
				t.Fatalf("slots of %d bytes: %v at %p is not new", size, h, q)
			}
			at[h], slots[q] = q, true
		}
		for h, q := range at {
			if p.Slot(h) != q || p.Handle(q) != h {
				t.Fatalf("slots of %d bytes: %v does not name %p", size, h, q)
			}
			if h.Bits()&1 == 0 && (!p.Remove(h) || p.Slot(h) != nil) {
				t.Fatalf("slots of %d bytes: %v was not removed", size, h)
			}
		}
		require.NoError(t, p.Close())
	}
}

// EnTT's versions wrapped silently, and an overflow took a free slot's place.
func TestB29_GenerationsDoNotWrap(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 16, 8)
	require.NoError(t, err)
	_, h, err := p.Insert()
	require.NoError(t, err)
	h = p.SetGeneration(h, slab.PoolLastGen)
	require.NotNil(t, p.Slot(h))
	require.True(t, p.Remove(h))
	assert.Equal(t, 1, p.Stats().Retired)
	assert.Nil(t, p.Slot(h))
	for range 300 {
		_, g, err := p.Insert()
		require.NoError(t, err)
		require.NotEqual(t, uint32(h.Bits()), uint32(g.Bits()), "the slot is not used again")
		require.True(t, p.Remove(g))
	}
	require.NoError(t, a.Check())
	require.NoError(t, p.Close())
}

// The same where the slot is live when everything goes: its successor must not start below
// its generation, or its handles would name something again.
func TestB29_ResetAtTheLastGeneration(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 16, 8)
	require.NoError(t, err)
	_, young, err := p.Insert()
	require.NoError(t, err)
	_, old, err := p.Insert()
	require.NoError(t, err)
	old = p.SetGeneration(old, slab.PoolLastGen)
	a.Reset()
	assert.Nil(t, p.Slot(old))
	for range 300 {
		_, g, err := p.Insert()
		require.NoError(t, err)
		if uint32(g.Bits()) == uint32(old.Bits()) {
			assert.Greater(t, g.Bits(), old.Bits(), "a generation that its slot had before")
			break
		}
	}
	assert.Nil(t, p.Slot(young))
	require.NoError(t, p.Close())
}

// Metadata of free slots was stale after clear(), and a slot was freed twice.
func TestB30_ResetLeavesNothingStale(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 48, 16)
	require.NoError(t, err)
	var old []slab.Handle
	used := map[slab.Handle]bool{}
	for round := range 6 {
		seen := map[unsafe.Pointer]bool{}
		for range 500 {
			q, h, err := p.Insert()
			require.NoError(t, err)
			require.False(t, seen[q], "two owners")
			require.False(t, used[h], "a handle from before names something again")
			seen[q], used[h] = true, true
			old = append(old, h)
		}
		for i := 0; i < 200; i += 3 {
			require.True(t, p.Remove(old[len(old)-1-i]))
		}
		if round%2 == 0 {
			p.Reset()
		} else {
			a.Reset()
		}
		require.NoError(t, a.Check())
		require.Zero(t, p.Len())
		for _, h := range old {
			require.Nil(t, p.Slot(h))
			require.False(t, p.Remove(h))
		}
		for s := p.ScanWords(); s.Next(); {
			t.Fatal("a live slot after Reset")
		}
	}
	require.NoError(t, p.Close())
}

// A double free gave one slot to two owners, and counts drifted.
func TestB31_DoubleFreeMakesNoSecondOwner(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 64, 64)
	require.NoError(t, err)
	for _, others := range []int{0, 1, 5} { // freed between the two frees
		q, err := p.Alloc()
		require.NoError(t, err)
		var more []unsafe.Pointer
		for range others {
			o, err := p.Alloc()
			require.NoError(t, err)
			more = append(more, o)
		}
		b := granted(t, a, 64, 0)
		p.Free(q)
		a.Free(b)
		for _, o := range more {
			p.Free(o)
		}
		before := a.Stats()
		assert.NotNil(t, caught(t, func() { p.Free(q) }))
		assert.NotNil(t, caught(t, func() { a.Free(b) }))
		assert.Equal(t, before, a.Stats())
		seen := map[uintptr]bool{}
		for range 200 {
			o, err := p.Alloc()
			require.NoError(t, err)
			c := granted(t, a, 64, 0)
			require.False(t, seen[uintptr(o)] || seen[startOf(c)])
			seen[uintptr(o)], seen[startOf(c)] = true, true
		}
		p.Reset()
		a.Reset()
	}
	require.NoError(t, p.Close())
}

// TestClosedPoolKnowsNothing: a closed pool takes no slot of another pool for its own, though
// that pool has its number now.
func TestClosedPoolKnowsNothing(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	require.NoError(t, p.Close())
	other, err := slab.NewPool(p.Allocator(), 64, 8)
	require.NoError(t, err)
	q, err := other.Alloc()
	require.NoError(t, err)
	require.False(t, p.Owns(q))
	poolMisuse(t, p, slab.UseAfterClose, func() { p.Free(q) })
	poolMisuse(t, p, slab.UseAfterClose, func() { p.Handle(q) })
	other.Free(q)
	require.NoError(t, other.Close())
}
