package slab_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// hugeSizes are those at which careless arithmetic wraps.
func hugeSizes() []int {
	sizes := []int{math.MaxInt}
	for _, back := range []int{1, 7, 8, 15, 16, 17, 63, 1023, 1024, 4095, 4096, 1<<16 - 1, 1 << 20} {
		sizes = append(sizes, math.MaxInt-back)
	}
	for _, edge := range []uint64{1 << 31, 1 << 32, slab.MaxBlockBytes(), 1 << 36, 1 << 63} {
		for d := uint64(0); d < 40; d += 13 {
			if edge-d <= math.MaxInt {
				sizes = append(sizes, int(edge-d))
			}
			if edge+d <= math.MaxInt {
				sizes = append(sizes, int(edge+d))
			}
		}
	}
	return sizes
}

// tlsf's malloc(SIZE_MAX) returned 24 bytes: rounding up had wrapped.
func TestB01_HugeSizesDoNotWrap(t *testing.T) {
	a, _ := onCounting(t, slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20))})
	keep := granted(t, a, 100, 0)
	p, err := slab.NewPool(a, 16, 16)
	require.NoError(t, err)
	_, err = p.Alloc()
	require.NoError(t, err)
	before := a.Stats()
	refused := func(err error, format string, args ...any) {
		t.Helper()
		require.Errorf(t, err, format, args...)
		before.Failures, before.Refused = a.Stats().Failures, a.Stats().Refused
	}
	for _, size := range hugeSizes() {
		for align := 1; align > 0; align <<= 1 {
			if align > 64 && align < 1<<20 {
				continue
			}
			_, err := a.Alloc(size, align)
			refused(err, "Alloc(%d, %d)", size, align)
			if slab.SlabCheck && align > 64 {
				break
			}
		}
		_, err = a.Realloc(keep, size)
		refused(err, "Realloc to %d", size)
		if q, err := slab.NewPool(a, size, 64); err == nil {
			_, err = q.Alloc()
			refused(err, "a slot of %d bytes", size)
			require.NoError(t, q.Close())
		}
	}
	for align := 1 << (bits.UintSize - 2); align >= 2<<20; align >>= 1 {
		b, err := a.Alloc(1, align)
		if err == nil { // a source may find such a place
			require.Zero(t, startOf(b)%uintptr(align))
			a.Free(b)
		}
	}
	// Adding what the pool has already would make these wrap.
	for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt32, math.MaxInt32 - 1} {
		refused(p.Reserve(n), "Reserve(%d)", n)
	}
	after := a.Stats()
	assert.Equal(t, before.Live, after.Live)
	assert.Equal(t, before.Pools, after.Pools)
	a.Reset()
}

// tlsf's realloc to 20 GiB returned the same pointer and cut the block to 0.
func TestB02_ReallocToHugeLeavesAllAsItWas(t *testing.T) {
	a := room(t, 1<<20, slab.Config{})
	for _, size := range []int{40, 2000, 300_000} {
		b := granted(t, a, size, 16)
		stamp(b, 7)
		for _, huge := range append(hugeSizes(), 20<<20) {
			_, err := a.Realloc(b, huge)
			require.Error(t, err)
			require.True(t, a.Owns(b))
		}
		_, err := a.Realloc(b, -1)
		require.ErrorIs(t, err, slab.ErrInvalid)
		assert.True(t, stamped(b, 7))
		assert.Len(t, b, size)
		a.Free(b)
	}
}

// A pool of exactly the largest size indexed one past the end of tlsf's table.
func TestB03_BinsOfTheLargestSizes(t *testing.T) {
	for shift := range 33 {
		for _, size := range []uint32{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			level, step := slab.BinOf(size)
			assert.Less(t, level, uint32(slab.BinLevels), "size %d", size)
			assert.Less(t, step, uint32(slab.BinSteps), "size %d", size)
		}
	}
	level, step := slab.BinOf(math.MaxUint32)
	assert.Equal(t, [2]uint32{slab.BinLevels - 1, slab.BinSteps - 1}, [2]uint32{level, step}, "the table has no bin that nothing is in")
	_, _, ok := slab.BinAbove(math.MaxUint32)
	assert.False(t, ok, "no bin has only holes of the largest size")
}

// Sizes underflowed for pools smaller than what is put into them, or the pools were written
// past their end: CVE-2022-36086 in the crate that the ancestor was made from.
func TestB04_TinySources(t *testing.T) {
	mem := make([]byte, 80<<10)
	for size := 0; size < len(mem); size += 16 + size/16 {
		for _, off := range []int{0, 1, 24} {
			buf := mem[off : off+max(0, size-off)]
			a, _ := onCounting(t, slab.Config{
				Source:    blocksrc.NewBuffer(buf[:len(buf):len(buf)]),
				BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 2 << 10,
			})
			var got [][]byte
			for _, n := range []int{8, 100, 1024, 1025, 3000, 5000, 8} {
				b, err := a.Alloc(n, 0)
				if err != nil {
					require.ErrorIs(t, err, blocksrc.ErrExhausted)
					continue
				}
				require.True(t, startOf(b) >= startOf(buf) && endOf(b) <= startOf(buf)+uintptr(len(buf)))
				stamp(b, uint64(n))
				got = append(got, b)
			}
			require.NoError(t, a.Check())
			freeAll(a, got)
			require.NoError(t, a.Close())
		}
	}
}

// In 74 of 100 tries, a pointer from tlsf's memalign lost its alignment when it was
// reallocated.
func TestB05_ReallocKeepsTheAlignment(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	r := rand.New(rand.NewPCG(5, 5))
	for align := 1; align <= 64<<10; align *= 2 {
		for range 50 {
			b := granted(t, a, 1+r.IntN(5000), align)
			for range 4 {
				var err error
				b, err = a.Realloc(b, 1+r.IntN(1<<r.IntN(17)))
				require.NoError(t, err)
				require.Zero(t, startOf(b)%uintptr(align), "alignment %d, %d bytes", align, len(b))
			}
			if r.IntN(3) > 0 {
				a.Free(b)
			}
		}
	}
	a.Reset()
}

// On 32-bit systems tlsf aligns to 4 bytes only, and an ARM processor faults on a float64
// there.
func TestB06_AlignmentIsThatAskedFor(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	for align := 1; align <= 4096; align *= 2 {
		step := 1
		if slow() {
			step = 37
		}
		for size := 1; size < 2200; size += step {
			b, err := a.AllocUninitialized(size, align)
			require.NoError(t, err)
			if startOf(b)%uintptr(align) != 0 || len(b) != size || cap(b) < size {
				t.Fatalf("Alloc(%d, %d) returned %d of %d bytes at %#x", size, align, len(b), cap(b), startOf(b))
			}
		}
		a.Reset()
	}
}

// A good-fit index may miss a hole of exactly the size requested, because only the bins
// above hold nothing smaller: with a hole of 65 000 bytes, tlsf refused a request of 65 000.
func TestB07_ExactFit(t *testing.T) {
	for _, size := range []int{1025, 1040, 2064, 4112, 5008, 8208, 12_345, 20_016, 65_000} {
		const pin = 1040
		unit := (size+slab.Granule-1)&-slab.Granule + pin
		cfg := slab.Config{Source: new(blocksrc.GoHeap), BlockSize: 4 * unit, MaxBlockSize: 8 * unit, LargeSize: 8 * unit}
		fixed := room(t, 4*unit, cfg)
		growing, _ := onCounting(t, cfg) // could ask the source, and should not
		for _, a := range []*slab.Allocator{fixed, growing} {
			var got, pins [][]byte
			for range 4 {
				got = append(got, granted(t, a, size, 0))
				pins = append(pins, granted(t, a, pin, 0))
			}
			require.Zero(t, a.Stats().HoleBytes)
			for i, b := range got {
				a.Free(b)
				got[i] = granted(t, a, size, 0)
				require.Equal(t, startOf(b), startOf(got[i]))
			}
			freeAll(a, got)
			freeAll(a, pins)
			whole := granted(t, a, 4*unit, 0)
			assert.Equal(t, 4*unit, len(whole), "all of the only block")
			assert.Equal(t, 1, a.Stats().Blocks)
			a.Free(whole)
		}
	}
}

// The same where the bin has holes that are too small by a few granules in front of the
// only one that will do. The index looks at a few of them only, which is right as long as
// there is a source to ask. Here there is none.
func TestB07_ExactFitBehindOthers(t *testing.T) {
	const large, small, pin = 260 * slab.Granule, 256 * slab.Granule, 4 << 10 // in one bin, and as the source rounds
	for _, others := range []int{1, slab.BinScan - 1, slab.BinScan, 50} {
		size := large + pin + others*(small+pin)
		a := room(t, size, slab.Config{BlockSize: size, MaxBlockSize: size, LargeSize: size})
		holes := [][]byte{granted(t, a, large, 0)}
		pins := [][]byte{granted(t, a, pin, 0)}
		for range others {
			holes = append(holes, granted(t, a, small, 0))
			pins = append(pins, granted(t, a, pin, 0))
		}
		require.Zero(t, a.Stats().HoleBytes)
		freeAll(a, holes) // what was freed last is the first in its bin
		require.Equal(t, large, a.Stats().LargestHole)
		b, err := a.Alloc(large, 0)
		assert.NoError(t, err, "a hole of %d bytes behind %d smaller ones", large, others)
		a.Free(b)
		freeAll(a, pins)
	}
}

// The same with an alignment: the hole will do because of where it starts, but is not so
// large that it would do wherever it started.
func TestB07_AlignedFit(t *testing.T) {
	const align = 4 << 10
	a := room(t, 12<<10, slab.Config{BlockSize: 12 << 10, BlockAlign: align, MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
	hole, pin := granted(t, a, 10<<10, align), granted(t, a, 2<<10, 0)
	a.Free(hole)
	require.Equal(t, 10<<10, a.Stats().LargestHole)
	b, err := a.Alloc(8<<10, align)
	assert.NoError(t, err, "8 KiB at a multiple of 4 in a hole of 10 that starts at one")
	freeAll(a, [][]byte{b, pin})
}

// The first repair for B07 that comes to mind, rounding up when a hole is filed, hands out
// overlapping ranges.
func TestB08_NothingOverlaps(t *testing.T) {
	a, _ := onCounting(t, slab.Config{BlockSize: 256 << 10, MaxBlockSize: 256 << 10, LargeSize: 256 << 10})
	r := rand.New(rand.NewPCG(8, 8))
	steps := 30_000
	if slow() {
		steps = 4_000
	}
	var live [][]byte
	for step := range steps {
		if len(live) > 120 || len(live) > 0 && r.IntN(5) < 2 {
			i := r.IntN(len(live))
			require.True(t, stamped(live[i], uint64(startOf(live[i]))), "step %d", step)
			a.Free(live[i])
			live = slices.Delete(live, i, i+1)
			continue
		}
		// One granule or so from the edge of a bin.
		f := 6 + r.IntN(5)
		granules := 1<<f + r.IntN(32)<<(f-5) + r.IntN(3) - 1
		b, err := a.AllocUninitialized(granules*slab.Granule-r.IntN(16), 1<<r.IntN(8))
		require.NoError(t, err)
		stamp(b, uint64(startOf(b)))
		live = append(live, b)
	}
	slices.SortFunc(live, func(x, y []byte) int { return int(int64(startOf(x)) - int64(startOf(y))) })
	for i := 1; i < len(live); i++ {
		require.LessOrEqual(t, endOf(live[i-1]), startOf(live[i]))
	}
	freeAll(a, live)
}

// Another repair for B07 took the size from the bin that was found: a request for 500 bytes
// took nearly all of a pool of 1 MiB.
func TestB09_NoMoreIsTakenThanAskedFor(t *testing.T) {
	a := room(t, 1<<20, slab.Config{BlockSize: 1 << 20, MaxBlockSize: 1 << 20, LargeSize: 1 << 20})
	a.Free(granted(t, a, 2000, 0))
	for _, size := range []int{1025, 2000, 10_000, 100_000, 400_000} {
		before := a.Stats()
		require.Equal(t, 1<<20, before.LargestHole)
		b := granted(t, a, size, 0)
		assert.Less(t, cap(b), size+slab.Granule)
		assert.Equal(t, before.LargestHole-cap(b), a.Stats().LargestHole)
		assert.Equal(t, cap(b), a.Stats().Live)
		a.Free(b)
	}
	for size := 1; size <= slab.SmallMax; size++ {
		b := granted(t, a, size, 0)
		require.LessOrEqual(t, cap(b), max(8, size+(size+7)/8), "%d bytes", size)
		a.Free(b)
	}
}

// The last node of a table could not be used, or the first allocation failed.
func TestB10_TheLastRecordIsUsable(t *testing.T) {
	const n = 1000 // several pages of chunk records
	a := room(t, n*2<<10, slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10})
	for range 3 {
		got := fillUp(t, a, 2<<10, 0)
		require.Equal(t, n, len(got))
		require.Zero(t, a.Stats().HoleBytes)
		require.NoError(t, a.Check())
		freeAll(a, got)
		a.Trim()
	}
	// As many slots as a slab can have, and one more.
	p, err := slab.NewPool(a, 1, 1)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(slab.MaxSlots))
	seen := map[slab.Handle]bool{}
	for range slab.MaxSlots + 1 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		require.False(t, seen[h])
		seen[h] = true
	}
	require.NoError(t, p.Close())
}

// A stale handle to a reused node was accepted, and a request for zero bytes made a node at
// the same place as the next.
func TestB12_StaleHandlesAndNoBytes(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	p, err := slab.NewPool(a, 24, 8)
	require.NoError(t, err)
	_, old, err := p.Insert()
	require.NoError(t, err)
	require.True(t, p.Remove(old))
	at, h, err := p.Insert()
	require.NoError(t, err)
	require.Equal(t, p.Slot(h), at)
	assert.Nil(t, p.Slot(old))
	assert.False(t, p.Remove(old))
	assert.NotNil(t, p.Slot(h), "the new owner is untouched")
	require.NoError(t, p.Close())

	before := a.Stats()
	for range 10 {
		b, err := a.Alloc(0, 8)
		require.NoError(t, err)
		assert.NotNil(t, b)
		assert.Zero(t, cap(b))
		a.Free(b)
		assert.False(t, a.Owns(b))
	}
	assert.Equal(t, before, a.Stats())
}
