//go:build slabcheck

package slab_test

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// The worst case of an operation, counted in records that are visited. It is
// the same whether there are a thousand chunks or a million (W20, S12, B21).

func chunkCounts() []uint32 {
	if testing.Short() {
		return []uint32{1_000, 100_000}
	}
	return []uint32{1_000, 1_000_000}
}

// indexCases are the steps of which one is the worst. Each prepares an index for about n
// chunks, which have so many granules on average, and returns the step.
var indexCases = []struct {
	name     string
	granules uint32
	step     func(t *testing.T, x *slab.Index, n uint32) (step func())
}{
	{"a small chunk of one huge hole", 1, func(_ *testing.T, x *slab.Index, _ uint32) func() {
		return func() { x.Alloc(1, 1) }
	}},
	{"a hole of that size", 5, func(_ *testing.T, x *slab.Index, n uint32) func() {
		_, a := pinned(x, n, func(uint32) uint32 { return 9 })
		freeEach(x, a)
		return func() { x.Alloc(9, 1) }
	}},
	{"a bin of holes that are all too small", 129, func(t *testing.T, x *slab.Index, n uint32) func() {
		_, a := pinned(x, n, func(uint32) uint32 { return 256 })
		freeEach(x, a)
		return func() { require.NotZero(t, x.Alloc(263, 1)) }
	}},
	{"a bin of holes that are all misaligned", 129, func(t *testing.T, x *slab.Index, n uint32) func() {
		_, a := pinned(x, n, func(uint32) uint32 { return 256 })
		freeEach(x, a)
		return func() { require.NotZero(t, x.Alloc(256, 1<<16)) }
	}},
	{"a bin far above", 30, func(t *testing.T, x *slab.Index, n uint32) func() {
		_, a := pinned(x, n, func(i uint32) uint32 { return 1 + i%50 })
		freeEach(x, a)
		return func() { require.NotZero(t, x.Alloc(101, 1)) }
	}},
	{"free between live chunks", 2, func(_ *testing.T, x *slab.Index, n uint32) func() {
		_, a := pinned(x, n, func(uint32) uint32 { return 3 })
		return func() { x.Free(a[n/3]) }
	}},
	{"free between holes", 2, func(_ *testing.T, x *slab.Index, n uint32) func() {
		pins, a := pinned(x, n, func(uint32) uint32 { return 3 })
		freeEach(x, a)
		return func() { x.Free(pins[n/3]) }
	}},
}

// pinned fills an index with n/2 chunks of the sizes given and as many of one
// granule between them.
func pinned(x *slab.Index, n uint32, size func(i uint32) uint32) (pins, chunks []uint32) {
	for i := range n / 2 {
		chunks = append(chunks, x.Alloc(size(i), 1))
		pins = append(pins, x.Alloc(1, 1))
	}
	return pins, chunks
}

func freeEach(x *slab.Index, chunks []uint32) {
	for _, i := range chunks {
		x.Free(i)
	}
}

func TestB21_StepsDoNotDependOnTheNumberOfChunks(t *testing.T) {
	for _, tt := range indexCases {
		var seen []int
		for _, n := range chunkCounts() {
			if tt.granules > 100 {
				n /= 10 // or else they take gigabytes of address space
			}
			x := slab.NewIndex(n*tt.granules + 20_000)
			step := tt.step(t, x, n)
			slab.Touches()
			step()
			seen = append(seen, slab.Touches())
		}
		t.Logf("%s: %v records", tt.name, seen)
		assert.Equal(t, seen[0], seen[1], tt.name)
		assert.LessOrEqual(t, seen[1], 2*slab.BinScan+4, tt.name)
	}
}

// The same for a random mix of everything that an allocator does: the most records that any
// operation visits.
func TestW20_MostTouchesOfAnyOperation(t *testing.T) {
	most := map[uint32]map[string]int{}
	for _, n := range chunkCounts() {
		a, _ := onCounting(t, slab.Config{})
		a.PauseChecks()
		top := map[string]int{}
		most[n] = top
		count := func(what string, f func()) {
			blocks, slabs := a.Stats().Blocks, a.Stats().Slabs
			slab.Touches()
			f()
			touches := slab.Touches()
			if s := a.Stats(); s.Blocks != blocks || s.Slabs != slabs {
				what += ", with a new slab or block, or one less"
			}
			top[what] = max(top[what], touches)
		}
		r := rand.New(rand.NewPCG(20, 0))
		size := func() int { return 1 + r.IntN(64<<r.IntN(6)) }
		var live [][]byte
		for range n {
			b, err := a.AllocUninitialized(size(), 0)
			require.NoError(t, err)
			live = append(live, b)
		}
		p, err := slab.NewPool(a, 40, 8)
		require.NoError(t, err)
		var slots []slab.Handle
		for range 20_000 {
			i := r.IntN(len(live))
			count("Free", func() { a.Free(live[i]) })
			count("Alloc", func() { live[i], err = a.AllocUninitialized(size(), 1<<r.IntN(8)) })
			require.NoError(t, err)
			i = r.IntN(len(live))
			count("Realloc", func() { live[i], err = a.Realloc(live[i], size()) })
			require.NoError(t, err)
			if r.IntN(2) == 0 || len(slots) == 0 {
				count("Pool.Insert", func() {
					_, h, e := p.Insert()
					slots, err = append(slots, h), e
				})
				require.NoError(t, err)
			} else {
				j := r.IntN(len(slots))
				q := p.Slot(slots[j])
				count("Pool.Free", func() { p.Free(q) })
				slots[j] = slots[len(slots)-1]
				slots = slots[:len(slots)-1]
			}
		}
		require.NoError(t, a.Check())
		a.Reset()
	}
	t.Logf("%v", most)
	// The dearest is a Realloc to another block: a search, a few lookups in the address map
	// for what is new, depending on where the system has put it, and a Free that gives half
	// a magazine back, each slot to a slab that may become a hole. That is usually up to 35.
	// A walk along chunks or slabs would be hundreds.
	for what, touches := range most[chunkCounts()[1]] {
		assert.LessOrEqual(t, touches, 64, what)
	}
}

// What a Reset has left makes a lone object no dearer: its slot stays at hand.
func TestTouchesAfterReset(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	a.PauseChecks()
	for range 100_000 {
		_, err := a.AllocUninitialized(100, 0)
		require.NoError(t, err)
	}
	a.Reset()
	for i := range 3 {
		slab.Touches()
		b, err := a.AllocUninitialized(100, 0)
		require.NoError(t, err)
		a.Free(b)
		if touches := slab.Touches(); i > 0 {
			assert.LessOrEqual(t, touches, 4)
		}
	}
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// The cost of a slab that becomes empty does not depend on how many pools keep an empty one.
func TestTouchesOfManyPools(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	a.PauseChecks()
	var pools []*slab.Pool
	var slots [][]unsafe.Pointer
	for range 1000 {
		p, err := slab.NewPool(a, 64, 8)
		require.NoError(t, err)
		pools, slots = append(pools, p), append(slots, nil)
		for range 200 {
			q, err := p.Alloc()
			require.NoError(t, err)
			slots[len(pools)-1] = append(slots[len(pools)-1], q)
		}
	}
	most, all := 0, 0
	for i, p := range pools {
		for _, q := range slots[i] {
			slab.Touches()
			p.Free(q)
			n := slab.Touches()
			most, all = max(most, n), all+n
		}
	}
	t.Logf("%d in all, %d at most", all, most)
	assert.LessOrEqual(t, most, 128, "of a few slabs at once")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// The regions of blocks are found in a few lookups, however far apart they are.
func TestTouchesOfDistantRegions(t *testing.T) {
	distantRegions(func(apart uint64, addrs []uintptr) {
		m := slab.NewMap(addrs...)
		most := 0
		for _, addr := range addrs {
			slab.Touches()
			m.Has(addr)
			most = max(most, slab.Touches())
		}
		assert.LessOrEqual(t, most, 12, "%d bytes apart", apart)
	})
}

// TestTouchesOfSmallResets: where a pool has kept a hundred slabs, a Reset of a few slots, time
// and again, does not look at all of them.
func TestTouchesOfSmallResets(t *testing.T) {
	for _, size := range []int{1024, 4096} { // several groups in a slab, and one
		a, err := slab.New(slab.Config{})
		require.NoError(t, err)
		a.PauseChecks()
		p, err := slab.NewPool(a, size, 8)
		require.NoError(t, err)
		for _, few := range []int{20 << 20 / size, 1, 30, 8} {
			for range few {
				_, err = p.Alloc()
				require.NoError(t, err)
			}
			slab.Touches()
			p.Reset()
			n := slab.Touches()
			require.Zero(t, p.Len())
			if slabs := p.Stats().Slabs; few < slabs {
				require.Greater(t, slabs, 80)
				assert.Less(t, n, 25, "%d slots of %d bytes", few, size)
			}
		}
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestTouchesOfRoom: a loop over a few objects, and a Reset of them, do not look at the bitmaps of
// the room that there is for many.
func TestTouchesOfRoom(t *testing.T) {
	const room = 100_000
	var p slab.Shell
	a, err := slab.New(slab.Config{})
	require.NoError(t, err)
	a.PauseChecks()
	require.NoError(t, p.Init(a, "", 64, 8))
	require.NoError(t, p.Reserve(room))
	for range 10 {
		_, err := p.Alloc()
		require.NoError(t, err)
	}
	words := room / 64
	slab.Touches()
	n := 0
	for s := p.Scan(); s.Next(); {
		n += bits.OnesCount64(s.Live)
	}
	assert.Equal(t, 10, n)
	assert.Less(t, slab.Touches(), words/10, "a loop")
	p.Reset()
	assert.Less(t, slab.Touches(), 20, "a Reset")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestTouchesAfterAPeak: where little is left of much, a program that makes one object and frees it
// does not have everything that is at hand given back each time.
func TestTouchesAfterAPeak(t *testing.T) {
	// Blocks all over the address space would have it look for regions more often.
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20)), BlockSize: 4 << 10, BlockAlign: 4 << 10})
	require.NoError(t, err)
	a.PauseChecks()
	var all [][]byte
	for range 4000 {
		all = append(all, granted(t, a, 100, 1))
	}
	stay := thin(a, all, 100)
	slab.Touches()
	const pairs = 320
	for range pairs {
		a.Free(granted(t, a, 1000, 1))
	}
	n := slab.Touches()
	t.Logf("%.1f", float64(n)/pairs)
	assert.Less(t, n, 4*pairs)
	freeAll(a, stay)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestTouchesOfRareRoom: where few holes have room for a slab, each search goes on where the last
// one found some. What it costs does not depend on how many holes there are. (Without room for
// records it may: atOnce begins anew each time.)
func TestTouchesOfRareRoom(t *testing.T) {
	for _, size := range []int{4 << 20, 16 << 20} {
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), size), MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		a.PauseChecks()
		thin(a, fillUp(t, a, 1100, 8), 2)
		slab.Touches()
		const objects = 200
		for range objects {
			granted(t, a, 900, 8)
		}
		n := slab.Touches()
		t.Logf("%d holes: %.1f", a.Stats().Holes, float64(n)/objects)
		assert.Less(t, n, 100*objects, "%d bytes", size)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestTouchesOfRefusals: a program that lives on a budget is refused all the time. To refuse a
// request costs no more where many slabs have a free slot than where few have, in a pool as in a
// class, and though the pool has reserved slabs that stay empty. (How many holes of a bin it looks
// at, up to binScan, depends on where the blocks lie.)
func TestTouchesOfRefusals(t *testing.T) {
	for _, reserve := range []int{0, 20_000} {
		most := 0
		for _, size := range []int{4 << 20, 64 << 20} {
			full := false
			a, err := slab.New(slab.Config{Source: refusing(blocksrc.NewBuffer(make([]byte, size)), &full)})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, 56, 8)
			require.NoError(t, err)
			var slots []unsafe.Pointer
			var pieces [][]byte
			for !full { // from then on the source has nothing, not even what is less than a block with its records
				if reserve > 0 && p.Len() == size>>8 {
					require.NoError(t, p.Reserve(reserve))
				}
				q, err := p.AllocUninitialized()
				if err == nil && p.Len() <= size>>8 {
					slots = append(slots, q)
				} else if err == nil {
					p.Free(q)
				}
				b, e := a.AllocUninitialized(40, 8)
				if cap(b) == 40 { // and else fills a hole that no slab can start in
					pieces = append(pieces, b)
				}
				full = e != nil
			}
			for i := 0; i < len(slots); i += 64 { // so that no slab is full
				p.Free(slots[i])
			}
			for i := 0; i < len(pieces); i += 64 {
				a.Free(pieces[i])
			}
			for first := range 5 {
				q, err := p.AllocUninitialized() // which the next refusal finds in the group, after its slab
				require.NoError(t, err)
				p.Free(q)
				slab.Touches()
				_, err = a.AllocUninitialized(1000, 8)
				require.ErrorIs(t, err, slab.ErrExhausted)
				if n := slab.Touches(); first > 0 {
					t.Logf("%d MiB, %d slabs: %d", size>>20, a.Stats().Slabs, n)
					most = max(most, n)
				}
			}
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
		assert.Less(t, most, 40, "%d reserved", reserve)
	}
}

// TestTouchesOfHugeSlots: an allocation looks at each region that it lies in a few times, however
// many there are.
func TestTouchesOfHugeSlots(t *testing.T) {
	for _, size := range []int{4, 64} {
		a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap), MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		a.PauseChecks()
		p, err := slab.NewPool(a, size*slab.Region, 8)
		require.NoError(t, err)
		slab.Touches()
		_, err = p.AllocUninitialized()
		require.NoError(t, err)
		assert.Less(t, slab.Touches(), 20*(size+4), "%d regions", size)
		require.NoError(t, a.Close())
	}
}

// TestTouchesWithoutRoom: a request that no hole has room for does not look at each of them, unless a
// hole has come that has.
func TestTouchesWithoutRoom(t *testing.T) {
	for _, n := range []int{1 << 20, 8 << 20} {
		a, p, _ := fullOfHoles(t, n)
		for what, request := range map[string]func() error{
			"refused": func() error { _, err := p.Alloc(); assert.ErrorIs(t, err, slab.ErrExhausted); return nil },
			"served": func() error {
				b, err := a.Alloc(300, 8)
				a.Free(b)
				return err
			},
		} {
			require.NoError(t, request())
			slab.Touches()
			require.NoError(t, request())
			assert.LessOrEqual(t, slab.Touches(), 100, "%s, with %d holes", what, a.Stats().Holes)
		}
		require.NoError(t, a.Close())
	}
}
