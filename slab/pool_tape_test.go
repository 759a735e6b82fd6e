package slab_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Tapes of operations on a pool beside a model: all short ones, and random longer ones.

// poolModel is a pool and the least that can be said about it: which slots are live,
// what they hold, and which handles are spent.
type poolModel struct {
	t       testing.TB
	a       *slab.Allocator
	p       *slab.Pool
	size    int
	live    []liveSlot // in the order they were made
	spent   []slab.Handle
	retired int
	raw     []byte // an allocation beside the pool
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
	m.t.Fatalf(format, args...)
}

// add enters a new slot. The only error allowed is that the source has no more.
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

// free frees live slot i, by pointer or by handle.
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

// wear brings the newest slot to its last generation.
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

// poolOps are the operations that a tape is made of.
var poolOps = []struct {
	name string
	do   func(m *poolModel)
}{
	{"insert", func(m *poolModel) { m.add(m.p.Insert()) }},
	{"free first", func(m *poolModel) { m.free(0, true) }},
	{"remove last", func(m *poolModel) { m.free(len(m.live)-1, false) }},
	{"group", func(m *poolModel) {
		g, err := slab.ShellOf(m.p).TakeGroup(3)
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

	// From here on, only in tapes of all operations.
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

// poolShortOps is how many of poolOps the longest exhaustive tapes are made of.
const poolShortOps = 8

// check compares the pool with the model.
func (m *poolModel) check() {
	stats := m.p.Stats()
	if m.p.Len() != len(m.live) || stats.Live != len(m.live) || stats.Retired != m.retired || stats.Free < 0 {
		m.fail("%d live, %d retired, but %+v", len(m.live), m.retired, stats)
	}
	for _, s := range m.live {
		b := slotBytes(s.q, m.size)
		if m.p.Slot(s.h) != s.q || m.p.Handle(s.q) != s.h || !m.p.Owns(s.q) {
			m.fail("%x is not at %p any more", s.h.Bits(), s.q)
		}
		if b[0] != s.v || b[len(b)-1] != s.v || b[len(b)/2/509*509] != s.v {
			m.fail("%x was overwritten", s.h.Bits())
		}
	}
	for _, h := range m.spent {
		if m.p.Slot(h) != nil {
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
	for s := m.p.ScanWords(); ; {
		first, k := nextRun(&s, int(stride))
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
		if m.p.Slot(h) != nil {
			m.fail("%x was freed and is back", h.Bits())
		}
	}
	if err := m.a.Close(); err != nil {
		m.fail("%v", err)
	}
}

// playPoolTape runs a tape on a new pool. A failure names the operations so far.
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

// Every sequence of a few operations, on slabs with so few slots that these fill and
// empty them.
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

// nextTape increments tape, a number in base n, and returns false at the end.
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
