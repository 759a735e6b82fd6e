package slab_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// opTape is a string of bytes that are read as decisions. Past its end, all are 0.
type opTape []byte

func (t *opTape) byte() int {
	if len(*t) == 0 {
		return 0
	}
	b := (*t)[0]
	*t = (*t)[1:]
	return int(b)
}

func (t *opTape) word() int { return t.byte() | t.byte()<<8 }

// below returns a number from 0 to n-1, or 0 if there is none.
func (t *opTape) below(n int) int {
	switch {
	case n <= 1:
		return 0
	case n <= 256:
		return t.byte() % n
	}
	return t.word() % n
}

// edges are sizes at which arithmetic goes wrong.
var edges = []int{
	0, -1, math.MinInt, math.MinInt + 1, math.MaxInt, math.MaxInt - 1, math.MaxInt - granule, math.MaxInt - window,
	math.MaxInt / 2, maxBlockBytes, maxBlockBytes - 1, maxBlockBytes + 1,
	maxBlockBytes - window, maxBlockBytes - 4096, math.MaxInt32, math.MaxInt32 - 4096, 1 << 30,
}

func (t *opTape) size() int {
	k, v := t.byte(), t.word()
	switch k % 12 {
	case 0, 1, 2:
		return 1 + v%64
	case 3, 4:
		return 1 + v%smallMax
	case 5:
		return slab.ClassSize(v%slab.NumClasses) + v>>8%3 - 1
	case 6, 7:
		return smallMax - 2 + v%4096
	case 8:
		return smallMax + v%(32<<10)
	case 9:
		return max(1<<(v%19)+v>>8%3-1, 0)
	case 10:
		return smallMax + v*3
	}
	return edges[v%len(edges)]
}

func (t *opTape) align() int {
	k := t.byte()
	switch {
	case k < 128:
		return k & 1
	case k < 240:
		return 1 << (k % 14)
	case k < 250:
		return 1 << (12 + k%7)
	}
	return []int{3, -1, math.MinInt, math.MaxInt, math.MaxInt/2 + 1, 24}[k-250]
}

// zeroedMem serves one model at a time: allocating it takes longer than most tapes.
var zeroedMem = make([]byte, 3<<20)

const zeroedMeta = 1 << 20 // bytes of it for records, if they have a source of their own

// zeroedBuffer is a Buffer that clears what it hands out, and declares that.
type zeroedBuffer struct{ *blocksrc.Buffer }

func (z *zeroedBuffer) Acquire(size, align int) ([]byte, error) {
	mem, err := z.Buffer.Acquire(size, align)
	clear(mem)
	return mem, err
}

func (z *zeroedBuffer) Zeroed() bool { return true }

// sources returns the configuration and the sources that the tape asks for.
func (t *opTape) sources() (cfg slab.Config, src, meta *faultySource) {
	one := func(k int, mem []byte) *faultySource {
		switch k % 8 {
		case 0:
			return newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), 3<<20), 3<<20)
		case 1:
			return newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), 300_000), 300_000)
		case 2:
			if probe, err := (blocksrc.Mmap{}).Acquire(1, 0); err == nil {
				_ = blocksrc.Mmap{}.Release(probe)
				return newFaultySource(blocksrc.Limit(blocksrc.Mmap{}, 6<<20), 6<<20)
			}
			return newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), 6<<20), 6<<20)
		case 3:
			return newBufferSource(40 << 10)
		case 4:
			return newBufferSource(64<<10 + 16)
		case 5:
			return newBufferSource(200_000)
		case 6:
			return newBufferSource(1 << 20)
		}
		s := newFaultySource(&zeroedBuffer{Buffer: blocksrc.NewBuffer(mem)}, len(mem))
		s.pieces = true
		return s
	}
	k := t.byte()
	src = one(k, zeroedMem[zeroedMeta:])
	meta = src
	if k>>3%4 == 3 {
		meta = one(k>>5, zeroedMem[:zeroedMeta])
	}
	if b := t.byte(); b%4 != 0 {
		cfg.BlockSize = []int{0, 4096, 5000, 8 << 10, 16<<10 + 8, 64 << 10, 100_000, 1 << 20}[b>>2%8]
		cfg.MaxBlockSize = []int{0, 0, cfg.BlockSize, 2 * cfg.BlockSize, 8 * cfg.BlockSize}[b>>5%5]
	}
	if b := t.byte(); b%4 == 0 {
		cfg.LargeSize = min(1025+b*64, max(cfg.MaxBlockSize, cfg.BlockSize))
		if cfg.LargeSize < 1025 {
			cfg.LargeSize = 0
		}
	}
	if b := t.byte(); b%4 == 0 {
		cfg.BlockAlign = []int{8, 64, 1024, 4096}[b>>2%4]
		cfg.LargeAlign = []int{0, 16, 256, 8192}[b>>4%4]
		if b>>6 == 3 { // beyond what a source does by itself
			cfg.BlockAlign <<= 4
			cfg.LargeAlign <<= 4
		}
	}
	cfg.Retain = []int{0, 0, -1, 1, 10_000, 1 << 20}[t.byte()%6]
	return cfg, src, meta
}

// play runs a tape against a model.
func play(tb testing.TB, data []byte) {
	t := opTape(data)
	cfg, src, meta := t.sources()
	m := newModel(tb, cfg, src, meta)
	for n := 0; len(t) > 0 && len(m.byAddr) < 2000; n++ {
		m.step(&t)
		if slab.Invariants || n%4 == 0 {
			m.totals() // slabcheck checks the rest
		} else {
			m.check()
		}
		if n%64 == 63 {
			m.verifyAll()
		}
	}
	m.check()
	if t.byte()%8 == 0 {
		m.close() // with everything live
		return
	}
	m.finish()
}

// step does one operation.
func (m *model) step(t *opTape) {
	op := t.byte()
	if len(m.pools) > 0 && op%3 == 0 {
		m.poolStep(op/3, t)
		return
	}
	switch op % 32 {
	default: // a third of all
		m.alloc(t.size(), t.align(), op&1 == 0)
	case 1, 2, 3, 4, 5, 6, 7:
		if len(m.live) > 0 {
			m.free(t.below(len(m.live)), op%32 == 1)
		}
	case 8, 9, 10, 11, 12:
		if len(m.live) > 0 {
			i := t.below(len(m.live))
			size := t.size()
			switch k := t.byte(); {
			case k < 64: // a little more or less
				size = max(0, len(m.live[i].b)+k-32)
			case k < 96:
				size = len(m.live[i].b) / 2
			case k < 112:
				size = cap(m.live[i].b)
			}
			m.realloc(i, size)
		}
	case 13: // double free, at once
		if len(m.live) > 0 {
			i := t.below(len(m.live))
			b := m.live[i].b
			m.free(i, false)
			m.badFree(b, "a double free")
			m.badFree(b[:0:0], "a double free of nothing")
		}
	case 14: // the inside and a part of an allocation
		if len(m.live) > 0 {
			b := m.live[t.below(len(m.live))].b
			b = b[:cap(b)]
			i := t.below(len(b))
			m.badFree(b[i:], "a free of the end of an allocation")
			m.badFree(b[:i:i], "a free of the start of an allocation")
			m.badFree(b[i:i:i], "a free of nothing in an allocation")
		}
	case 15: // memory that is not the allocator's at all
		m.foreign(t)
	case 16:
		if t.byte() < 64 {
			m.reset()
		}
	case 17:
		m.trim()
	case 18:
		m.arm(t)
	case 19:
		if len(m.pools) < 4 {
			size, align := t.size(), t.align()
			if size > 64<<10 && size < math.MaxInt32/2 {
				size %= 64 << 10
			}
			m.newPool(size, align)
		}
	case 20: // many of a kind
		size := 1 + t.word()%3000
		for range t.below(64) {
			if !m.alloc(size, 0, false) {
				break
			}
		}
	case 21: // every other one
		for i := len(m.live) - 1; i >= 0; i -= 2 {
			m.free(i, false)
		}
	}
}

// arm makes a future call of a source fail, or makes the sources well again.
func (m *model) arm(t *opTape) {
	k := t.byte()
	s := m.src
	if k&1 != 0 {
		s = m.meta
	}
	switch k >> 1 % 5 {
	case 0, 1:
		arm(s.acquires, 1+k>>4, k>>3&1 != 0)
	case 2:
		arm(s.Failing, 1+k>>4, k>>3&1 != 0)
	default:
		m.disarm()
	}
}

// foreign frees what is not the allocator's.
func (m *model) foreign(t *opTape) {
	var local [256]byte
	heap := make([]byte, 256)
	i, n := t.below(128), 1+t.below(128)
	m.badFree(heap[i:i+n], "a free of Go memory")
	m.badFree(local[i:i+n], "a free of a variable")
	m.badFree(local[i:i:i], "a free of nothing in a variable")
	m.badFree(nil, "a free of nil")
	m.badFree([]byte{}, "a free of nothing")
	if m.src.beside != nil {
		m.badFree(m.src.beside[:min(n, len(m.src.beside))], "a free of what lies behind the source")
	}
	for _, mem := range slab.MetaBlocks(m.a) {
		i := t.below(len(mem)) &^ 15
		m.badFree(mem[i:], "a free of a record")
	}
	for _, p := range m.pools {
		if len(p.live) > 0 && p.size > 0 {
			m.badFree(p.live[0].b, "a free of a pool's slot")
		}
		m.misuse(slab.Foreign, "a pool's free of Go memory", func() { p.Free(unsafe.Pointer(&heap[i])) })
		m.misuse(slab.Foreign, "a pool's free of nil", func() { p.Free(nil) })
		if len(m.live) > 0 {
			b := m.live[t.below(len(m.live))].b
			m.misuse(slab.Foreign, "a pool's free of an allocation", func() { p.Free(unsafe.Pointer(&b[0])) })
			if p.Owns(unsafe.Pointer(&b[0])) {
				m.fatalf("a pool owns an allocation")
			}
		}
		for _, q := range m.pools {
			if q != p && len(q.live) > 0 {
				o := q.live[len(q.live)/2]
				m.misuse(slab.Foreign, "a pool's free of another's slot", func() { p.Free(o.start) })
				m.stale(p, o.handle)
			}
		}
	}
}

func (m *model) poolStep(op int, t *opTape) {
	p := m.pools[t.below(len(m.pools))]
	switch op % 20 {
	default:
		m.take(p, op)
	case 1, 2, 3, 4, 5:
		if len(p.live) > 0 {
			m.give(p, t.below(len(p.live)), op&1 == 0)
		}
	case 6:
		for range t.below(100) {
			if !m.take(p, op) {
				break
			}
		}
	case 7:
		for n := t.below(100); n > 0 && len(p.live) > 0; n-- {
			m.give(p, t.below(len(p.live)), n&1 == 0)
		}
	case 8: // double free, and an address inside
		if len(p.live) == 0 {
			break
		}
		i := t.below(len(p.live))
		o := p.live[i]
		if off := t.below(p.stride); off > 0 {
			m.misuse(slab.Interior, "a free inside a slot", func() { p.Free(unsafe.Add(o.start, off)) })
			m.misuse(slab.Interior, "Handle inside a slot", func() { p.Pool.Handle(unsafe.Add(o.start, off)) })
		}
		m.give(p, i, op&1 == 0)
		m.misuse(slab.DoubleFree, "a double free of a slot", func() { p.Free(o.start) })
		m.take(p, 0) // it may be the slot that was freed
		m.freeGone(p, t.below(len(p.gone)))
	case 9:
		m.takeGroup(p, t.below(70))
	case 10:
		if t.byte() < 64 {
			m.resetPool(p)
		}
	case 11:
		m.reserve(p, t.below(200))
		if t.byte()&15 == 0 {
			m.reserve(p, -1)
		}
	case 12:
		if i := t.below(len(m.pools)); t.byte() < 64 {
			m.closePool(i)
		}
	case 13:
		m.scan(p)
	case 15:
		n := t.below(40)
		m.scanWith(p, func() {
			if n--; n >= 0 && len(*t) > 0 {
				m.step(t)
			}
		})
	case 16: // all slots go, with their slabs, and some come back
		for len(p.live) > 0 {
			m.give(p, len(p.live)-1, op&1 == 0)
		}
		m.trim()
		for range t.below(100) {
			if !m.take(p, op) {
				break
			}
		}
	case 14:
		for i, h := range p.dead {
			m.stale(p, h)
			m.freeGone(p, i)
		}
		m.stale(p, slab.Handle{})
		m.stale(p, slab.HandleFromBits(uint64(t.word())<<32|uint64(t.word())<<(t.byte()%17)))
	}
}

func randomTape(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// FuzzAllocator plays any tape: whatever is asked of an allocator, in whatever
// order, over whatever source, it keeps its promises.
func FuzzAllocator(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomTape(seed, 100<<(seed%5)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8<<10 {
			t.Skip("no need to be long")
		}
		play(t, data)
	})
}

// TestRandomTapes is the fuzz target on long tapes, the same ones every time.
func TestRandomTapes(t *testing.T) {
	n := 50
	switch {
	case testing.Short():
		n = 4
	case slow():
		n = 12
	}
	for seed := range n {
		play(t, randomTape(uint64(seed)+1000, 6<<10))
	}
}
