package arena_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// cell is of a size that gives slabs of few slots and of many.
type cell struct {
	ID  int
	pad [120]byte
}

var _ = cell{}.pad

// herd is an arena with n cells and what is known about them.
type herd struct {
	t    testing.TB
	a    *arena.Arena[cell]
	live map[arena.Handle[cell]]*cell
	next int
}

func newHerd(t testing.TB, n int) *herd {
	h := &herd{t: t, a: newArena[cell](t, nil), live: map[arena.Handle[cell]]*cell{}}
	for range n {
		h.add()
	}
	return h
}

func (h *herd) add() arena.Handle[cell] {
	c := arena.Must(h.a.Insert(cell{ID: h.next}))
	h.next++
	h.live[c], _ = h.a.Get(c)
	return c
}

func (h *herd) remove(c arena.Handle[cell]) {
	require.True(h.t, h.a.Remove(c))
	delete(h.live, c)
}

// any returns some handle; which one is up to chance.
func (h *herd) any() arena.Handle[cell] {
	for c := range h.live {
		return c
	}
	return arena.Handle[cell]{}
}

// walk calls body for each object, and asserts that all that it visits is live,
// where it was, in order and not twice, and that it visits what lives all along.
func (h *herd) walk(body func(n int, c arena.Handle[cell]) bool) {
	h.t.Helper()
	missed := map[arena.Handle[cell]]bool{}
	for c := range h.live {
		missed[c] = true
	}
	n, last := 0, int64(-1)
	stopped := false
	for c, p := range h.a.All() {
		if stopped {
			h.t.Fatal("the loop was left")
		}
		if h.live[c] == nil || h.live[c] != p || h.a.Handle(p) != c {
			h.t.Fatalf("visit %d: %x at %p is not live, or is at %p", n, c.Bits(), p, h.live[c])
		}
		at := int64(c.Bits() & (1<<32 - 1))
		if at <= last {
			h.t.Fatalf("visit %d: slot %x after %x", n, at, last)
		}
		last = at
		delete(missed, c)
		if !body(n, c) {
			stopped = true
			break
		}
		n++
		if n > 100_000 {
			h.t.Fatal("the loop does not end")
		}
	}
	if !stopped {
		for c := range missed {
			require.Nil(h.t, h.live[c], "missed")
		}
	}
	require.Equal(h.t, len(h.live), h.a.Len())
	require.NoError(h.t, h.a.Allocator().Check())
}

var herdSizes = []int{0, 1, 31, 32, 33, 64, 65, 200, 1000}

func TestAll(t *testing.T) {
	for _, n := range herdSizes {
		h := newHerd(t, n)
		visited := 0
		h.walk(func(int, arena.Handle[cell]) bool { visited++; return true })
		require.Equal(t, n, visited)

		// Gaps of all lengths.
		for i := 0; i < n; i++ {
			if i%11 > 6 || i%64 == 63 {
				h.remove(h.any())
			}
		}
		visited = 0
		h.walk(func(int, arena.Handle[cell]) bool { visited++; return true })
		require.Equal(t, len(h.live), visited)
	}
}

// Objects lie in memory in the order of the visit, slab by slab.
func TestAllIsInMemoryOrder(t *testing.T) {
	h := newHerd(t, 3000)
	for range 1000 {
		h.remove(h.any())
	}
	var back, n int
	var last uintptr
	for _, p := range h.a.All() {
		if addressOf(p) <= last {
			back++
		}
		last = addressOf(p)
		n++
	}
	assert.Equal(t, 2000, n)
	assert.Less(t, back, h.a.Stats().Slabs)
}

func TestAllRemoving(t *testing.T) {
	bodies := map[string]func(h *herd) func(n int, c arena.Handle[cell]) bool{
		"current": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(_ int, c arena.Handle[cell]) bool { h.remove(c); return true }
		},
		"every third": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(n int, c arena.Handle[cell]) bool {
				if n%3 == 0 {
					h.remove(c)
				}
				return true
			}
		},
		"any": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool { h.remove(h.any()); return true }
		},
		"the one before": func(h *herd) func(int, arena.Handle[cell]) bool {
			var last arena.Handle[cell]
			return func(n int, c arena.Handle[cell]) bool {
				if n > 0 {
					h.remove(last)
				}
				last = c
				return true
			}
		},
		"the neighbour in memory": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(_ int, c arena.Handle[cell]) bool {
				next := (*cell)(unsafe.Add(unsafe.Pointer(h.live[c]), unsafe.Sizeof(cell{})))
				if h.a.Owns(next) {
					h.remove(h.a.Handle(next))
				}
				return true
			}
		},
		"all at once": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool {
				for c := range h.live {
					h.remove(c)
				}
				return true
			}
		},
		"all but the current": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(_ int, keep arena.Handle[cell]) bool {
				for c := range h.live {
					if c != keep {
						h.remove(c)
					}
				}
				return true
			}
		},
		"all, and the slabs too": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(n int, _ arena.Handle[cell]) bool {
				if n < 100 {
					return true
				}
				for c := range h.live {
					h.remove(c)
				}
				h.a.Allocator().Trim()
				return true
			}
		},
		"current, and make one": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(_ int, c arena.Handle[cell]) bool { h.remove(c); h.add(); return true }
		},
		"any, and make one": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool { h.remove(h.any()); h.add(); return true }
		},
		"Arena.Reset": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool { h.a.Reset(); clear(h.live); return true }
		},
		"Allocator.Reset": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool { h.a.Allocator().Reset(); clear(h.live); return true }
		},
		"all, and anew elsewhere": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(n int, _ arena.Handle[cell]) bool {
				if n%50 != 20 || n > 500 {
					return true
				}
				for c := range h.live {
					h.remove(c)
				}
				h.a.Allocator().Trim()
				arena.Must(h.a.Allocator().AllocUninitialized(4096, 8))
				for range 200 {
					h.add()
				}
				return true
			}
		},
		"Allocator.Reset, and anew elsewhere": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(n int, _ arena.Handle[cell]) bool {
				if n%50 != 20 || n > 500 {
					return true
				}
				h.a.Allocator().Reset()
				clear(h.live)
				arena.Must(h.a.Allocator().AllocUninitialized(4096, 8))
				for range 200 {
					h.add()
				}
				return true
			}
		},
		"Close": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool {
				clear(h.live)
				return assert.NoError(h.t, h.a.Close())
			}
		},
		"Allocator.Close": func(h *herd) func(int, arena.Handle[cell]) bool {
			return func(int, arena.Handle[cell]) bool {
				clear(h.live)
				return assert.NoError(h.t, h.a.Allocator().Close())
			}
		},
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			for _, n := range herdSizes {
				if n > 200 {
					n = fewer(n, 200)
				}
				h := newHerd(t, n)
				h.walk(body(h))
			}
		})
	}
}

// New objects may be visited or not, but a loop that makes one for each visit
// ends all the same: a loop over particles that spawn particles must.
func TestAllInserting(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 64, 65, 200} {
		for _, more := range []int{1, 3} {
			h := newHerd(t, n)
			visits := 0
			for range h.a.All() {
				for range more {
					h.add()
				}
				if visits++; visits > 20*n {
					t.Fatalf("%d objects, %d new for each visit: no end after %d visits", n, more, visits)
				}
			}
			require.GreaterOrEqual(t, visits, n)
			h.walk(func(int, arena.Handle[cell]) bool { return true })
		}
		h := newHerd(t, n)
		visits := 0
		for run := range h.a.Chunks() {
			for range run {
				h.add()
			}
			if visits += len(run); visits > 20*n {
				t.Fatalf("%d objects, as many new as in each run: no end after %d", n, visits)
			}
		}
		h.walk(func(int, arena.Handle[cell]) bool { return true })
	}
}

func TestAllBreak(t *testing.T) {
	h := newHerd(t, 200)
	for stop := range 200 {
		n := 0
		h.walk(func(k int, _ arena.Handle[cell]) bool { n++; return k < stop })
		require.Equal(t, stop+1, n)
	}
	for run := range h.a.Chunks() {
		require.NotEmpty(t, run)
		break
	}
	next, stop := iter.Pull2(h.a.All())
	_, p, ok := next()
	require.True(t, ok)
	h.remove(h.a.Handle(p))
	stop()
	h.walk(func(int, arena.Handle[cell]) bool { return true })
}

// One sequence serves any number of loops, each over what is live then.
func TestAllAgain(t *testing.T) {
	h := newHerd(t, 0)
	all, chunks := h.a.All(), h.a.Chunks()
	for n := range 100 {
		seen := 0
		for range all {
			seen++
		}
		for run := range chunks {
			seen += len(run)
		}
		require.Equal(t, 2*n, seen)
		h.add()
	}
}

func TestAllNested(t *testing.T) {
	n := fewer(70, 40)
	h := newHerd(t, n)
	pairs := 0
	for c := range h.a.All() {
		for d := range h.a.All() {
			pairs++
			require.NotNil(t, h.live[d])
		}
		for run := range h.a.Chunks() {
			pairs += len(run)
		}
		require.NotNil(t, h.live[c])
	}
	assert.Equal(t, 2*n*n, pairs)

	// The inner loop removes what the outer one is about to visit, slabs included.
	h = newHerd(t, 300)
	visits := 0
	h.walk(func(n int, c arena.Handle[cell]) bool {
		visits++
		k := 0
		for d := range h.a.All() {
			if k++; d != c && k%2 == n%2 {
				h.remove(d)
			}
		}
		h.a.Allocator().Trim()
		return true
	})
	assert.Less(t, visits, 30)
}

// Random programs in the body, on several arenas of one allocator.
func TestAllRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range fewer(300, 30) {
		h := newHerd(t, rng.IntN(300))
		other := newArena[[700]byte](t, h.a.Allocator())
		odds, adds := 1+rng.IntN(10), 1000
		h.walk(func(int, arena.Handle[cell]) bool {
			if rng.IntN(odds) > 0 {
				return true
			}
			for range rng.IntN(6) {
				switch rng.IntN(7) {
				case 0, 1, 2:
					if len(h.live) > 0 {
						h.remove(h.any())
					}
				case 3:
					if adds--; adds > 0 {
						h.add()
					}
				case 4:
					for range rng.IntN(60) {
						if len(h.live) > 0 {
							h.remove(h.any())
						}
					}
				case 5:
					h.a.Allocator().Trim()
				default:
					if rng.IntN(2) == 0 {
						other.Reset()
					} else {
						arena.Must(other.InsertN(make([][700]byte, rng.IntN(9)), nil))
					}
				}
			}
			return true
		})
	}
}

// runsOf asserts that Chunks shows the live objects as the longest runs there
// are, each in one slab.
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
		n = min(n, fewer(n, 300))
		h := newHerd(t, n)
		runsOf(t, h)
		for range n / 3 {
			h.remove(h.any()) // the first is the group: dead, but not in the slab's books
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

// Every pattern of live and dead about the edges of the bitmap's words.
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
			if first > 0 { // the dead at the start end no run
				wantRuns--
			}
			require.Equal(t, wantRuns, runs, "dead: %v", dead)
			for _, i := range dead {
				hs[i] = arena.Must(a.Insert(0))
			}
			// Slots are taken lowest first, or the one freed last first; put the
			// handles where they belong.
			slices.SortFunc(hs, func(x, y arena.Handle[uint64]) int { return int(uint32(x.Bits())) - int(uint32(y.Bits())) })
		}
	}
}

// The loop over runs may free what it likes too.
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

// Writing through what the loops show is writing to the objects.
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
