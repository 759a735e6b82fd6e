package slab_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// What a pool has at hand: a group of a word, or a group of one slot.

// filledPool returns a pool with a slab of at least n slots, all of them live, and no
// slot at hand, and the handles by slot.
func filledPool(t *testing.T, size, n int) (*slab.Pool, []slab.Handle) {
	t.Helper()
	p, _ := newPool(t, size, 8, slab.Config{})
	require.NoError(t, slab.ShellOf(p).Room(n))
	free := p.Stats().Free
	hs := make([]slab.Handle, free)
	for range hs {
		q, h, err := p.Insert()
		require.NoError(t, err)
		place, slot := h.Index()
		require.Zero(t, place)
		require.Equal(t, h, p.Handle(q))
		hs[slot] = h
	}
	require.Zero(t, p.AtHand())
	return p, hs
}

// liveSlots returns the slots that a scan visits.
func liveSlots(p *slab.Pool) map[uint32]bool {
	m := make(map[uint32]bool)
	visit(p, func(h slab.Handle, _ unsafe.Pointer) bool {
		_, slot := h.Index()
		m[slot] = true
		return true
	})
	return m
}

// A slot that is freed while there is no group becomes the group, wherever it is in
// its word. When the group is given back, the slot goes back to its own bit.
func TestPoolGroupOfOne(t *testing.T) {
	p, hs := filledPool(t, 24, 150)
	for slot := range hs {
		for _, how := range []string{"take", "take group", "room", "trim", "scan", "reset"} {
			if slot >= 70 && slot < len(hs)-3 && how != "take" {
				continue
			}
			h := hs[slot]
			q := p.Slot(h)
			if slot%2 == 0 {
				p.Free(q)
			} else {
				require.True(t, p.Remove(h))
			}
			require.Equal(t, 1, p.AtHand())
			require.Equal(t, len(hs)-1, p.Len())
			require.NoError(t, p.Allocator().Check())
			poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
			require.Nil(t, p.Slot(h))
			require.False(t, p.Remove(h))
			require.Equal(t, 1, p.Stats().Free)
			switch how {
			case "room":
				require.NoError(t, slab.ShellOf(p).Room(1)) // which needs no new slot
				require.Equal(t, 1, p.AtHand())
				p.Allocator().Trim()
			case "trim":
				p.Allocator().Trim()
				require.Zero(t, p.AtHand())
			case "scan":
				m := liveSlots(p)
				require.Len(t, m, len(hs)-1)
				require.False(t, m[uint32(slot)])
			case "reset":
				p.Reset()
				require.Zero(t, p.Len())
				require.NoError(t, p.Allocator().Check())
				for range hs {
					_, h, err := p.Insert()
					require.NoError(t, err)
					_, slot := h.Index()
					require.Nil(t, p.Slot(hs[slot]))
					hs[slot] = h
				}
				require.Zero(t, p.AtHand())
				continue
			}
			require.NoError(t, p.Allocator().Check())
			if how == "take group" {
				g, err := slab.ShellOf(p).TakeGroup(5)
				require.NoError(t, err)
				require.Equal(t, uint64(1), g.Slots)
				require.Equal(t, q, g.Base)
				hs[slot] = p.Handle(g.Base)
			} else {
				r, g, err := p.Insert()
				require.NoError(t, err)
				require.Equal(t, q, r)
				hs[slot] = g
			}
			require.Equal(t, h.Gen()+2, hs[slot].Gen())
			require.NoError(t, p.Allocator().Check())
		}
	}
	require.Len(t, liveSlots(p), len(hs))
}

// Freed slots of the group's own word go to the bitmap, and none is lost or handed
// out twice.
func TestPoolFreesBesideTheGroup(t *testing.T) {
	p, hs := filledPool(t, 24, 150)
	for first := range 64 {
		for n := 1; n <= 64; n += 9 {
			gone := make(map[slab.Handle]bool)
			for i := range n {
				h := hs[(first+i*7)%64]
				require.True(t, p.Remove(h))
				gone[h] = true
				require.Equal(t, 1, p.AtHand())
				require.Equal(t, len(hs)-i-1, p.Len())
			}
			require.NoError(t, p.Allocator().Check())
			if n%2 == 0 {
				m := liveSlots(p) // gives the group back
				require.Len(t, m, len(hs)-n)
				for h := range gone {
					_, slot := h.Index()
					require.False(t, m[slot])
				}
			}
			taken := make(map[uint32]bool)
			for range n {
				q, h, err := p.Insert()
				require.NoError(t, err)
				_, slot := h.Index()
				require.True(t, gone[hs[slot]], "slot %d was not freed", slot)
				require.False(t, taken[slot], "slot %d twice", slot)
				require.Nil(t, p.Slot(hs[slot]))
				require.Equal(t, q, p.Slot(h))
				taken[slot], hs[slot] = true, h
			}
			require.Zero(t, p.AtHand())
			require.NoError(t, p.Allocator().Check())
		}
	}
}

// While there is a group of a word, freed slots go to their bitmaps, and slabs that were
// full are on the list again.
func TestPoolFreesWhileThereIsAGroup(t *testing.T) {
	p, hs := filledPool(t, 24, 150)
	_, far, err := p.Insert() // in another slab, of which the group is now
	require.NoError(t, err)
	require.Greater(t, p.AtHand(), 1)
	at := p.AtHand()
	for i, h := range hs {
		require.True(t, p.Remove(h))
		require.NoError(t, p.Allocator().Check())
		if i < len(hs)-1 {
			require.Equal(t, at, p.AtHand())
			require.Equal(t, len(hs)-i, p.Len())
		}
	}
	require.Equal(t, 1, p.AtHand(), "the last of its slab is the group, and the other is given back")
	require.NotNil(t, p.Slot(far))
	stats := p.Stats()
	for range stats.Free {
		_, _, err := p.Insert()
		require.NoError(t, err)
	}
	require.Equal(t, stats.Slabs, p.Stats().Slabs, "every slot was found again")
	require.NoError(t, p.Allocator().Check())
}

// An empty pool keeps no slab for its group, except that of the slot freed last. A pool
// with live slots gives back a slab that only the group is in, once the memory is wanted.
func TestPoolKeepsNoSlabForItsGroup(t *testing.T) {
	for _, size := range []int{24, 500, 5000, 40_000} {
		for _, order := range []string{"up", "down"} {
			t.Run(fmt.Sprint(size, order), func(t *testing.T) {
				p, _ := newPool(t, size, 8, slab.Config{Retain: -1})
				var hs []slab.Handle
				for range 130 {
					_, h, err := p.Insert()
					require.NoError(t, err)
					hs = append(hs, h)
				}
				for i := range hs {
					if order == "down" {
						i = len(hs) - 1 - i
					}
					q := p.Slot(hs[i])
					p.Free(q)
					poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
					require.NoError(t, p.Allocator().Check())
				}
				require.Zero(t, p.Len())
				require.LessOrEqual(t, p.AtHand(), 1)
				require.LessOrEqual(t, p.Stats().Slabs, 2)
				_, h, err := p.Insert()
				require.NoError(t, err)
				p.Allocator().Trim()
				require.Equal(t, 1, p.Stats().Slabs)
				require.True(t, p.Remove(h))
				p.Allocator().Trim()
				require.Zero(t, p.Stats().Slabs)
				require.Zero(t, p.AtHand())
			})
		}
	}
}

// A slot that was used is cleared, although the word that it was taken with was fresh.
func TestPoolClearsTheGroupOfOne(t *testing.T) {
	for _, first := range []int{0, 1, 63} {
		p, _ := newPool(t, 64, 8, slab.Config{})
		require.NoError(t, slab.ShellOf(p).Room(200))
		var qs []unsafe.Pointer
		for range 64 {
			q, err := p.Alloc()
			require.NoError(t, err)
			*(*uint64)(q) = 1
			qs = append(qs, q)
		}
		require.Zero(t, p.AtHand())
		p.Free(qs[first])
		q, err := p.Alloc()
		require.NoError(t, err)
		require.Equal(t, qs[first], q)
		assert.Zero(t, *(*uint64)(q))
	}
}

// A lookup finds a slab's place where it is now, although the list of places has moved
// since the last one.
func TestPoolLooksWherePlacesAre(t *testing.T) {
	p, _ := newPool(t, 5000, 8, slab.Config{})
	var qs []unsafe.Pointer
	var hs []slab.Handle
	for range 2000 {
		q, h, err := p.Insert()
		require.NoError(t, err)
		require.True(t, p.Owns(q))
		if len(qs) > 0 {
			require.True(t, p.Owns(qs[0]))
		}
		qs, hs = append(qs, q), append(hs, h)
	}
	places, _ := p.Places()
	require.Greater(t, places, 32)
	for i, q := range qs {
		p.Free(q)
		require.Nil(t, p.Slot(hs[i]))
		require.False(t, p.Owns(q))
		if i%100 == 0 {
			require.NoError(t, p.Allocator().Check())
		}
	}
}

// Stats does not count what a pool has at hand as live, except in the peak.
func TestStatsLeaveOutTheGroup(t *testing.T) {
	p, _ := newPool(t, 24, 8, slab.Config{})
	a := p.Allocator()
	before := a.Stats()
	var hs []slab.Handle
	for i := range 200 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
		s := a.Stats()
		require.Equal(t, (i+1)*24, s.Live)
		require.Equal(t, uint64(i+1), s.Allocs-before.Allocs)
		require.Zero(t, s.Frees-before.Frees)
		require.Equal(t, s.Held, s.Live+s.SlabFree+s.HoleBytes+s.Meta+s.Lost)
		require.GreaterOrEqual(t, s.PeakLive, s.Live)
		require.LessOrEqual(t, s.PeakLive, s.Live+63*24)
		require.Equal(t, uint64(i+1), p.Stats().Allocs)
	}
	for i, h := range hs {
		require.True(t, p.Remove(h))
		s := a.Stats()
		require.Equal(t, (199-i)*24, s.Live)
		require.Equal(t, uint64(i+1), s.Frees-before.Frees)
		require.Equal(t, uint64(200), s.Allocs-before.Allocs)
		require.Equal(t, s.Held, s.Live+s.SlabFree+s.HoleBytes+s.Meta+s.Lost)
	}
}

// The size of a place is a power of two, so that indexing is a shift.
func TestPlaceSize(t *testing.T) { require.Equal(t, 64, int(slab.PlaceSize)) }

// If the last live slot is retired while there is a group, no slab is kept for the group.
func TestPoolRetiresTheLastWithAGroup(t *testing.T) {
	for _, size := range []int{24, 5000} {
		p, _ := newPool(t, size, 8, slab.Config{})
		require.NoError(t, slab.ShellOf(p).Room(10))
		_, h, err := p.Insert()
		require.NoError(t, err)
		require.NotZero(t, p.AtHand())
		require.True(t, p.Remove(p.SetGeneration(h, slab.PoolLastGen)))
		require.Zero(t, p.Len())
		require.Zero(t, p.AtHand())
		require.NoError(t, p.Allocator().Check())
	}
}

// Room does not count retired slots.
func TestPoolRoomWithRetiredSlots(t *testing.T) {
	p, hs := filledPool(t, 24, 150)
	for _, h := range hs[:10] {
		require.True(t, p.Remove(p.SetGeneration(h, slab.PoolLastGen)))
	}
	for _, h := range hs[10:20] {
		require.True(t, p.Remove(h))
	}
	for _, n := range []int{10, 11, 20, 21} {
		require.NoError(t, slab.ShellOf(p).Room(n))
		require.GreaterOrEqual(t, p.Stats().Free, n)
	}
}
