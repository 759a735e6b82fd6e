package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Small worlds, exhaustively: every sequence of operations up to a length, with a Check after
// each, on a source so small that all that can happen does.

// A world is a source, a configuration, and the operations that tapes are made of.
type world struct {
	name   string
	bytes  int // of the buffer
	meta   int // of the buffer for records, 0 if they are in the other
	cfg    slab.Config
	pool   int // size of slots of a pool, 0 for none
	ops    []tapeOp
	length int // of the longest tape
}

type tapeOp struct {
	name string
	do   func(m *model)
}

func opAlloc(name string, size, align int) tapeOp {
	return tapeOp{name, func(m *model) { m.alloc(size, align, true) }}
}

func opRealloc(name string, last bool, size int) tapeOp {
	return tapeOp{name, func(m *model) {
		i := 0
		if last {
			i = len(m.live) - 1
		}
		if i >= 0 && len(m.live) > 0 {
			m.realloc(i, size)
		}
	}}
}

var (
	freeFirst = tapeOp{"free the first", func(m *model) {
		if len(m.live) > 0 {
			m.free(0, false)
		}
	}}
	freeLast = tapeOp{"free the last", func(m *model) {
		if n := len(m.live); n > 0 {
			m.free(n-1, true)
		}
	}}
	freeSecond = tapeOp{"free the second and do it again", func(m *model) {
		if len(m.live) > 1 {
			b := m.live[1].b
			m.free(1, false)
			m.badFree(b, "a double free")
		}
	}}
	trimAll  = tapeOp{"trim", (*model).trim}
	resetAll = tapeOp{"reset", (*model).reset}
	// The next call of the source fails.
	failAcquire = tapeOp{"fail the next acquire", func(m *model) {
		arm(m.src.acquires, 1, false)
	}}
	failMeta = tapeOp{"fail the next acquire for records", func(m *model) {
		arm(m.meta.acquires, 1, false)
	}}
	failRelease = tapeOp{"fail the next release", func(m *model) {
		arm(m.src.Failing, 1, false)
	}}
	takeSlot  = tapeOp{"take a slot", func(m *model) { m.take(m.pools[0], 0) }}
	insert    = tapeOp{"insert", func(m *model) { m.take(m.pools[0], 2) }}
	giveFirst = tapeOp{"give the first slot", func(m *model) {
		if p := m.pools[0]; len(p.live) > 0 {
			m.give(p, 0, true)
		}
	}}
	giveLast = tapeOp{"give the last slot and do it again", func(m *model) {
		if p := m.pools[0]; len(p.live) > 0 {
			q := p.live[len(p.live)-1].start
			m.give(p, len(p.live)-1, false)
			m.misuse(slab.DoubleFree, "a double free", func() {
				p.Free(q)
			})
		}
	}}
	run3      = tapeOp{"take a group", func(m *model) { m.takeGroup(m.pools[0], 3) }}
	resetPool = tapeOp{"reset the pool", func(m *model) { m.resetPool(m.pools[0]) }}
	reserve3  = tapeOp{"reserve", func(m *model) { m.reserve(m.pools[0], 3) }}
)

var worlds = []world{
	{ // Holes: everything that can be done to the chunks of one block.
		name: "chunks", bytes: 8 << 10, meta: 64 << 10, length: 6,
		cfg: slab.Config{BlockSize: 8 << 10, MaxBlockSize: 8 << 10, LargeSize: 8 << 10},
		ops: []tapeOp{
			opAlloc("1025", 1025, 0), opAlloc("3000", 3000, 0), opAlloc("1500 aligned", 1500, 2048),
			freeFirst, freeLast, freeSecond,
			opRealloc("first to 2500", false, 2500), opRealloc("last to 1030", true, 1030), opRealloc("first to 20", false, 20),
		},
	},
	{ // Blocks that come and go, and are refused.
		name: "blocks", bytes: 20 << 10, meta: 64 << 10, length: 6,
		cfg: slab.Config{BlockSize: 4 << 10, MaxBlockSize: 8 << 10, LargeSize: 6 << 10},
		ops: []tapeOp{
			opAlloc("1025", 1025, 0), opAlloc("3500", 3500, 0), opAlloc("7000", 7000, 0),
			freeFirst, freeLast, trimAll, resetAll, failAcquire, failRelease,
		},
	},
	{ // Blocks, none of them kept back.
		name: "blocks, none kept", bytes: 20 << 10, meta: 64 << 10, length: 5,
		cfg: slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10, Retain: -1},
		ops: []tapeOp{
			opAlloc("2500", 2500, 0), opAlloc("3500", 3500, 0), opAlloc("7000", 7000, 0),
			freeFirst, freeLast, trimAll, resetAll, failAcquire, failRelease,
		},
	},
	{ // Slabs, and chunks beside them; records in the same small buffer.
		name: "slabs", bytes: 64 << 10, length: 5,
		cfg: slab.Config{BlockSize: 8 << 10, MaxBlockSize: 16 << 10, Retain: 8 << 10},
		ops: []tapeOp{
			opAlloc("1000", 1000, 0), opAlloc("8", 8, 0), opAlloc("600 aligned", 600, 512), opAlloc("9000", 9000, 0),
			freeFirst, freeLast, opRealloc("last to 1000", true, 1000), trimAll, failAcquire,
		},
	},
	{ // A pool whose slabs have one slot each.
		name: "pool of large slots", bytes: 300 << 10, meta: 64 << 10, length: 6, pool: 66_000,
		cfg: slab.Config{BlockSize: 8 << 10},
		ops: []tapeOp{takeSlot, insert, giveFirst, giveLast, run3, reserve3, resetPool, trimAll, failAcquire},
	},
	{ // A pool whose slabs have a few.
		name: "pool", bytes: 40 << 10, meta: 64 << 10, length: 6, pool: 3000,
		cfg: slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10, Retain: -1},
		ops: []tapeOp{takeSlot, giveFirst, giveLast, run3, reserve3, resetPool, trimAll, resetAll, failMeta},
	},
}

// open returns a new small world. All worlds of a kind are at the same address.
func (w *world) open(t testing.TB, mem []byte) *model {
	user := newFaultySource(blocksrc.NewBuffer(mem[w.meta:w.meta+w.bytes]), w.bytes)
	user.pieces = true
	meta := user
	if w.meta > 0 {
		meta = newFaultySource(blocksrc.NewBuffer(mem[:w.meta]), w.meta)
		meta.pieces = true
	}
	m := newModel(t, w.cfg, user, meta)
	if w.pool > 0 {
		require.True(t, m.newPool(w.pool, 1))
	}
	return m
}

// TestTapes plays every tape up to a length. Two tapes that lead to the same
// state have the same continuations, so only the first of them is continued;
// otherwise tapes of this length would be beyond reach.
func TestTapes(t *testing.T) {
	mem := make([]byte, 512<<10)
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			length := w.length
			if slow() {
				length--
			}
			if testing.Short() {
				length--
			}
			seen := make(map[[2]uint64]bool)
			tapes := [][]byte{nil}
			played := 0
			for range length {
				var longer [][]byte
				for _, tape := range tapes {
					for op := range w.ops {
						m := w.open(t, mem)
						for _, op := range append(tape[:len(tape):len(tape)], byte(op)) {
							m.done = append(m.done, w.ops[op].name)
							w.ops[op].do(m)
						}
						m.check()
						m.verifyAll()
						played++
						if key := [2]uint64{slab.Fingerprint(m.a), m.fingerprint()}; !seen[key] {
							seen[key] = true
							longer = append(longer, append(tape[:len(tape):len(tape)], byte(op)))
							m.finish()
						}
					}
				}
				tapes = longer
			}
			t.Logf("%d tapes of up to %d operations, %d states", played, length, len(seen))
		})
	}
}

// fingerprint hashes what of the model bears on what comes next: which object is which, and
// the faults that are ahead.
func (m *model) fingerprint() uint64 {
	h := uint64(14695981039346656037)
	put := func(v uint64) { h = (h ^ v) * 1099511628211 }
	for _, o := range m.live {
		put(uint64(o.addr()))
		put(uint64(len(o.b)))
		put(uint64(o.align))
	}
	for _, p := range m.pools {
		put(1)
		for _, o := range p.live {
			put(uint64(o.addr()))
		}
	}
	for _, s := range []*faultySource{m.src, m.meta} {
		put(2)
		if armed(s.acquires) {
			put(3)
		}
		if armed(s.Failing) {
			put(4)
		}
	}
	return h
}
