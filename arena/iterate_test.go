package arena_test

import (
	"iter"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

func TestAll(t *testing.T) { testAll(t, false) }

func TestValues(t *testing.T) { testAll(t, true) }

func testAll(t *testing.T, values bool) {
	for _, n := range herdSizes {
		h := newHerd(t, n)
		h.values = values
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

// Values and Chunks make no handles: a slot that was freed without one is as good as new.
func TestValuesMakesNoHandles(t *testing.T) {
	for name, loop := range map[string]func(a *arena.Arena[cell]){
		"All": func(a *arena.Arena[cell]) {
			for range a.All() {
			}
		},
		"Values": func(a *arena.Arena[cell]) {
			for range a.Values() {
			}
		},
		"Chunks": func(a *arena.Arena[cell]) {
			for range a.Chunks() {
			}
		},
	} {
		a := newArena[cell](t, nil)
		p, fresh := arena.Must(a.Alloc()), arena.Must(a.Alloc())
		loop(a)
		a.Free(p)
		again := arena.Must(a.Alloc())
		require.Same(t, p, again)
		had := a.Handle(again).Bits()>>32 != a.Handle(fresh).Bits()>>32
		assert.Equal(t, name == "All", had, name)
	}
}

// All visits the objects in the order in which they lie in memory, slab by slab.
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

func TestAllRemoving(t *testing.T) { testRemoving(t, false) }

func TestValuesRemoving(t *testing.T) { testRemoving(t, true) }

func testRemoving(t *testing.T, values bool) {
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
				h.values = values
				h.walk(body(h))
			}
		})
	}
}

// TestAllInsertingAfterAPeak asserts that a loop does not visit slabs that it makes itself at
// the places of earlier ones.
func TestAllInsertingAfterAPeak(t *testing.T) {
	a := newArena[[64]byte](t, nil)
	for range 100 {
		arena.Must(a.Insert([64]byte{}))
	}
	for _, h := range arena.Must(a.InsertN(make([][64]byte, 1<<16), nil)) {
		a.Remove(h)
	}
	a.Allocator().Trim()
	s, visits := a.Stats(), 0
	for range a.All() {
		if visits++; visits > s.Live+s.Free {
			t.Fatal("it goes on and on")
		}
		arena.Must(a.Insert([64]byte{}))
		arena.Must(a.Insert([64]byte{}))
	}
	require.GreaterOrEqual(t, visits, 100)
}

// New objects may be visited or not, but a loop that makes one for each visit ends all the
// same, as a loop over particles that spawn particles must.
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

// One sequence serves any number of loops, each over what is live when it runs.
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

	// The inner loop removes what the outer one is about to visit, including whole slabs.
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

func TestMakingOnlyWhileIterating(t *testing.T) {
	for _, loop := range loops {
		a := newArena[uint64](t, nil)
		var hs []arena.Handle[uint64]
		for range 256 {
			hs = append(hs, arena.Must(a.Insert(1)))
		}
		for _, h := range hs[192:] { // a whole word ahead
			a.Remove(h)
		}
		made := false
		loop(a, func(p *uint64) {
			require.True(t, a.Owns(p))
			if !made {
				made = true
				arena.Must(a.Insert(1))
			}
		})
		require.NoError(t, a.Allocator().Check())
	}
}
