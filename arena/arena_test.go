package arena_test

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

// slow tells whether every operation takes longer, under the race detector or
// with a full check after each.
var slow = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true" || s.Key == "-tags" && strings.Contains(s.Value, "slabcheck")
	})
}()

// fewer returns n, or few where a test has to be quick.
func fewer(n, few int) int {
	if testing.Short() || slow {
		return few
	}
	return n
}

// soiled gives blocks that are anything but zero, and does not claim otherwise.
type soiled struct{ blocksrc.GoHeap }

func (s *soiled) Acquire(size, align int) ([]byte, error) {
	block, err := s.GoHeap.Acquire(size, align)
	for i := range block {
		block[i] = 0xA5
	}
	return block, err
}

func (s *soiled) Zeroed() bool { return false }

// sources are the kinds of memory that matter here.
var sources = []struct {
	name string
	make func() blocksrc.Source
}{
	{"heap", func() blocksrc.Source { return new(blocksrc.GoHeap) }},
	{"soiled", func() blocksrc.Source { return new(soiled) }},
	{"default", blocksrc.Default},
}

// newAllocator returns an allocator of which the test's end asserts that it
// leaves nothing behind, and the source that tells. A nil src is a GoHeap.
func newAllocator(t testing.TB, src blocksrc.Source) (*slab.Allocator, *blocksrctest.Counting) {
	t.Helper()
	if src == nil {
		src = new(blocksrc.GoHeap)
	}
	counting := &blocksrctest.Counting{Source: src}
	a, err := slab.New(slab.Config{Source: counting, Name: t.Name()})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, a.Check())
		assert.NoError(t, a.Close())
		assert.NoError(t, counting.Leaks())
		assert.NoError(t, counting.Misuse())
	})
	return a, counting
}

func newArena[T any](t testing.TB, a *slab.Allocator) *arena.Arena[T] {
	t.Helper()
	if a == nil {
		a, _ = newAllocator(t, nil)
	}
	r, err := arena.New[T](a)
	require.NoError(t, err)
	return r
}

// misused asserts that f panics with this misuse, and that nothing changes.
func misused(t testing.TB, a *slab.Allocator, want slab.Misuse, f func()) {
	t.Helper()
	var before slab.Stats
	if a != nil {
		before = a.Stats()
	}
	defer func() {
		t.Helper()
		err, ok := recover().(*slab.MisuseError)
		if assert.True(t, ok, "no panic with a *slab.MisuseError") {
			assert.Equal(t, want, err.Misuse, "%v", err)
			assert.NotEmpty(t, err.Op)
		}
		if a != nil {
			assert.Equal(t, before, a.Stats())
			assert.NoError(t, a.Check())
		}
	}()
	f()
}

// bytesOf shows the memory of an object, padding included.
func bytesOf[T any](p *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)) }

func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

type enemy struct {
	HP     int32
	Target arena.Handle[enemy]
	Pos    [3]float32
}

func TestArenaZeroValue(t *testing.T) {
	if _, err := blocksrc.Default().Acquire(1, 0); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no default source")
	}
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

// Each way of first use makes the allocator.
func TestArenaFirstUse(t *testing.T) {
	if _, err := blocksrc.Default().Acquire(1, 0); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no default source")
	}
	for name, use := range map[string]func(a *arena.Arena[[9]uint64]) error{
		"Alloc":   func(a *arena.Arena[[9]uint64]) error { _, err := a.Alloc(); return err },
		"Insert":  func(a *arena.Arena[[9]uint64]) error { _, err := a.Insert([9]uint64{1}); return err },
		"InsertN": func(a *arena.Arena[[9]uint64]) error { _, err := a.InsertN(make([][9]uint64, 3), nil); return err },
		"Reserve": func(a *arena.Arena[[9]uint64]) error { return a.Reserve(3) },
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
	badThree struct{ arena.Handle[badOne] } // this one is fine: a Handle has no pointer
)

var _ = sprite{}.pixels

// A type with Go pointers is refused with the path of the field, wherever it
// gets in, and nothing is acquired for it.
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

// The mistakes that package documentation lists, and what it says of each.
func TestArenaMisuse(t *testing.T) {
	setup := func(t *testing.T) (*arena.Arena[enemy], *enemy) {
		a := newArena[enemy](t, nil)
		p := arena.Must(a.Alloc())
		arena.Must(a.Alloc())
		return a, p
	}
	// frees are the calls that take a pointer and must see that it is bad.
	each := func(t *testing.T, a *arena.Arena[enemy], want slab.Misuse, p *enemy) {
		t.Helper()
		misused(t, a.Allocator(), want, func() { a.Free(p) })
		misused(t, a.Allocator(), want, func() { a.Handle(p) })
		assert.False(t, a.Owns(p))
	}
	t.Run("twice at once", func(t *testing.T) {
		a, p := setup(t)
		a.Free(p)
		each(t, a, slab.DoubleFree, p)
	})
	t.Run("twice, others between", func(t *testing.T) {
		a, p := setup(t)
		q := arena.Must(a.Alloc())
		a.Free(p)
		a.Free(q)
		each(t, a, slab.DoubleFree, p)
		each(t, a, slab.DoubleFree, q)
	})
	t.Run("removed, then freed", func(t *testing.T) {
		a, p := setup(t)
		require.True(t, a.Remove(a.Handle(p)))
		each(t, a, slab.DoubleFree, p)
	})
	t.Run("freed, then removed", func(t *testing.T) {
		a, p := setup(t)
		h := a.Handle(p)
		a.Free(p)
		assert.False(t, a.Remove(h))
	})
	t.Run("after Reset", func(t *testing.T) {
		a, p := setup(t)
		a.Reset()
		require.NoError(t, a.Allocator().Check())
		each(t, a, slab.DoubleFree, p)
	})
	t.Run("after the slab went", func(t *testing.T) {
		a, p := setup(t)
		a.Reset()
		a.Allocator().Trim()
		each(t, a, slab.Foreign, p)
	})
	t.Run("after reuse", func(t *testing.T) {
		// As documented: the free goes to the new owner, whose own is the bad one.
		a, p := setup(t)
		h := a.Handle(p)
		a.Free(p)
		q := arena.Must(a.Alloc())
		for q != p {
			q = arena.Must(a.Alloc())
		}
		g := a.Handle(q)
		assert.NotEqual(t, h, g)
		assert.False(t, a.Remove(h), "a handle does not have that gap")
		a.Free(p)
		_, ok := a.Get(g)
		assert.False(t, ok)
		each(t, a, slab.DoubleFree, q)
	})
	t.Run("interior", func(t *testing.T) {
		a, p := setup(t)
		each(t, a, slab.Interior, (*enemy)(unsafe.Pointer(&p.Pos)))
		each(t, a, slab.Interior, (*enemy)(unsafe.Add(unsafe.Pointer(p), 1)))
		each(t, a, slab.Interior, (*enemy)(unsafe.Add(unsafe.Pointer(p), unsafe.Sizeof(*p)-1)))
	})
	t.Run("another arena of the allocator", func(t *testing.T) {
		a, p := setup(t)
		b := newArena[enemy](t, a.Allocator())
		q := arena.Must(b.Alloc())
		each(t, a, slab.Foreign, q)
		each(t, b, slab.Foreign, p)
		c := newArena[[128]byte](t, a.Allocator())
		r := arena.Must(c.Alloc())
		each(t, a, slab.Foreign, (*enemy)(unsafe.Pointer(r)))
		require.NoError(t, b.Close())
		each(t, b, slab.UseAfterClose, q)
	})
	t.Run("another allocator", func(t *testing.T) {
		a, p := setup(t)
		b, q := setup(t)
		each(t, a, slab.Foreign, q)
		each(t, b, slab.Foreign, p)
	})
	t.Run("the allocator's own", func(t *testing.T) {
		a, _ := setup(t)
		for _, n := range []int{8, 24, 1000, 5000, 3 << 20} {
			b := arena.Must(a.Allocator().Alloc(n, 8))
			each(t, a, slab.Foreign, (*enemy)(unsafe.Pointer(unsafe.SliceData(b))))
			a.Allocator().Free(b)
		}
	})
	t.Run("Allocator.Free", func(t *testing.T) {
		a, p := setup(t)
		misused(t, a.Allocator(), slab.Foreign, func() { a.Allocator().Free(bytesOf(p)) })
		_, err := a.Allocator().Realloc(nil, 10)
		assert.NoError(t, err)
		misused(t, a.Allocator(), slab.Foreign, func() { _, _ = a.Allocator().Realloc(bytesOf(p), 10) })
	})
	t.Run("Go heap", func(t *testing.T) {
		a, _ := setup(t)
		each(t, a, slab.Foreign, new(enemy))
		each(t, a, slab.Foreign, &make([]enemy, 1000)[500])
	})
	t.Run("stack", func(t *testing.T) {
		a, _ := setup(t)
		var e enemy
		each(t, a, slab.Foreign, &e)
	})
	t.Run("nil", func(t *testing.T) {
		a, _ := setup(t)
		each(t, a, slab.Foreign, nil)
	})
	t.Run("after Close", func(t *testing.T) {
		a, p := setup(t)
		require.NoError(t, a.Close())
		each(t, a, slab.UseAfterClose, p)
		each(t, a, slab.UseAfterClose, nil)
	})
	t.Run("after Allocator.Close", func(t *testing.T) {
		a, p := setup(t)
		require.NoError(t, a.Allocator().Close())
		each(t, a, slab.UseAfterClose, p)
	})
	t.Run("after Allocator.Reset", func(t *testing.T) {
		a, p := setup(t)
		a.Allocator().Reset()
		each(t, a, slab.Foreign, p)
	})
	t.Run("zero value", func(t *testing.T) {
		var a arena.Arena[enemy]
		misused(t, nil, slab.Foreign, func() { a.Free(new(enemy)) })
		misused(t, nil, slab.Foreign, func() { a.Free(nil) })
		misused(t, nil, slab.Foreign, func() { a.Handle(new(enemy)) })
		assert.NoError(t, a.Close())
		misused(t, nil, slab.UseAfterClose, func() { a.Free(new(enemy)) })
		misused(t, nil, slab.UseAfterClose, func() { a.Handle(new(enemy)) })
	})
}

func TestMisuseErrorSaysWhat(t *testing.T) {
	a := newArena[enemy](t, nil)
	p := arena.Must(a.Alloc())
	a.Free(p)
	defer func() {
		err, ok := recover().(error)
		require.True(t, ok)
		var e *slab.MisuseError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, addressOf(p), e.Addr)
		assert.Equal(t, t.Name(), e.Name)
		assert.Equal(t, int(unsafe.Sizeof(*p)), e.Size)
		assert.Contains(t, e.Error(), "double free")
		assert.Contains(t, e.Error(), fmt.Sprintf("%#x", addressOf(p)))
	}()
	a.Free(p)
}

func TestArenaAfterClose(t *testing.T) {
	for name, end := range map[string]func(a *arena.Arena[enemy]) error{
		"Close":           func(a *arena.Arena[enemy]) error { return a.Close() },
		"Allocator.Close": func(a *arena.Arena[enemy]) error { return a.Allocator().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena[enemy](t, nil)
			h := arena.Must(a.Insert(enemy{HP: 1}))
			p := arena.Must(a.Alloc())
			g := a.Handle(p)
			a.Free(p) // what it leaves at hand must go too
			require.NoError(t, end(a))
			for range 2 {
				_, err := a.Alloc()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = a.Insert(enemy{})
				assert.ErrorIs(t, err, slab.ErrClosed)
				hs, err := a.InsertN(make([]enemy, 3), []arena.Handle[enemy]{h})
				assert.ErrorIs(t, err, slab.ErrClosed)
				assert.Equal(t, []arena.Handle[enemy]{h}, hs)
				assert.ErrorIs(t, a.Reserve(1), slab.ErrClosed)
				for _, h := range []arena.Handle[enemy]{h, g, {}} {
					_, ok := a.Get(h)
					assert.False(t, ok)
					assert.False(t, a.Remove(h))
				}
				assert.Zero(t, a.Len())
				assert.Zero(t, a.Stats().Live)
				assert.Zero(t, a.Stats().Slabs)
				for range a.All() {
					t.Fatal("nothing is there")
				}
				for range a.Chunks() {
					t.Fatal("nothing is there")
				}
				a.Reset()
				assert.NoError(t, a.Close())
			}
		})
	}
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

// Close of an arena that has its allocator tries again what a source refused.
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

// Reset keeps the slots: as many objects again need nothing of the source, nor
// of the allocator.
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

func TestInsertN(t *testing.T) {
	a := newArena[uint32](t, nil)
	zero, err := a.InsertN(nil, nil)
	require.NoError(t, err)
	assert.Empty(t, zero)
	keep := arena.Must(a.Insert(77))
	hs := []arena.Handle[uint32]{keep}
	next := uint32(0)
	for _, n := range []int{1, 63, 64, 65, 200, 5000, 3} {
		vs := make([]uint32, n)
		for i := range vs {
			vs[i] = next
			next++
		}
		// Holes of all lengths, so that runs are short and long.
		for i := 1; i < len(hs); i += 1 + i%7 {
			require.Equal(t, !hs[i].IsZero(), a.Remove(hs[i]))
			hs[i] = arena.Handle[uint32]{}
		}
		was := len(hs)
		hs, err = a.InsertN(vs, hs)
		require.NoError(t, err)
		require.Len(t, hs, was+n)
		for i, h := range hs[was:] {
			p, ok := a.Get(h)
			require.True(t, ok)
			require.Equal(t, vs[i], *p)
		}
	}
	p, ok := a.Get(hs[0])
	require.True(t, ok)
	assert.Equal(t, uint32(77), *p)
	live := 0
	for _, h := range hs {
		if !h.IsZero() {
			live++
		}
	}
	assert.Equal(t, live, a.Len())
}

// Objects that were stored together go as others do: with the last of them their
// slabs, but for one.
func TestInsertNKeepsNothing(t *testing.T) {
	slabs := func(insert func(a *arena.Arena[enemy], n int)) int {
		a := newArena[enemy](t, nil)
		insert(a, 20_000)
		for h := range a.All() {
			require.True(t, a.Remove(h))
		}
		arena.Must(a.Insert(enemy{}))
		return a.Stats().Slabs
	}
	one := slabs(func(a *arena.Arena[enemy], n int) {
		for range n {
			arena.Must(a.Insert(enemy{}))
		}
	})
	all := slabs(func(a *arena.Arena[enemy], n int) { arena.Must(a.InsertN(make([]enemy, n), nil)) })
	assert.LessOrEqual(t, one, 2)
	assert.LessOrEqual(t, all, 2)
}

// Whichever call of the source fails, InsertN stores all or none, and changes
// nothing that was there.
func TestInsertNUnderFailure(t *testing.T) {
	for _, persist := range []bool{false, true} {
		for k := 1; ; k++ {
			failing := &blocksrctest.Failing{Source: new(soiled), At: k, Persist: persist, On: blocksrctest.Acquires}
			al, _ := newAllocator(t, failing)
			a := newArena[[700]byte](t, al)
			h, err := a.Insert([700]byte{1})
			if err == nil {
				vs := make([][700]byte, 500)
				for i := range vs {
					vs[i] = [700]byte{byte(i), 699: byte(i)}
				}
				before := a.Stats()
				hs, err := a.InsertN(vs, []arena.Handle[[700]byte]{h})
				if err != nil {
					assert.ErrorIs(t, err, blocksrctest.ErrInjected)
					assert.ErrorIs(t, err, blocksrc.ErrExhausted)
					assert.Equal(t, before, a.Stats())
					assert.Equal(t, []arena.Handle[[700]byte]{h}, hs)
				} else {
					require.Len(t, hs, 501)
					for i, h := range hs[1:] {
						p, ok := a.Get(h)
						require.True(t, ok)
						require.Equal(t, vs[i], *p)
					}
				}
				p, ok := a.Get(h)
				require.True(t, ok)
				assert.Equal(t, [700]byte{1}, *p)
			}
			require.NoError(t, al.Check())
			if failing.Failed() == 0 {
				break
			}
		}
	}
}

// flaky is a source that can be told to fail at any time.
type flaky struct {
	blocksrc.Source
	acquires, releases int // the call to fail, counted from now on; -1 fails all
}

var errFlaky = fmt.Errorf("flaky: %w", blocksrc.ErrExhausted)

func due(n *int) bool {
	if *n > 0 {
		*n--
		return *n == 0
	}
	return *n < 0
}

func (f *flaky) Acquire(size, align int) ([]byte, error) {
	if due(&f.acquires) {
		return nil, errFlaky
	}
	return f.Source.Acquire(size, align)
}

func (f *flaky) Release(block []byte) error {
	if due(&f.releases) {
		return errFlaky
	}
	return f.Source.Release(block)
}

func (f *flaky) Granularity() int { return blocksrc.Granularity(f.Source) }
func (f *flaky) Zeroed() bool     { return blocksrc.Zeroed(f.Source) }

func TestReserve(t *testing.T) {
	a, src := newAllocator(t, nil)
	r := newArena[enemy](t, a)
	for _, n := range []int{1, 10, 3000, 0} {
		require.NoError(t, r.Reserve(n))
		calls := src.Counts().Acquires
		for i := range n {
			if i%2 == 0 {
				arena.Must(r.Insert(enemy{HP: 1}))
			} else {
				assert.Zero(t, *arena.Must(r.Alloc()))
			}
		}
		assert.Equal(t, calls, src.Counts().Acquires)
	}
	for _, n := range []int{-1, math.MinInt} {
		assert.ErrorIs(t, r.Reserve(n), slab.ErrInvalid)
	}
}

// Room that was reserved outlasts what is stored in it, up to the next Trim.
func TestReserveLasts(t *testing.T) {
	al, src := newAllocator(t, nil)
	a := newArena[[3000]byte](t, al)
	first := arena.Must(a.Insert([3000]byte{}))
	const n = 200
	require.NoError(t, a.Reserve(n))
	acquires := src.Counts().Acquires
	for round := range 30 {
		var hs []arena.Handle[[3000]byte]
		for range 1 + round*7%n {
			hs = append(hs, arena.Must(a.Insert([3000]byte{})))
		}
		for _, h := range hs {
			require.True(t, a.Remove(h))
		}
		require.GreaterOrEqual(t, a.Stats().Free, n, "round %d", round)
	}
	require.True(t, a.Remove(first))
	require.GreaterOrEqual(t, a.Stats().Free, n+1)
	require.Equal(t, acquires, src.Counts().Acquires)
	al.Trim()
	require.Zero(t, al.Stats().Held)
}

// A number of objects that no memory could hold is refused before anything is
// asked for, whatever is live already.
func TestReserveTooMany(t *testing.T) {
	type nothing struct{} // still takes a byte
	a, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
	r, z := newArena[enemy](t, a), newArena[nothing](t, a)
	for live := range 3 {
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt - live} {
			before := r.Stats()
			assert.Error(t, r.Reserve(n), "%d with %d live", n, live)
			assert.Equal(t, before, r.Stats())
			hs, err := z.InsertN(make([]nothing, n), nil)
			assert.Error(t, err, "%d with %d live", n, live)
			assert.Empty(t, hs)
			assert.Equal(t, live, z.Len())
		}
		arena.Must(r.Alloc())
		arena.Must(z.Alloc())
	}
}

// Counters only ever grow, also when an arena and its objects go.
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
