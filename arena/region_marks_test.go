package arena_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// Marks of a region, and what Rewind does with them.

func TestRegionMarks(t *testing.T) {
	for seed := range uint64(fewer(60, 6)) {
		s := &scribe{t: t, r: newRegion(t, nil)}
		rng := rand.New(rand.NewPCG(seed, 3))
		type point struct {
			m arena.Mark
			n int
		}
		var marks []point
		for range 200 {
			switch k := rng.IntN(12); {
			case k < 7:
				n := rng.IntN(8) - 4
				if rng.IntN(30) == 0 {
					n = rng.IntN(3000)
				}
				require.NoError(t, kinds[rng.IntN(len(kinds))](s, n))
			case k < 9:
				marks = append(marks, point{s.r.Mark(), len(s.made)})
			case k < 11 && len(marks) > 0: // back by several, as nested calls return
				i := rng.IntN(len(marks))
				s.r.Rewind(marks[i].m)
				s.made = s.made[:marks[i].n]
				marks = marks[:i+1] // it may be rewound to again
			case rng.IntN(8) == 0:
				s.r.Reset()
				s.made, marks = nil, nil
			case rng.IntN(3) == 0:
				s.r.Trim()
			}
			s.verify()
		}
		require.NoError(t, s.r.Close())
	}
}

func TestRegionBadMarks(t *testing.T) {
	a, _ := newAllocator(t, nil)
	r, other := newRegion(t, a), newRegion(t, a)
	badMark(t, r, arena.Mark{})
	start := r.Mark()
	arena.Must(arena.Make[[100]byte](r))
	first := r.Mark()
	arena.Must(arena.Make[[100]byte](r))
	second := r.Mark()
	arena.Must(arena.MakeSlice[byte](r, 10_000))
	third := r.Mark()

	badMark(t, other, start)
	badMark(t, other, first)
	badMark(t, r, other.Mark())
	arena.Must(arena.Make[[100]byte](other))
	badMark(t, r, other.Mark())

	r.Rewind(third)
	r.Rewind(second)
	badMark(t, r, third)
	r.Rewind(second)
	r.Rewind(first)
	badMark(t, r, second)
	r.Rewind(start)
	badMark(t, r, first)
	r.Rewind(start)
	arena.Must(arena.MakeSlice[byte](r, 20_000))
	r.Reset()
	badMark(t, r, third)
	badMark(t, r, first)
	require.NoError(t, a.Check())
	require.NoError(t, r.Close())
	require.NoError(t, other.Close())
}

// A mark that the region was rewound below is not in its past, even if the region has got as
// far again since.
func TestRegionRewoundMark(t *testing.T) {
	r := newRegion(t, nil)
	start := r.Mark()
	arena.Must(arena.Make[[500]byte](r))
	m := r.Mark()
	r.Rewind(start)
	arena.Must(arena.Make[[1000]byte](r)) // the mark would be in its middle
	badMark(t, r, m)
	require.NoError(t, r.Close())

	r = newRegion(t, nil)
	arena.Must(arena.Make[[500]byte](r))
	m = r.Mark()
	r.Reset()
	arena.Must(arena.Make[[1000]byte](r))
	badMark(t, r, m)
	require.NoError(t, r.Close())
}

// No mark may lead to values outside the region's memory: a mark near the end of a large
// chunk must not be taken for one in the small chunk that is now in its place.
func TestRegionRewoundMarkOfAnotherChunk(t *testing.T) {
	a, _ := newAllocator(t, nil)
	r := newRegion(t, a)
	start := r.Mark()
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 100_000)) // the third chunk
	m := r.Mark()
	r.Rewind(start)
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 6000)) // too large for the second: it becomes the third
	for range 110 {
		arena.Must(arena.MakeSlice[byte](r, 1000))
	}
	badMark(t, r, m)
	require.NoError(t, r.Close())
}

// Rewinding to the same places again and again leaves nothing behind.
func TestRegionRewindsRememberLittle(t *testing.T) {
	r := newRegion(t, nil)
	start := r.Mark()
	arena.Must(arena.Make[[100]byte](r))
	m := r.Mark()
	for range 1000 {
		arena.Must(arena.Make[[100]byte](r))
		r.Rewind(m)
		arena.Must(arena.MakeSlice[byte](r, 10_000))
		inner := r.Mark()
		arena.Must(arena.Make[[100]byte](r))
		r.Rewind(inner)
		r.Rewind(m)
		require.LessOrEqual(t, r.Lows(), 2)
	}
	r.Rewind(start)
	assert.LessOrEqual(t, r.Lows(), 1)
	badMark(t, r, m)
	for range 1000 {
		arena.Must(arena.Make[[100]byte](r))
		r.Reset()
		require.LessOrEqual(t, r.Lows(), 1)
	}
	require.NoError(t, r.Close())
}

// TestZeroRegionMark asserts that a region that was never made refuses its own mark.
func TestZeroRegionMark(t *testing.T) {
	var r arena.Region
	m := r.Mark()
	require.Panics(t, func() { r.Rewind(m) })
}

// A Reset keeps no large record of rewinds, and otherwise makes no garbage.
func TestRegionResetKeepsASmallRecord(t *testing.T) {
	r := newRegion(t, nil)
	for range 2000 {
		arena.Must(arena.Make[byte](r))
		r.Rewind(r.Mark())
	}
	require.Greater(t, r.LowsCap(), 1000)
	r.Reset()
	assert.Less(t, r.LowsCap(), 1000)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		arena.Must(arena.Make[byte](r))
		r.Reset()
	}))
	require.NoError(t, r.Close())
}
