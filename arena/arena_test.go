package arena_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

func TestArenaZeroValue(t *testing.T) {
	var a arena.Arena[enemy]
	assert.Zero(t, a.Len())
	assert.Nil(t, a.Allocator())
	assert.Zero(t, a.Stats().Live)
	_, ok := a.Get(arena.Handle[enemy]{})
	assert.False(t, ok)
	_, ok = a.Get(arena.HandleFromBits[enemy](1<<32 | 1))
	assert.False(t, ok)
	assert.False(t, a.Remove(arena.HandleFromBits[enemy](1<<32|1)))
	assert.False(t, a.Owns(new(enemy)))
	for range a.All() {
		t.Fatal("nothing is there")
	}
	for range a.Chunks() {
		t.Fatal("nothing is there")
	}
	a.Reset()
	p, err := a.Alloc()
	require.NoError(t, err)
	assert.Equal(t, enemy{}, *p)
	h, err := a.Insert(enemy{HP: 7})
	require.NoError(t, err)
	q, ok := a.Get(h)
	require.True(t, ok)
	assert.Equal(t, int32(7), q.HP)
	assert.Equal(t, 2, a.Len())
	require.NotNil(t, a.Allocator())
	require.NoError(t, a.Allocator().Check())
	own := a.Allocator()
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	assert.Zero(t, own.Stats().Held)
	_, err = own.Alloc(1, 1)
	assert.ErrorIs(t, err, slab.ErrClosed, "the allocator was the arena's own")
}

// Each kind of first use makes the allocator.
func TestArenaFirstUse(t *testing.T) {
	for name, use := range map[string]func(a *arena.Arena[[9]uint64]) error{
		"Alloc":              func(a *arena.Arena[[9]uint64]) error { _, err := a.Alloc(); return err },
		"AllocUninitialized": func(a *arena.Arena[[9]uint64]) error { _, err := a.AllocUninitialized(); return err },
		"Insert":             func(a *arena.Arena[[9]uint64]) error { _, err := a.Insert([9]uint64{1}); return err },
		"InsertN":            func(a *arena.Arena[[9]uint64]) error { _, err := a.InsertN(make([][9]uint64, 3), nil); return err },
		"Reserve":            func(a *arena.Arena[[9]uint64]) error { return a.Reserve(3) },
	} {
		t.Run(name, func(t *testing.T) {
			var a arena.Arena[[9]uint64]
			require.NoError(t, use(&a))
			assert.NotNil(t, a.Allocator())
			assert.NoError(t, a.Close())
			assert.ErrorIs(t, use(&a), slab.ErrClosed)

			var closed arena.Arena[[9]uint64]
			assert.NoError(t, closed.Close())
			assert.NoError(t, closed.Close())
			assert.ErrorIs(t, use(&closed), slab.ErrClosed, "closed before its first use")
			assert.Nil(t, closed.Allocator())
		})
	}
	a, err := arena.New[enemy](nil)
	require.NoError(t, err)
	assert.NotNil(t, a.Allocator())
	assert.NoError(t, a.Close())
}

// AllocUninitialized clears nothing: what was in the slot is still there, or its poison.
func TestArenaAllocUninitialized(t *testing.T) {
	var a arena.Arena[[100]uint64]
	defer func() { assert.NoError(t, a.Close()) }()
	old := arena.Must(a.AllocUninitialized())
	for i := range old {
		old[i] = uint64(i) + 1
	}
	h := a.Handle(old)
	a.Free(old)
	left := *old // the memory is still the arena's
	p := arena.Must(a.AllocUninitialized())
	require.Same(t, old, p)
	assert.Equal(t, left, *p)
	assert.NotZero(t, p[99])
	assert.NotEqual(t, h, a.Handle(p))
	a.Free(p)
	assert.Zero(t, *arena.Must(a.Alloc()))
}

type (
	sprite struct{ pixels []byte }
	badOne struct {
		HP     int32
		Sprite *sprite
	}
	badTwo struct {
		Slots [4]struct {
			Cost  int32
			Label string
		}
		Next func()
	}
	badThree struct{ arena.Handle[badOne] } // not bad: a Handle has no pointer
)

var _ = sprite{}.pixels

// A type with Go pointers is refused by every entry point. The error has the path of the
// field, and nothing is acquired for the type.
func TestPointersAreRefused(t *testing.T) {
	a, src := newAllocator(t, nil)
	refused := func(path string, err error) {
		t.Helper()
		var e *typed.PointerError
		if assert.ErrorAs(t, err, &e) {
			assert.Equal(t, path, e.Path)
			assert.ErrorContains(t, err, path+" is ")
		}
	}
	_, err := arena.New[badOne](a)
	refused("badOne.Sprite", err)
	_, err = arena.New[badTwo](a)
	refused("badTwo.Slots[].Label", err)
	_, err = arena.New[badOne](nil)
	refused("badOne.Sprite", err)
	_, err = arena.New[string](a)
	var e *typed.PointerError
	assert.ErrorAs(t, err, &e)
	_, err = arena.New[badThree](a)
	assert.NoError(t, err)

	var zero arena.Arena[badOne]
	for range 2 { // the second time as well
		_, err = zero.Alloc()
		refused("badOne.Sprite", err)
		_, err = zero.Insert(badOne{Sprite: &sprite{}})
		refused("badOne.Sprite", err)
		_, err = zero.InsertN([]badOne{{}}, nil)
		refused("badOne.Sprite", err)
		refused("badOne.Sprite", zero.Reserve(1))
	}
	assert.Zero(t, zero.Len())
	assert.NoError(t, zero.Close())

	r, err := arena.NewRegion(a)
	require.NoError(t, err)
	for range 2 {
		_, err = arena.Make[badOne](r)
		refused("badOne.Sprite", err)
		_, err = arena.MakeSlice[badTwo](r, 0)
		refused("badTwo.Slots[].Label", err)
		_, err = arena.Make[badThree](r)
		assert.NoError(t, err)
		_, err = arena.MakeSlice[*int](r, 3)
		assert.ErrorAs(t, err, &e)
	}
	assert.NoError(t, r.Close())
	assert.LessOrEqual(t, src.Counts().Acquires, 2)
}

func TestMust(t *testing.T) {
	assert.Equal(t, 3, arena.Must(3, nil))
	assert.PanicsWithError(t, "no", func() { arena.Must(3, errors.New("no")) })
}

func TestArenaCloseGivesBack(t *testing.T) {
	al, src := newAllocator(t, nil)
	a, b := newArena[enemy](t, al), newArena[[3000]byte](t, al)
	h := arena.Must(b.Insert([3000]byte{9}))
	for range 5000 {
		arena.Must(a.Alloc())
	}
	require.NoError(t, a.Close())
	require.NoError(t, al.Check())
	assert.Equal(t, 3000, al.Stats().Live)
	p, ok := b.Get(h)
	require.True(t, ok)
	assert.Equal(t, byte(9), p[0])
	require.NoError(t, b.Close())
	assert.Zero(t, al.Stats().Live)
	assert.Zero(t, al.Stats().Pools)
	al.Trim()
	assert.Zero(t, al.Stats().Held)
	assert.NoError(t, src.Leaks())
}

// A block that the source refuses to take back is offered again by the allocator; the arena
// is closed all the same. (For an arena's own allocator see TestCloseOfAStubbornDefault.)
func TestArenaCloseAfterRefusal(t *testing.T) {
	counting := &blocksrctest.Counting{Source: new(blocksrc.GoHeap)}
	failing := &blocksrctest.Failing{Source: counting, At: 1, On: blocksrctest.Releases}
	al, err := slab.New(slab.Config{Source: failing})
	require.NoError(t, err)
	a := newArena[enemy](t, al)
	arena.Must(a.Alloc())
	assert.NoError(t, a.Close(), "the memory goes to the allocator, whose block stays")
	assert.ErrorIs(t, al.Close(), blocksrctest.ErrInjected)
	assert.Error(t, counting.Leaks())
	assert.NoError(t, al.Close())
	assert.NoError(t, counting.Leaks())
	assert.NoError(t, al.Close())
}

func TestArenaLenAndStats(t *testing.T) {
	a := newArena[enemy](t, nil)
	var hs []arena.Handle[enemy]
	consistent := func(allocs, frees int) {
		t.Helper()
		s, all := a.Stats(), a.Allocator().Stats()
		assert.Equal(t, len(hs), a.Len())
		assert.Equal(t, len(hs), s.Live)
		assert.Equal(t, uint64(allocs), s.Allocs)
		assert.Equal(t, uint64(frees), s.Frees)
		assert.Equal(t, s.Allocs, all.Allocs)
		assert.Equal(t, s.Frees, all.Frees)
		assert.Equal(t, len(hs)*s.Stride, all.Live)
		assert.Equal(t, all.Held, all.Live+all.SlabFree+all.HoleBytes+all.Meta+all.Lost)
		assert.LessOrEqual(t, (s.Live+s.Free+s.Retired)*s.Stride, s.Bytes)
		assert.NoError(t, a.Allocator().Check())
	}
	allocs, frees := 0, 0
	for i := range 2000 {
		hs = append(hs, arena.Must(a.Insert(enemy{HP: int32(i)})))
		allocs++
		if i%3 == 0 {
			require.True(t, a.Remove(hs[i/3]))
			hs = append(hs[:i/3], hs[i/3+1:]...)
			frees++
		}
		if i%97 == 0 {
			consistent(allocs, frees)
		}
	}
	hs, err := a.InsertN(make([]enemy, 300), hs)
	require.NoError(t, err)
	allocs += 300
	consistent(allocs, frees)
	frees += len(hs)
	hs = nil
	a.Reset()
	consistent(allocs, frees)
	arena.Must(a.Alloc())
	hs = make([]arena.Handle[enemy], 1)
	consistent(allocs+1, frees)
}

// Reset keeps the slots: making as many objects again takes nothing from the source or the
// allocator.
func TestArenaResetKeepsSlots(t *testing.T) {
	for _, n := range []int{1, 100, 5000, 50_000} {
		a, src := newAllocator(t, nil)
		r := newArena[enemy](t, a)
		vs := make([]enemy, n)
		hs, err := r.InsertN(vs, nil)
		require.NoError(t, err)
		before, calls := r.Stats(), src.Counts()
		r.Reset()
		require.NoError(t, a.Check())
		after := r.Stats()
		assert.Zero(t, r.Len())
		assert.Equal(t, before.Live+before.Free, after.Free, "with %d objects", n)
		assert.Equal(t, before.Bytes, after.Bytes)
		_, err = r.InsertN(vs, nil)
		require.NoError(t, err)
		assert.Equal(t, calls, src.Counts(), "with %d objects", n)
		for _, h := range hs[:min(n, 1000)] {
			_, ok := r.Get(h)
			require.False(t, ok)
		}
	}
}

// Counters never decrease, not even when an arena goes with its objects.
func TestCountersOutliveArenas(t *testing.T) {
	a, _ := newAllocator(t, nil)
	before := a.Stats()
	for i := range 3 {
		r := newArena[enemy](t, a)
		for range 10 {
			arena.Must(r.Alloc())
		}
		require.NoError(t, r.Close())
		d := a.Stats().Sub(before)
		assert.Equal(t, uint64(10*(i+1)), d.Allocs)
		assert.Equal(t, uint64(10*(i+1)), d.Frees)
	}
}

func TestTrim(t *testing.T) {
	var a arena.Arena[[64]byte]
	assert.Zero(t, a.Trim(), "there is no allocator yet")
	require.NoError(t, a.Reserve(10_000))
	reserved := a.Stats().Bytes
	h := arena.Must(a.Insert([64]byte{1}))
	assert.Positive(t, a.Trim(), "also what was reserved")
	assert.Less(t, a.Stats().Bytes, reserved/2)
	_, ok := a.Get(h)
	assert.True(t, ok)
	require.NoError(t, a.Close())
	assert.Zero(t, a.Trim())
}

// An arena's own allocator is named after its type, for whoever reads a panic.
func TestMisuseNamesTheType(t *testing.T) {
	var a arena.Arena[cell]
	defer func() { require.NoError(t, a.Close()) }()
	p := arena.Must(a.Alloc())
	a.Free(p)
	defer func() {
		err, _ := recover().(error)
		require.ErrorContains(t, err, "arena_test.cell")
	}()
	a.Free(p)
}

// An arena's own allocator is named after the type, though the type may have no name.
func TestOwnAllocatorIsNamed(t *testing.T) {
	var cells arena.Arena[cell]
	arena.Must(cells.Alloc())
	assert.Equal(t, "arena_test.cell", cells.Allocator().Stats().Name)
	require.NoError(t, cells.Close())
	var quads arena.Arena[[4]int32]
	arena.Must(quads.Alloc())
	assert.Equal(t, "[4]int32", quads.Allocator().Stats().Name)
	require.NoError(t, quads.Close())
}
