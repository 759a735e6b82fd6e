package slab_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestBudgetOfOneBlock: where the first block takes the whole budget and leaves nothing for
// records, smaller blocks serve.
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

// TestBudgetShared: so it is where records must come from the same budget, and from blocks of their
// own.
func TestBudgetShared(t *testing.T) {
	for budget := 8 << 10; budget < 70<<10; budget += 1 << 10 {
		src := blocksrc.Limit(new(blocksrc.GoHeap), budget)
		a, err := slab.New(slab.Config{Source: src, MetaSource: src, BlockSize: 64 << 10})
		require.NoError(t, err)
		b, err := a.Alloc(2000, 1)
		require.NoError(t, err, "%d", budget)
		a.Free(b)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestRefusedRequestsAskLittle: a program that lives on a budget makes room whenever a
// request is refused. What the source has refused once is not asked of it again in vain.
func TestRefusedRequestsAskLittle(t *testing.T) {
	type request struct {
		name  string
		alloc func(*slab.Allocator, *slab.Pool) error
	}
	requests := []request{
		{"pool", func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.Alloc(); return err }},
		{"slab", func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(64, 8); return err }},
		{"chunk", func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(3000, 8); return err }},
		{"large", func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(1<<20, 8); return err }},
	}
	// The source is asked for the least slab only: for its record, for a block with room for
	// alignment, and for an aligned one; and for the bytes without a slab.
	const most = 4
	for _, budget := range []int{1 << 20, 4 << 20, 64 << 20} {
		if testing.Short() && budget > 4<<20 {
			continue
		}
		// It depends on where the memory lies which of the requests leaves a hole.
		for offset := 0; offset < slab.Region; offset += slab.Region / 3 &^ 63 {
			mem := wholeRegions(2*budget + offset)[offset:] // a block that went can lie there again
			for first := range requests {
				a, err := slab.New(slab.Config{Source: blocksrc.Limit(blocksrc.NewBuffer(mem), budget)})
				require.NoError(t, err)
				a.PauseChecks()
				p, err := slab.NewPool(a, 128, 8)
				require.NoError(t, err)
				var done []request
				for n := range requests {
					r := requests[(first+n)%len(requests)]
					for r.alloc(a, p) == nil {
					}
					_ = r.alloc(a, p) // the first gives back all that can go
					done = append(done, r)
					for n := range 3 * len(done) {
						r := done[n%len(done)]
						before := a.Stats()
						require.ErrorIs(t, r.alloc(a, p), slab.ErrExhausted)
						after := a.Stats()
						require.Equal(t, before.Failures+1, after.Failures)
						require.LessOrEqual(t, after.Refused-before.Refused, uint64(most), "%s, %s first, of %d at %d", r.name, requests[first].name, budget, offset)
					}
				}
				require.NoError(t, a.Close())
			}
		}
	}
}

// TestRefusedRequestsUseHoles: for a hole that is there the source need not be asked, and it
// becomes a slab as large as it can. When the source has room again, slabs are as large as ever.
func TestRefusedRequestsUseHoles(t *testing.T) {
	refuse := false
	a := onGoHeap(t, slab.Config{Source: refusing(new(blocksrc.GoHeap), &refuse), MetaSource: new(blocksrc.GoHeap), Retain: -1})
	a.PauseChecks()
	p, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	bytes := func() int { return p.Stats().Bytes }
	fill := func(n int) { takeSlots(t, p, n) }
	fill(100_000)
	hole := granted(t, a, 30<<10, 1024)
	granted(t, a, 100, 1)
	refuse = true
	fillUp(t, a, 100, 1)
	for err == nil {
		_, err = p.AllocUninitialized()
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	before := bytes()
	a.Free(hole)
	fill(1)
	require.Greater(t, bytes()-before, 14<<10)
	for err = nil; err == nil; {
		_, err = p.AllocUninitialized()
	}
	require.Equal(t, 30<<10, bytes()-before)

	refuse = false
	before = bytes()
	fill(1)
	require.Equal(t, 1<<10, bytes()-before, "the least: it is not known that there is room again")
	before = bytes()
	fill(1 << 10 / 64)
	require.Equal(t, 256<<10, bytes()-before)

	block := granted(t, a, 1<<20, 1)
	refuse = true
	for err = nil; err == nil; {
		_, err = p.AllocUninitialized()
	}
	a.Free(block)
	refuse = false
	before = bytes()
	fill(1)
	require.Equal(t, 256<<10, bytes()-before, "a block went back")
}

// TestSlabsAreHalved: a source that has no room for a slab of full size may have some for half
// of one, or a quarter.
func TestSlabsAreHalved(t *testing.T) {
	most := math.MaxInt
	src := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		if size > most {
			return nil, slab.ErrExhausted
		}
		return src.Acquire(size, align)
	}}
	a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	a.PauseChecks()
	p, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	fill := func(n int) { takeSlots(t, p, n) }
	fill(100_000)
	most = 40 << 10
	before := p.Stats().Slabs
	fill(20_000)
	require.Less(t, p.Stats().Slabs-before, 2*20_000*64/(32<<10))
}

// TestMaxBlockSizeIsOne: no block is larger than MaxBlockSize or what a request needs, not even
// one for a slab.
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

// failsWhile returns a source of blocks from Go that takes nothing back. While failing is set,
// it gives what fail makes of a block, and counts in asked.
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

// short makes a block shorter than was asked for.
func short(mem []byte) ([]byte, error) { return mem[: len(mem)-64 : len(mem)-64], nil }

// TestOddSourceIsAskedOnce: a source that fails, and not for want of memory, is asked once for
// each request, whatever else is tried: slabs of half the size and so on, and a hole without a
// slab. A source that lies may lose a block each time.
func TestOddSourceIsAskedOnce(t *testing.T) {
	odd := errors.New("the moon is in the wrong phase")
	for name, fail := range map[string]func(mem []byte) ([]byte, error){
		"odd":            func([]byte) ([]byte, error) { return nil, odd },
		"short":          short,
		"short, for now": short, // it has no memory to take it back
	} {
		for what, alloc := range map[string]func(a *slab.Allocator, p *slab.Pool) error{
			"small": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(100, 1); return err },
			"slot":  func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.Alloc(); return err },
			"group": func(_ *slab.Allocator, p *slab.Pool) error { _, err := slab.ShellOf(p).TakeGroup(10); return err },
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
			for i := range 3 { // each request asks anew
				asked = 0
				for asked == 0 {
					_ = alloc(a, p) // what is held may serve it all the same
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

// TestStartAnewIsFrugal: a budget that barely holds a slab and its records is enough, even if
// the first attempt took more of it for one of the two.
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

// TestImpossibleTakesNothing: a request that the source says it can never serve is no reason to
// give back what is kept for the next need.
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

// TestLyingSourceIsNotGivenMore: a source that gives a bad block, and says that it has no
// memory to take that back, is not asked again for the same request once what was kept has
// gone back.
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
