package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// What a heap learns of how much to keep. TestRetain has programs that come back for all.

const learnedBlock = 64 << 10

// peaks returns what allocates and frees so many blocks, and what is empty then.
func peaks(t *testing.T, a *slab.Allocator) func(blocks int) (empty int) {
	return func(blocks int) int {
		var live [][]byte
		for range blocks {
			live = append(live, one(t, a, learnedBlock*9/10))
		}
		freeAll(a, live)
		require.NoError(t, a.Check())
		return a.Stats().EmptyBytes / learnedBlock
	}
}

func learning(t *testing.T, retain int) *slab.Allocator {
	return onGoHeap(t, slab.Config{BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock, Retain: retain})
}

// TestWhatWasMissedIsKept: all goes but one block after the first peak, and stays after the
// second. After a Trim, and where Retain says what to keep, nothing was learned.
func TestWhatWasMissedIsKept(t *testing.T) {
	peak := peaks(t, learning(t, 0))
	require.Equal(t, 1, peak(40))
	require.LessOrEqual(t, peak(200), 41, "no more than had gone")

	a := learning(t, 0)
	peak = peaks(t, a)
	require.Equal(t, 1, peak(40))
	require.Equal(t, 40, peak(40))
	require.Equal(t, 40, peak(40))
	require.LessOrEqual(t, peak(60), 60)
	require.Equal(t, 60, peak(60))
	a.Trim()
	require.Zero(t, a.Stats().EmptyBytes)
	require.Equal(t, 1, peak(40))
	require.Equal(t, 40, peak(40))
	a.Reset()
	require.GreaterOrEqual(t, peak(10), 38, "a Reset is no news")

	for retain, want := range map[int]int{-1: 0, 3 * learnedBlock: 3} {
		peak := peaks(t, learning(t, retain))
		for range 4 {
			require.Equal(t, want, peak(40))
		}
	}
}

// TestWhatIsOfNoUseGoes: what was kept goes by halves when less is needed for long, and what is
// needed stays. A program that works at the edge of a few blocks holds a few at the end.
func TestWhatIsOfNoUseGoes(t *testing.T) {
	a := learning(t, 0)
	peak := peaks(t, a)
	peak(64)
	require.Equal(t, 64, peak(64))
	n := 0
	for empty := 64; empty > 9; n++ {
		now := peak(8)
		require.LessOrEqual(t, now, empty)
		require.GreaterOrEqual(t, now, 8)
		empty = now
	}
	require.Less(t, n, 64, "blocks' worth of turns")
	t.Logf("after %d small peaks", n)
	calls := a.Stats().Blocks
	for range 20 {
		require.LessOrEqual(t, peak(8), 9)
	}
	require.LessOrEqual(t, a.Stats().Blocks, calls)
	peak(64)
	require.GreaterOrEqual(t, peak(64), 62, "what went for it was of no use was missed again")
}

// TestKeptIsOfNoUse: that blocks are asked for, for those that are kept will not do, is no
// reason to keep more.
func TestKeptIsOfNoUse(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: learnedBlock, MaxBlockSize: 1 << 20, LargeSize: 1 << 20})
	most := 0
	for size := learnedBlock / 2; size < 1<<20; size += 4096 {
		b := one(t, a, size)
		most = max(most, a.Stats().Held)
		a.Free(b)
		require.NoError(t, a.Check())
	}
	require.LessOrEqual(t, most, 3<<20)
}

// TestLargeBlocksAreMissedToo: a block that an allocation had for itself goes back when it is
// freed, and stays once it was needed again. It serves requests that are little shorter, aligned
// as they ask, and the memory is zero as ever.
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

	// How long it may be, to the page: as much as is asked for, and an eighth more.
	for _, c := range []struct{ kept, asked, cap int }{
		{1<<20 + 4096, 1<<20 + 8192, 1<<20 + 8192},
		{1<<20 + 160<<10, 1 << 20, 1 << 20},
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

	// One that is of no use any more goes.
	a, _ := onCounting(t, slab.Config{})
	for range 3 {
		a.Free(granted(t, a, 4<<20, 1))
	}
	require.Equal(t, 4, a.Stats().EmptyBytes>>20)
	for range 20 {
		a.Free(granted(t, a, 1<<20, 1))
	}
	require.LessOrEqual(t, a.Stats().EmptyBytes, 2<<20)

	// Of one that is kept but does not lie at such a multiple, no use is made.
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

	// With Retain they go, whatever it is.
	for _, retain := range []int{-1, 64 << 20} {
		a, src := onCounting(t, slab.Config{Retain: retain})
		for range 5 {
			a.Free(granted(t, a, 1<<20, 1))
		}
		require.GreaterOrEqual(t, src.Counts().Acquires, 5)
		require.Zero(t, a.Stats().EmptyBytes)
	}
}
