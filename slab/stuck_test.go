package slab_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What becomes of blocks that their source never takes back, such as a static buffer or
// memory that can only grow.

var errNever = errors.New("does not go back")

func onlyGives(src blocksrc.Source) *wrapped {
	w := &wrapped{Source: src}
	w.release = func(blocksrc.Source, []byte) error { return errNever }
	return w
}

// stubborn returns a source that takes nothing back while *refuse is set.
func stubborn(refuse *bool) *wrapped {
	return &wrapped{Source: new(blocksrc.GoHeap), release: func(src blocksrc.Source, mem []byte) error {
		if *refuse {
			return errNever
		}
		return src.Release(mem)
	}}
}

// skimping returns a source whose blocks are *short bytes shorter than asked for, and that takes
// nothing back.
func skimping(t *testing.T, short *int) *wrapped {
	src := onlyGives(new(blocksrc.GoHeap))
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		mem, err := src.Acquire(size, align)
		require.NoError(t, err)
		return mem[: len(mem)-*short : len(mem)-*short], nil
	}
	return src
}

// TestStuckRecordsAreUsedAgain: blocks of records that the source refused to take back serve
// the next request, so the source is not asked for more and more.
func TestStuckRecordsAreUsedAgain(t *testing.T) {
	for name, give := range map[string]func(a *slab.Allocator){
		"Trim":      func(a *slab.Allocator) { a.Trim() },
		"a refusal": func(a *slab.Allocator) { _, err := a.Alloc(1<<30, 1); require.ErrorIs(t, err, slab.ErrExhausted) },
	} {
		for _, size := range []int{100, 5000} {
			src := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
				if size > 8<<20 {
					return nil, slab.ErrExhausted // and not that it never can
				}
				return src.Acquire(size, align)
			}}
			a, err := slab.New(slab.Config{Source: src, MetaSource: onlyGives(blocksrc.Limit(new(blocksrc.GoHeap), 64<<10))})
			require.NoError(t, err)
			for i := range 50 {
				b, err := a.Alloc(size, 1)
				require.NoError(t, err, "%s, %d", name, i)
				a.Free(b)
				give(a)
				require.NoError(t, a.Check())
			}
			s := a.Stats()
			require.LessOrEqual(t, s.Meta, 64<<10)
			require.Positive(t, s.MetaBlocks)
			require.ErrorIs(t, a.Close(), errNever)
		}
	}
}

// TestStuckBlocksAreUsedAgain: so do other blocks, also for large requests, which would
// otherwise get a new one each.
func TestStuckBlocksAreUsedAgain(t *testing.T) {
	for _, size := range []int{5000, 1 << 20} {
		asked := 0
		src := onlyGives(new(blocksrc.GoHeap))
		src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
			asked++
			return src.Acquire(size, align)
		}
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		for i := range 50 {
			b, err := a.Alloc(size-i%7, 1)
			require.NoError(t, err)
			a.Free(b)
		}
		require.LessOrEqual(t, asked, 2, "%d bytes", size)
		require.NoError(t, a.Check())
		require.ErrorIs(t, a.Close(), errNever)
	}
}

// TestStuckBlockHasRoomForRecords: with nothing live, a block that did not go back serves a pool
// on its own, with a record in it, if the source has no more.
func TestStuckBlockHasRoomForRecords(t *testing.T) {
	full, keep := false, 0
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if full {
			return nil, slab.ErrExhausted
		}
		return src.Acquire(size, align)
	}
	src.release = func(src blocksrc.Source, mem []byte) error {
		if len(mem) == keep {
			return errNever
		}
		return src.Release(mem)
	}
	p, _ := newPool(t, 64, 8, slab.Config{Source: src, BlockSize: 128 << 10})
	q, err := p.Alloc()
	require.NoError(t, err)
	p.Free(q)
	keep = 128 << 10
	p.Allocator().Trim()
	require.Equal(t, keep, p.Allocator().Stats().Held, "the block of records has gone")
	full = true
	q, err = p.Alloc()
	require.NoError(t, err)
	require.NoError(t, p.Allocator().Check())
	p.Free(q)
	keep = 0
	require.NoError(t, p.Allocator().Close())
}

// TestBadBlockIsNotUsed: a block that was not as asked for, and that the source does not take
// back, serves no request, even one that it is large enough for.
func TestBadBlockIsNotUsed(t *testing.T) {
	short := 64
	a, err := slab.New(slab.Config{Source: skimping(t, &short), MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	_, err = a.Alloc(1<<20, 1)
	require.ErrorIs(t, err, slab.ErrBadSource)
	lost := a.Stats().Lost
	require.GreaterOrEqual(t, lost, 1<<20-64)
	short = 0
	b, err := a.Alloc(600<<10, 1)
	require.NoError(t, err)
	b[len(b)-1] = 1
	require.Equal(t, lost, a.Stats().Lost)
	require.NoError(t, a.Check())
	require.ErrorIs(t, a.Close(), errNever)
}

// TestStuckBlocksAreOfferedOneByOne: a source that takes nothing back is not offered every
// stuck block whenever a block becomes empty. Once it takes one, it is offered the others.
func TestStuckBlocksAreOfferedOneByOne(t *testing.T) {
	for _, large := range []bool{false, true} {
		for _, retain := range []int{-1, 0, 64 << 10} {
			stuckOneByOne(t, large, retain)
		}
	}
}

func stuckOneByOne(t *testing.T, large bool, retain int) {
	src := onlyGives(new(blocksrc.GoHeap))
	calls, takes := 0, false
	src.release = func(src blocksrc.Source, b []byte) error {
		calls++
		if !takes {
			return errNever
		}
		return src.Release(b)
	}
	cfg := slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 4 << 10, MaxBlockSize: 4 << 10, Retain: retain}
	if !large {
		cfg.LargeSize = cfg.MaxBlockSize
	}
	a, err := slab.New(cfg)
	require.NoError(t, err)
	a.PauseChecks()
	const n = 200
	var live [][]byte
	for range n {
		b, err := a.Alloc(4000, 1)
		require.NoError(t, err)
		live = append(live, b)
	}
	for _, b := range live[:n-1] {
		a.Free(b)
	}
	require.LessOrEqual(t, calls, n)
	require.Equal(t, n, a.Stats().Blocks)
	takes = true
	a.Free(live[n-1])
	s := a.Stats()
	require.LessOrEqual(t, s.Held-s.Meta, max(retain, 4<<10), "the source takes blocks again: all but what is kept")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestStuckBlocksServeWhatNeedsLess: a heap that was large, offered everything back in vain and
// grows again uses all of that memory, down to the shortest block, before it asks for more.
func TestStuckBlocksServeWhatNeedsLess(t *testing.T) {
	asked := 0
	src := onlyGives(new(blocksrc.GoHeap))
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		asked++
		return src.Acquire(size, align)
	}
	a, err := slab.New(slab.Config{
		Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 4 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10,
	})
	require.NoError(t, err)
	a.PauseChecks()
	var before int
	for round := range 3 {
		var live [][]byte
		for range 2000 {
			live = append(live, one(t, a, 1100))
		}
		if round == 0 {
			before = asked
		}
		require.LessOrEqual(t, asked, before, "round %d", round)
		freeAll(a, live)
		a.Trim()
		require.NoError(t, a.Check())
	}
	require.ErrorIs(t, a.Close(), errNever)
}

// TestStuckBlocksAreShared: a large request gets no more of a stuck block than it needs, and
// others get the rest.
func TestStuckBlocksAreShared(t *testing.T) {
	src := onlyGives(new(blocksrc.GoHeap))
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	a.Free(one(t, a, 2<<20))
	a.Trim()
	held := a.Stats().Held
	require.Less(t, cap(one(t, a, 1<<20)), 1<<20+64<<10)
	for range 150 {
		one(t, a, 5000)
	}
	require.Equal(t, held, a.Stats().Held-a.Stats().Meta)
	require.NoError(t, a.Check())
	require.ErrorIs(t, a.Close(), errNever)
}

// TestShortestStuckBlockServes: a small request leaves the long block to those that need it.
func TestShortestStuckBlockServes(t *testing.T) {
	for _, first := range []int{1 << 20, 2000} {
		src := onlyGives(blocksrc.NewBuffer(make([]byte, 3<<20))) // lowest addresses first
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		freeAll(a, [][]byte{one(t, a, first), one(t, a, 1<<20+2000-first)})
		a.Trim()
		held := a.Stats().Held
		one(t, a, 2000)
		one(t, a, 1<<20)
		require.Equal(t, held, a.Stats().Held-a.Stats().Meta)
		require.NoError(t, a.Check())
		require.ErrorIs(t, a.Close(), errNever)
	}
}

// TestStuckDoesNotUndoReset: a source that takes back what it had refused does not get what a
// Reset kept as well.
func TestStuckDoesNotUndoReset(t *testing.T) {
	refuse := true
	a, err := slab.New(slab.Config{Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	for range 200 {
		one(t, a, 5000)
	}
	a.Free(one(t, a, 1<<20))
	require.Equal(t, 1, slab.Stuck(a))
	a.Reset()
	kept := a.Stats().EmptyBytes
	require.Greater(t, kept, 1_000_000)
	refuse = false
	a.Free(one(t, a, 3<<20))
	require.Zero(t, slab.Stuck(a))
	require.GreaterOrEqual(t, a.Stats().EmptyBytes, kept-1<<20-64<<10)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestStuckBlocksAreAsAlignedAsTheyAre: the block of a large request may be less aligned than
// others are. It serves what fits behind the padding, and nothing else.
func TestStuckBlocksAreAsAlignedAsTheyAre(t *testing.T) {
	for _, c := range []slab.Config{{BlockAlign: 64 << 10, LargeSize: 512 << 10}, {BlockAlign: 4096, LargeSize: 16 << 10}} {
		size := c.LargeSize
		buf := make([]byte, 3<<20)
		buf = buf[int(-address(buf)&(64<<10-1))+16:] // the first block is 16 bytes from a multiple
		c.Source, c.MetaSource = onlyGives(blocksrc.NewBuffer(buf)), new(blocksrc.GoHeap)
		a, err := slab.New(c)
		require.NoError(t, err)
		a.Free(one(t, a, size))
		a.Trim()
		for _, n := range []int{size, size - 24, size - c.BlockAlign + 16, size - c.BlockAlign - 1000} {
			if n < 1 {
				continue
			}
			b, err := a.Alloc(n, c.BlockAlign)
			require.NoError(t, err)
			require.Zero(t, address(b)&uintptr(c.BlockAlign-1))
			require.NoError(t, a.Check(), "%d bytes", n)
			a.Free(b)
			a.Trim()
		}
		require.ErrorIs(t, a.Close(), errNever)
	}
}

// TestAlignedStuckBlocksAreUsedAgain: also those that are just long enough because they are
// aligned.
func TestAlignedStuckBlocksAreUsedAgain(t *testing.T) {
	a, err := slab.New(slab.Config{
		Source: onlyGives(blocksrc.Limit(new(blocksrc.GoHeap), 600<<10)), MetaSource: new(blocksrc.GoHeap),
	})
	require.NoError(t, err)
	for range 5 {
		b, err := a.Alloc(600<<10, 4096)
		require.NoError(t, err)
		a.Free(b)
		a.Trim()
		require.NoError(t, a.Check())
	}
	require.ErrorIs(t, a.Close(), errNever)
}

// TestBadBlockChangesNothing: after a block that was not what was asked for, and did not go
// back, a large request still gets one of its own.
func TestBadBlockChangesNothing(t *testing.T) {
	short := 0
	a, err := slab.New(slab.Config{Source: skimping(t, &short), MetaSource: new(blocksrc.GoHeap), BlockSize: 1 << 20, LargeSize: 64 << 10})
	require.NoError(t, err)
	one(t, a, 5000)
	short = 64
	one(t, a, 100<<10) // which makes do with a hole
	require.NotZero(t, a.Stats().Lost)
	require.Equal(t, 2, a.Stats().Blocks)
	short = 0
	one(t, a, 100<<10)
	require.Equal(t, 3, a.Stats().Blocks)
	require.ErrorIs(t, a.Close(), errNever)
}

// TestKeptIsNotStuckAnyMore: once the source takes blocks again, those that are to be kept stay,
// though it had refused to take them.
func TestKeptIsNotStuckAnyMore(t *testing.T) {
	refuse := true
	a, err := slab.New(slab.Config{
		Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap), BlockSize: learnedBlock, MaxBlockSize: learnedBlock, LargeSize: learnedBlock,
	})
	require.NoError(t, err)
	peak := peaks(t, a)
	require.Equal(t, 30, peak(30))
	require.Equal(t, 29, slab.Stuck(a))
	a.Reset()
	refuse = false
	require.GreaterOrEqual(t, peak(1), 28, "one was offered")
	require.Zero(t, slab.Stuck(a))
	require.NoError(t, a.Close())
}

// TestEmptyBadBlockIsNone: a source that gives no bytes, and does not take them back, has given
// nothing.
func TestEmptyBadBlockIsNone(t *testing.T) {
	src := onlyGives(new(blocksrc.GoHeap))
	src.acquire = func(blocksrc.Source, int, int) ([]byte, error) { return make([]byte, 0, 8), nil }
	a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	for range 5 {
		_, err := a.Alloc(5000, 1)
		require.ErrorIs(t, err, slab.ErrBadSource)
		require.NoError(t, a.Check())
		require.Zero(t, a.Stats().Blocks)
	}
}

// TestLargeRequestTakesAHoleWhileABlockIsStuck: while the source has refused to take a block back,
// a large request that this block has no room for is served from a hole, not from one more block.
func TestLargeRequestTakesAHoleWhileABlockIsStuck(t *testing.T) {
	refuse := true
	a, src := onCounting(t, slab.Config{Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap), Retain: -1})
	roomy, tight := granted(t, a, 4<<20, 8), granted(t, a, 1<<20, 8)
	a.Free(roomy)
	small := granted(t, a, 64<<10, 8) // in the place of roomy
	a.Free(tight)
	acquires := src.Counts().Acquires
	large := granted(t, a, 2<<20, 8)
	require.Equal(t, acquires, src.Counts().Acquires)
	a.Free(small)
	a.Free(large)
	refuse = false
}
