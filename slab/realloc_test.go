package slab_test

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Realloc: what is kept, what is zero, what moves.

// TestRealloc: from every kind of allocation to every other, up and down; the
// model checks contents, zeros and alignment.
func TestRealloc(t *testing.T) {
	sizes := []int{1, 8, 9, 100, 512, 513, 1000, 1024, 1025, 1040, 2000, 5000, 20_000, 70_000, 100_000}
	for _, align := range []int{1, 8, 64, 1024, 8192} {
		m := heapModel(t, slab.Config{MaxBlockSize: 256 << 10})
		for _, from := range sizes {
			for _, to := range sizes {
				require.True(t, m.alloc(from, align, true))
				i := len(m.live) - 1
				require.True(t, m.realloc(i, to), "%d to %d", from, to)
				require.True(t, m.realloc(i, from), "%d to %d", to, from)
				require.True(t, m.realloc(i, to))
			}
			m.check()
			for len(m.live) > 3 {
				m.free(1, false)
			}
		}
		m.finish()
	}
}

// TestReallocFits: what shrinks by a quarter or more moves to a hole that it fits better.
func TestReallocFits(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for _, size := range []int{16_384, 4096, 14_336, 4096, 26_000} {
		require.True(t, m.alloc(size, 0, true))
	}
	first, hole := m.live[0].addr(), m.live[2].addr()
	m.free(2, false)
	require.True(t, m.realloc(0, 12_289))
	require.Equal(t, first, m.live[0].addr(), "less than a quarter")
	require.True(t, m.realloc(0, 16_384))
	require.True(t, m.realloc(0, 8000))
	require.Equal(t, hole, m.live[0].addr())
	require.True(t, m.realloc(0, 5000))
	require.Equal(t, hole, m.live[0].addr(), "what it left is larger, and what is beside it is its own")
	m.finish()
}

// TestReallocOfNothing: Realloc of an empty slice allocates, and Realloc to size 0 frees.
func TestReallocOfNothing(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for _, none := range [][]byte{nil, {}} {
		b, err := m.a.Realloc(none, 100)
		require.NoError(t, err)
		require.Len(t, b, 100)
		require.True(t, isZero(b))
		b, err = m.a.Realloc(b, 0)
		require.NoError(t, err)
		require.NotNil(t, b)
		require.Empty(t, b)
		require.Zero(t, m.a.Stats().Live)
		b, err = m.a.Realloc(none, 0)
		require.NoError(t, err)
		require.NotNil(t, b)
		_, err = m.a.Realloc(none, -1)
		require.ErrorIs(t, err, slab.ErrInvalid)
	}
	m.finish()
}

// TestReallocInPlace: a chunk grows into the hole behind it and no further, and shrinks
// where it is. A slot, and a block of its own, has some room to spare.
func TestReallocInPlace(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for range 3 {
		require.True(t, m.alloc(4096, 0, true))
	}
	a, b := m.live[0], m.live[1]
	require.Equal(t, a.addr()+4096, b.addr())
	m.free(1, false)
	for _, size := range []int{8192, 4096, 6000, 2000, 1025, 600, 8192} {
		require.True(t, m.realloc(0, size))
		require.Equal(t, a.addr(), m.live[0].addr(), "to %d", size)
	}
	require.True(t, m.realloc(0, 8193))
	require.NotEqual(t, a.addr(), m.live[0].addr())

	require.True(t, m.alloc(100, 0, true)) // a slot of 104
	slot := m.live[2].addr()
	for _, size := range []int{104, 53, 104} {
		require.True(t, m.realloc(2, size))
		require.Equal(t, slot, m.live[2].addr(), "to %d", size)
	}
	require.True(t, m.realloc(2, 52))
	require.NotEqual(t, slot, m.live[2].addr(), "half of it would be wasted")

	// No slot is aligned that far, so moving would gain nothing.
	require.True(t, m.alloc(100, 4096, true))
	over := m.live[3].addr()
	for _, size := range []int{200, 1024, 50, 512} {
		require.True(t, m.realloc(3, size))
		require.Equal(t, over, m.live[3].addr(), "to %d", size)
	}
	m.free(3, false)

	require.True(t, m.alloc(1<<20, 0, true))
	large := m.live[3].addr()
	for _, size := range []int{1<<20 - 1, 1<<19 + 1, 1 << 20} {
		require.True(t, m.realloc(3, size))
		require.Equal(t, large, m.live[3].addr(), "to %d", size)
	}
	require.True(t, m.realloc(3, 1<<18))
	require.NotEqual(t, large, m.live[3].addr())
	m.finish()
}

// An allocation does not move to another slot of its own class.
func TestReallocStaysInItsClass(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	for _, c := range []struct{ from, to, room int }{
		{1000, 100, 1024}, {1024, 1, 1024}, {500, 10, 512}, {4, 1, 4},
		{72, 40, 72}, {72, 9, 16}, {1000, 1024, 1024}, // 72 to 9 gets a smaller slot
	} {
		b := granted(t, a, c.from, 0)
		at, room := startOf(b), cap(b)
		b, err := a.Realloc(b, c.to)
		require.NoError(t, err)
		require.Equal(t, c.room, cap(b), "%d to %d", c.from, c.to)
		require.Equal(t, c.room == room, startOf(b) == at, "%d to %d", c.from, c.to)
		a.Free(b)
	}
}

// TestReallocKeepsTheRest: bytes between the length and the capacity are not part of the
// contents (B36). They do not come back when the slice grows again.
func TestReallocKeepsTheRest(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for _, size := range []int{90, 1000, 3000, 600_000} {
		b, err := m.a.Alloc(size, 0)
		require.NoError(t, err)
		b = b[:cap(b)]
		for i := range b {
			b[i] = 0xEE
		}
		n := cap(b)
		for _, half := range []int{n - 1, n*3/4 + 1} {
			b, err = m.a.Realloc(b[:half], n)
			require.NoError(t, err)
			require.True(t, isZero(b[half:]), "size %d: %d of %d", size, half, n)
			require.Equal(t, byte(0xEE), b[0])
		}
		m.a.Free(b)
	}
	m.finish()
}

// TestReallocShrinkNeverFails: not even if the source has no more.
func TestReallocShrinkNeverFails(t *testing.T) {
	m := heapModel(t, slab.Config{LargeSize: 64 << 10})
	sizes := []int{100_000, 20_000, 5000, 1024, 600, 30}
	for _, size := range sizes {
		require.True(t, m.alloc(size, 0, true))
	}
	arm(m.src.acquires, 1, true)
	for i, size := range sizes {
		for n := size - 1; n > 0; n = n * 2 / 3 {
			require.True(t, m.realloc(i, n), "%d to %d", size, n)
			m.check()
		}
	}
	m.finish()
}

// TestReallocInside: Realloc too checks where a slice starts, even if the allocation starts
// in the same window and the capacity is right.
func TestReallocInside(t *testing.T) {
	for _, size := range []int{2000, 5008} {
		a := onGoHeap(t, slab.Config{})
		b, err := a.Alloc(size, 1)
		require.NoError(t, err)
		for _, off := range []int{1, 16, 100, 400} { // the block goes on behind b
			wrongFree(t, a, slab.Interior, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), off)), cap(b)))
		}
		a.Free(b)
	}
}

// TestShrinkInAFullHeap: an allocation that shrinks frees what it no longer needs even if it
// has no better place to go, be it a chunk or a block of its own.
func TestShrinkInAFullHeap(t *testing.T) {
	for _, largeSize := range []int{30 << 10, 64 << 10} {
		for _, size := range []int{600, 513, 512, 400, 1} {
			a := room(t, 1<<20, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: largeSize})
			var live [][]byte
			for _, n := range []int{50_000, 5000, 2000, 1025, 1024, 512, 100, 50, 10, 4} {
				live = append(live, fillUp(t, a, n, 1)...)
			}
			live[0][0] = 7
			before := a.Stats()
			b, err := a.Realloc(live[0], size)
			require.NoError(t, err)
			require.Equal(t, byte(7), b[0])
			require.Equal(t, 1024, cap(b))
			require.Equal(t, before.Live-cap(live[0])+1024, a.Stats().Live)
			require.Equal(t, before.Failures, a.Stats().Failures)
			require.NoError(t, a.Check())
			c := granted(t, a, 2000, 1)
			after := a.Stats() // it may have taken a block for a leaf of the address map
			require.Equal(t, before.Held-before.Meta, after.Held-after.Meta)
			freeAll(a, append(live[1:], b, c))
			require.NoError(t, a.Check())
		}
	}
}

// TestReallocCutsWithoutRecords: each cut leaves a hole, which needs a record. Without one,
// nothing is cut.
func TestReallocCutsWithoutRecords(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 4 << 20, MaxBlockSize: 4 << 20, LargeSize: 4 << 20}, src, meta)
	const n = 900
	for i := range 2 * n {
		size := 3000
		if i >= n {
			size = 1500 // too short to be cut in two
		}
		require.True(t, m.alloc(size, 0, false))
	}
	arm(meta.acquires, 1, true)
	arm(src.acquires, 1, true)
	for fillable := true; fillable; { // leave no hole for what shrinks
		fillable = m.alloc(1025, 0, false)
	}
	for i := range n {
		require.True(t, m.realloc(n+i, 500))
	}
	for i := range n {
		require.True(t, m.realloc(i, 2500))
	}
	m.check()
	meta.disarm()
	src.disarm()
	m.finish()
}

// TestReallocAsksAgain: if the source of records fails for another reason than want of
// memory, only that request is affected.
func TestReallocAsksAgain(t *testing.T) {
	var odd error
	meta := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		if odd != nil {
			return nil, odd
		}
		return src.Acquire(size, align)
	}}
	a := onGoHeap(t, slab.Config{MetaSource: meta, BlockSize: 4 << 20, MaxBlockSize: 4 << 20, LargeSize: 4 << 20})
	b := granted(t, a, 3000, 1)
	granted(t, a, 3000, 1)
	odd = errNever
	for err := error(nil); err == nil; {
		_, err = a.AllocUninitialized(3000, 1)
	}
	odd = nil
	b, err := a.Realloc(b, 2500)
	require.NoError(t, err)
	require.Less(t, cap(b), 3000)
}

// TestShrinkGoesToAHole: what shrinks moves to a hole that it fits better, but not to a new
// block.
func TestShrinkGoesToAHole(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 4 << 20, MaxBlockSize: 4 << 20, LargeSize: 256 << 10})
	grown := func(size int) []byte { // in place, to a size that would get a block of its own
		b := granted(t, a, 200<<10, 1)
		c, err := a.Realloc(b, size)
		require.NoError(t, err)
		require.Equal(t, startOf(b), startOf(c))
		granted(t, a, 2000, 1)
		return c
	}
	b, hole := grown(1<<20), grown(400<<10)
	a.Free(hole)
	held := a.Stats().Held
	b, err := a.Realloc(b, 300<<10)
	require.NoError(t, err)
	require.Equal(t, held, a.Stats().Held)
	b, err = a.Realloc(b, 200<<10)
	require.NoError(t, err)
	require.Equal(t, startOf(hole), startOf(b))
	require.NoError(t, a.Check())
}

// TestReallocOfNothingAfterClose is a misuse even with an invalid size.
func TestReallocOfNothingAfterClose(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	b := granted(t, a, 100, 1)
	require.NoError(t, a.Close())
	e := caught(t, func() { _, _ = a.Realloc(b, -1) })
	require.NotNil(t, e)
	require.Equal(t, slab.UseAfterClose, e.Misuse)
}
