package slab_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What a heap learns about how much to keep. TestRetain has programs that need it all again.

const learnedBlock = 64 << 10

// peaks returns a function that allocates and frees so many blocks and returns how many are
// empty then.
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

// learningOn returns an allocator for blocks of learnedBlock bytes, with its records elsewhere.
func learningOn(t *testing.T, src blocksrc.Source) *slab.Allocator {
	return onGoHeap(t, slab.Config{
		Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock,
	})
}

func learning(t *testing.T, retain int) *slab.Allocator {
	return onGoHeap(t, slab.Config{BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock, Retain: retain})
}

// TestWhatWasMissedIsKept: after the first peak all blocks but one go; after the second all
// stay. A Trim forgets what was learned, and with Retain set nothing is learned.
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
	for _, live := range []bool{false, true} { // with nothing live, everything starts anew
		if live {
			one(t, a, learnedBlock*9/10)
		}
		a.Trim()
		require.Zero(t, a.Stats().EmptyBytes)
		require.Equal(t, 1, peak(40))
		require.Equal(t, 40, peak(40))
	}
	a.Reset()
	require.GreaterOrEqual(t, peak(10), 38, "a Reset is no news")

	for retain, want := range map[int]int{-1: 0, 3 * learnedBlock: 3} {
		peak := peaks(t, learning(t, retain))
		for range 4 {
			require.Equal(t, want, peak(40))
		}
	}
}

// TestWhatIsOfNoUseGoes: when less is needed for long, what is kept goes by halves, and what is
// needed stays. A program that works at the edge of a few blocks holds a few at the end.
func TestWhatIsOfNoUseGoes(t *testing.T) {
	a, src := onCounting(t, slab.Config{BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock})
	peak := peaks(t, a)
	peak(64)
	require.Equal(t, 64, peak(64))
	n := 0
	for empty := 64; empty > 9; n++ {
		releases := src.Counts().Releases
		now := peak(8)
		require.LessOrEqual(t, src.Counts().Releases-releases, 8+8, "each Free gives one back, and one of them a few")
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

// TestWhatWentIsMissedAgain: blocks that went because they were of no use can be missed too.
func TestWhatWentIsMissedAgain(t *testing.T) {
	a := learning(t, 0)
	peak := peaks(t, a)
	peak(8)
	require.Equal(t, 8, peak(8))
	for peak(1) > 2 {
	}
	peak(8)
	require.GreaterOrEqual(t, peak(8), 7)
}

// TestMissedStaysThoughOneWasStuck: a source that takes back the block it had refused does not
// get the others as well.
func TestMissedStaysThoughOneWasStuck(t *testing.T) {
	refuse := false
	a := onGoHeap(t, slab.Config{
		Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap), BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock,
	})
	peak := peaks(t, a)
	peak(20)
	require.Equal(t, 20, peak(20))
	large := one(t, a, 3*learnedBlock)
	refuse = true
	a.Free(large)
	require.Equal(t, 1, slab.Stuck(a))
	refuse = false
	require.GreaterOrEqual(t, peak(1), 18)
	require.Zero(t, slab.Stuck(a))
}

// TestKeptIsOfNoUse: acquiring blocks because the kept ones will not do is no reason to keep
// more.
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

// TestWhatIsOfNoUseGoesByHalves: not counting the one block that is kept anyway, and one block
// at a turn where half of the bytes is not a number of blocks. The turn that the peak began
// comes first.
func TestWhatIsOfNoUseGoesByHalves(t *testing.T) {
	for _, lowestLast := range []bool{false, true} { // the block that is freed last is the next to be used
		a := onGoHeap(t, slab.Config{
			Source:     blocksrc.NewBuffer(make([]byte, 20*learnedBlock)),
			MetaSource: new(blocksrc.GoHeap), BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock,
		})
		var kept []int
		for n := range 64 {
			blocks := 1
			if n < 2 {
				blocks = 16
			}
			var live [][]byte
			for range blocks {
				live = append(live, one(t, a, learnedBlock*9/10))
			}
			slices.SortFunc(live, func(b, c []byte) int { return cmp.Compare(address(b), address(c)) })
			if lowestLast {
				slices.Reverse(live)
			}
			freeAll(a, live)
			require.NoError(t, a.Check())
			if now := a.Stats().EmptyBytes / learnedBlock; len(kept) == 0 || now != kept[len(kept)-1] {
				kept = append(kept, now)
			}
		}
		require.Equal(t, []int{1, 16, 15, 8, 4, 3, 2, 1}, kept)
	}
}

// TestLearningAndRefusals: what is learned agrees with what is empty, whichever block is the
// spare, and whatever the source refuses to take back.
func TestLearningAndRefusals(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	refuse := false
	a := onGoHeap(t, slab.Config{
		Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap), BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10,
	})
	var live [][]byte
	for range 600 {
		for n := 1 + rnd.IntN(10); len(live) < n; {
			live = append(live, one(t, a, []int{3000, 3000, 3000, 12 << 10}[rnd.IntN(4)]))
			require.NoError(t, a.Check())
		}
		for n := rnd.IntN(8); len(live) > n; {
			refuse = rnd.IntN(8) == 0
			i := rnd.IntN(len(live))
			a.Free(live[i])
			live = slices.Delete(live, i, i+1)
			require.NoError(t, a.Check())
		}
	}
	refuse = false
}

// TestGoneIsMissedThoughOneWasStuck: what had gone before the source refused to take a block is
// missed when it is needed again.
func TestGoneIsMissedThoughOneWasStuck(t *testing.T) {
	refuse := false
	a := learningOn(t, stubborn(&refuse))
	large := one(t, a, 3*learnedBlock)
	peak := peaks(t, a)
	require.Equal(t, 1, peak(20))
	refuse = true
	a.Free(large)
	require.Equal(t, 1, slab.Stuck(a))
	refuse = false
	require.Equal(t, 1, peak(1))
	require.Zero(t, slab.Stuck(a))
	require.Equal(t, 20, peak(20))
}
