package arena_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// Each mistake that the package documentation lists has the consequence that it says.
func TestArenaMisuse(t *testing.T) {
	setup := func(t *testing.T) (*arena.Arena[enemy], *enemy) {
		a := newArena[enemy](t, nil)
		p := arena.Must(a.Alloc())
		arena.Must(a.Alloc())
		return a, p
	}
	// each makes the calls that take a pointer, which must see that p is bad.
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
		// As documented: the Free frees the new owner's object, and the owner's own panics.
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
		at := uintptr(unsafe.Pointer(&e)) // hides e from the compiler, so that it stays on the stack
		each(t, a, slab.Foreign, *(**enemy)(unsafe.Pointer(&at)))
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
			a.Free(p) // the slot that it leaves at hand must go too
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

// TestMisuseNamesTheArena: where arenas share an allocator, a panic says whose object it was.
func TestMisuseNamesTheArena(t *testing.T) {
	on := arena.Must(slab.New(slab.Config{Name: "level"}))
	defer on.Close()
	a := arena.Must(arena.New[enemy](on))
	p := arena.Must(a.Alloc())
	a.Free(p)
	for op, f := range map[string]func(){
		"Arena[arena_test.enemy].Free":   func() { a.Free(p) },
		"Arena[arena_test.enemy].Handle": func() { a.Handle(p) },
	} {
		func() {
			defer func() {
				var err *slab.MisuseError
				require.ErrorAs(t, recover().(error), &err)
				assert.Equal(t, op, err.Op)
				assert.Contains(t, err.Error(), "slab: "+op+" of")
			}()
			f()
		}()
	}
}
