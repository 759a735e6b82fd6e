package slab_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// furnished returns an allocator and a pool that have one of everything that a
// Corruption may break.
func furnished(t *testing.T) (*model, *slab.Pool) {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 32 << 10}, src, src)
	get := func(n, size int) (from int) {
		from = len(m.live)
		for range n {
			require.True(t, m.alloc(size, 0, true))
		}
		return from
	}
	drop := func(from, n int) {
		for range n {
			m.free(from, false)
		}
	}
	get(1, 100_000)
	from := get(240, 1100)
	for i := range 60 { // holes of one chunk and of three
		m.free(from+i, false)
		if i%2 == 0 {
			m.free(from+i, false)
			m.free(from+i, false)
		}
	}
	get(50, 100)
	get(8, 1000)              // a full slab
	drop(get(20, 300), 18)    // few live slots in several slabs
	drop(get(1000, 500), 999) // slabs that have gone
	drop(get(100, 700), 100)  // a slab that is kept back

	require.True(t, m.newPool(24, 8))
	p := m.pools[0]
	for range 2000 {
		require.True(t, m.take(p, 2))
	}
	for len(p.live) > 250 { // slabs that have gone, and one that is kept back
		m.give(p, len(p.live)-1, true)
	}
	for range 2 { // the second opens a group of a word
		require.True(t, m.take(p, 2))
	}
	for i := range 60 {
		m.give(p, i, i%2 == 0)
	}
	require.True(t, m.newPool(20_000, 8)) // a slab that has whole rows of the address map
	require.True(t, m.take(m.pools[1], 1))
	drop(get(60, 5000), 60) // a block that is kept back
	require.NotZero(t, m.a.Stats().EmptyBytes)
	m.check()
	return m, p.Pool
}

// TestCheckFinds: Check finds each thing that can be wrong, and reports nothing where
// nothing is wrong.
func TestCheckFinds(t *testing.T) {
	m, p := furnished(t)
	n := 0
	for invariant, corruptions := range slab.Corruptions {
		for _, c := range corruptions {
			t.Run(invariant+"/"+c.Name, func(t *testing.T) {
				n++
				undo := c.Apply(m.a, p)
				var err error
				if !assert.NotPanics(t, func() { err = m.a.Check() }) {
					err = fmt.Errorf("panic")
				}
				undo()
				require.Error(t, err)
				assert.Regexp(t, "^slab: check: ", err.Error())
				require.NoError(t, m.a.Check(), "after it was undone")
			})
		}
	}
	t.Logf("%d corruptions", n)
	m.finish()
}

// TestCheckOfNothing: a new allocator passes Check, and so does a closed one.
func TestCheckOfNothing(t *testing.T) {
	a, err := slab.New(slab.Config{})
	require.NoError(t, err)
	require.NoError(t, a.Check())
	_, err = a.Alloc(1, 0)
	require.NoError(t, err)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
	require.NoError(t, a.Check())
}
