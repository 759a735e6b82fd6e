package slab_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// heapModel returns a model on the Go heap.
func heapModel(t testing.TB, cfg slab.Config) *model {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	return newModel(t, cfg, src, src)
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// TestSizeClasses: every small size at every alignment is served with little
// waste, and every class is of use.
func TestSizeClasses(t *testing.T) {
	m := heapModel(t, slab.Config{})
	used := make(map[int]bool)
	for size := 1; size <= smallMax; size++ {
		require.True(t, m.alloc(size, 1, true))
		room := cap(m.live[len(m.live)-1].b)
		used[room] = true
		require.LessOrEqual(t, room-size, max(7, size/8), "size %d", size)
		require.Zero(t, room%8*(room/64), "from 64 bytes on slots are words")
		for align := 2; align <= 2*smallMax; align *= 2 {
			require.True(t, m.alloc(size, align, true)) // the model checks the address
			room := cap(m.live[len(m.live)-1].b)
			if rounded := (size + align - 1) &^ (align - 1); rounded <= smallMax {
				require.LessOrEqual(t, room-rounded, max(7, rounded/8), "size %d, align %d", size, align)
			}
		}
		if len(m.live) > 400 {
			m.reset()
		}
	}
	for c := range slab.NumClasses {
		assert.True(t, used[slab.ClassSize(c)], "class of %d bytes", slab.ClassSize(c))
		if c > 0 {
			assert.Greater(t, slab.ClassSize(c), slab.ClassSize(c-1))
		}
	}
	assert.Len(t, used, slab.NumClasses)
	m.finish()
}

// TestAlloc: sizes around every boundary, at all alignments, with and without
// clearing, twice, so that the second time nothing is fresh.
func TestAlloc(t *testing.T) {
	var sizes []int
	for _, n := range []int{1, 8, 16, 64, 1024, 2048, 4096, 16 << 10, 64 << 10, 512 << 10} {
		sizes = append(sizes, n-1, n, n+1)
	}
	if slow() {
		sizes = sizes[:len(sizes)-3]
	}
	for _, zeroed := range []bool{true, false} {
		m := heapModel(t, slab.Config{})
		for range 2 {
			for _, size := range sizes {
				for align := 1; align <= 64<<10; align *= 4 {
					require.True(t, m.alloc(size, align, zeroed))
				}
			}
			m.check()
			for len(m.live) > 0 {
				m.free(len(m.live)/2, len(m.live)%2 == 0)
			}
		}
		m.finish()
	}
}

// TestAllocNothing: size 0 is an empty slice that owns nothing.
func TestAllocNothing(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for _, alloc := range []func(int, int) ([]byte, error){m.a.Alloc, m.a.AllocUninitialized} {
		for _, align := range []int{0, 1, 4096, 1 << 30} {
			b, err := alloc(0, align)
			require.NoError(t, err)
			require.NotNil(t, b)
			require.Zero(t, cap(b))
			require.False(t, m.a.Owns(b))
			m.a.Free(b)
			m.a.Free(b)
		}
	}
	require.Equal(t, slab.Stats{}, m.a.Stats())
	require.Zero(t, m.src.acquires.Calls())

	// A slice of nothing that starts in our memory is somebody's mistake.
	require.True(t, m.alloc(100, 0, true))
	require.True(t, m.alloc(2000, 0, true))
	for _, o := range m.live {
		m.misuse(slab.WrongSize, "a free of nothing", func() { m.a.Free(o.b[:0:0]) })
	}
	m.finish()
}

// TestAllocInvalid: what makes no sense is an error and not counted as refused.
func TestAllocInvalid(t *testing.T) {
	m := heapModel(t, slab.Config{})
	require.True(t, m.alloc(100, 0, true))
	for _, c := range []struct{ size, align int }{
		{-1, 0}, {-1, 1}, {math.MinInt, 1}, {math.MinInt, math.MinInt}, {1, -1}, {1, 3}, {1, 24}, {1, math.MaxInt}, {1, math.MinInt},
		{0, -1}, {0, 3}, {100_000, 4097}, {math.MaxInt, 3},
	} {
		require.False(t, m.alloc(c.size, c.align, true))
		require.False(t, m.alloc(c.size, c.align, false))
	}
	require.False(t, m.realloc(0, -1))
	require.False(t, m.realloc(0, math.MinInt))
	m.finish()
}

// TestAllocTooLarge: no size or alignment is so large that it wraps to a small
// one (B1), and what is beyond a block is said to be (B2: and a Realloc to it
// leaves the allocation alone).
func TestAllocTooLarge(t *testing.T) {
	src := newBufferSource(1 << 20)
	m := newModel(t, slab.Config{}, src, src)
	for _, size := range []int{10, 2000, 300_000} {
		require.True(t, m.alloc(size, 0, true))
	}
	for _, size := range edges {
		if size < 1<<29 {
			continue
		}
		for _, align := range []int{1, 16, 4096, 1 << 20, 1 << 30} {
			for range 2 { // once more, to see that the first time left no trace
				require.False(t, m.alloc(size, align, true), "Alloc(%d, %d)", size, align)
				require.False(t, m.alloc(size, align, false))
			}
		}
		for i := range m.live {
			require.False(t, m.realloc(i, size))
		}
		b, err := m.a.Alloc(size, 1)
		require.Nil(t, b)
		assert.Equal(t, size > maxBlockBytes, errors.Is(err, slab.ErrTooLarge), "%d: %v", size, err)
	}
	for _, align := range []int{math.MaxInt/2 + 1, math.MaxInt/4 + 1, 1 << 30} {
		for _, size := range []int{1, 1000, 5000, 500_000, math.MaxInt} {
			require.False(t, m.alloc(size, align, true), "Alloc(%d, %d)", size, align)
		}
	}
	m.check()
	m.finish()
}

// TestZeroing: memory that was used before is zero again, wherever it lay.
func TestZeroing(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(t *testing.T) *model
	}{
		{"zeroed source", func(t *testing.T) *model { return heapModel(t, slab.Config{}) }},
		{"dirty source", func(t *testing.T) *model {
			s := newBufferSource(4 << 20)
			return newModel(t, slab.Config{}, s, s)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.open(t)
			// A hole of which the first part was used and the rest was not.
			require.True(t, m.alloc(3000, 0, true))
			m.free(0, false)
			for _, size := range []int{5000, 2000, 1 << 14, 1500} {
				require.True(t, m.alloc(size, 0, true))
			}
			m.free(1, false)
			m.free(1, false)
			require.True(t, m.alloc(17_000, 0, true))
			require.True(t, m.alloc(1100, 1024, true))
			// Slabs where slabs and chunks were.
			for round := range 4 {
				for size := 3; size < 2*smallMax; size += 11 {
					require.True(t, m.alloc(size+round, 0, round%2 == 0))
				}
				for len(m.live) > round {
					m.free(len(m.live)-1, false)
				}
			}
			require.True(t, m.newPool(100, 4))
			for round := range 3 {
				for range 200 {
					require.True(t, m.take(m.pools[0], 0))
				}
				for len(m.pools[0].live) > 50*round {
					m.give(m.pools[0], len(m.pools[0].live)/3, round&1 == 0)
				}
			}
			m.finish()
		})
	}
}

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

// TestReallocFits: what shrinks by a quarter or more goes where it fits better.
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

// TestReallocOfNothing: an empty slice is allocated anew, size 0 frees.
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

// TestReallocInPlace: a chunk grows into a hole behind it and no further, and
// shrinks where it is; a slot and a block of its own have some room.
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

	require.True(t, m.alloc(100, 0, true)) // of 104
	slot := m.live[2].addr()
	for _, size := range []int{104, 53, 104} {
		require.True(t, m.realloc(2, size))
		require.Equal(t, slot, m.live[2].addr(), "to %d", size)
	}
	require.True(t, m.realloc(2, 52))
	require.NotEqual(t, slot, m.live[2].addr(), "half of it would be wasted")

	// No slot is aligned so far, so there is nothing to be won by moving.
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

// TestReallocKeepsTheRest: what lies between the length and the capacity is not
// part of the contents (B36): it does not come back when the slice grows again.
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

// TestReallocShrinkNeverFails: not even without a source.
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

// TestFreeGoesByCapacity: a shorter slice is as good, a clipped one is not.
func TestFreeGoesByCapacity(t *testing.T) {
	m := heapModel(t, slab.Config{})
	for _, size := range []int{10, 100, 1000, 1030, 5000, 600_000} {
		b, err := m.a.Alloc(size, 0)
		require.NoError(t, err)
		full := b[:cap(b)]
		m.misuse(slab.WrongSize, "a clipped slice", func() { m.a.Free(full[: len(full)-1 : len(full)-1]) })
		m.misuse(slab.WrongSize, "a clipped slice", func() { _, _ = m.a.Realloc(full[:1:1], 5) })
		require.False(t, m.a.Owns(full[:len(full)-1:len(full)-1]))
		require.False(t, m.a.Owns(full[1:]))
		require.True(t, m.a.Owns(b[:0]))
		m.a.Free(b[:0])
		require.False(t, m.a.Owns(b))
	}
	m.finish()
}

// TestFreeAfterClose: it is a misuse of its own, but nothing is still nothing.
func TestFreeAfterClose(t *testing.T) {
	m := heapModel(t, slab.Config{Name: "level"})
	require.True(t, m.alloc(100, 0, true))
	require.True(t, m.newPool(8, 8))
	require.True(t, m.take(m.pools[0], 0))
	b, q := m.live[0].b, m.pools[0].live[0].start
	p := m.pools[0]
	require.NoError(t, m.a.Close())
	m.misuse(slab.UseAfterClose, "Free", func() { m.a.Free(b) })
	m.misuse(slab.UseAfterClose, "Realloc", func() { _, _ = m.a.Realloc(b, 5) })
	m.misuse(slab.UseAfterClose, "Pool.Free", func() { p.Free(q) })
	m.misuse(slab.UseAfterClose, "Pool.Handle", func() { p.Pool.Handle(q) })
	m.a.Free(nil)
	m.a.Free([]byte{})
	require.False(t, m.a.Owns(b))
	require.False(t, p.Owns(q))
	require.Zero(t, p.Len())
	_, err := m.a.Realloc(nil, 10)
	require.ErrorIs(t, err, slab.ErrClosed)
	_, err = m.a.AllocUninitialized(0, 0)
	require.ErrorIs(t, err, slab.ErrClosed)
	m.a.Reset()
	require.Zero(t, m.a.Trim())
	for range m.a.Blocks() {
		t.Error("a block")
	}
	require.NoError(t, p.Close())
	m.closed()
}

// TestReset: everything is gone and the blocks are there.
func TestReset(t *testing.T) {
	m := heapModel(t, slab.Config{Retain: -1, LargeSize: 50_000})
	require.True(t, m.newPool(48, 16))
	var acquired, held int
	for round := range 5 {
		require.Equal(t, uint64(round), m.a.Epoch())
		for i := range 100 {
			require.True(t, m.alloc(1+i*i*3, 0, true))
			require.True(t, m.take(m.pools[0], i))
		}
		if round == 1 {
			acquired, held = m.src.acquires.Calls(), m.held()
		}
		m.check()
		m.reset()
		m.check()
		s := m.a.Stats()
		require.Zero(t, s.Live)
		require.Zero(t, s.Slabs)
		require.Equal(t, s.Allocs, s.Frees)
		require.Equal(t, s.Blocks, s.Holes, "each block is one hole")
	}
	require.Equal(t, acquired, m.src.acquires.Calls(), "blocks are kept")
	require.Equal(t, held, m.held())
	m.finish()
}

// TestResetLarge: blocks of one allocation go back, they are of no other use.
func TestResetLarge(t *testing.T) {
	m := heapModel(t, slab.Config{LargeSize: 20_000})
	for range 5 {
		require.True(t, m.alloc(100_000, 0, true))
	}
	m.reset()
	require.Zero(t, m.a.Stats().Blocks)
	m.check()
	m.finish()
}

// TestTrim: blocks that are empty go, whatever Retain says, others stay.
func TestTrim(t *testing.T) {
	m := heapModel(t, slab.Config{Retain: math.MaxInt, BlockSize: 16 << 10, MaxBlockSize: 16 << 10})
	for i := range 200 {
		require.True(t, m.alloc(1+i*17%3000, 0, true))
	}
	keep := m.live[100]
	for len(m.live) > 1 {
		i := 0
		if m.live[0] == keep {
			i = 1
		}
		m.free(i, false)
	}
	m.trim()
	s := m.a.Stats()
	require.Equal(t, 1, s.Blocks)
	require.Equal(t, cap(keep.b), s.Live)
	m.trim()
	require.Equal(t, s, m.a.Stats(), "nothing is left for a second time")
	m.free(0, false)
	m.trim()
	require.Zero(t, m.held())
	require.Zero(t, slab.Regions(m.a))
	m.finish()
}

// discarding is a source that notes what is discarded, and spoils it.
type discarding struct {
	blocksrc.GoHeap
	page  int
	parts [][]byte
	fail  error
}

func (d *discarding) Granularity() int { return d.page }

func (d *discarding) Acquire(size, align int) ([]byte, error) {
	return d.GoHeap.Acquire(size, max(align, d.page))
}

func (d *discarding) Discard(part []byte) error {
	if d.fail != nil {
		return d.fail
	}
	d.parts = append(d.parts, part)
	for i := range part {
		part[i] = 0xDD
	}
	return nil
}

// TestTrimDiscards: the memory of large holes is given back, and nothing of what
// is live; it is not taken for zero afterwards.
func TestTrimDiscards(t *testing.T) {
	d := &discarding{page: 4096}
	src := newFaultySource(d, math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 1 << 20}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	for i := range 40 {
		require.True(t, m.alloc(10_000+i*500, 0, true))
	}
	for n := range 8 { // holes that end within pages
		m.free(n+1, false)
		m.free(n+1, false)
		m.free(n+1, false)
	}
	m.trim() // checks that what is live is intact
	require.NotEmpty(t, d.parts)
	for _, part := range d.parts {
		require.Equal(t, len(part), cap(part), "no more than that is shown")
		in := false
		for b := range m.a.Blocks() {
			for c := range b.Chunks() {
				at := b.Addr + uintptr(c.Offset)
				in = in || c.Kind == slab.ChunkHole && address(part)-at <= uintptr(c.Size-len(part))
			}
		}
		require.True(t, in, "a part that was discarded is not in a hole")
	}
	for range 20 {
		require.True(t, m.alloc(30_000, 0, true)) // zero, says the model
	}
	for range 10 {
		m.free(0, false)
	}
	d.fail = errors.New("not today")
	m.trim()
	m.check()
	m.finish()
}

// TestTrimDiscardsOthers: that one block's memory cannot be given back piecemeal
// says nothing of the other blocks, which may be from another source.
func TestTrimDiscardsOthers(t *testing.T) {
	d := &discarding{page: 4096}
	first := newBufferSource(256 << 10)
	src := newFaultySource(blocksrc.Fallback(first, d), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 256 << 10, MaxBlockSize: 256 << 10, LargeSize: 256 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	for range 20 {
		require.True(t, m.alloc(80_000, 0, true))
	}
	for i := len(m.live) - 1; i >= 0; i -= 2 {
		m.free(i, false)
	}
	m.trim()
	require.NotEmpty(t, d.parts)
	m.finish()
}

// TestClose: everything goes back with all live; again is nothing.
func TestClose(t *testing.T) {
	for _, apart := range []bool{false, true} {
		src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		meta := src
		if apart {
			meta = newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		}
		m := newModel(t, slab.Config{}, src, meta)
		require.True(t, m.newPool(20, 4))
		for i := range 300 {
			require.True(t, m.alloc(1+i*i, 0, false))
			require.True(t, m.take(m.pools[0], i))
		}
		m.close()
		require.Equal(t, uint64(1), m.a.Epoch())
	}
	a, err := slab.New(slab.Config{})
	require.NoError(t, err)
	require.NoError(t, a.Close(), "of one that was never used")
	require.NoError(t, a.Close())
}

// TestOwns of everything that it may be asked about.
func TestOwns(t *testing.T) {
	m := heapModel(t, slab.Config{})
	other := heapModel(t, slab.Config{})
	require.True(t, m.newPool(64, 8))
	require.True(t, m.take(m.pools[0], 0))
	for _, size := range []int{1, 100, 1024, 1025, 10_000, 600_000} {
		require.True(t, m.alloc(size, 0, true))
		b := m.live[len(m.live)-1].b
		assert.True(t, m.a.Owns(b))
		assert.True(t, m.a.Owns(b[:0]))
		assert.False(t, other.a.Owns(b))
		if cap(b) > 1 {
			assert.False(t, m.a.Owns(b[:cap(b)][1:]))
			assert.False(t, m.a.Owns(b[:1:1]))
		}
		other.misuse(slab.Foreign, "another allocator's memory", func() { other.a.Free(b) })
	}
	assert.False(t, m.a.Owns(nil))
	assert.False(t, m.a.Owns([]byte{}))
	assert.False(t, m.a.Owns(make([]byte, 100)))
	assert.False(t, m.a.Owns(m.pools[0].live[0].b), "a pool's slot is the pool's")
	for _, mem := range slab.MetaBlocks(m.a) {
		assert.False(t, m.a.Owns(mem))
		m.misuse(slab.Foreign, "a record", func() { m.a.Free(mem) })
	}
	m.finish()
	other.finish()
}

// TestStats: what the figures say of a known state.
func TestStats(t *testing.T) {
	m := heapModel(t, slab.Config{Name: "level", BlockSize: 64 << 10, LargeSize: 100_000})
	require.Equal(t, slab.Stats{Name: "level"}, m.a.Stats())
	require.True(t, m.alloc(100, 0, true))     // 104
	require.True(t, m.alloc(5000, 0, true))    // 5008
	require.True(t, m.alloc(100_000, 0, true)) // a block of 100 032
	s := m.a.Stats()
	assert.Equal(t, 104+5008+cap(m.live[2].b), s.Live)
	assert.Equal(t, s.Live, s.PeakLive)
	assert.Equal(t, s.Held, s.PeakHeld)
	assert.Equal(t, 2, s.Blocks)
	assert.Equal(t, 1, s.MetaBlocks)
	assert.Equal(t, 1, s.Slabs)
	assert.Equal(t, uint64(3), s.Allocs)
	assert.Zero(t, s.Frees)
	assert.Zero(t, s.EmptyBlocks)
	m.free(1, false)
	arm(m.src.acquires, 1, false)
	require.False(t, m.alloc(200_000, 0, true))
	d := m.a.Stats().Sub(s)
	assert.Equal(t, [...]uint64{0, 1, 1, 1}, [...]uint64{d.Allocs, d.Frees, d.Failures, d.Refused})
	assert.Equal(t, d.Live, s.Live-5008)
	assert.Equal(t, s.PeakLive, d.PeakLive)
	assert.Zero(t, slab.Stats{}.Overhead())
	assert.Zero(t, slab.Stats{}.Fragmentation())
	assert.InDelta(t, 0.5, slab.Stats{Held: 3, Live: 2}.Overhead(), 1e-9)
	assert.InDelta(t, 0.75, slab.Stats{HoleBytes: 400, LargestHole: 100}.Fragmentation(), 1e-9)
	assert.Regexp(t, `^level: live `, m.a.Stats().String())
	assert.Regexp(t, `^allocator: live 0 B `, slab.Stats{}.String())
	for n, want := range map[int]string{5: "5 B", 2048: "2.0 KiB", 3 << 20: "3.0 MiB", 1 << 30: "1.0 GiB"} {
		assert.Contains(t, slab.Stats{Live: n}.String(), "live "+want+" ")
	}
	m.finish()
}

// TestStatsOutliveAPool: counts since New do not go back when a pool is closed.
func TestStatsOutliveAPool(t *testing.T) {
	m := heapModel(t, slab.Config{})
	require.True(t, m.newPool(24, 8))
	for i := range 100 {
		require.True(t, m.take(m.pools[0], i))
	}
	m.closePool(0)
	s := m.a.Stats()
	assert.Equal(t, uint64(100), s.Allocs)
	assert.Equal(t, uint64(100), s.Frees)
	m.finish()
}

// TestLargestHole: a request of the size that Stats calls the largest hole is
// served without the source, and so is one of another order.
func TestLargestHole(t *testing.T) {
	for _, ask := range []string{"the largest", "little"} {
		t.Run(ask, func(t *testing.T) {
			src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
			m := newModel(t, slab.Config{BlockSize: 1 << 20, MaxBlockSize: 1 << 20}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			// Holes of one bin, the largest of them made first.
			for i := range 30 {
				require.True(t, m.alloc(66_000-i*16, 0, false))
				require.True(t, m.alloc(1025, 0, false))
				if m.a.Stats().Blocks > 1 {
					break
				}
			}
			arm(src.acquires, 1, true)
			for n := m.a.Stats().LargestHole; n > 20_000; n = m.a.Stats().LargestHole {
				require.True(t, m.alloc(n-1024, 0, false))
			}
			for i := 0; i < len(m.live)-2; i++ {
				if len(m.live[i].b) > 60_000 && len(m.live[i].b) < 70_000 {
					m.free(i, false)
				}
			}
			s := m.a.Stats()
			require.Greater(t, s.Holes, 10)
			size := s.LargestHole
			if ask == "little" {
				size = 1000
			}
			require.True(t, m.alloc(size, 16, false))
			m.finish()
		})
	}
}

// TestSmallInSmallHole: a small request is served as long as a hole is there
// that it fits in, if records need no more memory.
func TestSmallInSmallHole(t *testing.T) {
	for _, hole := range []int{8 << 10, 4 << 10, 2 << 10, 1 << 10} {
		for _, size := range []int{8, 100, 500, 1000} {
			mem, err := new(blocksrc.GoHeap).Acquire(64<<10, 1024)
			require.NoError(t, err)
			src := newFaultySource(blocksrc.NewBuffer(mem), len(mem))
			m := newModel(t, slab.Config{BlockSize: 64 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			// A slab could start where the hole does.
			require.True(t, m.alloc(64<<10-hole-2048, 1024, false))
			require.True(t, m.alloc(2048, 1024, false))
			require.Equal(t, hole, m.a.Stats().LargestHole)
			assert.True(t, m.alloc(size, 1, true), "%d bytes in a hole of %d", size, hole)
			m.finish()
		}
	}
}

// TestExactFit: a block that the request fills to the last byte (B3, B7).
func TestExactFit(t *testing.T) {
	for _, bytes := range []int{4096, 8192, 64 << 10, 65_008, 1 << 20, 1<<20 + 16, 3_000_000 &^ 15} {
		mem := make([]byte, bytes+15)
		mem = mem[-address(mem)&15:][:bytes]
		src := newFaultySource(blocksrc.NewBuffer(mem), bytes)
		m := newModel(t, slab.Config{BlockSize: 4096}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
		for range 3 {
			require.True(t, m.alloc(bytes, 16, true), "%d", bytes)
			require.False(t, m.alloc(1025, 1, true))
			m.free(0, false)
			// The same in pieces, joined again.
			for m.alloc(1025, 1, false) {
			}
			for len(m.live) > 0 {
				m.free(len(m.live)*2/3, false)
			}
			m.trim() // blocks may be many by now
		}
		m.finish()
	}
}

// TestExhausted: a block that is kept back for the next need is given back when
// the need is for another one and there is no room for both, and empty slabs are,
// whether or not anything is live.
func TestExhausted(t *testing.T) {
	for _, c := range []struct {
		name             string
		live, freed, ask int
	}{
		{"block", 0, 20_000, 150_000}, {"block for large", 0, 20_000, 200_000}, {"slabs", 0, 100, 200_000},
		{"block, one is live", 100, 20_000, 120_000}, {"block for large, one is live", 100, 20_000, 150_000},
		{"slabs, one is live", 5000, 100, 120_000}, {"a pool's slabs, one is live", 5000, -100, 120_000},
		{"a pool's last slot", 0, -150_000, 150_000}, {"a pool's last slot, one is live", 5000, -150_000, 120_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			const budget = 256 << 10
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
			m := newModel(t, slab.Config{LargeSize: 140_000}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			kept := 0
			if c.live > 0 {
				require.True(t, m.alloc(c.live, 0, false))
				kept = 1
			}
			if c.freed > 0 {
				for m.alloc(c.freed, 0, false) {
				}
			} else {
				require.True(t, m.newPool(-c.freed, 1))
				for m.take(m.pools[0], 0) {
				}
				for p := m.pools[0]; len(p.live) > 0; {
					m.give(p, len(p.live)-1, true)
				}
			}
			for len(m.live) > kept {
				m.free(len(m.live)-1, false)
			}
			require.True(t, m.alloc(c.ask, 0, false), "%v", m.a.Stats())
			m.finish()
		})
	}
}

// TestExhaustedByRecords: where nothing is live any more, records of what was do
// not stand in the way, though they came from the same source.
func TestExhaustedByRecords(t *testing.T) {
	const budget = 512 << 10
	src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
	m := newModel(t, slab.Config{BlockSize: 4096, MaxBlockSize: 4096}, src, src)
	require.True(t, m.newPool(1, 1)) // slots that are smaller than what is known of them
	p := m.pools[0]
	for i := 0; m.take(p, 1); i++ {
		if i%200 == 0 && !m.alloc(1025, 0, false) {
			break
		}
	}
	require.GreaterOrEqual(t, m.a.Stats().Meta, budget/2)
	for len(p.live) > 0 {
		m.give(p, len(p.live)-1, true)
	}
	for len(m.live) > 0 {
		m.free(len(m.live)-1, false)
	}
	require.True(t, m.alloc(budget-40<<10, 0, false), "%v", m.a.Stats())
	m.finish()
}

// TestAlignedBlock: a block made for an aligned request holds it, also where the
// source gives no byte more than it was asked for and aligns nothing.
func TestAlignedBlock(t *testing.T) {
	step := 1
	if slow() {
		step = 7
	}
	for align := 32; align <= 32<<10; align *= 2 {
		for size := 1030; size < 100_000; size += (size/9 + 1) * step {
			n := size + align + 64
			if blocks := 4096; n < blocks {
				continue
			}
			src := newBufferSource(n)
			m := newModel(t, slab.Config{BlockSize: 4096}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			if !m.alloc(size, align, false) {
				t.Fatalf("Alloc(%d, %d) from a source of %d bytes", size, align, n)
			}
			m.close()
		}
	}
}

// TestReserveIsThere: slots that were reserved can be taken by all means without
// the source, whatever was freed before.
func TestReserveIsThere(t *testing.T) {
	for _, size := range []int{64, 3000, 66_000} {
		for _, retain := range []int{-1, 0} {
			for freed := range 12 {
				m := heapModel(t, slab.Config{BlockSize: 4096, MaxBlockSize: 4096, Retain: retain})
				require.True(t, m.newPool(size, 1))
				p := m.pools[0]
				for range 12 {
					require.True(t, m.take(p, 0))
				}
				for range freed {
					m.give(p, 0, true)
				}
				n := p.Stats().Free
				require.True(t, m.reserve(p, n))
				arm(m.src.acquires, 1, true)
				for want := len(p.live) + n; len(p.live) < want; {
					require.True(t, m.takeGroup(p, want-len(p.live)), "slots of %d, %d were freed, %d of %d reserved are left", size, freed, want-len(p.live), n)
				}
				m.finish()
			}
		}
	}
}

// TestReserveSurvivesRefusals: what is reserved is there although something else
// was refused meanwhile, and gave back what it could for that.
func TestReserveSurvivesRefusals(t *testing.T) {
	for _, live := range []int{0, 1} {
		for _, size := range []int{24, 3000, 66_000} {
			const budget = 4 << 20
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
			m := newModel(t, slab.Config{Retain: -1}, src, src)
			require.True(t, m.newPool(size, 1))
			p := m.pools[0]
			for range live {
				require.True(t, m.take(p, 0))
			}
			require.True(t, m.reserve(p, 20))
			require.False(t, m.alloc(budget, 0, true))
			require.False(t, m.alloc(budget-4096, 0, true))
			arm(src.acquires, 1, true)
			for range 20 {
				require.True(t, m.take(p, 0), "%d live slots of %d", live, size)
			}
			m.finish()
		}
	}
}

// TestReserveRefusedKeepsRoom: a reservation that is refused does not cost an
// earlier one its room, whatever it has given back in its need.
func TestReserveRefusedKeepsRoom(t *testing.T) {
	src := newBufferSource(300 << 10)
	m := newModel(t, slab.Config{BlockSize: 8 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	require.True(t, m.newPool(66_000, 1))
	p := m.pools[0]
	require.True(t, m.take(p, 0))
	m.give(p, 0, true)
	require.True(t, m.reserve(p, 3))
	require.True(t, m.takeGroup(p, 3))
	require.False(t, m.reserve(p, 3))
	m.check() // what is live and what is free are three still
	m.finish()
}

// TestScanOutlivesItsSlab: a scan whose slab went back meanwhile, empty, does not
// look at what has become of it.
func TestScanOutlivesItsSlab(t *testing.T) {
	for _, how := range []string{"trim", "refusal"} {
		t.Run(how, func(t *testing.T) {
			const budget = 4 << 20
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
			m := newModel(t, slab.Config{}, src, src)
			require.True(t, m.newPool(24, 8))
			require.True(t, m.newPool(24, 8))
			p, other := m.pools[0], m.pools[1]
			require.True(t, m.alloc(100, 0, true))
			for range 150 { // three words of a bitmap
				require.True(t, m.take(p, 0))
			}
			slots := m.a.Stats().Slabs
			m.give(p, 3, true) // a gap, so that the first run is a short one
			s := p.Scan()
			_, n := s.NextRun()
			require.Equal(t, 3, n)
			for len(p.live) > 0 {
				m.give(p, 0, true)
			}
			require.True(t, m.reserve(p, 0)) // so that the group is given back
			require.Zero(t, s.Refresh())
			if how == "trim" {
				m.trim()
			} else {
				require.False(t, m.alloc(budget, 0, true))
			}
			require.Less(t, m.a.Stats().Slabs, slots, "the slab went")
			for range 150 { // its record is another's now
				require.True(t, m.take(other, 0))
			}
			_, n = s.NextRun()
			require.Zero(t, n)
			m.finish()
		})
	}
}

// TestReserveTooMany: no number is so large that it wraps to a small one.
func TestReserveTooMany(t *testing.T) {
	for _, size := range []int{0, 1, 3000} {
		src := newBufferSource(100 << 10)
		m := newModel(t, slab.Config{}, src, src)
		require.True(t, m.newPool(size, 1))
		p := m.pools[0]
		require.True(t, m.take(p, 0))
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt32, math.MaxInt32 - 1, math.MaxInt/2 + 1, 1 << 24} {
			before := m.a.Stats()
			err := p.Reserve(n)
			require.Error(t, err, "%d slots of %d", n, size)
			require.True(t, errors.Is(err, blocksrc.ErrExhausted) || errors.Is(err, slab.ErrTooLarge), err)
			m.sameState(before, "Reserve")
		}
		for _, n := range []int{-1, math.MinInt} {
			require.False(t, m.reserve(p, n))
		}
		require.True(t, m.reserve(p, 0))
		m.finish()
	}
}

// TestBlocks: the picture of the blocks is whole and says what is where.
func TestBlocks(t *testing.T) {
	m, _ := furnished(t)
	live, slots, free, holes, large := 0, 0, 0, 0, 0
	for b := range m.a.Blocks() {
		at := 0
		for c := range b.Chunks() {
			require.Equal(t, at, c.Offset)
			at += c.Size
			switch c.Kind {
			case slab.ChunkLive:
				live += c.Size
				_, ok := m.find(b.Addr + uintptr(c.Offset))
				require.True(t, ok)
				if b.Large {
					large++
				}
			case slab.ChunkHole:
				holes += c.Size
			case slab.ChunkSlab:
				n := 0
				for slot := range c.Slots {
					_, ok := m.find(b.Addr + uintptr(c.Offset+slot*c.Stride))
					require.Equal(t, ok, c.Bitmap[slot/8]>>(slot%8)&1 != 0)
					if ok {
						n++
					}
				}
				require.Equal(t, n, c.Used)
				require.Len(t, c.Bitmap, (c.Slots+7)/8)
				slots += n * c.Stride
				free += c.Size - n*c.Stride
				require.Equal(t, c.Pool, c.Stride == 24)
			default:
				t.Fatal(c.Kind)
			}
		}
		require.Equal(t, b.Size&^15, at)
		for range b.Chunks() {
			break
		}
	}
	for range m.a.Blocks() {
		break
	}
	s := m.a.Stats()
	assert.Equal(t, 1, large)
	assert.Equal(t, s.Live, live+slots)
	assert.Equal(t, s.SlabFree, free)
	assert.Equal(t, s.HoleBytes, holes)
	m.finish()
}

// TestSteady: who allocates and frees the same at a block's edge does not ask
// the source each time (W16).
func TestSteady(t *testing.T) {
	const block = 16 << 10
	m := heapModel(t, slab.Config{BlockSize: block, MaxBlockSize: block, LargeSize: block})
	for range 5 {
		require.True(t, m.alloc(block-2048, 0, false))
	}
	calls := func() int { return m.src.acquires.Calls() + m.src.Calls() }
	before := calls()
	for range 200 {
		require.True(t, m.alloc(block-2048, 0, false))
		m.free(len(m.live)-1, false)
	}
	require.LessOrEqual(t, calls()-before, 2)
	for size := 8; size <= smallMax; size += 8 {
		require.True(t, m.alloc(size, 0, false))
		m.free(len(m.live)-1, false)
		before := calls()
		for range 50 {
			require.True(t, m.alloc(size, 0, false))
			m.free(len(m.live)-1, false)
		}
		require.LessOrEqual(t, calls()-before, 2, "size %d", size)
	}
	m.finish()
}

// TestSharedSource: allocators on one source keep to themselves, and each counts
// its own.
func TestSharedSource(t *testing.T) {
	counting := &blocksrctest.Counting{Source: new(blocksrc.GoHeap)}
	var all []*slab.Allocator
	var got [][]byte
	for i := range 4 {
		a, err := slab.New(slab.Config{Source: counting, Name: fmt.Sprint(i)})
		require.NoError(t, err)
		all = append(all, a)
	}
	for n := range 200 {
		b, err := all[n%4].Alloc(1+n*41%3000, 0)
		require.NoError(t, err)
		for i := range b {
			b[i] = byte(n)
		}
		got = append(got, b)
	}
	held := 0
	for _, a := range all {
		held += a.Stats().Held
		require.NoError(t, a.Check())
	}
	require.Equal(t, counting.Counts().Held, held)
	for n, b := range slices.Backward(got) {
		require.Equal(t, bytes.Repeat([]byte{byte(n)}, len(b)), b)
		all[n%4].Free(b)
	}
	for _, a := range all {
		require.NoError(t, a.Close())
	}
	require.NoError(t, counting.Leaks())
	require.NoError(t, counting.Misuse())
}
