//go:build !tinygo

// Values of 5 kB and more. TinyGo compiles the copy of an array byte by byte, which takes it
// minutes or ends it.

package arena_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Reset also keeps the slab of the object freed last, even if that was its last object.
func TestArenaResetKeepsTheLastSlab(t *testing.T) {
	type big [20_000]byte // two to a slab
	a := newArena[big](t, nil)
	hs := make([]arena.Handle[big], 4)
	for i := range hs { // not InsertN, which reserves
		hs[i] = arena.Must(a.Insert(big{}))
	}
	for _, h := range hs {
		require.True(t, a.Remove(h))
	}
	before := a.Stats()
	require.Equal(t, 4, before.Free)
	a.Reset()
	assert.Equal(t, before, a.Stats())
}

// InsertN must not give up slots that it counted on: here one empty slab is kept, and the slab
// of the slot freed last is about to become empty too.
func TestInsertNKeepsItsReserve(t *testing.T) {
	type big [20_000]byte // two to a slab
	src := &flaky{Source: new(blocksrc.GoHeap)}
	al, err := slab.New(slab.Config{Source: src, Retain: -1})
	require.NoError(t, err)
	a := newArena[big](t, al)
	hs := make([]arena.Handle[big], 6)
	for i := range hs {
		hs[i] = arena.Must(a.Insert(big{}))
	}
	for _, h := range hs {
		require.True(t, a.Remove(h))
	}
	n := a.Stats().Free
	require.NoError(t, a.Reserve(n))
	src.acquires = -1 // every further call fails
	assert.NotPanics(t, func() {
		_, err := a.InsertN(make([]big, n), nil)
		assert.NoError(t, err)
	})
	src.acquires = 0
	require.NoError(t, al.Check())
	require.NoError(t, al.Close())
}

// What is reserved is not given away when others need memory: the next objects are made
// without an error.
func TestReserveSurvivesOthers(t *testing.T) {
	type big [20_000]byte // two to a slab
	al, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 512<<10))
	a, other := newArena[big](t, al), newArena[[1000]byte](t, al)
	hs := make([]arena.Handle[big], 4)
	for i := range hs {
		hs[i] = arena.Must(a.Insert(big{}))
	}
	for _, h := range hs {
		require.True(t, a.Remove(h))
	}
	n := a.Stats().Free
	require.NoError(t, a.Reserve(n))
	var err error
	for err == nil {
		_, err = other.Alloc()
	}
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	for i := range n {
		_, err := a.Insert(big{})
		require.NoError(t, err, "object %d of %d", i, n)
	}
}

// What one arena keeps for its next need goes to another that needs it now.
func TestArenasYieldWhatTheyKeep(t *testing.T) {
	if !slow {
		t.Run("2 bytes", yields[uint16])
	}
	t.Run("24 bytes", yields[enemy])
	t.Run("1000 bytes", yields[[1000]byte])
	t.Run("20000 bytes", yields[[20_000]byte])
}

func yields[T any](t *testing.T) {
	al, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 512<<10))
	a, b := newArena[T](t, al), newArena[[300_000]byte](t, al)
	var hs []arena.Handle[T]
	var zero T
	for {
		h, err := a.Insert(zero)
		if err != nil {
			break
		}
		hs = append(hs, h)
	}
	_, err := b.Alloc()
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	for _, h := range hs {
		require.True(t, a.Remove(h))
	}
	_, err = b.Alloc()
	assert.NoError(t, err, "after %d of %T", len(hs), zero)
}

// Arenas on one allocator share its budget: what one frees, another may have.
func TestArenasShareABudget(t *testing.T) {
	const budget = 512 << 10
	a, src := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), budget))
	b, c, d := newArena[enemy](t, a), newArena[[5000]byte](t, a), newArena[[60_000]byte](t, a)
	fill := func() (n int) {
		for {
			_, err := b.Alloc()
			if err != nil {
				require.ErrorIs(t, err, blocksrc.ErrExhausted)
				return n
			}
			n++
		}
	}
	n := fill()
	assert.Greater(t, n*int(unsafe.Sizeof(enemy{})), budget*2/3)
	var err error
	for err == nil { // what b left
		_, err = c.Alloc()
	}
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Less(t, c.Len(), 20)
	_, err = d.Insert([60_000]byte{})
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	_, err = c.InsertN(make([][5000]byte, 20), nil)
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.ErrorIs(t, d.Reserve(1), blocksrc.ErrExhausted)
	assert.Equal(t, n, b.Len())
	require.NoError(t, a.Check())
	assert.NotZero(t, a.Stats().Failures)
	for h := range b.All() {
		b.Remove(h)
	}
	c.Reset()
	a.Trim()
	for range 4 {
		arena.Must(d.Alloc())
	}
	arena.Must(c.InsertN(make([][5000]byte, 30), nil))
	assert.Less(t, fill(), n)
	assert.LessOrEqual(t, src.Counts().Peak, budget)
	require.NoError(t, b.Close())
	require.NoError(t, c.Close())
	require.NoError(t, d.Close())
	assert.Zero(t, a.Stats().Live)
}

// An error of the source leaves everything as it was, whichever call fails.
func TestArenaUnderFailure(t *testing.T) {
	for k := 1; ; k++ {
		failing := &blocksrctest.Failing{Source: new(soiled), At: k}
		al, _ := newAllocator(t, failing)
		a := newArena[[5000]byte](t, al)
		live := map[arena.Handle[[5000]byte]]byte{}
		refused := 0
		for i := range 120 {
			h, err := a.Insert([5000]byte{byte(i), 4999: byte(i)})
			if err != nil {
				refused++
				require.ErrorIs(t, err, blocksrctest.ErrInjected)
				require.True(t, h.IsZero())
				continue
			}
			live[h] = byte(i)
			if i%3 == 0 {
				for h := range live {
					require.True(t, a.Remove(h))
					delete(live, h)
					break
				}
			}
			if i%40 == 39 {
				al.Trim()
			}
		}
		require.Equal(t, len(live), a.Len())
		for h, v := range live {
			p, ok := a.Get(h)
			require.True(t, ok)
			require.Equal(t, [5000]byte{v, 4999: v}, *p)
		}
		require.LessOrEqual(t, refused, 1)
		require.NoError(t, al.Check())
		require.NoError(t, a.Close())
		if al.Close() != nil { // it is the call that failed
			require.NoError(t, al.Close())
		}
		if failing.Failed() == 0 {
			break
		}
	}
}

// When all slots of a slab are retired, its memory goes back and its handles stay stale.
func TestSlabsRetire(t *testing.T) {
	a := newArena[[20_000]byte](t, nil)
	require.NoError(t, a.Reserve(1))
	slots := a.Stats().Free
	for round := range 3 {
		var hs []arena.Handle[[20_000]byte]
		for range slots {
			h := arena.Must(a.Insert([20_000]byte{}))
			hs = append(hs, arena.SetGeneration(a, h, arena.LastGeneration))
		}
		for h := range a.All() {
			require.Contains(t, hs, h)
			require.True(t, a.Remove(h))
		}
		assert.Zero(t, a.Len())
		assert.Zero(t, a.Stats().Slabs)
		assert.Zero(t, a.Stats().Free)
		assert.Equal(t, (round+1)*slots, a.Stats().Retired)
		require.NoError(t, a.Allocator().Check())
		for _, h := range hs {
			_, ok := a.Get(h)
			require.False(t, ok)
		}
	}
	a.Allocator().Trim()
	assert.Zero(t, a.Allocator().Stats().Held)
}

// A T of more than 128 KiB is not put on Go's heap either, as the compiler does with every variable
// of that size. Only Insert is handed a T.
func TestHugeValuesAreNotOnGoHeap(t *testing.T) {
	t.Run("128 KiB", offHeap[[128 << 10]byte])
	t.Run("one byte more", offHeap[[128<<10 + 1]byte])
	t.Run("3 MiB", offHeap[[3 << 20]byte])
	t.Run("impossible", func(t *testing.T) {
		al, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
		r := arena.Must(arena.NewRegion(al))
		a := arena.Must(arena.New[[256 << 20]byte](al))
		for name, request := range map[string]func() error{
			"Make":               func() error { _, err := arena.Make[[256 << 20]byte](r); return err },
			"MakeSlice":          func() error { _, err := arena.MakeSlice[[256 << 20]byte](r, 1); return err },
			"MakeSlice of many":  func() error { _, err := arena.MakeSlice[[256 << 20]byte](r, 1000); return err },
			"Alloc":              func() error { _, err := a.Alloc(); return err },
			"AllocUninitialized": func() error { _, err := a.AllocUninitialized(); return err },
			"AllocHandle":        func() error { _, _, err := a.AllocHandle(); return err },
			"Reserve":            func() error { return a.Reserve(1) },
		} {
			before := onGoHeap()
			require.Error(t, request(), name)
			require.Less(t, onGoHeap()-before, uint64(1<<20), name)
		}
		require.NoError(t, a.Close())
		require.NoError(t, r.Close())
	})
}

// onGoHeap returns the bytes that have ever been allocated on Go's heap.
func onGoHeap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func offHeap[T any](t *testing.T) {
	al, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 32<<20))})
	require.NoError(t, err)
	a, r := newArena[T](t, al), arena.Must(arena.NewRegion(al))
	vs, hs := make([]T, 1), make([]arena.Handle[T], 0, 1)
	for name, use := range map[string]func(){
		"Alloc":              func() { a.Free(arena.Must(a.Alloc())) },
		"AllocUninitialized": func() { a.Free(arena.Must(a.AllocUninitialized())) },
		"AllocHandle": func() {
			p, h, _ := a.AllocHandle()
			q, _ := a.Get(h)
			require.True(t, p == q && a.Owns(p) && a.Handle(p) == h && a.Remove(h))
		},
		"InsertN": func() { hs = arena.Must(a.InsertN(vs, hs[:0])); a.Remove(hs[0]) },
		"loops": func() {
			a.Free(arena.Must(a.Alloc()))
			for range a.All() { // nothing is live
			}
			for range a.Values() {
			}
			for range a.Chunks() {
			}
		},
		"Reserve": func() { require.NoError(t, a.Reserve(1)) },
		"Make":    func() { arena.Must(arena.Make[T](r)); r.Reset() },
		"MakeSlice": func() {
			arena.Must(arena.MakeSlice[T](r, 0))
			arena.Must(arena.MakeSlice[T](r, 2))
			r.Reset()
		},
	} {
		use() // which makes tables
		before := onGoHeap()
		for range 10 {
			use()
		}
		require.Less(t, onGoHeap()-before, uint64(unsafe.Sizeof(*new(T))), name)
	}
	require.NoError(t, r.Close())
	require.NoError(t, a.Close())
	require.NoError(t, al.Close())
}

func TestHugeShape(t *testing.T) { shape[[100_000]byte](t, "100000") }

func init() { newSides = append(newSides, newSide[[20_000]byte], newSide[[70_000]byte]) }
