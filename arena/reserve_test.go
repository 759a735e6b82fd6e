package arena_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Room that was promised is there.

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

// Reserved room outlasts the objects stored in it, until the next Trim.
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

// More objects than any memory could hold are refused before the source is asked, whatever is
// live already.
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

// The allocator's Reset, too, ends what Reserve keeps.
func TestReserveEndsWithReset(t *testing.T) {
	al, _ := newAllocator(t, new(blocksrc.GoHeap))
	a := newArena[[64]byte](t, al)
	require.NoError(t, a.Reserve(10_000))
	al.Reset()
	var ps []*[64]byte
	for range 10_000 {
		ps = append(ps, arena.Must(a.Alloc()))
	}
	for _, p := range ps {
		a.Free(p)
	}
	assert.LessOrEqual(t, a.Stats().Slabs, 2)
}
