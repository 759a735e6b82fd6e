package slab_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestShrinkToASlotOfWhatThereIs: what shrinks to the size of a slot moves to one if there is
// one, or room for a slab. No block is acquired for it.
func TestShrinkToASlotOfWhatThereIs(t *testing.T) {
	for _, size := range []int{1, 100, 512, 600, 1000} {
		for _, largeSize := range []int{2000, 64 << 10} { // what shrinks has a block of its own, or not
			full := false
			src := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
				if full {
					return nil, blocksrc.ErrExhausted
				}
				return src.Acquire(size, align)
			}}
			a := onGoHeap(t, slab.Config{
				Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: largeSize,
			})
			var live [][]byte
			for range 2 {
				b := granted(t, a, 2608, 1)
				copy(b, "stays")
				live = append(live, b)
			}
			granted(t, a, 1040, 1)
			full = true
			live = append(live, fillUp(t, a, 1040, 1)...)
			full = false
			hole := live[len(live)-1]
			live = live[:len(live)-1]
			a.Free(hole) // 1040 bytes: no room for a slab, unless it begins with a window
			held := a.Stats().Held
			b, err := a.Realloc(live[0], size)
			require.NoError(t, err)
			require.Equal(t, "stays"[:min(size, 5)], string(b[:min(size, 5)]))
			require.LessOrEqual(t, a.Stats().Held, held, "%d, %d", size, largeSize)
			require.Less(t, cap(b), 2608)
			require.NoError(t, a.Check())

			// With a slot at hand, it moves there.
			slot := granted(t, a, size, 1)
			b, err = a.Realloc(live[1], size)
			require.NoError(t, err)
			if size <= 512 {
				require.Equal(t, cap(slot), cap(b), "%d, %d", size, largeSize)
			}
			require.NoError(t, a.Check())
		}
	}
}

// TestShrinkALittle: what shrinks by an eighth stays where it is. Once the source of memory or
// that of records has no more, it moves to a hole that it fits better.
func TestShrinkALittle(t *testing.T) {
	refuse := false
	mem, records := refusing(new(blocksrc.GoHeap), &refuse), blocksrc.Source(new(blocksrc.GoHeap))
	shrinkALittle(t, &refuse, mem, records)
	shrinkALittle(t, &refuse, blocksrc.Limit(records, 32<<20), mem) // until there are no records
}

func shrinkALittle(t *testing.T, refuse *bool, mem, records blocksrc.Source) {
	// A block in two regions of the address map would be filled otherwise without records.
	a := onGoHeap(t, slab.Config{Source: mem, MetaSource: records, BlockAlign: 256 << 10, BlockSize: 256 << 10, MaxBlockSize: 256 << 10})
	shrink := func() (moved bool) {
		b := granted(t, a, 8000, 1)
		copy(b, "stays")
		granted(t, a, 2000, 1)
		hole := granted(t, a, 7000, 1)
		granted(t, a, 2000, 1)
		a.Free(hole)
		c, err := a.Realloc(b, 7000)
		require.NoError(t, err)
		require.Equal(t, "stays", string(c[:5]))
		require.Equal(t, 7008, cap(c))
		require.NoError(t, a.Check())
		if address(b) == address(c) {
			granted(t, a, 7000, 1) // so that the next call finds no such hole
		} else {
			require.Equal(t, address(hole), address(c))
		}
		return address(b) != address(c)
	}
	*refuse = false
	require.False(t, shrink())
	*refuse = true
	freeAll(a, fillUp(t, a, 20_000, 1))
	require.True(t, shrink())
}

// TestShrinkMakesASlab: if there is a hole for a slab, of full size or not, the slab is made.
func TestShrinkMakesASlab(t *testing.T) {
	for _, free := range []int{2, 3, 30} { // KiB
		for _, many := range []bool{false, true} { // a class that has much already gets large slabs
			a := onGoHeap(t, slab.Config{MetaSource: new(blocksrc.GoHeap), BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
			for many && a.Stats().Slabs < 12 {
				granted(t, a, 128, 1)
			}
			for a.Stats().SlabFree > 0 {
				granted(t, a, 128, 1)
			}
			b := granted(t, a, 2608, 1)
			for a.Stats().LargestHole > 1040 {
				granted(t, a, 1040, 1)
			}
			hole := granted(t, a, free<<10, 1)
			for a.Stats().LargestHole > 1040 {
				granted(t, a, 1040, 1)
			}
			a.Free(hole)
			before := a.Stats()
			b, err := a.Realloc(b, 128)
			require.NoError(t, err)
			require.Equal(t, 128, cap(b), "%d, %v", free, many)
			require.Equal(t, before.Held, a.Stats().Held)
			require.Equal(t, before.Slabs+1, a.Stats().Slabs)
			require.NoError(t, a.Check())
		}
	}
}

// TestShrinkWithFewRecords: what is cut off needs a record, unless a hole is next to it. Too
// few records for the next step of any kind are no reason to cut nothing.
func TestShrinkWithFewRecords(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 4 << 20, MaxBlockSize: 4 << 20, LargeSize: 4 << 20}, src, meta)
	for range 20 {
		require.True(t, m.alloc(5000, 0, false))
	}
	arm(meta.acquires, 1, true)
	arm(src.acquires, 1, true)
	for fillable := true; fillable; { // until there is no record for another
		fillable = m.alloc(1025, 0, false)
	}
	for range 4 { // neighbours: once they coalesce, their records are left
		m.free(len(m.live)-1, false)
	}
	require.True(t, m.alloc(4*1040, 0, false))
	cut := 0
	for i := range 20 {
		before := m.a.Stats().Live
		require.True(t, m.realloc(i, 4000))
		if m.a.Stats().Live < before {
			cut++
		}
	}
	assert.Positive(t, cut, "records were left")
	assert.GreaterOrEqual(t, slab.SpareRecords(m.a), 3, "for a page of them, once there can be one")
	for i := range cut { // what was cut before has a hole next to it
		before := m.a.Stats().Live
		require.True(t, m.realloc(i, 3000))
		assert.Less(t, m.a.Stats().Live, before)
	}
	m.check()
	meta.disarm()
	src.disarm()
	m.finish()
}

// TestShrinkInPlaceIsNoFailure: a Realloc to less that finds no better place is not refused, and
// does not count as such; nor does it move for a slot of the size that it has.
func TestShrinkInPlaceIsNoFailure(t *testing.T) {
	a := room(t, 64<<10, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
	all := fillUp(t, a, 960, 1)
	before := a.Stats().Failures
	for range 2 {
		c, err := a.Realloc(all[0], 16)
		require.NoError(t, err)
		require.Equal(t, startOf(all[0]), startOf(c))
		require.Equal(t, 960, cap(c))
		require.Equal(t, before, a.Stats().Failures)
		all[0] = c
		a.Free(all[len(all)-1]) // for the second time: one slot is free
		all = all[:len(all)-1]
	}
	freeAll(a, all)
}

// TestLargeBlockShrinksToHalf: one that would be half wasted is given up for a shorter one.
func TestLargeBlockShrinksToHalf(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	b := granted(t, a, 2<<20, 1)
	require.Equal(t, 2<<20, cap(b))
	b, err := a.Realloc(b, 1<<20)
	require.NoError(t, err)
	require.Equal(t, 1<<20, cap(b))
	a.Free(b)
}

// TestShrinkByAQuarterGoesToAHole: a quarter is enough.
func TestShrinkByAQuarterGoesToAHole(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	hole, wall := granted(t, a, 3072, 1), granted(t, a, 2000, 1)
	b := granted(t, a, 4096, 1)
	other := granted(t, a, 2000, 1)
	at := startOf(hole)
	a.Free(hole)
	b, err := a.Realloc(b, 3072)
	require.NoError(t, err)
	require.Equal(t, at, startOf(b))
	freeAll(a, [][]byte{b, wall, other})
}

// TestShrinkToASlotAsksForNoBlock: a chunk that shrinks to the size of a slot, where there is
// none and no hole for a slab, stays, though there is a hole that fits it better.
func TestShrinkToASlotAsksForNoBlock(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockAlign: 4 << 10, MetaSource: new(blocksrc.GoHeap)})
	first := granted(t, a, 2000, 1)
	hole := granted(t, a, 1040, 1) // has no whole window
	all := [][]byte{first, granted(t, a, 2000, 1)}
	b := granted(t, a, 4096, 1)
	all = append(all, granted(t, a, 2000, 1))
	all = append(all, granted(t, a, a.Stats().LargestHole, 1))
	require.Zero(t, a.Stats().Holes)
	a.Free(hole)
	held := a.Stats().Held
	c, err := a.Realloc(b, 1000)
	require.NoError(t, err)
	assert.Equal(t, held, a.Stats().Held)
	assert.Equal(t, startOf(b), startOf(c))
	freeAll(a, append(all, c))
}

// TestAlignedChunkShrinksInPlace: where no slot is aligned enough, none is a better place.
func TestAlignedChunkShrinksInPlace(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	b := granted(t, a, 4096, 2048)
	c, err := a.Realloc(b, 100)
	require.NoError(t, err)
	require.Equal(t, startOf(b), startOf(c))
	require.Equal(t, 1024, cap(c))
	a.Free(c)
}

// TestShrinkComparesWithTheWholeRoom: a chunk that shrinks moves to a hole if that is shorter than
// the chunk and the holes beside it together, and not if it is as long.
func TestShrinkComparesWithTheWholeRoom(t *testing.T) {
	for _, c := range []struct {
		hole, before, behind int
		moves                bool
	}{
		{4096, 0, 0, false},
		{5008, 2000, 0, true},
		{5008, 0, 2000, true},
		{6096, 2000, 0, false},
		{6096, 0, 2000, false},
	} {
		a := onGoHeap(t, slab.Config{})
		chunk := func(size int) []byte { return granted(t, a, max(size, 1100), 1) }
		hole, w1, before := chunk(c.hole), chunk(0), chunk(c.before)
		b, behind, w2 := chunk(4096), chunk(c.behind), chunk(0)
		require.Equal(t, endOf(before), startOf(b))
		require.Equal(t, endOf(b), startOf(behind))
		at := startOf(hole)
		a.Free(hole)
		keep := [][]byte{w1, w2}
		for _, side := range []struct {
			free int
			b    []byte
		}{{c.before, before}, {c.behind, behind}} {
			if side.free > 0 {
				a.Free(side.b)
			} else {
				keep = append(keep, side.b)
			}
		}
		b, err := a.Realloc(b, 3072)
		require.NoError(t, err)
		require.Equal(t, c.moves, startOf(b) == at, "%+v", c)
		freeAll(a, append(keep, b))
	}
}
