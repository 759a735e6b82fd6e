package arena_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// runsOf asserts that Chunks shows the live objects as the longest possible runs, each in one
// slab.
func runsOf(t testing.TB, h *herd) {
	t.Helper()
	var all, inRuns []uintptr
	var places []uint32
	for c, p := range h.a.All() {
		all = append(all, addressOf(p))
		places = append(places, uint32(c.Bits())>>12)
	}
	var starts []int
	for run := range h.a.Chunks() {
		require.NotEmpty(t, run)
		require.Equal(t, len(run), cap(run))
		starts = append(starts, len(inRuns))
		for i := range run {
			inRuns = append(inRuns, addressOf(&run[i]))
		}
	}
	require.Equal(t, all, inRuns)
	for i := 1; i < len(all); i++ {
		joined := places[i] == places[i-1] && all[i]-all[i-1] == unsafe.Sizeof(cell{})
		_, starts := slices.BinarySearch(starts, i)
		require.Equal(t, !joined, starts, "object %d of %d", i, len(all))
	}
}

func TestChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, n := range append(herdSizes, 128, 129, 500, 2000) {
		n = min(n, fewer(n, 700))
		h := newHerd(t, n)
		runsOf(t, h)
		for range n / 3 {
			h.remove(h.any()) // the first is the group: dead, but still taken in the bitmap
			if rng.IntN(max(n/30, 1)) == 0 {
				runsOf(t, h)
			}
		}
		runsOf(t, h)
		for len(h.live) > 0 {
			h.remove(h.any())
			if rng.IntN(max(n/30, 1)) == 0 {
				runsOf(t, h)
			}
		}
		runsOf(t, h)
	}
}

// Every pattern of live and dead around the edges of the bitmap's words.
func TestChunksAtWordEdges(t *testing.T) {
	a := newArena[uint64](t, nil) // 512 slots in the first slab
	hs := arena.Must(a.InsertN(make([]uint64, 512), nil))
	for _, edge := range []int{0, 64, 128, 448, 512} {
		for m := range 64 {
			var dead []int
			for bit := range 6 {
				if i := edge - 3 + bit; m>>bit&1 != 0 && i >= 0 && i < 512 {
					dead = append(dead, i)
				}
			}
			for _, i := range dead {
				require.True(t, a.Remove(hs[i]))
			}
			want := slices.Clone(dead)
			want = slices.DeleteFunc(want, func(i int) bool { return i == 511 || slices.Contains(dead, i+1) })
			runs, n := 0, 0
			for run := range a.Chunks() {
				runs++
				n += len(run)
			}
			require.Equal(t, 512-len(dead), n)
			first := 0
			for first < len(dead) && dead[first] == first {
				first++
			}
			wantRuns := len(want) + 1
			if first > 0 { // dead slots at the start end no run
				wantRuns--
			}
			require.Equal(t, wantRuns, runs, "dead: %v", dead)
			for _, i := range dead {
				hs[i] = arena.Must(a.Insert(0))
			}
			// Slots are handed out lowest first, or the one freed last first: restore the
			// order of the handles.
			slices.SortFunc(hs, func(x, y arena.Handle[uint64]) int { return int(uint32(x.Bits())) - int(uint32(y.Bits())) })
		}
	}
}

// The loop over runs, too, may free any object.
func TestChunksRemoving(t *testing.T) {
	for _, n := range herdSizes {
		for _, stride := range []int{1, 2, 7, 1000} {
			h := newHerd(t, n)
			seen := map[*cell]bool{}
			for run := range h.a.Chunks() {
				for i := range run {
					require.True(t, h.a.Owns(&run[i]), "what is dead when its turn comes is not shown")
					require.False(t, seen[&run[i]], "shown twice")
					seen[&run[i]] = true
				}
				for i := 0; i < len(run); i += stride {
					h.remove(h.a.Handle(&run[i]))
					if len(h.live) > 0 && i%3 == 0 {
						if c := h.any(); h.live[c] == nil || addressOf(h.live[c])-addressOf(&run[0]) >= uintptr(len(run))*unsafe.Sizeof(cell{}) {
							h.remove(c)
						}
					}
				}
				if n%2 == 0 {
					h.a.Allocator().Trim()
				}
			}
			for c, p := range h.live {
				require.True(t, seen[p], "%x was missed", c.Bits())
			}
			h.walk(func(int, arena.Handle[cell]) bool { return true })
		}
	}
	for name, end := range map[string]func(h *herd){
		"Reset":           func(h *herd) { h.a.Reset() },
		"Allocator.Reset": func(h *herd) { h.a.Allocator().Reset() },
		"Close":           func(h *herd) { assert.NoError(t, h.a.Close()) },
		"Allocator.Close": func(h *herd) { assert.NoError(t, h.a.Allocator().Close()) },
	} {
		h := newHerd(t, 300)
		runs := 0
		for range h.a.Chunks() {
			end(h)
			runs++
		}
		assert.Equal(t, 1, runs, name)
		assert.Zero(t, h.a.Len())
	}
}

// The loop may free all objects, give their memory back and make others at the same places:
// the next slice is of those. No object here ever had a handle.
func TestChunksOfWhatCameInstead(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20))})
	require.NoError(t, err)
	cells, err := arena.New[cell](a)
	require.NoError(t, err)
	require.NoError(t, cells.Reserve(2000))
	var live []*cell
	for range 2000 {
		live = append(live, arena.Must(cells.Alloc()))
	}
	cells.Free(live[70]) // so that the first slice is short
	live = slices.Delete(live, 70, 71)
	first := true
	for run := range cells.Chunks() {
		for i := range run {
			require.True(t, cells.Owns(&run[i]))
		}
		if first {
			for _, p := range live {
				cells.Free(p)
			}
			a.Trim()
			arena.Must(cells.Alloc())
		}
		first = false
	}
	require.NoError(t, a.Close())
}

// Writing through what the loops show writes to the objects.
func TestIterationShowsTheObjects(t *testing.T) {
	h := newHerd(t, 100)
	for _, p := range h.a.All() {
		p.ID *= 2
	}
	for run := range h.a.Chunks() {
		for i := range run {
			run[i].ID++
		}
	}
	ids := map[int]bool{}
	for _, p := range h.live {
		ids[p.ID] = true
	}
	for id := range 100 {
		require.True(t, ids[2*id+1])
	}
}
