package slab_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A handle names one slot for one life. Here: forged handles, stale handles, the end of
// generations.

func TestPoolHandleBits(t *testing.T) {
	assert.Equal(t, uintptr(8), unsafe.Sizeof(slab.Handle{}))
	p, _ := newPool(t, 16, 8, slab.Config{})
	seen := map[uint64]bool{0: true}
	for range 1000 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		require.False(t, seen[h.Bits()])
		seen[h.Bits()] = true
		require.Equal(t, h, slab.HandleFromBits(h.Bits()))
	}
	assert.Nil(t, p.Slot(slab.Handle{}))
	assert.False(t, p.Remove(slab.Handle{}))
	assert.Equal(t, slab.Handle{}, slab.HandleFromBits(0))
}

func TestPoolZeroHandle(t *testing.T) {
	p, _ := newPool(t, 16, 8, slab.Config{})
	require.NoError(t, p.Reserve(1))
	assert.Nil(t, p.Slot(slab.Handle{}), "no slot was ever taken")
	assert.False(t, p.Remove(slab.Handle{}))
	_, h, err := p.Insert()
	require.NoError(t, err)
	assert.Nil(t, p.Slot(slab.Handle{}))
	assert.True(t, p.Remove(h))
	assert.Nil(t, p.Slot(slab.Handle{}))
	even := slab.HandleFromBits(h.Bits() + 1<<32)
	assert.Nil(t, p.Slot(even), "an even generation is nobody's")
	assert.False(t, p.Remove(even))
}

// Handles with a generation next to the right one, or with a slot or slab next to the
// live one, name nothing.
func TestPoolForgedHandles(t *testing.T) {
	p, _ := newPool(t, 5000, 8, slab.Config{})
	live := map[slab.Handle]unsafe.Pointer{}
	var hs []slab.Handle
	for i := range 100 {
		q, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
		live[h] = q
		if i%3 == 2 {
			require.True(t, p.Remove(hs[i/2]))
			delete(live, hs[i/2])
		}
	}
	try := func(h slab.Handle) { // called a quarter of a million times: testify would take most of the time
		h = slab.HandleFromBits(h.Bits())
		q, ok := live[h]
		if p.Slot(h) != q || !ok && p.Remove(h) {
			t.Fatalf("%x names something, or not the right thing", h.Bits())
		}
	}
	n := p.Len()
	places, _ := p.Places()
	for _, h := range hs {
		place, slot := h.Index()
		for _, gen := range []uint32{0, 1, h.Gen() - 2, h.Gen() - 1, h.Gen(), h.Gen() + 1, h.Gen() + 2, h.Gen() ^ 1<<31, slab.PoolLastGen, slab.PoolLastGen - 1} {
			for _, slot := range []uint32{0, slot, slot ^ 1, slot + 1, slab.PoolMaxSlots - 1} {
				for _, place := range []uint32{0, place, place + 1, uint32(places) - 1, uint32(places), slab.PoolMaxSeq - 1} {
					try(slab.RawHandle(place, slot%slab.PoolMaxSlots, gen))
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		try(slab.HandleFromBits(rng.Uint64()))
		h := hs[rng.IntN(len(hs))]
		try(slab.HandleFromBits(h.Bits() ^ 1<<rng.IntN(64)))
	}
	require.Equal(t, n, p.Len())
}

// A slab that takes the place of another starts above all its generations: stale handles
// stay stale, however often the slots are used again.
func TestPoolGenerationsOutliveSlabs(t *testing.T) {
	for name, drop := range map[string]func(p *slab.Pool){
		"Trim": func(p *slab.Pool) {
			visit(p, func(h slab.Handle, _ unsafe.Pointer) bool { return p.Remove(h) })
			p.Allocator().Trim()
		},
		"Allocator.Reset": func(p *slab.Pool) { p.Allocator().Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, 9000, 8, slab.Config{})
			var stale []slab.Handle
			for round := range 20 {
				var hs []slab.Handle
				for i := range 20 {
					_, h, err := p.Insert()
					require.NoError(t, err)
					hs = append(hs, h)
					for range i * round { // wear some slots more than others
						require.True(t, p.Remove(h))
						stale = append(stale, h)
						_, h, err = p.Insert()
						require.NoError(t, err)
					}
					hs[i] = h
				}
				nameNothing(t, p, stale)
				stale = append(stale, hs...)
				drop(p)
				require.Zero(t, p.Stats().Slabs)
				nameNothing(t, p, stale)
			}
			places, _ := p.Places()
			assert.LessOrEqual(t, places, 9, "places are used again")
		})
	}
}

// nameNothing fails the test if any of the handles, which may be very many, names something.
func nameNothing(t *testing.T, p *slab.Pool, hs []slab.Handle) {
	t.Helper()
	for _, h := range hs {
		if p.Slot(h) != nil {
			t.Fatalf("%x names something", h.Bits())
		}
	}
}

// A slot is used up to the last generation, then never again.
func TestPoolRetires(t *testing.T) {
	frees := map[string]func(p *slab.Pool, q unsafe.Pointer, h slab.Handle){
		"Free":   func(p *slab.Pool, q unsafe.Pointer, _ slab.Handle) { p.Free(q) },
		"Remove": func(p *slab.Pool, _ unsafe.Pointer, h slab.Handle) { p.Remove(h) },
		"Free after another": func(p *slab.Pool, q unsafe.Pointer, _ slab.Handle) {
			r, _, _ := p.Insert()
			p.Free(r) // becomes the group
			p.Free(q)
		},
		"Remove after another": func(p *slab.Pool, _ unsafe.Pointer, h slab.Handle) {
			_, r, _ := p.Insert()
			p.Remove(r)
			p.Remove(h)
		},
		"Reset": func(p *slab.Pool, _ unsafe.Pointer, _ slab.Handle) { p.Reset() },
	}
	for name, free := range frees {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, 64, 8, slab.Config{})
			_, other, err := p.Insert()
			require.NoError(t, err)
			q, h, err := p.Insert()
			require.NoError(t, err)
			var more []slab.Handle
			for p.AtHand() > 0 { // so that the next slot freed becomes the group
				_, h, err := p.Insert()
				require.NoError(t, err)
				more = append(more, h)
			}
			require.True(t, p.Remove(more[0]))
			require.True(t, p.Remove(more[1])) // goes to the bitmap
			_, _, err = p.Insert()
			require.NoError(t, err)
			require.Zero(t, p.AtHand())
			h = p.SetGeneration(h, slab.PoolLastGen-4)
			var old []slab.Handle
			for { // its last lives
				require.Equal(t, q, p.Slot(h))
				old = append(old, h)
				if h.Gen() == slab.PoolLastGen {
					break
				}
				p.Free(q)
				r, g, err := p.Insert()
				require.NoError(t, err)
				require.Equal(t, q, r)
				require.Equal(t, h.Gen()+2, g.Gen())
				h = g
			}
			assert.Zero(t, p.Stats().Retired)
			slots := p.Stats().Live + p.Stats().Free
			free(p, q, h)
			stats := p.Stats()
			assert.Equal(t, 1, stats.Retired)
			assert.Equal(t, 1, p.Allocator().Stats().Retired)
			assert.Equal(t, slots-1, stats.Live+stats.Free)
			assert.Equal(t, p.Len(), stats.Live)
			require.NoError(t, p.Allocator().Check())
			poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
			poolMisuse(t, p, slab.DoubleFree, func() { p.Handle(q) })
			assert.False(t, p.Owns(q))
			for range 3 * slots { // the slot's turn never comes
				r, _, err := p.Insert()
				require.NoError(t, err)
				require.NotEqual(t, q, r)
			}
			for _, h := range old {
				require.Nil(t, p.Slot(h))
				require.False(t, p.Remove(h))
			}
			for gen := range uint32(8) {
				h := slab.HandleFromBits(p.SetGeneration(h, p.Generation(h)).Bits()&math.MaxUint32 | uint64(gen-4)<<32)
				require.Nil(t, p.Slot(h))
			}
			n := 0
			visit(p, func(h slab.Handle, r unsafe.Pointer) bool {
				require.NotEqual(t, q, r)
				require.Equal(t, r, p.Slot(h))
				n++
				return true
			})
			assert.Equal(t, p.Len(), n)
			for s := p.ScanWords(); ; {
				first, n := nextRun(&s, 64)
				if n == 0 {
					break
				}
				require.GreaterOrEqual(t, uintptr(q)-uintptr(first), uintptr(n*64))
			}
			p.Remove(other)
			require.NoError(t, p.Allocator().Check())
		})
	}
}

// A slab goes back once all its slots are retired. Its place is not used again.
func TestPoolRetiresSlabs(t *testing.T) {
	for _, size := range []int{40_000, 20_000, 64} { // 1, 3 and 64 slots a slab
		p, _ := newPool(t, size, 8, slab.Config{})
		require.NoError(t, p.Reserve(1))
		slots := p.Stats().Free
		var hs []slab.Handle
		for range slots {
			_, h, err := p.Insert()
			require.NoError(t, err)
			hs = append(hs, p.SetGeneration(h, slab.PoolLastGen))
		}
		require.Equal(t, 1, p.Stats().Slabs)
		for i, h := range hs {
			require.Equal(t, 1, p.Stats().Slabs)
			require.True(t, p.Remove(h))
			require.Equal(t, i+1, p.Stats().Retired)
			require.Equal(t, slots-i-1, p.Len())
			require.NoError(t, p.Allocator().Check())
		}
		assert.Zero(t, p.Stats().Slabs)
		assert.Zero(t, p.Stats().Bytes)
		assert.Zero(t, p.Stats().Free)
		assert.Equal(t, slots, p.Stats().Retired)
		visit(p, func(slab.Handle, unsafe.Pointer) bool { t.Error("visited"); return true })
		for range 2 * slots {
			_, h, err := p.Insert()
			require.NoError(t, err)
			place, _ := h.Index()
			require.NotZero(t, place)
		}
		for _, h := range hs {
			require.Nil(t, p.Slot(h))
		}
		assert.Equal(t, slots, p.Stats().Retired)
		p.Reset()
		assert.Equal(t, slots, p.Stats().Retired)
		a := p.Allocator()
		require.NoError(t, p.Close())
		assert.Equal(t, slots, a.Stats().Retired, "also of pools that are gone")
	}
}

// Slots in their last life may be dropped together with their slab. Their handles are
// as dead as any others.
func TestPoolDropsLastLives(t *testing.T) {
	for _, last := range []uint32{slab.PoolLastGen, slab.PoolLastGen - 2, slab.PoolLastGen - 4} {
		p, _ := newPool(t, 40_000, 8, slab.Config{}) // one slot a slab
		_, h, err := p.Insert()
		require.NoError(t, err)
		h = p.SetGeneration(h, last)
		p.Allocator().Reset()
		require.Nil(t, p.Slot(h))
		_, g, err := p.Insert()
		require.NoError(t, err)
		hp, hs := h.Index()
		gp, gs := g.Index()
		if hp == gp && hs == gs {
			assert.Greater(t, g.Gen(), h.Gen(), "the slot goes on below a generation that it had")
		}
	}
}

func TestPoolSeeds(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	n := 4096
	if poolSlow || testing.Short() {
		n = 512
	}
	high, low := make([]int, 16), make([]int, 16)
	seen := map[uint32]bool{}
	for range n {
		p, err := slab.NewPool(a, 8, 8)
		require.NoError(t, err)
		_, h, err := p.Insert()
		require.NoError(t, err)
		require.Less(t, h.Gen(), uint32(1<<31), "at least half of the generations are ahead")
		high[h.Gen()>>27]++
		low[h.Gen()>>1&15]++
		seen[h.Gen()] = true
		require.NoError(t, p.Close())
	}
	// 15 degrees of freedom: more than 60 has a chance of 2 in 10^7.
	assert.Less(t, chiSquare(high, n), 60.0, "%v", high)
	assert.Less(t, chiSquare(low, n), 60.0, "%v", low)
	// 2^30 seeds: 4096 of them hold an equal pair with a chance of 0.8 %, three of 10^-11.
	assert.GreaterOrEqual(t, len(seen), n-2)
	require.NoError(t, a.Close())
}

func chiSquare(counts []int, n int) (sum float64) {
	want := float64(n) / float64(len(counts))
	for _, c := range counts {
		sum += (float64(c) - want) * (float64(c) - want) / want
	}
	return sum
}
