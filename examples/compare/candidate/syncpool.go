package candidate

import (
	"math/bits"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// sync.Pool, with GOGC=100: what is freed goes into a pool, and the collector drops it
// at the second cycle. Bytes are pooled by powers of two.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "sync.Pool",
		About:  "sync.Pool of objects, not cleared; for bytes, one pool for each power of two",
		Family: bench.Go, Rank: 3, Colour: "#9467bd", Frees: true,
		Env: []string{"GOGC=100"},
		Kernels: bench.Kernels{
			bench.KindFixed:     func() bench.Kernel { return &sized{New: newPoolFixed} },
			bench.KindMixed:     func() bench.Kernel { return &poolMixed{} },
			bench.KindTreesFree: func() bench.Kernel { return newPoolTrees() },
			bench.KindFrame: func() bench.Kernel {
				pool := sync.Pool{New: func() any { return new(bench.Particle) }}
				return &pointerFrame{
					alloc: func() (*bench.Particle, error) { return pool.Get().(*bench.Particle), nil },
					free:  func(p *bench.Particle) error { pool.Put(p); return nil },
					close: nothing,
				}
			},
		},
		Lacks: map[bench.Kind]string{
			bench.KindFit:       "no heap of a fixed size",
			bench.KindTreesBulk: "objects are put back one by one",
			bench.KindHold:      "what is live is on Go's heap as ever: see gc 100",
			bench.KindECS:       "a pointer does not notice that its entity is gone",
		},
	})
}

func newPoolFixed(size int) bench.Fixed {
	switch size {
	case 16:
		return newPool[[2]uint64]()
	case 64:
		return newPool[[8]uint64]()
	case 256:
		return newPool[[32]uint64]()
	}
	return nil
}

type poolFixed[T object] struct {
	pool sync.Pool
	at   []*T
}

func newPool[T object]() *poolFixed[T] {
	return &poolFixed[T]{pool: sync.Pool{New: func() any { return new(T) }}}
}

func (f *poolFixed[T]) Open(_, live int) error {
	f.at = slots[*T](live)
	for i := range f.at {
		p := f.pool.Get().(*T)
		(*p)[0], (*p)[len(*p)-1] = uint64(i), ^uint64(i)
		f.at[i] = p
	}
	return nil
}

func (f *poolFixed[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	pool, at := &f.pool, f.at
	for k, s := range order {
		p := at[s]
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		pool.Put(p)
		p = pool.Get().(*T)
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
		at[s] = p
	}
	return sum, nil
}

func (f *poolFixed[T]) Close() error { f.at = nil; return nil }

// poolMixed pools pointers to the first byte: Put of a slice would allocate, and a
// pointer to a slice is one more cache miss.
type poolMixed struct {
	pools [32]sync.Pool // pool i has *byte, each to 1<<i bytes
	at    [][]byte      // as long as asked for, the capacity a power of two
	touch bench.Touch
}

func (m *poolMixed) Open(n, _ int, touch bench.Touch) error {
	m.at, m.touch = slots[[]byte](n), touch
	return nil
}

func (m *poolMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	at, touch := m.at, m.touch
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			m.pools[bits.Len32(uint32(cap(b)-1))].Put(unsafe.SliceData(b))
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			class := bits.Len32(op.Size - 1)
			p, ok := m.pools[class].Get().(*byte)
			if !ok {
				p = unsafe.SliceData(make([]byte, 1<<class))
			}
			b := unsafe.Slice(p, 1<<class)[:op.Size]
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

func (m *poolMixed) Trim() {
	debug.FreeOSMemory() // to the victim cache
	debug.FreeOSMemory() // and out of it
}

func (m *poolMixed) Close() error { m.at = nil; return nil }

type poolTrees struct {
	pool sync.Pool
	kept *node
}

func newPoolTrees() *poolTrees {
	return &poolTrees{pool: sync.Pool{New: func() any { return new(node) }}}
}

func (t *poolTrees) Open() error { return nil }

func (t *poolTrees) Keep(depth int) error {
	t.kept = t.tree(depth)
	return nil
}

func (t *poolTrees) Kept() uint64 { return countTree(t.kept) }

func (t *poolTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		root := t.tree(depth)
		nodes += countTree(root)
		t.free(root)
	}
	return nodes, nil
}

func (t *poolTrees) Close() error { t.kept = nil; return nil }

func (t *poolTrees) tree(depth int) *node {
	n := t.pool.Get().(*node)
	n.left, n.right = nil, nil
	if depth > 0 {
		n.left, n.right = t.tree(depth-1), t.tree(depth-1)
	}
	return n
}

func (t *poolTrees) free(n *node) {
	if n.left != nil {
		t.free(n.left)
		t.free(n.right)
	}
	t.pool.Put(n)
}
