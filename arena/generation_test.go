package arena_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// The first generations of arenas are spread evenly, in the high bits and in the low ones,
// and leave each slot at least 2^30 lives.
func TestStartGenerations(t *testing.T) {
	al, _ := newAllocator(t, nil)
	n := fewer(8192, 512)
	counts := [3][16]int{}
	for range n {
		a := newArena[uint64](t, al)
		gen := generationOf(arena.Must(a.Insert(1)))
		require.NotZero(t, gen&1)
		require.Less(t, gen, uint32(1<<31))
		counts[0][gen>>27]++
		counts[1][gen>>14&15]++
		counts[2][gen>>1&15]++
		require.NoError(t, a.Close())
	}
	for _, c := range counts {
		// 15 degrees of freedom: it exceeds 65 with a chance of 4 in 10^8.
		chi, want := 0.0, float64(n)/16
		for _, got := range c {
			chi += (float64(got) - want) * (float64(got) - want) / want
		}
		assert.Less(t, chi, 65.0, "%v", c)
	}
}

// At the end of its generations a slot is retired: it is never used again, not visited, and
// counted.
func TestSlotsRetire(t *testing.T) {
	for name, free := range map[string]func(a *arena.Arena[enemy], h arena.Handle[enemy]){
		"Remove": func(a *arena.Arena[enemy], h arena.Handle[enemy]) { a.Remove(h) },
		"Free": func(a *arena.Arena[enemy], h arena.Handle[enemy]) {
			p, _ := a.Get(h)
			a.Free(p)
		},
		"Reset": func(a *arena.Arena[enemy], _ arena.Handle[enemy]) { a.Reset() },
		"All": func(a *arena.Arena[enemy], h arena.Handle[enemy]) {
			for g := range a.All() {
				if g == h {
					a.Remove(g)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena[enemy](t, nil)
			hs := arena.Must(a.InsertN(make([]enemy, 200), nil))
			h := arena.SetGeneration(a, hs[70], arena.LastGeneration-2)
			p, ok := a.Get(h)
			require.True(t, ok)
			a.Free(p)
			for q := (*enemy)(nil); q != p; { // until it is the slot's turn
				h = arena.Must(a.Insert(enemy{HP: 1}))
				q, _ = a.Get(h)
			}
			p.HP = 9
			require.Equal(t, arena.LastGeneration, generationOf(h), "one life is left")
			require.Zero(t, a.Stats().Retired)
			free(a, h)
			require.Equal(t, 1, a.Stats().Retired)
			require.Equal(t, 1, a.Allocator().Stats().Retired)
			require.NoError(t, a.Allocator().Check())
			for range 1000 {
				q := arena.Must(a.Alloc())
				require.NotEqual(t, p, q)
			}
			n := 0
			for g, q := range a.All() {
				require.NotEqual(t, p, q)
				require.NotEqual(t, h, g)
				n++
			}
			require.Equal(t, a.Len(), n)
			for run := range a.Chunks() {
				n -= len(run)
				require.GreaterOrEqual(t, addressOf(p)-addressOf(&run[0]), unsafe.Sizeof(*p)*uintptr(len(run)))
			}
			require.Zero(t, n)
			for gen := uint64(0); gen < 1<<32; gen += 1<<32/1024 - 1 {
				_, ok := a.Get(arena.HandleFromBits[enemy](gen<<32 | h.Bits()&(1<<32-1)))
				require.False(t, ok)
			}
			misused(t, a.Allocator(), slab.DoubleFree, func() { a.Free(p) })
			misused(t, a.Allocator(), slab.DoubleFree, func() { a.Handle(p) })
			assert.False(t, a.Owns(p))
		})
	}
}

// AllocHandle returns the pointer and the handle of one object, which is zero even where
// another was before.
