//go:build !tinygo

// These tests take dozens of megabytes, see roomy_test.go.

package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestLargeBlocksAreMissedToo: the block of a large allocation goes back when it is freed, and
// stays once it was needed again. Then it serves requests that are a little shorter, aligned as
// they ask, and the memory is zero as always.
func TestLargeBlocksAreMissedToo(t *testing.T) {
	for _, size := range []int{600 << 10, 1 << 20, 5 << 20} {
		a, src := onCounting(t, slab.Config{})
		before := src.Counts().Acquires
		for i := range 20 {
			b := granted(t, a, size-i*1000, 1)
			require.True(t, isZero(b[:cap(b)]))
			require.LessOrEqual(t, cap(b), (size-i*1000)*9/8+64<<10)
			for j := range b[:cap(b)] {
				b[:cap(b)][j] = 0xff
			}
			a.Free(b)
			if i == 0 {
				require.Zero(t, a.Stats().EmptyBytes)
			}
			require.NoError(t, a.Check())
		}
		require.LessOrEqual(t, src.Counts().Acquires-before, 3, "with one of records")
		b := granted(t, a, size*2/3, 1)
		require.Less(t, cap(b), size*3/4, "a block that is half as long again is too long")
		c := granted(t, a, size-19_000, 1)
		require.LessOrEqual(t, a.Stats().Held, 2*size+256<<10)
		a.Free(c)
		a.Free(b)
		a.Trim()
		require.Zero(t, a.Stats().Held)
	}

	// How long a kept block may be, to the page: from what is asked for to an eighth more.
	for _, c := range []struct{ kept, asked, cap int }{
		{1<<20 + 4096, 1<<20 + 8192, 1<<20 + 8192},
		{1<<20 + 144<<10, 1 << 20, 1 << 20},
		{1<<20 + 128<<10, 1 << 20, 1<<20 + 128<<10},
		{1<<20 + 32<<10, 1<<20 - 32<<10, 1<<20 + 32<<10}, // a power of two lies between
		{1 << 20, 1 << 20, 1 << 20},
	} {
		a, _ := onCounting(t, slab.Config{})
		for range 3 {
			a.Free(granted(t, a, c.kept, 1))
		}
		b := granted(t, a, c.asked, 1)
		require.Equal(t, c.cap, cap(b), "%d of %d", c.asked, c.kept)
		a.Free(b)
	}

	// Each request is longer than those before, so no kept block is of use.
	a, _ := onCounting(t, slab.Config{})
	for size := 1 << 20; size < 12<<20; size += size * 13 / 100 {
		b := granted(t, a, size, 1)
		require.LessOrEqual(t, a.Stats().Held, 3*size+1<<20)
		a.Free(b)
	}

	// A large block that is no longer of use goes, before others.
	a, _ = onCounting(t, slab.Config{})
	for range 3 {
		freeAll(a, [][]byte{granted(t, a, 60<<10, 1), granted(t, a, 60<<10, 1), granted(t, a, 60<<10, 1)})
		a.Free(granted(t, a, 4<<20, 1))
	}
	require.Equal(t, 4, a.Stats().EmptyBytes>>20)
	require.Less(t, 4<<20+128<<10, a.Stats().EmptyBytes)
	for a.Stats().EmptyBytes >= 4<<20 {
		a.Free(granted(t, a, 1<<20, 1))
	}
	short := 0
	for b := range a.Blocks() {
		if b.Size <= 64<<10 {
			short++
		}
	}
	require.Greater(t, short, 1)

	// A kept block that is not aligned as asked is not used.
	a, _ = onCounting(t, slab.Config{})
	for range 3 {
		a.Free(granted(t, a, 1<<20, 1))
	}
	require.Equal(t, 1, a.Stats().EmptyBytes>>20)
	for align := 1 << 12; align <= 4<<20; align *= 2 {
		b := granted(t, a, 1<<20, align)
		require.Zero(t, address(b)&uintptr(align-1))
		a.Free(b)
		require.NoError(t, a.Check())
	}

	// With Retain set, large blocks go, whatever it is, and use none of what is kept.
	for _, retain := range []int{-1, 64 << 20} {
		a, src := onCounting(t, slab.Config{Retain: retain, BlockSize: 1 << 20})
		a.Free(granted(t, a, 2000, 1))
		empty := a.Stats().EmptyBytes
		for range 5 {
			a.Free(granted(t, a, 1<<20, 1))
		}
		require.GreaterOrEqual(t, src.Counts().Acquires, 5)
		require.Equal(t, empty, a.Stats().EmptyBytes)
	}
}

// TestAllOfNoUseGoes: kept blocks that are of no use to later requests go, however many.
func TestAllOfNoUseGoes(t *testing.T) {
	const small = 4 << 10
	a := onGoHeap(t, slab.Config{BlockSize: small, MaxBlockSize: 4 * small, LargeSize: small})
	for range 2 {
		var live [][]byte
		for range 300 {
			live = append(live, one(t, a, small))
		}
		freeAll(a, live)
	}
	kept := a.Stats().EmptyBytes
	require.Greater(t, kept, 250*small)
	for turns := 0; a.Stats().EmptyBytes > 8*small; turns++ {
		require.Less(t, turns, 60_000, "%d of %d bytes are kept", a.Stats().EmptyBytes, kept)
		a.Free(one(t, a, 3*small))
	}
	require.NoError(t, a.Check())
}

// TestWhatGoesAgainAndAgainHasGoneOnce: bytes that come and go without being missed count once,
// so after a first peak no more is kept than was ever held before.
func TestWhatGoesAgainAndAgainHasGoneOnce(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock})
	peak := peaks(t, a)
	for size := 2 * learnedBlock; size < 30*learnedBlock; size += size / 7 { // each is too long for the next
		a.Free(one(t, a, size))
	}
	for size := 30 * learnedBlock; size > 2*learnedBlock; size -= size / 7 {
		a.Free(one(t, a, size))
	}
	most := a.Stats().PeakHeld / learnedBlock
	peak(3 * most)
	require.LessOrEqual(t, a.Stats().EmptyBytes/learnedBlock, most)
}

// TestLargeBlocksAreMissedBesideTheSpare: a block that stays empty for small requests does not
// keep the heap from learning that a large one comes and goes.
func TestLargeBlocksAreMissedBesideTheSpare(t *testing.T) {
	a, src := onCounting(t, slab.Config{BlockSize: 2 << 20})
	a.Free(granted(t, a, 2000, 1))
	require.Equal(t, 2<<20, a.Stats().EmptyBytes, "the spare")
	before := src.Counts().Acquires
	for range 200 {
		a.Free(granted(t, a, 1<<20, 1))
		require.NoError(t, a.Check())
	}
	require.LessOrEqual(t, src.Counts().Acquires-before, 2)
	require.Equal(t, 3<<20, a.Stats().EmptyBytes, "the spare, and what was missed")

	// Once the large one is no longer of use, it goes, and the spare stays.
	for range 200 {
		a.Free(granted(t, a, 600<<10, 1))
	}
	require.LessOrEqual(t, a.Stats().EmptyBytes, 2<<20+600<<10+64<<10)
}

// TestRoundedUpBlocksAreMissedToo: a block that the source rounded up by more than an eighth is
// used again for a request of the same size.
func TestRoundedUpBlocksAreMissedToo(t *testing.T) {
	src := &coarse{unit: 1 << 20} // as the Vita does for physically contiguous memory
	a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	for range 20 {
		a.Free(one(t, a, 600<<10))
		a.Free(one(t, a, 1<<20+1))
		require.NoError(t, a.Check())
	}
	require.LessOrEqual(t, src.asked, 6)
	require.LessOrEqual(t, a.Stats().Held, 4<<20)

	a = onGoHeap(t, slab.Config{Source: &coarse{unit: 1 << 20}, MetaSource: new(blocksrc.GoHeap)})
	for range 3 {
		a.Free(one(t, a, 2<<20))
	}
	require.Equal(t, 2<<20, a.Stats().EmptyBytes)
	require.Equal(t, 1<<20, cap(one(t, a, 1<<20)), "one that is twice as long is too long")
}

// TestLongBlocksOfNoUseGoFirst: wherever they lie.
func TestLongBlocksOfNoUseGoFirst(t *testing.T) {
	var gone []int
	src := &wrapped{Source: blocksrc.NewBuffer(make([]byte, 40*learnedBlock)), release: func(src blocksrc.Source, mem []byte) error {
		gone = append(gone, len(mem))
		return src.Release(mem)
	}}
	a := learningOn(t, src)
	for range 2 { // the long block has the lowest address
		live := [][]byte{one(t, a, 3*learnedBlock)}
		for range 8 {
			live = append(live, one(t, a, learnedBlock*9/10))
		}
		freeAll(a, live)
	}
	require.Equal(t, 11*learnedBlock, a.Stats().EmptyBytes)
	gone = nil
	for range 64 {
		a.Free(one(t, a, learnedBlock*9/10))
		require.NoError(t, a.Check())
	}
	require.NotEmpty(t, gone)
	require.Equal(t, 3*learnedBlock, gone[0])
}

// TestFewGoAtOnce: a Free gives back eight blocks at most, and eight here, where the first ones,
// which are shorter, go first.
func TestFewGoAtOnce(t *testing.T) {
	a, src := onCounting(t, slab.Config{
		MetaSource: new(blocksrc.GoHeap), BlockSize: 4 << 10, MaxBlockSize: learnedBlock, LargeSize: learnedBlock,
	})
	for range 2 {
		var live [][]byte
		for range 40 {
			live = append(live, one(t, a, 60<<10))
		}
		freeAll(a, live)
	}
	most := 0
	for range 200 {
		b := one(t, a, 60<<10)
		before := src.Counts().Releases
		a.Free(b)
		most = max(most, src.Counts().Releases-before)
		require.NoError(t, a.Check())
	}
	require.Equal(t, 8, most)
}
