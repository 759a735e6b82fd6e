package slab_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// poolSlow tells whether every operation takes longer, under the race detector or
// with a full check after each.
var poolSlow = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true" || s.Key == "-tags" && strings.Contains(s.Value, "slabcheck")
	})
}()

// soiled gives blocks that are anything but zero, and does not claim otherwise.
type soiled struct{ blocksrc.GoHeap }

func (s *soiled) Acquire(size, align int) ([]byte, error) {
	block, err := s.GoHeap.Acquire(size, align)
	for i := range block {
		block[i] = 0xA5
	}
	return block, err
}

func (s *soiled) Zeroed() bool { return false }

// poolSources are the kinds of memory that matter to a pool.
var poolSources = []struct {
	name string
	make func() blocksrc.Source
}{
	{"heap", func() blocksrc.Source { return new(blocksrc.GoHeap) }},
	{"soiled", func() blocksrc.Source { return new(soiled) }},
	{"default", blocksrc.Default},
}

// newPool returns a pool of which the test's end asserts that it leaves nothing
// behind, and the source that tells.
func newPool(t testing.TB, size, align int, cfg slab.Config) (*slab.Pool, *blocksrctest.Counting) {
	t.Helper()
	if cfg.Source == nil {
		cfg.Source = new(blocksrc.GoHeap)
	}
	src := &blocksrctest.Counting{Source: cfg.Source}
	cfg.Source = src
	a, err := slab.New(cfg)
	require.NoError(t, err)
	p, err := slab.NewPool(a, size, align)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, a.Check())
		assert.NoError(t, p.Close())
		assert.NoError(t, a.Check())
		assert.NoError(t, a.Close())
		assert.NoError(t, src.Leaks())
		assert.NoError(t, src.Misuse())
	})
	return p, src
}

// slotBytes shows the slot at q.
func slotBytes(q unsafe.Pointer, n int) []byte { return unsafe.Slice((*byte)(q), n) }

func allBytes(b []byte, v byte) bool {
	return len(b) == 0 || b[0] == v && bytes.Equal(b[1:], b[:len(b)-1])
}

// poolMisuse asserts that f panics with the misuse, and changes nothing.
func poolMisuse(t testing.TB, p *slab.Pool, want slab.Misuse, f func()) {
	t.Helper()
	before, stats := p.Allocator().Stats(), p.Stats()
	defer func() {
		t.Helper()
		err, ok := recover().(*slab.MisuseError)
		if assert.True(t, ok, "no panic with a *MisuseError") {
			assert.Equal(t, want, err.Misuse, "%v", err)
		}
		assert.Equal(t, before, p.Allocator().Stats())
		assert.Equal(t, stats, p.Stats())
		assert.NoError(t, p.Allocator().Check())
	}()
	f()
}

// visit is the loop that a Scan is made for.
func visit(p *slab.Pool, yield func(slab.Handle, unsafe.Pointer) bool) {
	stride := p.Stats().Stride
	s := p.Scan()
	for s.Next() {
		base := s.Base
		for m := s.Live; m != 0; {
			i := bits.TrailingZeros64(m)
			m &= m - 1
			h := slab.HandleFromBits(uint64(*(*uint32)(unsafe.Add(s.Gens, i*4)))<<32 | uint64(s.Index+uint32(i)))
			if !yield(h, unsafe.Add(base, i*stride)) {
				return
			}
			if *s.Frees != s.Seen {
				m &= s.Refresh()
			}
		}
	}
}

func TestPoolShapes(t *testing.T) {
	for _, src := range poolSources {
		for _, size := range []int{0, 1, 3, 8, 64, 1000, 4096, 100_000} {
			for align := 1; align <= 4096; align *= 4 {
				t.Run(fmt.Sprintf("%s/%d/%d", src.name, size, align), func(t *testing.T) {
					p, _ := newPool(t, size, align, slab.Config{Source: src.make()})
					n := min(500, max(4, 256<<10/max(size, align)))
					if poolSlow || testing.Short() {
						n = min(n, 70)
					}
					poolShape(t, p, size, align, n)
				})
			}
		}
	}
}

func poolShape(t *testing.T, p *slab.Pool, size, align, n int) {
	stride := p.Stats().Stride
	require.Equal(t, (max(size, 1)+align-1)/align*align, stride)
	qs := make([]unsafe.Pointer, n)
	hs := make([]slab.Handle, n)
	for round := range 3 {
		// Something that keeps slabs from being aligned by luck.
		_, err := p.Allocator().AllocUninitialized(1100, 1)
		require.NoError(t, err)
		for i := range qs {
			var err error
			switch {
			case qs[i] != nil:
				continue
			case i%2 == round%2:
				qs[i], hs[i], err = p.Insert()
			default:
				qs[i], err = p.Alloc()
				require.True(t, allBytes(slotBytes(qs[i], size), 0), "slot %d is not zero", i)
				hs[i] = p.Handle(qs[i])
			}
			require.NoError(t, err)
			require.Zero(t, uintptr(qs[i])%uintptr(align))
			b := slotBytes(qs[i], size)
			for k := range b {
				b[k] = byte(i) | 1
			}
		}
		at := make([]uintptr, n)
		for i, q := range qs {
			at[i] = uintptr(q)
			require.Equal(t, q, p.Get(hs[i]))
			require.True(t, allBytes(slotBytes(q, size), byte(i)|1), "slot %d was overwritten", i)
		}
		slices.Sort(at)
		for i := range at[1:] {
			require.GreaterOrEqual(t, at[i+1]-at[i], uintptr(stride))
		}
		require.Equal(t, n, p.Len())
		for i := round; i < n; i += 3 {
			if i%2 == 0 {
				p.Free(qs[i])
			} else {
				require.True(t, p.Remove(hs[i]))
			}
			require.Nil(t, p.Get(hs[i]))
			require.False(t, p.Remove(hs[i]))
			qs[i] = nil
		}
		require.NoError(t, p.Allocator().Check())
	}
}

func TestPoolArguments(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	for _, c := range []struct {
		a           *slab.Allocator
		size, align int
		want        error
	}{
		{nil, 8, 8, slab.ErrInvalid},
		{a, -1, 8, slab.ErrInvalid},
		{a, 8, -8, slab.ErrInvalid},
		{a, 8, 12, slab.ErrInvalid},
		{a, math.MinInt, 1, slab.ErrInvalid},
		{a, 8, math.MinInt, slab.ErrInvalid},
		{a, math.MaxInt, 1, slab.ErrTooLarge},
		{a, math.MaxInt, math.MaxInt/2 + 1, slab.ErrTooLarge},
		{a, math.MaxInt/2 + 2, math.MaxInt/2 + 1, slab.ErrTooLarge},
	} {
		p, err := slab.NewPool(c.a, c.size, c.align)
		assert.ErrorIs(t, err, c.want, "%d, %d", c.size, c.align)
		assert.True(t, p == nil)
	}
	assert.Zero(t, a.Stats().Held)
	p, err := slab.NewPool(a, 12, 0)
	require.NoError(t, err)
	assert.Equal(t, 12, p.Stats().Stride)
	assert.Zero(t, a.Stats().Held, "nothing is acquired yet")
	require.NoError(t, a.Close())
	_, err = slab.NewPool(a, 8, 8)
	assert.ErrorIs(t, err, slab.ErrClosed)
}

// Whatever the stride, Free tells a slot's start from every other address, both
// in slabs that it has just been to and in others.
func TestPoolFreeKnowsEveryAddress(t *testing.T) {
	strides := []int{1, 2, 3, 5, 7, 8, 12, 13, 24, 31, 40, 48, 64, 96, 100, 255, 256, 257, 500, 511, 512, 1000, 1023, 1365, 2047, 3000, 8191, 8192, 8193, 9000, 20_000, 40_000, 65_536, 70_000}
	if poolSlow || testing.Short() {
		strides = []int{1, 3, 8, 24, 500, 8191, 8193, 40_000}
	}
	for _, size := range strides {
		p, _ := newPool(t, size, 1, slab.Config{})
		var qs []unsafe.Pointer
		for range 3000 { // enough for a slab of full size, if the slots are small
			q, _, err := p.Insert()
			require.NoError(t, err)
			qs = append(qs, q)
			if p.Stats().Bytes > 300<<10 {
				break
			}
		}
		for p.AtHand() > 0 { // so that what is freed comes next
			q, err := p.AllocUninitialized()
			require.NoError(t, err)
			qs = append(qs, q)
		}
		n := p.Len()
		kind := func(q unsafe.Pointer) (kind slab.Misuse) {
			defer func() {
				if err, ok := recover().(*slab.MisuseError); ok {
					kind = err.Misuse
				}
			}()
			p.Free(q)
			return 0
		}
		for _, k := range []int{0, 1, len(qs) / 2, len(qs) - 1} {
			q := qs[k]
			// A free that succeeds makes the slab known, the next take clears the
			// way for the shortest path.
			p.Free(q)
			got, err := p.AllocUninitialized()
			require.NoError(t, err)
			require.Equal(t, q, got)
			for off := 1; off < size; off += 1 + size/300 {
				require.Equal(t, slab.Interior, kind(unsafe.Add(q, off)), "stride %d, offset %d", size, off)
			}
			if size > 1 {
				require.Equal(t, slab.Interior, kind(unsafe.Add(q, size-1)), "stride %d", size)
			}
		}
		require.Equal(t, n, p.Len())
		for _, q := range qs {
			require.Zero(t, kind(q))
			require.Equal(t, slab.DoubleFree, kind(q), "stride %d", size)
			if p.Len() == n-1 {
				got, err := p.AllocUninitialized()
				require.NoError(t, err)
				require.Equal(t, q, got)
			}
		}
		require.Equal(t, n, p.Len())
	}
}

// Memory behind the last slot of a slab, or in a slot never handed out, is none
// of a pool's objects, whatever lies behind the last generation.
func TestPoolFreeOfWhatNeverWas(t *testing.T) {
	p, _ := newPool(t, 1000, 8, slab.Config{Source: new(soiled)}) // 8 slots of 1000 in 8 KiB leave a tail
	q, _, err := p.Insert()
	require.NoError(t, err)
	slots, bytes := p.Stats().Free+1, p.Stats().Bytes
	require.Less(t, slots*1000, bytes-8)
	end := unsafe.Add(q, slots*1000)
	poolMisuse(t, p, slab.DoubleFree, func() { p.Free(unsafe.Add(q, 1000)) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(end) })
	for range slots - 1 {
		_, _, err := p.Insert()
		require.NoError(t, err)
	}
	// A slot freed makes its surroundings known.
	last := unsafe.Add(end, -1000)
	p.Free(last)
	r, err := p.Alloc()
	require.NoError(t, err)
	require.Equal(t, last, r)
	poolMisuse(t, p, slab.Foreign, func() { p.Free(end) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(unsafe.Add(q, bytes-8)) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(nil) })
	poolMisuse(t, p, slab.Foreign, func() { p.Handle(end) })
	poolMisuse(t, p, slab.Foreign, func() { p.Handle(unsafe.Pointer(new(int))) })
	assert.False(t, p.Owns(end))
	assert.False(t, p.Owns(unsafe.Add(q, 1)))
	assert.False(t, p.Owns(nil))
	assert.True(t, p.Owns(q))
}

// What belongs to the allocator or to another pool on it is not the pool's, nor
// the other way round.
func TestPoolFreeOfOthers(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	a := p.Allocator()
	other, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	q, err := p.Alloc()
	require.NoError(t, err)
	r, err := other.Alloc()
	require.NoError(t, err)
	small, err := a.Alloc(64, 8)
	require.NoError(t, err)
	mid, err := a.Alloc(5000, 8)
	require.NoError(t, err)
	for _, foreign := range []unsafe.Pointer{r, unsafe.Pointer(&small[0]), unsafe.Pointer(&mid[0]), unsafe.Pointer(&mid[64])} {
		poolMisuse(t, p, slab.Foreign, func() { p.Free(foreign) })
		poolMisuse(t, p, slab.Foreign, func() { p.Handle(foreign) })
		assert.False(t, p.Owns(foreign))
	}
	poolMisuse(t, p, slab.Foreign, func() { other.Free(q) })
	poolMisuse(t, p, slab.Foreign, func() { a.Free(slotBytes(q, 64)) })
	assert.False(t, a.Owns(slotBytes(q, 64)))
	assert.Nil(t, other.Get(p.Handle(q)))
	assert.False(t, other.Remove(p.Handle(q)))
	require.NoError(t, other.Close())
	poolMisuse(t, p, slab.UseAfterClose, func() { other.Free(r) })
	poolMisuse(t, p, slab.UseAfterClose, func() { other.Handle(r) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(r) })
	a.Free(small)
	a.Free(mid)
	p.Free(q)
}

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
	assert.Nil(t, p.Get(slab.Handle{}))
	assert.False(t, p.Remove(slab.Handle{}))
	assert.Equal(t, slab.Handle{}, slab.HandleFromBits(0))
}

func TestPoolZeroHandle(t *testing.T) {
	p, _ := newPool(t, 16, 8, slab.Config{})
	require.NoError(t, p.Reserve(1))
	assert.Nil(t, p.Get(slab.Handle{}), "no slot was ever taken")
	assert.False(t, p.Remove(slab.Handle{}))
	_, h, err := p.Insert()
	require.NoError(t, err)
	assert.Nil(t, p.Get(slab.Handle{}))
	assert.True(t, p.Remove(h))
	assert.Nil(t, p.Get(slab.Handle{}))
	even := slab.HandleFromBits(h.Bits() + 1<<32)
	assert.Nil(t, p.Get(even), "an even generation is nobody's")
	assert.False(t, p.Remove(even))
}

// Every generation next to the right one, and the slots and slabs next to the
// one that is live, name nothing.
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
	try := func(h slab.Handle) {
		t.Helper()
		h = slab.HandleFromBits(h.Bits())
		q, ok := live[h]
		require.Equal(t, q, p.Get(h), "%x", h.Bits())
		if !ok {
			require.False(t, p.Remove(h), "%x", h.Bits())
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

// A slab that comes in the place of another goes on above the generations of
// all its slots: handles stay stale, however often the slots are used again.
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
				for _, h := range stale {
					require.Nil(t, p.Get(h), "%x", h.Bits())
				}
				stale = append(stale, hs...)
				drop(p)
				require.Zero(t, p.Stats().Slabs)
				for _, h := range stale {
					require.Nil(t, p.Get(h), "%x", h.Bits())
				}
			}
			places, _ := p.Places()
			assert.LessOrEqual(t, places, 9, "places are used again")
		})
	}
}

// A slot is used up to the last generation, then never again.
func TestPoolRetires(t *testing.T) {
	frees := map[string]func(p *slab.Pool, q unsafe.Pointer, h slab.Handle){
		"Free":   func(p *slab.Pool, q unsafe.Pointer, _ slab.Handle) { p.Free(q) },
		"Remove": func(p *slab.Pool, _ unsafe.Pointer, h slab.Handle) { p.Remove(h) },
		"Free after another": func(p *slab.Pool, q unsafe.Pointer, _ slab.Handle) {
			r, _, _ := p.Insert()
			p.Free(r) // is the group
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
			for p.AtHand() > 0 { // so that what is freed is the group
				_, h, err := p.Insert()
				require.NoError(t, err)
				more = append(more, h)
			}
			require.True(t, p.Remove(more[0]))
			require.True(t, p.Remove(more[1])) // to the bitmap
			_, _, err = p.Insert()
			require.NoError(t, err)
			require.Zero(t, p.AtHand())
			h = p.SetGeneration(h, slab.PoolLastGen-4)
			var old []slab.Handle
			for { // its last lives
				require.Equal(t, q, p.Get(h))
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
				require.Nil(t, p.Get(h))
				require.False(t, p.Remove(h))
			}
			for gen := range uint32(8) {
				h := slab.HandleFromBits(p.SetGeneration(h, p.Generation(h)).Bits()&math.MaxUint32 | uint64(gen-4)<<32)
				require.Nil(t, p.Get(h))
			}
			n := 0
			visit(p, func(h slab.Handle, r unsafe.Pointer) bool {
				require.NotEqual(t, q, r)
				require.Equal(t, r, p.Get(h))
				n++
				return true
			})
			assert.Equal(t, p.Len(), n)
			for s := p.Scan(); ; {
				first, n := s.NextRun()
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

// A slab of which every slot is retired goes back; its place is not used again.
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
			require.Nil(t, p.Get(h))
		}
		assert.Equal(t, slots, p.Stats().Retired)
		p.Reset()
		assert.Equal(t, slots, p.Stats().Retired)
	}
}

// Slots in their last life may be dropped together with their slab. Their
// handles are as dead as any.
func TestPoolDropsLastLives(t *testing.T) {
	for _, last := range []uint32{slab.PoolLastGen, slab.PoolLastGen - 2, slab.PoolLastGen - 4} {
		p, _ := newPool(t, 40_000, 8, slab.Config{}) // one slot a slab
		_, h, err := p.Insert()
		require.NoError(t, err)
		h = p.SetGeneration(h, last)
		p.Allocator().Reset()
		require.Nil(t, p.Get(h))
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

func TestPoolReserve(t *testing.T) {
	p, src := newPool(t, 100, 4, slab.Config{})
	require.NoError(t, p.Reserve(0))
	assert.Zero(t, src.Counts().Acquires)
	require.ErrorIs(t, p.Reserve(-1), slab.ErrInvalid)
	require.ErrorIs(t, p.Reserve(math.MinInt), slab.ErrInvalid)
	for _, n := range []int{1, 100, 5000} {
		require.NoError(t, p.Reserve(n))
		assert.GreaterOrEqual(t, p.Stats().Free, n)
		calls := src.Counts().Acquires
		for range n {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		assert.Equal(t, calls, src.Counts().Acquires)
		free := p.Stats().Free
		require.NoError(t, p.Reserve(free))
		assert.Equal(t, free, p.Stats().Free, "there was enough")
	}
}

// A number of slots that cannot be is refused at once, whatever is live already.
func TestPoolReserveTooMany(t *testing.T) {
	for _, live := range []int{0, 1, 2} {
		src := &blocksrctest.Counting{Source: blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)}
		p, _ := newPool(t, 100, 4, slab.Config{Source: src})
		for range live {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		before := p.Stats()
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt/100 + 1} {
			assert.Error(t, p.Reserve(n), "%d, with %d live", n, live)
			assert.Equal(t, before, p.Stats())
		}
		err := p.Reserve(20_000)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
		assert.Equal(t, before, p.Stats())
		assert.NoError(t, p.Allocator().Check())
	}
}

// Reserve is all or nothing, whichever call of the source fails.
func TestPoolReserveUnderFailure(t *testing.T) {
	for k := 1; ; k++ {
		failing := &blocksrctest.Failing{Source: new(blocksrc.GoHeap), At: k, Persist: k%2 == 0, On: blocksrctest.Acquires}
		p, _ := newPool(t, 3000, 8, slab.Config{Source: failing})
		_, h, err := p.Insert()
		if err == nil {
			before := p.Stats()
			err := p.Reserve(200)
			if err != nil {
				assert.ErrorIs(t, err, blocksrctest.ErrInjected)
				assert.Equal(t, before, p.Stats())
			} else {
				assert.GreaterOrEqual(t, p.Stats().Free, 200)
			}
			assert.NotNil(t, p.Get(h))
		}
		assert.NoError(t, p.Allocator().Check())
		if failing.Failed() == 0 {
			break
		}
	}
}

// What was reserved stays reserved when slots are freed: no order of frees costs
// slots that the promise counts on.
func TestPoolReserveIsKept(t *testing.T) {
	p, src := newPool(t, 20_000, 8, slab.Config{Retain: -1}) // two slots a slab
	var hs []slab.Handle
	for range 4 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
	}
	for _, h := range hs { // one empty slab is kept back, the other has the group
		require.True(t, p.Remove(h))
	}
	require.Equal(t, 1, p.AtHand())
	require.Zero(t, p.Len())
	n := p.Stats().Free
	require.NoError(t, p.Reserve(n))
	calls := src.Counts().Acquires
	got := 0
	for got < n {
		g, err := p.TakeGroup(n - got)
		require.NoError(t, err)
		got += bits.OnesCount64(g.Slots)
	}
	assert.Equal(t, calls, src.Counts().Acquires)
	assert.Equal(t, n, p.Stats().Live+p.Stats().Free)
}

func TestPoolTakeGroup(t *testing.T) {
	for _, size := range []int{0, 8, 100, 5000} {
		p, _ := newPool(t, size, 4, slab.Config{})
		stride := p.Stats().Stride
		live := map[slab.Handle]unsafe.Pointer{}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			n := rng.IntN(100)
			g, err := p.TakeGroup(n)
			require.NoError(t, err)
			require.LessOrEqual(t, bits.OnesCount64(g.Slots), n)
			require.Equal(t, n > 0, g.Slots != 0)
			for q, h := range slotsOf(g, stride) {
				require.Nil(t, live[h])
				require.Equal(t, q, p.Get(h))
				live[h] = q
			}
			for h, q := range live {
				if rng.IntN(3) > 0 {
					continue
				}
				require.Equal(t, q, p.Get(h))
				p.Free(q)
				delete(live, h)
			}
			require.Equal(t, len(live), p.Len())
		}
		g, err := p.TakeGroup(-5)
		assert.Zero(t, g)
		assert.NoError(t, err)
	}
}

// Counters only ever grow, also when a pool and its slots go.
func TestPoolCountersOutliveIt(t *testing.T) {
	p, _ := newPool(t, 8, 8, slab.Config{})
	a := p.Allocator()
	for range 10 {
		q, err := p.Alloc()
		require.NoError(t, err)
		if p.Len() > 5 {
			p.Free(q)
		}
	}
	before := a.Stats()
	assert.Equal(t, uint64(10), before.Allocs)
	assert.Equal(t, uint64(5), before.Frees)
	require.NoError(t, p.Close())
	after := a.Stats()
	assert.Equal(t, uint64(10), after.Allocs)
	assert.Equal(t, uint64(10), after.Frees)
	assert.Zero(t, after.Live)
}

// After its slabs are gone, a pool has no pointer left to where they were: the
// Go heap may grow there, and the collector would stop at such a pointer.
func TestPoolKeepsNoStalePointer(t *testing.T) {
	var blocks [][]byte
	p, _ := newPool(t, 64, 8, slab.Config{Source: &noting{note: func(b []byte) { blocks = append(blocks, b) }}})
	for range 3 {
		for range 200 {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		visit(p, func(h slab.Handle, _ unsafe.Pointer) bool { return p.Remove(h) })
		p.Allocator().Trim()
		require.Zero(t, p.Allocator().Stats().Held)
		for _, b := range blocks {
			assert.False(t, p.Into(uintptr(unsafe.Pointer(&b[0])), len(b)))
		}
	}
}

// noting shows what it gives out.
type noting struct {
	blocksrc.GoHeap
	note func([]byte)
}

func (n *noting) Acquire(size, align int) ([]byte, error) {
	b, err := n.GoHeap.Acquire(size, align)
	if err == nil {
		n.note(b)
	}
	return b, err
}

func TestPoolAfterClose(t *testing.T) {
	for name, end := range map[string]func(p *slab.Pool){
		"Close":           func(p *slab.Pool) { assert.NoError(t, p.Close()) },
		"Allocator.Close": func(p *slab.Pool) { assert.NoError(t, p.Allocator().Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, 64, 8, slab.Config{})
			q, h, err := p.Insert()
			require.NoError(t, err)
			r, err := p.Alloc()
			require.NoError(t, err)
			s := p.Scan()
			require.True(t, s.Next())
			p.Free(r) // the group does not survive either
			end(p)
			assert.Zero(t, s.Refresh())
			for range 2 {
				_, err = p.Alloc()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = p.AllocUninitialized()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, _, err = p.Insert()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = p.TakeGroup(1)
				assert.ErrorIs(t, err, slab.ErrClosed)
				assert.ErrorIs(t, p.Reserve(1), slab.ErrClosed)
				assert.Nil(t, p.Get(h))
				assert.False(t, p.Remove(h))
				assert.False(t, p.Owns(q))
				assert.Zero(t, p.Len())
				poolMisuse(t, p, slab.UseAfterClose, func() { p.Free(q) })
				poolMisuse(t, p, slab.UseAfterClose, func() { p.Handle(q) })
				p.Reset()
				assert.False(t, s.Next())
				fresh := p.Scan()
				_, n := fresh.NextRun()
				assert.Zero(t, n)
				assert.Zero(t, p.Stats().Slabs)
				assert.NoError(t, p.Close())
			}
		})
	}
}

// poolModel is a pool beside the least that can be said about it: which slots
// are live and what they hold, and which handles are spent.
type poolModel struct {
	t       testing.TB
	a       *slab.Allocator
	p       *slab.Pool
	size    int
	live    []liveSlot // in the order of their making
	spent   []slab.Handle
	retired int
	raw     []byte // memory of the allocator's that is not the pool's
	next    byte   // what the next slot is filled with
}

type liveSlot struct {
	q unsafe.Pointer
	h slab.Handle
	v byte
}

func newPoolModel(t testing.TB, src blocksrc.Source, size int) *poolModel {
	a, err := slab.New(slab.Config{Source: src})
	require.NoError(t, err)
	p, err := slab.NewPool(a, size, 8)
	require.NoError(t, err)
	return &poolModel{t: t, a: a, p: p, size: size, next: 1}
}

func (m *poolModel) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf(format, args...)
}

// add enters a new slot. An error is right if the source had no more.
func (m *poolModel) add(q unsafe.Pointer, h slab.Handle, err error) {
	if err != nil {
		if !errors.Is(err, blocksrc.ErrExhausted) {
			m.fail("refused: %v", err)
		}
		return
	}
	m.live = append(m.live, liveSlot{q, h, m.next})
	b := slotBytes(q, m.size)
	for i := 0; i < len(b); i += 509 {
		b[i] = m.next
	}
	b[len(b)-1] = m.next
	m.next++
}

func (m *poolModel) alloc() {
	q, err := m.p.Alloc()
	if err != nil {
		m.add(nil, slab.Handle{}, err)
		return
	}
	if !allBytes(slotBytes(q, m.size), 0) {
		m.fail("%p is not zero", q)
	}
	m.add(q, m.p.Handle(q), nil)
}

// free ends live slot i, by pointer or by handle.
func (m *poolModel) free(i int, pointer bool) {
	if i < 0 || i >= len(m.live) {
		return
	}
	s := m.live[i]
	if s.h.Gen() == slab.PoolLastGen {
		m.retired++
	}
	if pointer {
		m.p.Free(s.q)
	} else if !m.p.Remove(s.h) {
		m.fail("handle %x was refused", s.h.Bits())
	}
	m.spent = append(m.spent, s.h)
	m.live = slices.Delete(m.live, i, i+1)
}

// drop forgets all slots.
func (m *poolModel) drop(retire bool) {
	for _, s := range m.live {
		m.spent = append(m.spent, s.h)
		if retire && s.h.Gen() == slab.PoolLastGen {
			m.retired++
		}
	}
	m.live = m.live[:0]
}

// wear brings the newest slot to the end of its generations.
func (m *poolModel) wear() {
	if n := len(m.live); n > 0 {
		s := &m.live[n-1]
		if s.h.Gen() < slab.PoolLastGen {
			m.spent = append(m.spent, s.h)
			s.h = m.p.SetGeneration(s.h, slab.PoolLastGen)
		}
	}
}

// index returns which live slot h names.
func (m *poolModel) index(h slab.Handle) int {
	return slices.IndexFunc(m.live, func(s liveSlot) bool { return s.h == h })
}

// walk visits the slots and calls body at each. Whatever body does, only live
// slots are visited, in order, where they are.
func (m *poolModel) walk(body func(n int, h slab.Handle)) {
	n, last := 0, slab.Handle{}
	visit(m.p, func(h slab.Handle, q unsafe.Pointer) bool {
		i := m.index(h)
		if i < 0 || m.live[i].q != q {
			m.fail("visit %d: %x at %p is not live, or elsewhere", n, h.Bits(), q)
		}
		if n > 0 && uint32(h.Bits()) <= uint32(last.Bits()) {
			m.fail("visit %d: %x after %x", n, h.Bits(), last.Bits())
		}
		body(n, h)
		last = h
		n++
		return n < 1000
	})
}

// poolOps are what a tape is made of.
var poolOps = []struct {
	name string
	do   func(m *poolModel)
}{
	{"insert", func(m *poolModel) { m.add(m.p.Insert()) }},
	{"free first", func(m *poolModel) { m.free(0, true) }},
	{"remove last", func(m *poolModel) { m.free(len(m.live)-1, false) }},
	{"group", func(m *poolModel) {
		g, err := m.p.TakeGroup(3)
		if err != nil {
			m.add(nil, slab.Handle{}, err)
		}
		for q, h := range slotsOf(g, m.p.Stats().Stride) {
			m.add(q, h, nil)
		}
	}},
	{"trim", func(m *poolModel) { m.a.Trim() }},
	{"reserve", func(m *poolModel) {
		if err := m.p.Reserve(m.p.Stats().Free + 1); err != nil && !errors.Is(err, blocksrc.ErrExhausted) {
			m.fail("%v", err)
		}
	}},
	{"walk, freeing all", func(m *poolModel) {
		m.walk(func(n int, h slab.Handle) { m.free(m.index(h), n%2 == 0) })
		if len(m.live) > 0 {
			m.fail("%d were missed", len(m.live))
		}
	}},
	{"pool reset", func(m *poolModel) { m.p.Reset(); m.drop(true) }},

	// From here on for tapes of all operations.
	{"alloc", func(m *poolModel) { m.alloc() }},
	{"remove middle", func(m *poolModel) { m.free(len(m.live)/2, false) }},
	{"wear", func(m *poolModel) { m.wear() }},
	{"reset", func(m *poolModel) {
		m.a.Reset()
		m.drop(false)
		m.raw = nil
		m.retired = m.p.Stats().Retired
	}},
	{"raw", func(m *poolModel) {
		if m.raw != nil {
			m.a.Free(m.raw)
			m.raw = nil
			return
		}
		m.raw, _ = m.a.AllocUninitialized(m.size*2, 8)
		for i := range m.raw {
			m.raw[i] = 0xEE
		}
	}},
	{"walk, freeing others", func(m *poolModel) {
		m.walk(func(n int, h slab.Handle) {
			if n%2 == 0 {
				m.free((m.index(h)+1)%len(m.live), true)
			}
		})
	}},
	{"walk, all anew", func(m *poolModel) {
		m.walk(func(n int, _ slab.Handle) {
			if n > 1 {
				return
			}
			for range len(m.live) {
				m.free(0, true)
			}
			m.a.Trim()
			if m.raw == nil {
				m.raw, _ = m.a.Alloc(m.size, 8)
			}
			for range 4 {
				m.add(m.p.Insert())
			}
		})
	}},
	{"double free", func(m *poolModel) {
		for _, s := range m.live[:min(1, len(m.live))] {
			m.free(0, true)
			kind := func() (kind slab.Misuse) {
				defer func() {
					if err, ok := recover().(*slab.MisuseError); ok {
						kind = err.Misuse
					}
				}()
				m.p.Free(s.q)
				return 0
			}()
			if kind != slab.DoubleFree && kind != slab.Foreign {
				m.fail("second free of %p: %v", s.q, kind)
			}
		}
	}},
}

// poolShortOps is how many operations the longest exhaustive tapes are made of.
const poolShortOps = 8

// check compares the pool with the model.
func (m *poolModel) check() {
	stats := m.p.Stats()
	if m.p.Len() != len(m.live) || stats.Live != len(m.live) || stats.Retired != m.retired || stats.Free < 0 {
		m.fail("%d live, %d retired, but %+v", len(m.live), m.retired, stats)
	}
	for _, s := range m.live {
		b := slotBytes(s.q, m.size)
		if m.p.Get(s.h) != s.q || m.p.Handle(s.q) != s.h || !m.p.Owns(s.q) {
			m.fail("%x is not at %p any more", s.h.Bits(), s.q)
		}
		if b[0] != s.v || b[len(b)-1] != s.v || b[len(b)/2/509*509] != s.v {
			m.fail("%x was overwritten", s.h.Bits())
		}
	}
	for _, h := range m.spent {
		if m.p.Get(h) != nil {
			m.fail("%x was freed and is back", h.Bits())
		}
	}
	for i := 0; i < len(m.raw); i += 997 {
		if b := m.raw[i]; b != 0xEE && b != 0 {
			m.fail("memory beside the pool was overwritten")
		}
	}
	n := 0
	m.walk(func(int, slab.Handle) { n++ })
	if n != len(m.live) {
		m.fail("%d visited, %d live", n, len(m.live))
	}
	stride := uintptr(stats.Stride)
	var end uintptr
	n = 0
	for s := m.p.Scan(); ; {
		first, k := s.NextRun()
		if k == 0 {
			break
		}
		if uintptr(first) == end && m.samePlace(first, unsafe.Add(first, -int(stride))) {
			m.fail("two runs where there is one")
		}
		for i := range k {
			if !m.p.Owns(unsafe.Add(first, uintptr(i)*stride)) {
				m.fail("slot %d of a run of %d is not live", i, k)
			}
		}
		end = uintptr(first) + uintptr(k)*stride
		n += k
	}
	if n != len(m.live) {
		m.fail("%d in runs, %d live", n, len(m.live))
	}
}

func (m *poolModel) samePlace(q, r unsafe.Pointer) bool {
	x, _ := m.p.Handle(q).Index()
	y, _ := m.p.Handle(r).Index()
	return x == y
}

// end frees everything and gives it back.
func (m *poolModel) end() {
	if err := m.a.Check(); err != nil {
		m.fail("%v", err)
	}
	for len(m.live) > 0 {
		m.free(len(m.live)-1, len(m.live)%2 == 0)
	}
	if m.raw != nil {
		m.a.Free(m.raw)
	}
	m.a.Trim()
	if held := m.a.Stats().Held; held != 0 {
		m.fail("%d bytes are held", held)
	}
	if err := m.a.Check(); err != nil {
		m.fail("%v", err)
	}
	for _, h := range m.spent {
		if m.p.Get(h) != nil {
			m.fail("%x was freed and is back", h.Bits())
		}
	}
	if err := m.a.Close(); err != nil {
		m.fail("%v", err)
	}
}

// play runs a tape on a new pool. What went before is in the failure.
func playPoolTape(t *testing.T, memory []byte, size int, tape []byte) {
	src := &blocksrctest.Counting{Source: blocksrc.NewBuffer(memory)}
	m := newPoolModel(t, src, size)
	i := -1
	defer func() {
		err := recover()
		if err != nil || t.Failed() {
			var names []string
			for _, op := range tape[:min(i+1, len(tape))] {
				names = append(names, poolOps[op].name)
			}
			t.Errorf("tape of %d-byte slots: %q, then %v", size, names, err)
			t.FailNow()
		}
	}()
	for i = range tape {
		poolOps[tape[i]].do(m)
		m.check()
	}
	m.end()
	if src.Leaks() != nil || src.Misuse() != nil {
		m.fail("%v, %v", src.Leaks(), src.Misuse())
	}
}

// Every sequence of a few operations, on slabs of so few slots that a few
// operations fill and empty them.
func TestPoolTapes(t *testing.T) {
	memory := make([]byte, 2<<20)
	for _, c := range []struct{ size, ops, length int }{
		{20_000, len(poolOps), 4}, // three slots a slab
		{40_000, len(poolOps), 3}, // one
		{40_000, poolShortOps, 5},
	} {
		if poolSlow || testing.Short() {
			c.length = 3
		}
		tape := make([]byte, c.length)
		for playing := true; playing; playing = nextTape(tape, c.ops) {
			playPoolTape(t, memory, c.size, tape)
		}
	}
}

// nextTape counts tape up as a number to the base n, and returns false at the end.
func nextTape(tape []byte, n int) bool {
	for i := range tape {
		if tape[i]++; int(tape[i]) < n {
			return true
		}
		tape[i] = 0
	}
	return false
}

func TestPoolRandomTapes(t *testing.T) {
	tapes := 1500
	if poolSlow || testing.Short() {
		tapes = 60
	}
	rng := rand.New(rand.NewPCG(5, 6))
	memory := make([]byte, 2<<20)
	for i := range tapes {
		tape := make([]byte, 20+rng.IntN(60))
		for k := range tape {
			// Growth is more likely than the rest, or nothing would get large.
			tape[k] = byte(max(0, rng.IntN(len(poolOps)+8)-8))
		}
		playPoolTape(t, memory, []int{40_000, 20_000, 3000, 600, 64, 9}[i%6], tape)
	}
}
