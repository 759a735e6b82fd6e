package arena_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// The end of a region, and the end of the allocator under it.

// A region keeps no pointer to memory that went with a Reset or Close of its allocator, though
// no method of the region was called since.
func TestRegionForgets(t *testing.T) {
	for _, gone := range []func(a *slab.Allocator) error{
		func(a *slab.Allocator) error { return a.Close() },
		func(a *slab.Allocator) error { a.Reset(); a.Trim(); return nil },
	} {
		a, _ := newAllocator(t, new(blocksrc.GoHeap))
		var rs [3]*arena.Region
		for i := range rs {
			rs[i] = newRegion(t, a)
			arena.Must(arena.MakeSlice[byte](rs[i], 1<<20))
		}
		require.NoError(t, rs[0].Close())
		arena.Must(arena.MakeSlice[byte](rs[2], 1<<20))
		require.NoError(t, gone(a))
		for _, r := range rs {
			assert.Empty(t, r.Chunks())
			assert.Zero(t, r.Held())
		}
	}
}

// The allocator's Free does not take a region's memory from a program.
func TestRegionMemoryIsNotFreed(t *testing.T) {
	a, _ := newAllocator(t, new(blocksrc.GoHeap))
	r := newRegion(t, a)
	for n := 1; n < 20_000; n += n/7 + 1 {
		s := arena.Must(arena.MakeSlice[byte](r, n))
		assert.False(t, a.Owns(s))
		assert.Panics(t, func() { a.Free(s) })
		r.Reset()
	}
	for _, n := range []int{4095, 4096, 4097, 4090, 5000, 5119, 5120} {
		r := newRegion(t, a)
		assert.False(t, a.Owns(arena.Must(arena.MakeSlice[byte](r, n))))
		require.NoError(t, r.Close())
	}
	require.NoError(t, r.Close())
	assert.Zero(t, a.Stats().Live)
}

func TestRegionAllocatorReset(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	s := &scribe{t: t, r: newRegion(t, a)}
	start := s.r.Mark()
	for i := range 10 {
		require.NoError(t, scribble[byte](s, 3000*i))
		m := s.r.Mark()
		a.Reset()
		assert.Zero(t, s.r.Held())
		badMark(t, s.r, m)
		badMark(t, s.r, start)
		s.made = nil
		arena.Must(a.Alloc(2000, 1)) // takes the old place
		require.NoError(t, scribble[uint64](s, 100))
		require.NoError(t, scribble[byte](s, 5000))
		s.verify()
		require.NoError(t, a.Check())
		if i%2 == 0 {
			s.r.Reset()
			s.made = nil
		}
		start = s.r.Mark()
	}
	a.Reset()
	s.r.Reset()
	require.NoError(t, s.r.Close())
	require.NoError(t, a.Check())
}

func TestRegionAfterClose(t *testing.T) {
	for name, end := range map[string]func(a *slab.Allocator, r *arena.Region) error{
		"Close":           func(_ *slab.Allocator, r *arena.Region) error { return r.Close() },
		"Allocator.Close": func(a *slab.Allocator, _ *arena.Region) error { return a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := newAllocator(t, nil)
			r := newRegion(t, a)
			arena.Must(arena.MakeSlice[byte](r, 10_000))
			arena.Must(arena.Make[int](r)) // so that the types are known
			arena.Must(arena.Make[empty](r))
			m := r.Mark()
			require.NoError(t, end(a, r))
			for range 2 {
				_, err := arena.Make[int](r)
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = arena.Make[empty](r)
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = arena.MakeSlice[int](r, 0)
				assert.ErrorIs(t, err, slab.ErrClosed)
				misused(t, a, slab.UseAfterClose, func() { r.Rewind(m) })
				misused(t, a, slab.UseAfterClose, func() { r.Rewind(r.Mark()) })
				assert.Zero(t, r.Held())
				r.Reset()
				assert.Zero(t, a.Stats().Live)
			}
			assert.NoError(t, r.Close())
			assert.NoError(t, r.Close())
			_, err := arena.Make[int](r)
			assert.ErrorIs(t, err, slab.ErrClosed)
			misused(t, a, slab.UseAfterClose, func() { r.Rewind(r.Mark()) })
		})
	}
}

// An allocator that is closed, or was never made, is refused at once.
func TestRegionNeedsAnAllocator(t *testing.T) {
	a, err := slab.New(slab.Config{Source: plain()})
	require.NoError(t, err)
	require.NoError(t, a.Close())
	for _, c := range []struct {
		on   *slab.Allocator
		want error
	}{{a, slab.ErrClosed}, {new(slab.Allocator), slab.ErrInvalid}} {
		_, err := arena.NewRegion(c.on)
		assert.ErrorIs(t, err, c.want)
		_, err = arena.New[int](c.on)
		assert.ErrorIs(t, err, c.want)
	}
	_, err = arena.Make[int](new(arena.Region))
	assert.ErrorIs(t, err, slab.ErrInvalid)
	_, err = arena.MakeSlice[int](new(arena.Region), 0)
	assert.ErrorIs(t, err, slab.ErrInvalid)
}

// A region that was given no allocator makes its own and closes it.
func TestRegionOfItsOwn(t *testing.T) {
	r, err := arena.NewRegion(nil)
	require.NoError(t, err)
	p, err := arena.Make[uint64](r)
	require.NoError(t, err)
	*p = 1
	assert.NotZero(t, r.Held())
	a := r.Allocator()
	assert.NotZero(t, a.Stats().Held)
	assert.NoError(t, r.Close())
	assert.NoError(t, r.Close())
	assert.Zero(t, r.Held())
	assert.Zero(t, a.Stats().Held)
	_, err = a.Alloc(1, 1)
	assert.ErrorIs(t, err, slab.ErrClosed)
	_, err = arena.Make[uint64](r)
	assert.ErrorIs(t, err, slab.ErrClosed)
}

// What a region remembers of its rewinds goes with a Reset of its allocator.
func TestRegionForgetsWhereItWas(t *testing.T) {
	a, _ := newAllocator(t, nil)
	r := newRegion(t, a)
	for range 100 {
		arena.Must(arena.Make[uint64](r))
		r.Rewind(r.Mark())
	}
	require.Equal(t, 100, r.Lows())
	a.Reset()
	assert.Zero(t, r.Lows())
	require.NoError(t, r.Close())
}
