//go:build goexperiment.arenas

package candidate

import (
	"arena"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

func newStdTrees() bench.Kernel { return &stdTrees{} }

func newStdHold() bench.Kernel {
	var a *arena.Arena // made with the first object, so that its first chunk is measured too
	return &pointerHold{
		alloc: func() (*held, error) {
			if a == nil {
				a = arena.NewArena()
			}
			return arena.New[held](a), nil
		},
		close: func() error { a.Free(); return nil },
	}
}

// hasArenas reports whether this program was built with the experiment.
const hasArenas = true

type stdTrees struct {
	long *arena.Arena
	kept *node
}

func (t *stdTrees) Open() error { t.long = arena.NewArena(); return nil }

func (t *stdTrees) Keep(depth int) error {
	t.kept = stdTree(t.long, depth)
	return nil
}

func (t *stdTrees) Kept() uint64 { return countTree(t.kept) }

func (t *stdTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		a := arena.NewArena()
		nodes += countTree(stdTree(a, depth))
		a.Free()
	}
	return nodes, nil
}

func (t *stdTrees) Close() error {
	t.kept = nil
	t.long.Free()
	return nil
}

func stdTree(a *arena.Arena, depth int) *node {
	n := arena.New[node](a)
	if depth > 0 {
		n.left, n.right = stdTree(a, depth-1), stdTree(a, depth-1)
	}
	return n
}
