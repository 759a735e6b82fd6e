package slab_test

import (
	"fmt"
	"testing"

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
