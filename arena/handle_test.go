package arena_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

func generationOf[T any](h arena.Handle[T]) uint32 { return uint32(h.Bits() >> 32) }

func TestHandle(t *testing.T) {
	a := newArena[enemy](t, nil)
	var zero arena.Handle[enemy]
	assert.True(t, zero.IsZero())
	assert.Zero(t, zero.Bits())
	assert.Equal(t, zero, arena.HandleFromBits[enemy](0))
	assert.Equal(t, uintptr(8), unsafe.Sizeof(zero))
	_, ok := a.Get(zero)
	assert.False(t, ok)
	assert.False(t, a.Remove(zero))

	byHandle := map[arena.Handle[enemy]]int32{} // a handle is a map key
	for i := range int32(1000) {
		h := arena.Must(a.Insert(enemy{HP: i}))
		require.False(t, h.IsZero())
		require.Zero(t, byHandle[h])
		byHandle[h] = i
		_, ok := a.Get(zero)
		require.False(t, ok)
	}
	for h, hp := range byHandle {
		g := arena.HandleFromBits[enemy](h.Bits())
		require.Equal(t, h, g)
		p, ok := a.Get(g)
		require.True(t, ok)
		require.Equal(t, hp, p.HP)
		require.Equal(t, h, a.Handle(p))
	}
}

// A handle may be part of the type that it names.
func TestHandlesInObjects(t *testing.T) {
	a := newArena[enemy](t, nil)
	first := arena.Must(a.Insert(enemy{HP: 1}))
	last := first
	for i := range int32(100) {
		last = arena.Must(a.Insert(enemy{HP: i + 2, Target: last}))
	}
	n := int32(101)
	for h := last; !h.IsZero(); n-- {
		e, ok := a.Get(h)
		require.True(t, ok)
		require.Equal(t, n, e.HP)
		h = e.Target
	}
	assert.Zero(t, n)
}

// Pointers and handles are two ways to the same slots.
func TestPointersAndHandles(t *testing.T) {
	a := newArena[enemy](t, nil)
	p := arena.Must(a.Alloc())
	h := a.Handle(p)
	assert.Equal(t, h, a.Handle(p), "asking changes nothing")
	q, ok := a.Get(h)
	require.True(t, ok)
	assert.Equal(t, addressOf(p), addressOf(q))
	a.Free(p)
	_, ok = a.Get(h)
	assert.False(t, ok)

	h = arena.Must(a.Insert(enemy{HP: 5}))
	p, ok = a.Get(h)
	require.True(t, ok)
	p.HP++
	require.True(t, a.Remove(h))
	misused(t, a.Allocator(), slab.DoubleFree, func() { a.Free(p) })
	assert.False(t, a.Remove(h))
	assert.Zero(t, a.Len())
}

// However often a slot is used again, no handle of an earlier object works.
func TestStaleHandles(t *testing.T) {
	a := newArena[enemy](t, nil)
	other := arena.Must(a.Alloc())
	for range 62 { // with other, all but one of the 64 slots of a group
		arena.Must(a.Alloc())
	}
	var stale []arena.Handle[enemy]
	var at *enemy
	for i := range 2000 {
		h := arena.Must(a.Insert(enemy{HP: int32(i)}))
		p, ok := a.Get(h)
		require.True(t, ok)
		if at != nil {
			require.Equal(t, at, p, "the slot is used again")
		}
		at = p
		stale = append(stale, h)
		switch i % 3 {
		case 0:
			require.True(t, a.Remove(h))
		case 1:
			a.Free(p)
		default: // another free in between, by way of the bitmap
			a.Free(p)
			a.Free(other)
			p, other = arena.Must(a.Alloc()), arena.Must(a.Alloc())
			if p == at {
				a.Free(p)
			} else {
				a.Free(other)
				other = p
			}
		}
	}
	h := arena.Must(a.Insert(enemy{}))
	for _, s := range stale {
		_, ok := a.Get(s)
		require.False(t, ok)
		require.False(t, a.Remove(s))
	}
	_, ok := a.Get(h)
	assert.True(t, ok)
}

// Handles of objects that are gone name nothing, whatever became of the slabs, not even when
// new slabs lie where the old ones were.
func TestStaleHandlesAfterTheSlab(t *testing.T) {
	for name, end := range map[string]func(a *arena.Arena[page]){
		"Remove": func(a *arena.Arena[page]) {
			for h := range a.All() {
				a.Remove(h)
			}
		},
		"Trim": func(a *arena.Arena[page]) {
			for _, p := range a.All() {
				a.Free(p)
			}
			a.Allocator().Trim()
		},
		"Reset":           func(a *arena.Arena[page]) { a.Reset() },
		"Reset, Trim":     func(a *arena.Arena[page]) { a.Reset(); a.Allocator().Trim() },
		"Allocator.Reset": func(a *arena.Arena[page]) { a.Allocator().Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			al, _ := newAllocator(t, blocksrc.NewBuffer(make([]byte, 2<<20)))
			a := newArena[page](t, al)
			var stale []arena.Handle[page]
			for range 30 {
				n := 3 + len(stale)%50
				for i := range n {
					h := arena.Must(a.Insert(page{}))
					stale = append(stale, h)
					if i%4 == 0 {
						require.True(t, a.Remove(h))
					}
				}
				end(a)
				require.Zero(t, a.Len())
				for _, h := range stale {
					_, ok := a.Get(h)
					require.False(t, ok)
				}
				_, err := a.InsertN(make([]page, n), nil)
				require.NoError(t, err)
				for _, h := range stale {
					_, ok := a.Get(h)
					require.False(t, ok, "%x", h.Bits())
				}
				end(a)
			}
		})
	}
}

// Bits that are not from a handle name nothing or a live object, never anything else.
func TestForgedHandles(t *testing.T) {
	a := newArena[[500]byte](t, nil)
	hs := arena.Must(a.InsertN(make([][500]byte, 300), nil))
	live := map[arena.Handle[[500]byte]]bool{}
	for i, h := range hs {
		live[h] = true
		if i%3 == 0 {
			require.True(t, a.Remove(h))
			delete(live, h)
		}
	}
	try := func(bits uint64) {
		h := arena.HandleFromBits[[500]byte](bits)
		p, ok := a.Get(h)
		if ok != live[h] {
			t.Fatalf("%x: %t, but live: %t", bits, ok, live[h])
		}
		if ok && a.Handle(p) != h || !ok && (p != nil || a.Remove(h)) {
			t.Fatalf("%x: %p", bits, p)
		}
	}
	for _, h := range hs {
		for bit := range 64 {
			try(h.Bits() ^ 1<<bit)
		}
		for d := uint64(1); d < 1<<63; d *= 2 {
			try(h.Bits() + d)
			try(h.Bits() - d)
		}
		for gen := range uint64(4) {
			try(h.Bits()&(1<<32-1) | gen<<32)
			try(h.Bits() | (1<<32-1-gen)<<32)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range fewer(200_000, 5000) {
		try(rng.Uint64())
		try(rng.Uint64() & 0xFFFF_FFFF_0000_1FFF) // places that exist
	}
	assert.Equal(t, len(live), a.Len())
}

// Arenas start at different generations: of two arenas with the same history, no handle of
// one is good for the other. One of 10^4 pairs agrees by chance once in 10^5 runs.
func TestHandlesOfAnotherArena(t *testing.T) {
	al, _ := newAllocator(t, nil)
	for range fewer(10_000, 300) {
		a, b := newArena[enemy](t, al), newArena[enemy](t, al)
		h, g := arena.Must(a.Insert(enemy{HP: 1})), arena.Must(b.Insert(enemy{HP: 2}))
		require.Equal(t, uint32(h.Bits()), uint32(g.Bits()), "the histories are the same")
		_, ok := a.Get(g)
		require.False(t, ok)
		_, ok = b.Get(h)
		require.False(t, ok)
		require.False(t, a.Remove(g))
		require.False(t, b.Remove(h))
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	}
}

func TestAllocHandle(t *testing.T) {
	var a arena.Arena[enemy]
	for range 3 {
		p, h, err := a.AllocHandle()
		require.NoError(t, err)
		require.Equal(t, enemy{}, *p)
		require.Equal(t, h, a.Handle(p))
		*p = enemy{HP: 7, Target: h}
		q, ok := a.Get(h)
		require.True(t, ok)
		require.Same(t, p, q)
		require.True(t, a.Remove(h))
	}
	require.NoError(t, a.Close())
	_, _, err := a.AllocHandle()
	require.ErrorIs(t, err, slab.ErrClosed)
}

// AllocHandle's object is zero even if the source's memory is not, from the first object on.
func TestAllocHandleIsZero(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	small, large := newArena[enemy](t, a), newArena[page](t, a)
	for range 200 {
		p, _, err := small.AllocHandle()
		require.NoError(t, err)
		require.Equal(t, enemy{}, *p)
		q, h, err := large.AllocHandle()
		require.NoError(t, err)
		require.Equal(t, page{}, *q)
		q[0], q[len(q)-1] = 1, 1
		require.True(t, large.Remove(h))
		q, _, err = large.AllocHandle()
		require.NoError(t, err)
		require.Equal(t, page{}, *q)
	}
}

// An object that was made by pointer gets a handle from Handle or from a loop over All: the
// same one each time, until the object is gone.
func TestHandlesOfPointers(t *testing.T) {
	for name, first := range map[string]func(a *arena.Arena[enemy], p *enemy) arena.Handle[enemy]{
		"Handle": func(a *arena.Arena[enemy], p *enemy) arena.Handle[enemy] { return a.Handle(p) },
		"All": func(a *arena.Arena[enemy], p *enemy) arena.Handle[enemy] {
			for h, q := range a.All() {
				if q == p {
					return h
				}
			}
			return arena.Handle[enemy]{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena[enemy](t, nil)
			var ps []*enemy
			for i := range 200 {
				p := arena.Must(a.AllocUninitialized())
				if i%2 == 0 {
					a.Free(p)
					p = arena.Must(a.Alloc())
				}
				ps = append(ps, p)
			}
			p := ps[77]
			h := first(a, p)
			require.False(t, h.IsZero())
			require.NoError(t, a.Allocator().Check())
			q, ok := a.Get(h)
			require.True(t, ok)
			require.Same(t, p, q)
			require.Equal(t, h, a.Handle(p))
			n := 0
			for g, q := range a.All() {
				require.Equal(t, g == h, q == p)
				r, ok := a.Get(g)
				require.True(t, ok)
				require.Same(t, q, r)
				n++
			}
			require.Equal(t, len(ps), n)
			a.Free(p)
			_, ok = a.Get(h)
			require.False(t, ok)
			require.Same(t, p, arena.Must(a.Alloc()))
			_, ok = a.Get(h)
			require.False(t, ok)
			require.False(t, a.Remove(h))
			require.NotEqual(t, h, a.Handle(p))
			require.NoError(t, a.Allocator().Check())
		})
	}
	t.Run("AllocHandle", func(t *testing.T) { // the arena's first handle
		a := newArena[enemy](t, nil)
		p, h, err := a.AllocHandle()
		require.NoError(t, err)
		require.NoError(t, a.Allocator().Check())
		a.Free(p)
		p, h2, err := a.AllocHandle()
		require.NoError(t, err)
		require.NotEqual(t, h, h2)
		_, ok := a.Get(h)
		require.False(t, ok)
		q, ok := a.Get(h2)
		require.True(t, ok)
		require.Same(t, p, q)
	})
}

// The first handle of an arena may be one of AllocHandle, whatever slots are at hand.
func TestAllocHandleIsTheFirstHandle(t *testing.T) {
	on, _ := newAllocator(t, nil)
	for n := range 130 {
		a := newArena[uint64](t, on)
		var ps []*uint64
		for range n {
			ps = append(ps, arena.Must(a.Alloc()))
		}
		if n > 0 {
			a.Free(ps[n/2])
		}
		p, h, err := a.AllocHandle()
		require.NoError(t, err)
		q, ok := a.Get(h)
		require.True(t, ok && p == q, "%d", n)
		a.Free(p)
		_, ok = a.Get(h)
		require.False(t, ok, "%d", n)
		require.NoError(t, a.Close())
	}
}
