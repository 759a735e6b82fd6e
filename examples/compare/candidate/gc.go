package candidate

import (
	"runtime/debug"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Go's own heap: new and make, freed by the collector. It works on other cores while the
// program goes on, so on a machine with an idle core a good part of its cost is not in
// the time of a workload. Trees and Hold report CPU time too.
func init() {
	for i, percent := range []string{"100", "400"} {
		bench.Register(&bench.Candidate{
			Name:   "gc " + percent,
			About:  "new and make, freed by the collector, GOGC=" + percent,
			Family: bench.Go, Rank: 1 + i, Colour: []string{"#2ca02c", "#8fce73"}[i],
			Env: []string{"GOGC=" + percent},
			Kernels: bench.Kernels{
				bench.KindFixed:     func() bench.Kernel { return &sized{New: newGCFixed} },
				bench.KindMixed:     func() bench.Kernel { return &gcMixed{} },
				bench.KindTreesFree: func() bench.Kernel { return &gcTrees{} },
				bench.KindFrame: func() bench.Kernel {
					return &pointerFrame{
						alloc: func() (*bench.Particle, error) { return new(bench.Particle), nil },
						free:  func(*bench.Particle) error { return nil },
						close: nothing,
					}
				},
				bench.KindHold: func() bench.Kernel {
					return &pointerHold{alloc: func() (*held, error) { return new(held), nil }, close: nothing}
				},
			},
			Lacks: map[bench.Kind]string{
				bench.KindFit:       "no heap of a fixed size",
				bench.KindTreesBulk: "freed by the collector either way: see trees-18, trees-21",
				bench.KindECS:       "a pointer does not notice that its entity is gone",
			},
		})
	}
}

func newGCFixed(size int) bench.Fixed {
	switch size {
	case 16:
		return &gcFixed[[2]uint64]{}
	case 64:
		return &gcFixed[[8]uint64]{}
	case 256:
		return &gcFixed[[32]uint64]{}
	}
	return nil
}

// gcFixed has objects without pointers, the better case: they are not scanned.
type gcFixed[T object] struct{ at []*T }

func (f *gcFixed[T]) Open(_, live int) error {
	f.at = slots[*T](live)
	for i := range f.at {
		p := new(T)
		(*p)[0], (*p)[len(*p)-1] = uint64(i), ^uint64(i)
		f.at[i] = p
	}
	return nil
}

func (f *gcFixed[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	at := f.at
	for k, s := range order {
		p := at[s]
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		p = new(T)
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
		at[s] = p
	}
	return sum, nil
}

func (f *gcFixed[T]) Close() error { f.at = nil; return nil }

type gcMixed struct {
	at    [][]byte
	touch bench.Touch
}

func (m *gcMixed) Open(n, _ int, touch bench.Touch) error {
	m.at, m.touch = slots[[]byte](n), touch
	return nil
}

func (m *gcMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	at, touch := m.at, m.touch
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			b := make([]byte, op.Size)
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

func (m *gcMixed) Trim()        { debug.FreeOSMemory() }
func (m *gcMixed) Close() error { m.at = nil; return nil }

type gcTrees struct{ kept *node }

func (t *gcTrees) Open() error { return nil }

func (t *gcTrees) Keep(depth int) error {
	t.kept = gcTree(depth)
	return nil
}

func (t *gcTrees) Kept() uint64 { return countTree(t.kept) }

func (t *gcTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		nodes += countTree(gcTree(depth))
	}
	return nodes, nil
}

func (t *gcTrees) Close() error { t.kept = nil; return nil }

func gcTree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{gcTree(depth - 1), gcTree(depth - 1)}
}
