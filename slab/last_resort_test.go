package slab_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What still serves a request when the sources have nothing more: holes, with the
// records that are left, and free slots of larger classes.

// TestHolesServeWithoutNewRecords: what was freed can be had again, even if the
// source of records has nothing more.
func TestHolesServeWithoutNewRecords(t *testing.T) {
	for _, size := range []int{1 << 10, 3000, 5 << 10} {
		for _, align := range []int{1, 2048} { // with holes before and behind
			mem := make([]byte, 4<<20)
			a, err := slab.New(slab.Config{
				Source: blocksrc.NewBuffer(mem), BlockSize: len(mem) - 4096, LargeSize: 1 << 20,
				MetaSource: blocksrc.Limit(&blocksrc.GoHeap{}, 44<<10),
			})
			require.NoError(t, err)
			var live [][]byte
			for {
				b, err := a.Alloc(size, align)
				if err != nil {
					require.ErrorIs(t, err, slab.ErrExhausted)
					break
				}
				live = append(live, b)
			}
			require.NotEmpty(t, live)
			for i := range live {
				a.Free(live[i])
				live[i], err = a.Alloc(size, align)
				require.NoError(t, err, "%d of %d bytes", i, size)
			}
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
	}
}

// refusing is a source that refuses while *refuse is set.
func refusing(src blocksrc.Source, refuse *bool) blocksrc.Source {
	return &wrapped{Source: src, acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		if *refuse {
			return nil, slab.ErrExhausted
		}
		return src.Acquire(size, align)
	}}
}

// TestMisalignedHolesServe: a hole that findHole does not see, because it would be too small
// at the worst alignment, serves a pool's slab and a large request.
func TestMisalignedHolesServe(t *testing.T) {
	const size, align = 100 << 10, 64 << 10
	for name, get := range map[string]func(a *slab.Allocator) error{
		"pool": func(a *slab.Allocator) error {
			p, err := slab.NewPool(a, size, align)
			require.NoError(t, err)
			_, err = p.Alloc()
			return err
		},
		"large": func(a *slab.Allocator) error {
			_, err := a.Alloc(size, align)
			return err
		},
	} {
		refuse := false
		mem, err := new(blocksrc.GoHeap).Acquire(size+50<<10, align)
		require.NoError(t, err)
		a, err := slab.New(slab.Config{
			Source: refusing(blocksrc.NewBuffer(mem), &refuse), MetaSource: new(blocksrc.GoHeap),
			BlockSize: len(mem), MaxBlockSize: 1 << 20, LargeSize: align,
		})
		require.NoError(t, err)
		a.Free(granted(t, a, 60<<10, 1))
		refuse = true
		require.NoError(t, get(a), name)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestChunksAreCounted: there are no more chunks than an entry of the address map can tell
// apart. Beyond that, a request with no slot and no hole is refused, and nothing changes.
func TestChunksAreCounted(t *testing.T) {
	a, err := slab.New(slab.Config{Source: &blocksrc.GoHeap{}, BlockAlign: 64 << 10}) // a block is within a region
	require.NoError(t, err)
	a.PauseChecks()
	live := granted(t, a, 2000, 0)
	undo := slab.PretendChunks(a)
	_, err = a.Alloc(1<<20, 0)
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.ErrorContains(t, err, "can count")
	b := granted(t, a, 2000, 0) // there is a hole, and records for the rest of it
	undo()
	require.NoError(t, a.Check())
	a.Free(b)
	a.Free(live)
	a.Free(granted(t, a, 1<<20, 0))
	require.NoError(t, a.Close())
}

// TestLargerClassesServe: when nothing else is left, a free slot of a larger class
// serves, aligned as asked and with the capacity that Free expects.
func TestLargerClassesServe(t *testing.T) {
	for _, align := range []int{1, 8, 64} {
		mem := blocksrc.NewBuffer(make([]byte, 512<<10))
		a, err := slab.New(slab.Config{Source: mem})
		require.NoError(t, err)
		var live [][]byte
		for size := 100; ; size = size%800 + 100 {
			b, err := a.Alloc(size, 1)
			if err != nil {
				require.ErrorIs(t, err, slab.ErrExhausted)
				break
			}
			live = append(live, b)
		}
		kept := live[:0]
		for i, b := range live {
			if i%2 == 0 {
				kept = append(kept, b)
			} else {
				a.Free(b)
			}
		}
		free := a.Stats().SlabFree
		var small [][]byte
		for {
			b, err := a.Alloc(60, align)
			if err != nil {
				require.ErrorIs(t, err, slab.ErrExhausted)
				break
			}
			require.Zero(t, startOf(b)&uintptr(align-1))
			require.True(t, isZero(b[:cap(b)]))
			require.True(t, a.Owns(b))
			small = append(small, b)
			b = b[:cap(b)]
			b[0], b[len(b)-1] = 0xA5, 0xA5
		}
		require.Less(t, a.Stats().SlabFree, free/4, "of %d bytes in free slots", free)
		require.NoError(t, a.Check())
		sizes := make(map[int]bool)
		for _, b := range small {
			sizes[cap(b)] = true
			a.Free(b)
		}
		require.Greater(t, len(sizes), 2, "slots of several classes")
		for _, b := range kept {
			a.Free(b)
		}
		require.Zero(t, a.Stats().Live)
		require.NoError(t, a.Close())
	}
}

// TestOtherErrorsAreSurvived: whatever error a source refuses with, as many requests are
// served without it.
func TestOtherErrorsAreSurvived(t *testing.T) {
	mem := make([]byte, 1<<20) // the same each time: how many fit depends on where a block lies
	count := func(refusal error, alloc func(a *slab.Allocator) func() error) (n int) {
		refuse := false
		src := &wrapped{Source: blocksrc.NewBuffer(mem)}
		src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
			if refuse {
				return nil, refusal
			}
			refuse = true
			return src.Acquire(size, align)
		}
		a, err := slab.New(slab.Config{Source: src, MetaSource: &blocksrc.GoHeap{}})
		require.NoError(t, err)
		one := alloc(a)
		for err = one(); err == nil; err = one() {
			n++
		}
		require.ErrorIs(t, err, refusal)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
		return n
	}
	ways := map[string]func(a *slab.Allocator) func() error{
		"pool": func(a *slab.Allocator) func() error {
			p, err := slab.NewPool(a, 64, 8)
			require.NoError(t, err)
			return func() error { _, err := p.Alloc(); return err }
		},
	}
	for _, size := range []int{64, 1000, 5000} {
		ways[fmt.Sprint(size, " bytes")] = func(a *slab.Allocator) func() error {
			return func() error { _, err := a.Alloc(size, 1); return err }
		}
	}
	for name, alloc := range ways {
		want := count(slab.ErrExhausted, alloc)
		require.Greater(t, want, 10, name)
		require.Equal(t, want, count(errors.New("the moon is in the wrong phase"), alloc), name)
	}
}

// TestShrinkToNothingLarger: an allocation that shrinks stays where it is if only a slot
// of a larger class is left for it.
func TestShrinkToNothingLarger(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 128<<10))})
	require.NoError(t, err)
	b, err := a.Alloc(300, 1)
	require.NoError(t, err)
	var large [][]byte
	for _, size := range []int{1000, 100, 1} {
		for err = nil; err == nil; {
			var c []byte
			if c, err = a.Alloc(size, 1); cap(c) == 1024 {
				large = append(large, c)
			}
		}
	}
	a.Free(large[0])
	room, failures := cap(b), a.Stats().Failures
	b, err = a.Realloc(b, 100)
	require.NoError(t, err)
	require.Len(t, b, 100)
	require.Equal(t, room, cap(b))
	require.Equal(t, failures, a.Stats().Failures)
	require.NoError(t, a.Check())
	b, err = a.Alloc(1000, 1)
	require.NoError(t, err, "the slot is still there")
	require.Equal(t, 1024, cap(b))
	require.NoError(t, a.Close())
}

// TestHeldFitsAnInt: no more is held than an int can count, which with 32 bits is what
// a process can have. The sums do not wrap, and requests are served up to that limit.
func TestHeldFitsAnInt(t *testing.T) {
	more := 0
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) { return src.Acquire(size+more, align) }
	a, err := slab.New(slab.Config{Source: src, MaxBlockSize: 64 << 10, Retain: -1})
	require.NoError(t, err)
	a.PauseChecks()
	b, err := a.Alloc(5000, 1)
	require.NoError(t, err)
	for _, less := range []int{70 << 10, 200 << 10} { // more than the first block has
		undo := slab.Pretend(a, less)
		_, err := a.Alloc(less+1, 1)
		require.ErrorIs(t, err, slab.ErrExhausted)
		c, err := a.Alloc(less, 1)
		require.NoError(t, err)
		a.Free(c)
		more = 64 << 10 // bytes than was asked for
		for _, takes := range []bool{true, false} {
			src.release = nil
			if !takes {
				src.release = func(blocksrc.Source, []byte) error { return errNever }
			}
			_, err = a.Alloc(less, 1)
			require.ErrorIs(t, err, slab.ErrBadSource)
			require.Positive(t, a.Stats().Held, "it did not wrap")
		}
		more, src.release = 0, nil
		undo()
		require.NoError(t, a.Check())
	}
	a.Free(b)
	require.NoError(t, a.Close())
}

// TestHeldFitsAnIntRounded: a source that rounds a request up to more than can be counted is not
// to blame.
func TestHeldFitsAnIntRounded(t *testing.T) {
	const page = 4096
	a, err := slab.New(slab.Config{Source: &coarse{unit: page}, MaxBlockSize: 64 << 10, Retain: -1})
	require.NoError(t, err)
	a.PauseChecks()
	b, err := a.Alloc(100<<10, 1)
	require.NoError(t, err)
	undo := slab.Pretend(a, 30*page-1)
	for _, size := range []int{29*page + 1, 30*page - 1} {
		_, err := a.Alloc(size, 1)
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.NotErrorIs(t, err, slab.ErrBadSource)
	}
	c, err := a.Alloc(29*page, 1)
	require.NoError(t, err)
	a.Free(c)
	undo()
	a.Free(b)
	require.NoError(t, a.Close())
}

// TestRecordsReclaim: before a request is refused for want of a record, what is kept for
// the next need goes back.
func TestRecordsReclaim(t *testing.T) {
	a, err := slab.New(slab.Config{
		Source: blocksrc.Limit(new(blocksrc.GoHeap), 160<<10), BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10,
	})
	require.NoError(t, err)
	first, err := a.Alloc(60<<10, 1)
	require.NoError(t, err)
	_, err = a.Alloc(2000, 1) // keeps the first block
	require.NoError(t, err)
	second, err := a.Alloc(60<<10, 1)
	require.NoError(t, err)
	a.Free(first)
	a.Free(second)
	require.Equal(t, 64<<10, a.Stats().EmptyBytes)
	require.Equal(t, 160<<10, a.Stats().Held)
	p, err := slab.NewPool(a, 1, 1) // slots that are smaller than their records
	require.NoError(t, err)
	for err == nil {
		_, err = p.AllocUninitialized()
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Zero(t, a.Stats().EmptyBytes)
	require.Greater(t, a.Stats().Meta, 32<<10)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestOtherErrorsReclaimNothing: only if the source is exhausted does what is kept for the
// next need go back, and is the source asked again.
func TestOtherErrorsReclaimNothing(t *testing.T) {
	var refusal error
	asked := 0
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		asked++
		if refusal != nil {
			return nil, refusal
		}
		return src.Acquire(size, align)
	}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	b, err := a.Alloc(5000, 1)
	require.NoError(t, err)
	a.Free(b)
	kept := a.Stats().EmptyBytes
	require.NotZero(t, kept)
	refusal = errors.New("the moon is in the wrong phase")
	p, err := slab.NewPool(a, kept/2+1, 8)
	require.NoError(t, err)
	for name, ask := range map[string]func() error{
		"slot":  func() error { return p.Reserve(4) },
		"chunk": func() error { _, err := a.Alloc(kept+1, 1); return err },
		"large": func() error { _, err := a.Alloc(1<<20, 1); return err },
		"up to": func() error { _, err := a.AllocUpTo(1<<20, kept+1, 1); return err },
	} {
		before := a.Stats()
		asked = 0
		require.ErrorIs(t, ask(), refusal, name)
		assert.Equal(t, 1, asked, name)
		assert.Equal(t, kept, a.Stats().EmptyBytes, name)
		assert.Equal(t, before.Failures+1, a.Stats().Failures, name)
	}
	refusal = slab.ErrExhausted
	_, err = a.Alloc(kept+1, 1)
	require.ErrorIs(t, err, refusal)
	require.Zero(t, a.Stats().EmptyBytes)
	require.NoError(t, a.Close())
}

// TestAllocUpToInvalid: neither a senseless request nor one after Close counts as refused.
func TestAllocUpToInvalid(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	for _, c := range [][3]int{{10, 5, 3}, {10, -1, 1}, {-1, 10, 1}, {-1, -1, 1}, {0, math.MinInt, 1}, {math.MinInt, math.MaxInt, 1}} {
		_, err = a.AllocUpTo(c[0], c[1], c[2])
		require.ErrorIs(t, err, slab.ErrInvalid, "%v", c)
	}
	require.Zero(t, a.Stats().Failures)
	require.NoError(t, a.Close())
	_, err = a.AllocUpTo(10, 5, 1)
	require.ErrorIs(t, err, slab.ErrClosed)
	require.Zero(t, a.Stats().Failures)
}

// TestInvalidAtHand: a senseless request is refused as well where a slot is at hand that would do.
func TestInvalidAtHand(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	for size := range 100 {
		freeAll(a, [][]byte{one(t, a, size+1), one(t, a, size+1)})
	}
	for name, alloc := range map[string]func(size, align int) ([]byte, error){"Alloc": a.Alloc, "AllocUninitialized": a.AllocUninitialized} {
		for size := range 100 {
			for _, align := range []int{3, 5, 6, 7, 9, 12, 24, 63, 1000, -1, -2, -8, math.MinInt, math.MaxInt} {
				_, err := alloc(size, align)
				require.ErrorIs(t, err, slab.ErrInvalid, "%s(%d, %d)", name, size, align)
			}
			_, err := alloc(-size-1, 1)
			require.ErrorIs(t, err, slab.ErrInvalid, "%s(%d, 1)", name, -size-1)
		}
	}
	b, err := a.AllocUpTo(50, 0, 1)
	require.NoError(t, err)
	require.Len(t, b, 50)
}

// TestNeedTakesEmptyBlocksOfRecords: they go back as the user's do.
func TestNeedTakesEmptyBlocksOfRecords(t *testing.T) {
	refuse := false
	a := onGoHeap(t, slab.Config{Source: refusing(new(blocksrc.GoHeap), &refuse)})
	a.PauseChecks()
	var live [][]byte
	for range 300_000 {
		live = append(live, one(t, a, 16))
	}
	one(t, a, 5000)
	before := a.Stats().MetaBlocks
	freeAll(a, live)
	refuse = true
	_, err := a.Alloc(1<<20, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	n := a.Stats().MetaBlocks
	require.Less(t, n, before)
	a.Trim()
	require.Equal(t, n, a.Stats().MetaBlocks, "nothing was left that could go")
}
