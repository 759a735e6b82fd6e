package arena_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// Trim gives back what is not in use, even if that is all of the region, and nothing else.
func TestRegionTrim(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	s := &scribe{t: t, r: newRegion(t, a)}
	assert.Equal(t, a, s.r.Allocator())
	s.r.Trim()
	require.NoError(t, scribble[byte](s, 1000))
	held, m := s.r.Held(), s.r.Mark()
	for range 3 {
		for _, n := range []int{10_000, 3 << 20, 10} {
			require.NoError(t, scribble[byte](s, n))
		}
		most := s.r.Held()
		s.r.Trim()
		assert.Equal(t, most, s.r.Held(), "all is in use")
		s.r.Rewind(m)
		s.made = s.made[:1]
		assert.Equal(t, most, s.r.Held())
		s.r.Trim()
		assert.Equal(t, held, s.r.Held())
		assert.Equal(t, held, a.Stats().Live)
		s.verify()
		require.NoError(t, a.Check())
	}
	require.NoError(t, scribble[byte](s, 100))
	s.verify()
	s.r.Reset()
	s.made = nil
	s.r.Trim()
	assert.Zero(t, s.r.Held())
	assert.Zero(t, a.Stats().Live)
	for range 10 {
		require.NoError(t, scribble[uint64](s, 1000))
	}
	s.verify()
	require.NoError(t, s.r.Close())
	s.r.Trim()
	assert.Zero(t, a.Stats().Live)
	require.NoError(t, a.Check())

	own, err := arena.NewRegion(nil)
	require.NoError(t, err)
	arena.Must(arena.Make[int](own))
	assert.Equal(t, own.Held(), own.Allocator().Stats().Live)
	require.NoError(t, own.Close())
}
