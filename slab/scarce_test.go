package slab_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestBudgetOfOneBlock: where the first block takes all that there is, and nothing is
// left for records, smaller ones serve.
func TestBudgetOfOneBlock(t *testing.T) {
	most := 4 << 20
	if testing.Short() {
		most = 100 << 10
	}
	for budget := 16 << 10; budget <= most; budget += budget / 2 {
		for _, block := range []int{0, budget, 4 << 20} {
			for _, size := range []int{1, 64, 1000, 1024, 1025, 2000, 5000, 100_000} {
				if size > budget/4 {
					continue
				}
				for name, src := range map[string]blocksrc.Source{
					"buffer": blocksrc.NewBuffer(make([]byte, budget)), "limit": blocksrc.Limit(new(blocksrc.GoHeap), budget),
				} {
					what := fmt.Sprintf("%d of %s of %d, blocks of %d", size, name, budget, block)
					a, err := slab.New(slab.Config{Source: src, BlockSize: block})
					require.NoError(t, err)
					b, err := a.Alloc(size, 0)
					require.NoError(t, err, what)
					a.Free(b)
					p, err := slab.NewPool(a, size, 0)
					require.NoError(t, err)
					q, err := p.Alloc()
					require.NoError(t, err, what)
					p.Free(q)
					require.NoError(t, a.Check())
					require.NoError(t, a.Close())
				}
			}
		}
	}
}

// TestRefusedRequestsAskLittle: a program that lives on a budget makes room whenever a
// request is refused. What the source has refused once is not asked for again in vain.
func TestRefusedRequestsAskLittle(t *testing.T) {
	for _, budget := range []int{1 << 20, 4 << 20, 64 << 20} {
		if testing.Short() && budget > 4<<20 {
			continue
		}
		mem := blocksrc.NewBuffer(make([]byte, 2*budget)) // a block that went comes to lie there again
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(mem, budget)})
		require.NoError(t, err)
		a.PauseChecks()
		p, err := slab.NewPool(a, 128, 8)
		require.NoError(t, err)
		for name, alloc := range map[string]func() error{
			"pool":  func() error { _, err := p.Alloc(); return err },
			"slab":  func() error { _, err := a.Alloc(64, 8); return err },
			"chunk": func() error { _, err := a.Alloc(3000, 8); return err },
			"large": func() error { _, err := a.Alloc(1<<20, 8); return err },
		} {
			for alloc() == nil {
			}
			_ = alloc() // the first gives back what there is to be given back
			for range 3 {
				before := a.Stats()
				require.ErrorIs(t, alloc(), slab.ErrExhausted)
				after := a.Stats()
				require.Equal(t, before.Failures+1, after.Failures)
				require.LessOrEqual(t, after.Refused-before.Refused, uint64(14), "%s of %d", name, budget)
			}
		}
		require.NoError(t, a.Close())
	}
}

// TestIdleLeavesAreRecords: leaves of the address map for blocks that went are memory for
// records, before a request is refused.
func TestIdleLeavesAreRecords(t *testing.T) {
	mem := blocksrc.NewBuffer(make([]byte, 16<<20)) // a block that went comes to lie there again
	a, err := slab.New(slab.Config{Source: mem, MetaSource: blocksrc.Limit(new(blocksrc.GoHeap), 96<<10)})
	require.NoError(t, err)
	a.PauseChecks()
	_, err = a.Alloc(100, 1)
	require.NoError(t, err)
	var large [][]byte
	for range 8 {
		b, err := a.AllocUninitialized(1<<20, 1<<20) // in a region of its own
		require.NoError(t, err)
		large = append(large, b)
	}
	for _, b := range large {
		a.Free(b)
	}
	for err = nil; err == nil; _, err = a.AllocUninitialized(1025, 1) {
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	a.Trim()
	_, err = a.AllocUninitialized(1025, 1)
	require.ErrorIs(t, err, slab.ErrExhausted, "Trim has found nothing more")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestBlockWithoutLeafGoesBack: a block that cannot be used, since there is no memory for
// its leaf of the address map, is memory for a smaller one and the leaf. What is refused
// leaves nothing that would serve the next.
func TestBlockWithoutLeafGoesBack(t *testing.T) {
	for name, alloc := range map[string]func(a *slab.Allocator, p *slab.Pool) error{
		"pool":  func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.Alloc(); return err },
		"small": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(64, 8); return err },
		"chunk": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(3000, 8); return err },
	} {
		for budget := 300 << 10; budget < 400<<10; budget += 3 << 10 {
			far := &wrapped{Source: new(blocksrc.GoHeap)}
			far.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
				return src.Acquire(size, max(align, 1<<20)) // in a region of its own
			}
			a, err := slab.New(slab.Config{Source: blocksrc.Limit(far, budget)})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, 128, 8)
			require.NoError(t, err)
			for alloc(a, p) == nil {
			}
			what := fmt.Sprintf("%s, %d", name, budget)
			full := a.Stats()
			assert.ErrorIs(t, alloc(a, p), slab.ErrExhausted, what)
			assert.LessOrEqual(t, a.Stats().Refused-full.Refused, uint64(14), what)
			assert.Zero(t, full.EmptyBlocks, what)
			assert.Greater(t, full.Live, budget*8/10, what)
			a.Trim()
			assert.ErrorIs(t, alloc(a, p), slab.ErrExhausted, what)
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
	}
}

// TestRetainedStaysWithoutLeaf: giving back what is kept for the next need is for want of
// memory, and not for whatever else a source for records says.
func TestRetainedStaysWithoutLeaf(t *testing.T) {
	moon := errors.New("the moon is in the wrong phase")
	records := &wrapped{Source: new(blocksrc.GoHeap)}
	far := &wrapped{Source: new(blocksrc.GoHeap)}
	far.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		return src.Acquire(size, max(align, 1<<20)) // in a region of its own
	}
	a, err := slab.New(slab.Config{Source: far, MetaSource: records, Retain: 64 << 20, BlockSize: 16 << 10})
	require.NoError(t, err)
	var live [][]byte
	for range 4 {
		b, err := a.Alloc(15<<10, 1)
		require.NoError(t, err)
		live = append(live, b)
	}
	for _, b := range live[1:] {
		a.Free(b)
	}
	kept := a.Stats().EmptyBlocks
	require.Positive(t, kept)
	records.acquire = func(blocksrc.Source, int, int) ([]byte, error) { return nil, moon }
	for err == nil { // more than the records that there are have leaves for
		_, err = a.Alloc(17<<10, 1)
	}
	require.ErrorIs(t, err, moon)
	require.GreaterOrEqual(t, a.Stats().EmptyBlocks, kept)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestMaxBlockSizeIsOne: no block is larger than what a request needs or MaxBlockSize, be it
// for a slab.
func TestMaxBlockSizeIsOne(t *testing.T) {
	for _, most := range []int{4 << 10, 5000, 64 << 10} {
		for _, src := range []blocksrc.Source{new(blocksrc.GoHeap), blocksrc.NewBuffer(make([]byte, 16<<20))} {
			a, err := slab.New(slab.Config{Source: src, BlockSize: 4 << 10, MaxBlockSize: most, LargeSize: most})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, 48, 16)
			require.NoError(t, err)
			wide, err := slab.NewPool(a, 2000, 2048)
			require.NoError(t, err)
			for range 20_000 {
				_, err := a.Alloc(64, 1)
				require.NoError(t, err)
				_, err = p.Alloc()
				require.NoError(t, err)
			}
			require.NoError(t, p.Reserve(10_000))
			for range 100 {
				_, err = wide.Alloc()
				require.NoError(t, err)
			}
			for b := range a.Blocks() {
				require.LessOrEqual(t, b.Size, most+63) // GoHeap rounds up
				for c := range b.Chunks() {
					require.True(t, c.Stride == 0 || c.Stride >= 2000 || c.Slots > 8, "%v", c)
				}
			}
			require.NoError(t, a.Close())
		}
	}
}
