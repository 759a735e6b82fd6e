package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What stays in force across a Reset, and what does not.

// TestRetainAfterReset: a Reset keeps all blocks; blocks that become empty later obey Retain.
func TestRetainAfterReset(t *testing.T) {
	for _, retain := range []int{-1, 0, 128 << 10} {
		a := onGoHeap(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10, Retain: retain})
		fill := func() (live [][]byte) {
			for range 20 {
				live = append(live, one(t, a, 60<<10))
			}
			return live
		}
		fill()
		held := a.Stats().Held
		a.Reset()
		require.Equal(t, held, a.Stats().Held)
		require.NoError(t, a.Check())
		freeAll(a, fill())
		require.NoError(t, a.Check())
		want := max(retain, 0)
		if retain == 0 {
			want = 64 << 10
		}
		require.LessOrEqual(t, a.Stats().EmptyBytes, want)
	}
}

// TestResetKeepsBlocksThoughOneIsStuck: a block that the source did not take back is no
// reason to give it the others.
func TestResetKeepsBlocksThoughOneIsStuck(t *testing.T) {
	refuse := true
	a, err := slab.New(slab.Config{Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap), MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
	require.NoError(t, err)
	large := granted(t, a, 100<<10, 1)
	for range 100 {
		granted(t, a, 50<<10, 1)
	}
	a.Free(large)
	granted(t, a, 200<<10, 1)
	refuse = false
	before := a.Stats().Blocks
	a.Reset()
	require.Equal(t, before-1, a.Stats().Blocks, "the block of a large request goes")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestReservedAfterReset: slots are reserved until the allocator's Reset and no longer.
func TestReservedAfterReset(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	p.Allocator().PauseChecks()
	require.NoError(t, p.Reserve(10_000))
	p.Allocator().Reset()
	var live []slab.Handle
	for range 10_000 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		live = append(live, h)
	}
	for _, h := range live {
		require.True(t, p.Remove(h))
	}
	require.Less(t, p.Stats().Free, 10_000)
}

// TestCheckAfterResetAndTrim: after a Trim, Check no longer excuses empty blocks as kept by a
// Reset, even if the Trim had nothing to give back.
func TestCheckAfterResetAndTrim(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
	fill := func() {
		for range 20 {
			one(t, a, 60<<10)
		}
	}
	fill()
	a.Reset()
	fill()
	a.Trim()
	require.Zero(t, a.Kept())
	require.NoError(t, a.Check())
}

// TestTrimEndsWhatResetKept: even if the source takes nothing back, so that all of it stays.
func TestTrimEndsWhatResetKept(t *testing.T) {
	refuse := false
	a := learningOn(t, stubborn(&refuse))
	for range 30 {
		one(t, a, learnedBlock*9/10)
	}
	a.Reset()
	require.Equal(t, 30*learnedBlock, a.Stats().EmptyBytes)
	one(t, a, learnedBlock*9/10)
	refuse = true
	a.Trim()
	require.Equal(t, 29, slab.Stuck(a))
	refuse = false
	require.Equal(t, 1, peaks(t, a)(1), "all but the spare go")
	require.Zero(t, slab.Stuck(a))
}

// TestWhatResetKeptIsOfNoUse: it goes by halves, like what was missed.
func TestWhatResetKeptIsOfNoUse(t *testing.T) {
	a := learning(t, 0)
	peak := peaks(t, a)
	peak(3)
	require.Equal(t, 3, peak(3))
	for range 100 {
		one(t, a, learnedBlock*9/10)
	}
	a.Reset()
	for range 300 {
		peak(1) // which checks
	}
	require.Equal(t, 1, peak(1))
}
