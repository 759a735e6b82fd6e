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

// heapModel returns a model whose source has no limit.
func heapModel(t testing.TB, cfg slab.Config) *model {
	src := newFaultySource(plain(), math.MaxInt)
	return newModel(t, cfg, src, src)
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// TestSizeClasses: every small size at every alignment is served with little
// waste, and every class is used.
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

	// To free an empty slice that points into the allocator's memory is a mistake.
	require.True(t, m.alloc(100, 0, true))
	require.True(t, m.alloc(2000, 0, true))
	for _, o := range m.live {
		m.misuse(slab.WrongSize, "a free of nothing", func() { m.a.Free(o.b[:0:0]) })
	}
	m.finish()
}

// TestAllocInvalid: a senseless size or alignment is an error and does not count as refused.
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

// TestAllocTooLarge: no large size or alignment wraps to a small one (B1), and a size
// that no block can hold is ErrTooLarge (B2: and a Realloc to it leaves the allocation
// alone).
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
			// A hole whose first part was used before and whose rest was not.
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

// TestFreeGoesByCapacity: a slice of another length can be freed, a clipped one cannot.
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

// TestScanOutlivesItsSlab: a scan whose slab became empty and went back meanwhile does
// not look at what is there now.
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
			s := p.ScanWords()
			_, n := nextRun(&s, p.stride)
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
			for range 150 { // its record is now another slab's
				require.True(t, m.take(other, 0))
			}
			_, n = nextRun(&s, p.stride)
			require.Zero(t, n)
			m.finish()
		})
	}
}

// TestSteady: a program that allocates and frees the same size at a block's edge does
// not ask the source each time (W16).
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

// TestSharedSource: allocators on one source do not interfere, and each counts only
// what is its own.
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

// TestAlignmentBeyondAnyBlock: it is too large, whatever the source has, which is not asked. (With
// 32 bits there is none.)
func TestAlignmentBeyondAnyBlock(t *testing.T) {
	a, src := onCounting(t, slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20))})
	for align := 1 << 20; align > 0; align <<= 1 {
		if uint64(align) > slab.MaxBlockBytes() {
			before := src.Counts()
			_, err := a.Alloc(1, align)
			assert.ErrorIs(t, err, slab.ErrTooLarge, "%d", align)
			assert.Equal(t, before, src.Counts())
		}
	}
}
