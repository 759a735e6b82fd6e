package slab_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Sources that do not take memory back.

// TestSourceUnreleasable: a bad block that the source does not take back either is reported
// with both errors, counts as held, and is offered again.
func TestSourceUnreleasable(t *testing.T) {
	bad, out := false, 0
	errOdd := errors.New("the moon is in the wrong phase")
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if bad {
			out++
			return make([]byte, 16), nil
		}
		return src.Acquire(size, align)
	}
	src.release = func(src blocksrc.Source, mem []byte) error {
		switch {
		case len(mem) != 16:
			return src.Release(mem)
		case bad:
			return errOdd
		}
		out--
		return nil
	}
	for _, r := range requests[:5] {
		bad = false
		s := newFaultySource(src, math.MaxInt)
		m := newModel(t, slab.Config{MaxBlockSize: 256 << 10}, s, s)
		bad = true
		err := r.do(m)
		require.ErrorIs(t, err, slab.ErrBadSource, r.name)
		require.ErrorIs(t, err, errOdd, r.name)
		require.NoError(t, m.a.Check())
		require.NotZero(t, out, r.name)
		stats := m.a.Stats()
		require.Equal(t, 16*out, stats.Held, r.name)
		require.Equal(t, stats.Held, stats.Meta+stats.Lost, r.name)
		require.ErrorIs(t, m.a.Close(), errOdd, r.name)
		bad = false
		require.NoError(t, m.a.Close())
		require.Zero(t, m.a.Stats().Held)
		require.Zero(t, out, r.name)
	}
}

// TestSourceReleaseFails: a block that the source does not take back stays in use, is counted,
// and is offered again.
func TestSourceReleaseFails(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 16 << 10, LargeSize: 16 << 10, Retain: -1}, src, meta)
	fill := func(n int) {
		for range n {
			require.True(t, m.alloc(15<<10, 0, true))
		}
	}
	fill(5)
	arm(src.Failing, 1, true)
	for len(m.live) > 0 {
		m.free(0, false)
		m.check()
	}
	require.Equal(t, 5*16<<10, src.held())
	require.Equal(t, 5, slab.Stuck(m.a))
	require.Equal(t, 5*16<<10, m.a.Stats().EmptyBytes)
	require.NotZero(t, m.a.Stats().Refused)
	require.Zero(t, m.a.Stats().Failures)

	// They serve before anything new is acquired.
	n := src.acquires.Calls()
	fill(5)
	require.Equal(t, n, src.acquires.Calls())
	for len(m.live) > 0 {
		m.free(0, false)
	}
	// Once the source takes blocks again, one release is enough, and all go.
	src.disarm()
	fill(1)
	m.free(0, false)
	require.Zero(t, src.held())
	require.Zero(t, slab.Stuck(m.a))

	// The same for the block of a large allocation, which serves others meanwhile.
	require.True(t, m.alloc(100_000, 0, true))
	arm(src.Failing, 1, false)
	m.free(0, false)
	require.NotZero(t, src.held())
	m.check()
	fill(3)
	m.check()
	for len(m.live) > 0 {
		m.free(0, false)
	}
	require.Zero(t, src.held())

	// Close reports it, and may be tried again.
	fill(2)
	arm(src.Failing, 1, true)
	err := m.a.Close()
	require.ErrorIs(t, err, blocksrctest.ErrInjected)
	require.NoError(t, m.a.Check())
	require.Equal(t, m.held(), m.a.Stats().Held)
	_, err = m.a.Alloc(1, 0)
	require.ErrorIs(t, err, slab.ErrClosed)
	require.ErrorIs(t, m.a.Close(), blocksrctest.ErrInjected)
	src.disarm()
	require.NoError(t, m.a.Close())
	m.closed()
}

// TestSourceTakesSmallestFirst: of the blocks that the source takes back later, the
// smallest go first, and the largest stays. They lie in the order they were acquired.
func TestSourceTakesSmallestFirst(t *testing.T) {
	for _, retain := range []int{0, 300 << 10, 330 << 10} {
		for _, sizes := range [][]int{{100, 200, 300}, {300, 200, 100}, {200, 300, 100}, {100, 300, 200}} {
			src := newBufferSource(1 << 20)
			m := newModel(t, slab.Config{BlockSize: 16 << 10, LargeSize: 100 << 10, Retain: retain}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			for _, size := range sizes {
				require.True(t, m.alloc(size<<10, 0, true))
			}
			require.True(t, m.alloc(5000, 0, true))
			arm(src.Failing, 1, true)
			for range sizes {
				m.free(0, false)
			}
			require.Equal(t, 600<<10, m.a.Stats().EmptyBytes)
			src.disarm()
			m.free(0, false)
			require.Equal(t, 300<<10, m.a.Stats().EmptyBytes, "retain %d, %v", retain, sizes)
			m.finish()
		}
	}
}

// TestSourceLostBlock: memory that the source has lost to somebody else is never
// used again, and nothing waits for it.
func TestSourceLostBlock(t *testing.T) {
	lost := false
	lose := func() *wrapped {
		return &wrapped{Source: new(blocksrc.GoHeap), release: func(src blocksrc.Source, mem []byte) error {
			if err := src.Release(mem); err != nil || !lost {
				return err
			}
			return fmt.Errorf("somebody has freed it: %w", blocksrc.ErrNotHeld)
		}}
	}
	for _, retain := range []int{-1, 1 << 20} {
		for _, size := range []int{100, 15 << 10, 100 << 10} {
			a, err := slab.New(slab.Config{
				Source: lose(), MetaSource: lose(), BlockSize: 16 << 10, MaxBlockSize: 16 << 10, LargeSize: 16 << 10, Retain: retain,
			})
			require.NoError(t, err)
			lost = false
			for round := range 3 {
				var all [][]byte
				for range 10 {
					b, err := a.Alloc(size, 0)
					require.NoError(t, err)
					all = append(all, b)
				}
				lost = round > 0
				for _, b := range all {
					a.Free(b)
				}
				a.Trim()
				require.NoError(t, a.Check())
				require.Zero(t, a.Stats().Held, "what is lost is not held: %d %d %d", retain, size, round)
				require.Equal(t, lost, a.Stats().Refused > 0)
			}
			b, err := a.Alloc(size, 0)
			require.NoError(t, err)
			b[0] = 1
			require.ErrorIs(t, a.Close(), blocksrc.ErrNotHeld)
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
	}
}

// TestSourceRecordsStuck: blocks of records that cannot be released do no harm, however many
// they are: the allocator goes on, and Close can be repeated.
func TestSourceRecordsStuck(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 32 << 10, MaxBlockSize: 32 << 10}, src, meta)
	p, err := slab.NewPool(m.a, 1, 1)
	require.NoError(t, err)
	const blocks = 200 // more than the chunk table has records before it has any memory
	for i := 0; m.a.Stats().MetaBlocks < blocks; i++ {
		require.NoError(t, p.Reserve(p.Len()+i*10_000))
	}
	require.NoError(t, m.a.Check())
	arm(meta.Failing, 1, true)
	m.trim()
	require.NoError(t, m.a.Check())
	require.Zero(t, src.held())
	require.Equal(t, m.held(), m.a.Stats().Held)
	for i := range 100 {
		require.True(t, m.alloc(1+i*100, 0, true))
	}
	m.check()
	require.ErrorIs(t, m.a.Close(), blocksrctest.ErrInjected)
	require.NoError(t, m.a.Check())
	meta.disarm()
	require.NoError(t, m.a.Close())
	m.closed()
}

// TestStuckBlockIsUsedAgain: a block that was not taken back counts as stuck only until it is
// used again. Otherwise each block that empties meanwhile would start a search of all blocks
// for it.
func TestStuckBlockIsUsedAgain(t *testing.T) {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 16 << 10, LargeSize: 16 << 10, Retain: -1}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	require.True(t, m.alloc(15<<10, 0, true))
	arm(src.Failing, 1, false)
	m.free(0, false)
	require.Equal(t, 1, slab.Stuck(m.a))
	require.True(t, m.alloc(100, 0, true))
	require.Zero(t, slab.Stuck(m.a))
	m.check()
	m.free(0, false)
	m.trim()
	require.Zero(t, src.held())
	m.finish()
}

// TestCloseTellsOfAnyLoss: a block that the source does not know any more is an error of Close,
// whatever was in it, and one that it takes at the second attempt is none.
func TestCloseTellsOfAnyLoss(t *testing.T) {
	for _, size := range []int{100, 1 << 20} {
		for _, lost := range []bool{true, false} {
			calls := 0
			src := &wrapped{Source: new(blocksrc.GoHeap), release: func(src blocksrc.Source, mem []byte) error {
				if calls++; lost {
					return blocksrc.ErrNotHeld
				}
				return src.Release(mem)
			}}
			a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
			require.NoError(t, err)
			_, err = a.Alloc(size, 8)
			require.NoError(t, err)
			if err = a.Close(); lost {
				require.ErrorIs(t, err, blocksrc.ErrNotHeld, "%d bytes", size)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, 1, calls, "one block, offered once")
			require.NoError(t, a.Close())
		}
	}
}

// TestCloseTellsOfTheFirstLosses: each of a few blocks that did not go back is in the error; of
// thousands, some.
func TestCloseTellsOfTheFirstLosses(t *testing.T) {
	for _, n := range []int{3, 1000} {
		var losses []error
		src := &wrapped{Source: new(blocksrc.GoHeap), release: func(blocksrc.Source, []byte) error {
			losses = append(losses, fmt.Errorf("loss %d: %w", len(losses), blocksrc.ErrNotHeld))
			return losses[len(losses)-1]
		}}
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), LargeSize: 4096})
		require.NoError(t, err)
		for range n {
			_, err = a.Alloc(5000, 8)
			require.NoError(t, err)
		}
		require.Empty(t, losses)
		err = a.Close()
		require.Len(t, losses, n)
		told := 0
		for _, loss := range losses {
			if errors.Is(err, loss) {
				told++
			}
		}
		require.GreaterOrEqual(t, told, min(n, 5))
		require.LessOrEqual(t, told, 20)
	}
}
