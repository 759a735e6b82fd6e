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
	shrinkALittle(t, &refuse, records, mem)
}

func shrinkALittle(t *testing.T, refuse *bool, mem, records blocksrc.Source) {
	a := onGoHeap(t, slab.Config{Source: mem, MetaSource: records, BlockSize: 256 << 10, MaxBlockSize: 256 << 10})
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
