package arena_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

type (
	empty   struct{}
	hollow  struct{ _ [0]uint64 } // no size, but an alignment
	triple  [3]byte
	padded  struct{ A, B, C uint32 }
	wide    struct{ A, B uint64 }
	uneven  [257]byte
	page    [512]uint64 // and not of bytes: TinyGo compiles a copy element by element, which takes it minutes
	mixture struct {
		A uint8
		B uint64
		C uint16
	}
)

// An arena works for a type of any size and alignment, on memory that is zero and on memory
// that is not.
func TestShapes(t *testing.T) {
	shape[empty](t, "empty")
	shape[hollow](t, "hollow")
	shape[byte](t, "1")
	shape[uint16](t, "2")
	shape[triple](t, "3")
	shape[uint32](t, "4")
	shape[uint64](t, "8")
	shape[padded](t, "12")
	shape[wide](t, "16")
	shape[mixture](t, "mixture")
	shape[[64]byte](t, "64")
	shape[[31]uint64](t, "248") // the largest that is cleared as a value
	shape[[255]byte](t, "255")
	shape[[256]byte](t, "256")
	shape[uneven](t, "257")
	shape[[100]uint64](t, "800")
	shape[page](t, "4096")
}

func shape[T comparable](t *testing.T, name string) {
	for _, src := range sources {
		t.Run(name+"/"+src.name, func(t *testing.T) {
			al, _ := newAllocator(t, src.make())
			testShape(t, newArena[T](t, al))
		})
	}
}

// shapeObject is not local to testShape: TinyGo takes the local types of all instances of a
// generic function for one type.
type shapeObject[T any] struct {
	p *T
	h arena.Handle[T]
	v T
}

func testShape[T comparable](t *testing.T, a *arena.Arena[T]) {
	var zero T
	size, align := unsafe.Sizeof(zero), unsafe.Alignof(zero)
	n := min(fewer(800, 70), max(12, 1<<20/int(max(size, 1))))
	if size > 1<<16 {
		n = min(n, 12)
	}
	// value returns the i-th value, with all of its bytes set.
	value := func(i int) (v T) {
		for k, b := 0, bytesOf(&v); k < len(b); k++ {
			b[k] = byte(i*7+k)%251 + 1
		}
		return v
	}
	var live []shapeObject[T]
	var spent []arena.Handle[T]
	i := 0
	add := func() {
		v := value(i)
		i++
		switch i % 4 {
		case 0:
			p := arena.Must(a.AllocUninitialized())
			*p = v
			live = append(live, shapeObject[T]{p, a.Handle(p), v})
		case 1:
			p := arena.Must(a.Alloc())
			require.Equal(t, zero, *p)
			if size >= 256 {
				require.True(t, slices.Max(bytesOf(p)) == 0, "padding is cleared too")
			}
			*p = v
			live = append(live, shapeObject[T]{p, a.Handle(p), v})
		case 2:
			h := arena.Must(a.Insert(v))
			p, ok := a.Get(h)
			require.True(t, ok)
			require.Equal(t, h, a.Handle(p))
			live = append(live, shapeObject[T]{p, h, v})
		default:
			hs := arena.Must(a.InsertN([]T{v, v}, nil))
			for _, h := range hs {
				p, ok := a.Get(h)
				require.True(t, ok)
				live = append(live, shapeObject[T]{p, h, v})
			}
		}
	}
	remove := func(k int, pointer bool) {
		o := live[k]
		// What is left in the slot must not show in the next object.
		for i, b := 0, bytesOf(o.p); i < len(b); i++ {
			b[i] = 0xFF
		}
		if pointer {
			a.Free(o.p)
		} else {
			require.True(t, a.Remove(o.h))
		}
		spent = append(spent, o.h)
		live = slices.Delete(live, k, k+1)
	}
	verify := func() {
		t.Helper()
		at := make([]uintptr, len(live))
		for k, o := range live {
			at[k] = addressOf(o.p)
			p, ok := a.Get(o.h)
			if !ok || p != o.p || *p != o.v || !a.Owns(p) || a.Handle(p) != o.h || addressOf(p)%align != 0 {
				t.Fatalf("object %d, %x, is not what it was", k, o.h.Bits())
			}
		}
		slices.Sort(at)
		for k := range len(at) - 1 {
			require.GreaterOrEqual(t, at[k+1]-at[k], max(size, 1))
		}
		for _, h := range spent {
			if _, ok := a.Get(h); ok || a.Remove(h) {
				t.Fatalf("%x is spent", h.Bits())
			}
		}
		require.Equal(t, len(live), a.Len())
		seen := 0
		for h, p := range a.All() {
			q, ok := a.Get(h)
			require.True(t, ok)
			require.Equal(t, addressOf(q), addressOf(p))
			seen++
		}
		require.Equal(t, len(live), seen)
		for run := range a.Chunks() {
			seen -= len(run)
			for k := range run {
				require.True(t, size == 0 || a.Owns(&run[k]))
			}
		}
		require.Zero(t, seen)
		require.NoError(t, a.Allocator().Check())
	}
	for len(live) < n {
		add()
	}
	verify()
	for k := 0; k < len(live); k += 1 + k%2 {
		remove(k, k%2 == 0)
	}
	verify()
	for len(live) < n {
		add()
		if len(live)%5 == 0 {
			remove(len(live)/2, len(live)%2 == 0)
		}
	}
	verify()
	for _, o := range live {
		spent = append(spent, o.h)
	}
	live = nil
	a.Reset()
	verify()
	a.Allocator().Trim()
	for len(live) < n/2 {
		add()
	}
	verify()
	for _, o := range live {
		spent = append(spent, o.h)
	}
	live = nil
	a.Allocator().Reset()
	verify()
	for len(live) < n/2 {
		add()
	}
	verify()
	require.NoError(t, a.Close())
	require.Zero(t, a.Allocator().Stats().Live)
}

// 64-bit atomics are aligned to 8, on 32-bit systems too.
func TestAtomicsAreAligned(t *testing.T) {
	type counter struct {
		_ uint32
		N atomic.Int64
	}
	a := newArena[counter](t, nil)
	for range 100 {
		p := arena.Must(a.Alloc())
		require.Zero(t, addressOf(&p.N)%8)
		p.N.Add(1)
	}
	r, err := arena.NewRegion(a.Allocator())
	require.NoError(t, err)
	for range 100 {
		arena.Must(arena.Make[byte](r))
		p := arena.Must(arena.Make[counter](r))
		require.Zero(t, addressOf(&p.N)%8)
		p.N.Add(1)
	}
	assert.NoError(t, r.Close())
}
