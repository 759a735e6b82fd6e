package slab_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Wrong bit scans made VMA index lists that do not exist. Here every size has a bin, bins
// go up with sizes, and no hole in the bin above a request is smaller than the request.
func TestB13_BinsAreInOrder(t *testing.T) {
	number := func(level, step uint32) uint32 { return level*slab.BinSteps + step }
	last := uint32(0)
	check := func(size uint32) {
		n := number(slab.BinOf(size))
		require.GreaterOrEqual(t, n, last, "size %d", size)
		require.LessOrEqual(t, n, last+1, "size %d: a bin is left out", size)
		last = n
		level, step, ok := slab.BinAbove(size)
		if !ok {
			return
		}
		above := number(level, step)
		require.GreaterOrEqual(t, above, n)
		require.LessOrEqual(t, above, n+1, "size %d: a bin is passed over", size)
		if size > 0 && above == n {
			require.Greater(t, n, number(slab.BinOf(size-1)), "size %d is in a bin with smaller ones", size)
		}
	}
	for size := uint32(0); size < 1<<14; size++ {
		check(size)
	}
	for f := 14; f < 32; f++ { // from here on, only the edges of bins
		for step := uint32(0); step < slab.BinSteps; step++ {
			edge := uint32(1)<<f + step<<(f-5)
			check(edge - 1)
			check(edge)
			check(edge + 1)
		}
	}
	check(math.MaxUint32)
	assert.Equal(t, uint32(slab.BinLevels*slab.BinSteps-1), last)
}

// A tag was read from the wrong end of the size next to it, so a gap of more than 16 MiB
// with one bit set in its size counted as allocated.
func TestB16_SizesWithAnyBitSet(t *testing.T) {
	m := 1 << 20
	if testing.Short() { // on the big-endian targets, which have no room for 100 MiB
		m = 16 << 10
	}
	a := room(t, 100*m, slab.Config{BlockSize: 100 * m, MaxBlockSize: 100 * m, LargeSize: 100 * m})
	for _, size := range []int{16 * m, 16*m + 16, 17 * m, 24 * m, 32*m - 16, 32 * m, 33 * m, 48 * m} {
		low, err := a.AllocUninitialized(size, 0)
		require.NoError(t, err)
		pin, err := a.AllocUninitialized(2000, 0)
		require.NoError(t, err)
		high, err := a.AllocUninitialized(size, 0)
		require.NoError(t, err)
		require.LessOrEqual(t, endOf(low), startOf(pin))
		require.LessOrEqual(t, endOf(pin), startOf(high))
		if !slab.SlabCheck { // which fills what is freed
			a.Free(low)
			require.Equal(t, 2, a.Stats().Holes)
			again, err := a.AllocUninitialized(size, 0)
			require.NoError(t, err)
			require.Equal(t, startOf(low), startOf(again))
			require.NoError(t, a.Check())
		}
		a.Reset()
		require.Equal(t, 100*m, a.Stats().LargestHole)
	}
}

// talc made a new block too small for the request that it was for, then another, and looped
// for ever. However much room there is, every request must be served from what the source
// gives, or be refused.
func TestB17_NewBlocksServeTheirRequest(t *testing.T) {
	step := 333
	if testing.Short() {
		step = 999
	}
	for _, align := range []int{1, 64, 1024, 2048, 4096} {
		for size := 1000; size < 70_000; size += step {
			// In one test, all allocators would stay until the end.
			t.Run(fmt.Sprintf("%d/%d", size, align), func(t *testing.T) {
				for _, slack := range []int{0, 16, 1008, 1040, 2000, align, align + 1024, 2 * align} {
					a := room(t, size+slack, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
					b, err := a.AllocUninitialized(size, align)
					if err != nil {
						require.ErrorIs(t, err, blocksrc.ErrExhausted)
						require.Less(t, slack, align+1024, "there is room wherever the source begins")
						require.Zero(t, a.Stats().Blocks)
						continue
					}
					require.Zero(t, startOf(b)%uintptr(align))
					a.Free(b)
				}
			})
		}
	}
}

// Churn of small sizes broke the links between holes.
func TestB18_ChurnOfSmallSizes(t *testing.T) {
	for _, sizes := range [][2]int{{1, 40}, {1000, 1100}, {1025, 1300}, {1, 3000}} {
		a, _ := onCounting(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 64 << 10})
		r := rand.New(rand.NewPCG(18, uint64(sizes[1])))
		live := make([][]byte, 300)
		steps := 20_000
		if slab.SlabCheck {
			steps = 2_000
		}
		for step := range steps {
			i := r.IntN(len(live))
			a.Free(live[i])
			live[i] = nil
			if r.IntN(4) > 0 {
				b, err := a.AllocUninitialized(sizes[0]+r.IntN(sizes[1]-sizes[0]), 1<<r.IntN(5))
				require.NoError(t, err)
				live[i] = b
			}
			if step%1000 == 0 {
				require.NoError(t, a.Check())
			}
		}
		freeAll(a, live)
		require.Zero(t, a.Stats().Live)
		a.Trim()
		require.Zero(t, a.Stats().Held)
	}
}

// The crate lost what was left in front of or behind an allocation if it was too small for
// the crate's list.
func TestB20_PaddingIsNotLost(t *testing.T) {
	const size = 256 << 10
	a := room(t, size, slab.Config{BlockSize: size, MaxBlockSize: size, LargeSize: size})
	r := rand.New(rand.NewPCG(20, 0))
	for range 30 {
		var got [][]byte
		for {
			b, err := a.AllocUninitialized(1025+r.IntN(4000), 1<<r.IntN(13))
			if err != nil {
				break
			}
			got = append(got, b)
		}
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		freeAll(a, got)
		s := a.Stats()
		require.Equal(t, [2]int{1, size}, [2]int{s.Holes, s.LargestHole}, "the block is one hole again")
	}
}

// A port forgot the minimum block size, and headers overlapped. The address map here has at
// most one entry for a window of 1 KiB, so no two allocations may start in the same one.
func TestB22_NoTwoStartInOneWindow(t *testing.T) {
	a, _ := onCounting(t, slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20)[16:]), MetaSource: &blocksrc.GoHeap{}})
	r := rand.New(rand.NewPCG(22, 0))
	live := make([][]byte, 60)
	for range 5000 {
		i := r.IntN(len(live))
		b, err := a.Realloc(live[i], 900+r.IntN(1500))
		require.NoError(t, err)
		live[i] = b
		if r.IntN(3) == 0 {
			a.Free(b)
			live[i] = nil
		}
	}
	starts := map[uintptr]bool{}
	for _, b := range live {
		if cap(b) > slab.SmallMax {
			w := startOf(b) / slab.Window
			assert.False(t, starts[w])
			starts[w] = true
		}
		assert.Equal(t, b != nil, a.Owns(b))
	}
	freeAll(a, live)
}

// Requests aligned to more than 16 ran past the end of the chunk.
func TestB32_AlignedStaysInItsBlock(t *testing.T) {
	a, _ := onCounting(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 64 << 10})
	r := rand.New(rand.NewPCG(32, 0))
	var live [][]byte
	for range 600 {
		b, err := a.AllocUninitialized(1+r.IntN(9000), 1<<r.IntN(15))
		require.NoError(t, err)
		stamp(b[:cap(b)], uint64(len(live)))
		live = append(live, b)
	}
	for i, b := range live {
		require.True(t, stamped(b[:cap(b)], uint64(i)))
		require.True(t, slices.ContainsFunc(slices.Collect(a.Blocks()), func(blk slab.BlockInfo) bool {
			return blk.Addr <= startOf(b) && endOf(b) <= blk.Addr+uintptr(blk.Size)
		}))
	}
	require.NoError(t, a.Check())
	freeAll(a, live)
}

// Buddy allocators lost or misaligned blocks when their memory did not start at
// a multiple of something large.
func TestB33_UnalignedMemory(t *testing.T) {
	mem := make([]byte, 128<<10)
	for off := 0; off < 1100; off += 1 + off/8 {
		a, _ := onCounting(t, slab.Config{
			Source: blocksrc.NewBuffer(mem[off : off+64<<10]), MetaSource: &blocksrc.GoHeap{},
			BlockSize: 32 << 10, MaxBlockSize: 32 << 10, LargeSize: 32 << 10,
		})
		for _, align := range []int{1, 16, 64, 1024, 4096} {
			var got [][]byte
			sum := 0
			for {
				b, err := a.AllocUninitialized(2048, align)
				if err != nil {
					break
				}
				require.Zero(t, startOf(b)%uintptr(align))
				got = append(got, b)
				sum += max(2048, align)
			}
			lost := a.Stats().Blocks * (2048 + align) // at most one more in each block
			require.GreaterOrEqual(t, sum, 62<<10-lost, "offset %d, alignment %d", off, align)
			freeAll(a, got)
			a.Trim()
		}
	}
}

// Running out of memory in the middle of an operation left counters wrong and
// memory lost. The source fails at each call in turn.
func TestB34_EveryRefusalLeavesAllAsItWas(t *testing.T) {
	work := func(a *slab.Allocator) (first error) {
		note := func(err error) {
			if err != nil && first == nil {
				first = err
			}
		}
		p, err := slab.NewPool(a, 5000, 16)
		note(err)
		var got [][]byte
		for i := range 40 {
			before := a.Stats()
			b, err := a.Alloc(1+i*i*40, 1<<(i%13))
			note(err)
			if err != nil {
				after := a.Stats()
				if before.Live != after.Live || before.Allocs != after.Allocs || before.Frees != after.Frees {
					t.Errorf("a refused request of %d bytes: %v before, %v after", 1+i*i*40, before, after)
				}
			}
			got = append(got, b)
			if _, err := p.Alloc(); err != nil {
				note(err)
			}
			if i%3 == 0 {
				b, err := a.Realloc(got[i/2], 1+i*900)
				note(err)
				if err == nil {
					got[i/2] = b
				}
			}
		}
		note(p.Reserve(100))
		require.NoError(t, a.Check())
		freeAll(a, got)
		require.NoError(t, p.Close())
		require.Zero(t, a.Stats().Live)
		return first
	}
	for at := 1; ; at++ {
		src := &blocksrctest.Failing{Source: &blocksrc.GoHeap{}, On: blocksrctest.Acquires, At: at, Persist: at%2 == 0}
		a, count := onCounting(t, slab.Config{Source: src, BlockSize: 8 << 10, MaxBlockSize: 64 << 10})
		err := work(a)
		a.Trim()
		require.Zero(t, count.Counts().Live, "call %d failed", at)
		if src.Failed() == 0 {
			break
		}
		if err != nil {
			require.ErrorIs(t, err, blocksrctest.ErrInjected)
		}
	}
}

// A zeroing realloc cleared from the capacity of the old block on, and not from its length
// on, so bytes from before the last shrinking came back.
func TestB36_GrownBytesAreZero(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	r := rand.New(rand.NewPCG(36, 0))
	for range 300 {
		size := 1 + r.IntN(1<<r.IntN(16))
		b := granted(t, a, size, 1<<r.IntN(6))
		require.False(t, slices.ContainsFunc(b, func(x byte) bool { return x != 0 }), "a new allocation")
		for range 5 {
			for i := range b[:cap(b)] {
				b[:cap(b)][i] = 0xEE // up to the capacity it is the caller's
			}
			n := 1 + r.IntN(1<<r.IntN(16))
			c, err := a.Realloc(b, n)
			require.NoError(t, err)
			for i, x := range c {
				want := byte(0xEE)
				if i >= len(b) {
					want = 0
				}
				if x != want {
					t.Fatalf("from %d to %d bytes: byte %d is %#x", len(b), n, i, x)
				}
			}
			b = c
		}
		a.Free(b)
	}
}

// A double free of a large block was detected late, or gave memory to two owners.
func TestB37_DoubleFreeOfLargeIsSeenAtOnce(t *testing.T) {
	a, src := onCounting(t, slab.Config{})
	for i := range 3 {
		b := granted(t, a, 3<<20, 0)
		a.Free(b)
		releases := src.Counts().Releases
		e := caught(t, func() { a.Free(b) })
		require.NotNil(t, e)
		if i == 0 {
			assert.Equal(t, slab.Foreign, e.Misuse, "the source has it back")
		} else {
			assert.Equal(t, slab.DoubleFree, e.Misuse, "it is kept, for it was missed")
		}
		assert.Equal(t, releases, src.Counts().Releases)
	}
}
