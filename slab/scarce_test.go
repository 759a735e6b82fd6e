package slab_test

import (
	"errors"
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
				require.LessOrEqual(t, after.Refused-before.Refused, uint64(20), "%s of %d", name, budget)
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

// failsWhile is a source of blocks from Go that takes nothing back, and while failing is set
// gives what fail makes of a block, and counts.
func failsWhile(failing *bool, asked *int, fail func(mem []byte) ([]byte, error)) *wrapped {
	src := onlyGives(new(blocksrc.GoHeap))
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		mem, err := src.Acquire(size, align)
		if *failing {
			*asked++
			return fail(mem)
		}
		return mem, err
	}
	return src
}

// short is a block that is shorter than was asked for.
func short(mem []byte) ([]byte, error) { return mem[: len(mem)-64 : len(mem)-64], nil }

// TestOddSourceIsAskedOnce: a source that fails, and not for want of memory, is asked once for
// a request, whatever is tried: slabs of half the size and so on, and a hole that is no slab.
// One that lies may lose a block each time.
func TestOddSourceIsAskedOnce(t *testing.T) {
	odd := errors.New("the moon is in the wrong phase")
	for name, fail := range map[string]func(mem []byte) ([]byte, error){
		"odd":            func([]byte) ([]byte, error) { return nil, odd },
		"short":          short,
		"short, for now": short, // to take it back it has no memory
	} {
		for what, alloc := range map[string]func(a *slab.Allocator, p *slab.Pool) error{
			"small": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(100, 1); return err },
			"slot":  func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.Alloc(); return err },
			"group": func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.TakeGroup(10); return err },
			"chunk": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(3000, 1); return err },
		} {
			failing, asked := false, 0
			src := failsWhile(&failing, &asked, fail)
			if name == "short, for now" {
				src.release = func(blocksrc.Source, []byte) error { return fmt.Errorf("not now: %w", slab.ErrExhausted) }
			}
			a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, 100, 4)
			require.NoError(t, err)
			for a.Stats().Held < 1<<20 {
				require.NoError(t, alloc(a, p))
			}
			failing = true
			for i := range 3 { // each is asked for anew
				asked = 0
				for asked == 0 {
					_ = alloc(a, p) // what there is may serve it all the same
				}
				require.Equal(t, 1, asked, "%s %s, %d", name, what, i)
			}
			require.NoError(t, a.Check())
			failing = false
			require.NoError(t, alloc(a, p))
			require.Error(t, a.Close())
		}
	}
}

// TestStartAnewIsFrugal: a budget that is just enough for a slab and its records is enough,
// though the first try took more of it for one of the two.
func TestStartAnewIsFrugal(t *testing.T) {
	for _, n := range []int{34 << 10, 36 << 10, 40 << 10, 48 << 10} {
		a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, n))})
		require.NoError(t, err)
		p, err := slab.NewPool(a, 20_000, 8)
		require.NoError(t, err)
		_, err = p.Alloc()
		require.NoError(t, err, "%d bytes", n)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestImpossibleTakesNothing: what a source says it can never serve is no reason to give back
// what is kept for the next need.
func TestImpossibleTakesNothing(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 64<<20), Retain: 8 << 20})
	require.NoError(t, err)
	freeAll(a, [][]byte{granted(t, a, 400<<10, 1), granted(t, a, 400<<10, 1)})
	one(t, a, 100)
	kept := a.Stats().EmptyBytes
	require.NotZero(t, kept)
	_, err = a.Alloc(1<<30, 1)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)
	require.Equal(t, kept, a.Stats().EmptyBytes)
	_, err = a.Alloc(64<<20, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Zero(t, a.Stats().EmptyBytes)
	require.NoError(t, a.Close())
}

// TestLyingSourceIsNotGivenMore: one that gives a bad block, and says that it has no memory to
// take that back, is not asked again for the same request after what is kept went back.
func TestLyingSourceIsNotGivenMore(t *testing.T) {
	failing, asked := false, 0
	src := failsWhile(&failing, &asked, short)
	src.release = func(src blocksrc.Source, mem []byte) error {
		if failing {
			return fmt.Errorf("not now: %w", slab.ErrExhausted)
		}
		return src.Release(mem)
	}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	a.Free(granted(t, a, 2000, 1)) // nothing is live, and a block is kept
	failing = true
	for _, size := range []int{100 << 10, 1 << 20} {
		asked = 0
		_, err = a.Alloc(size, 1)
		require.ErrorIs(t, err, slab.ErrBadSource)
		require.Equal(t, 1, asked, size)
	}
	require.NoError(t, a.Check())
	failing = false
	_ = a.Close()
}
