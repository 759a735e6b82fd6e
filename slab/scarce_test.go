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
	for budget := 16 << 10; budget <= 4<<20; budget += budget / 2 {
		for _, cfg := range []slab.Config{{}, {BlockSize: budget}, {BlockSize: 4 << 20}} {
			for _, size := range []int{1, 64, 1000, 1024, 1025, 2000, 5000, 100_000} {
				if size > budget/4 {
					continue
				}
				for name, src := range map[string]blocksrc.Source{
					"buffer": blocksrc.NewBuffer(make([]byte, budget)), "limit": blocksrc.Limit(new(blocksrc.GoHeap), budget),
				} {
					t.Run(fmt.Sprintf("%d of %s of %d, blocks of %d", size, name, budget, cfg.BlockSize), func(t *testing.T) {
						cfg.Source = src
						a, err := slab.New(cfg)
						require.NoError(t, err)
						b, err := a.Alloc(size, 0)
						require.NoError(t, err)
						a.Free(b)
						p, err := slab.NewPool(a, size, 0)
						require.NoError(t, err)
						q, err := p.Alloc()
						require.NoError(t, err)
						p.Free(q)
						require.NoError(t, a.Check())
						require.NoError(t, a.Close())
					})
				}
			}
		}
	}
}

// TestRefusedRequestsAskLittle: a program that lives on a budget makes room whenever a
// request is refused. What the source has refused once is not asked for again in vain.
func TestRefusedRequestsAskLittle(t *testing.T) {
	for _, budget := range []int{1 << 20, 16 << 20, 64 << 20} {
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), budget)})
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
