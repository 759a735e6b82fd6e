package candidate

import (
	"errors"
	"sync"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// An arena has no components: an entity with two is one struct of both, where an entity
// component system has a column for each. That is less work to make and remove, and more
// to read if only one component is wanted.

func init() {
	bench.Register(&bench.Candidate{
		Name:   "arena batch",
		About:  "arena.Arena, entities all at once: InsertN of 256, Reset; iteration by Chunks; worlds share an allocator",
		Family: bench.Ours, Rank: 3, Colour: "#ffc4c4", Frees: true,
		Kernels: bench.Kernels{
			bench.KindECS: func() bench.Kernel { return &arenaBatchECS{} },
		},
		Lacks: bench.LacksAll("for entities only: see arena handles", bench.KindFixed, bench.KindMixed, bench.KindFit,
			bench.KindTreesFree, bench.KindTreesBulk, bench.KindFrame, bench.KindHold),
	})
}

type entity struct {
	bench.Position
	bench.Velocity
}

// worlds returns the allocator that all worlds share, as in a program that makes many: an
// arena with an allocator of its own asks the system for its first blocks, and gives them
// back. The worlds of other candidates share Go's heap.
var worlds = sync.OnceValues(func() (*slab.Allocator, error) { return slab.New(slab.Config{}) })

type arenaECS struct {
	moving *arena.Arena[entity]
	still  *arena.Arena[bench.Position]
	names  []arena.Handle[entity]
	spare  []arena.Handle[entity]
}

func (w *arenaECS) Open(n int) error {
	on, err := worlds()
	if err != nil {
		return err
	}
	if w.moving, err = arena.New[entity](on); err != nil {
		return err
	}
	if w.still, err = arena.New[bench.Position](on); err != nil {
		return err
	}
	w.names, w.spare = slots[arena.Handle[entity]](n), slots[arena.Handle[entity]](n)
	return nil
}

func (w *arenaECS) Create() (err error) {
	a, names := w.moving, w.names
	for i := range names {
		x := float64(i)
		names[i], err = a.Insert(entity{bench.Position{X: x, Y: x}, bench.Velocity{X: 1, Y: 2}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *arenaECS) Shuffle(order []uint32) {
	for k, i := range order {
		w.spare[k] = w.names[i]
	}
	w.names, w.spare = w.spare, w.names
}

func (w *arenaECS) Delete() (removed int, err error) {
	a := w.moving
	for _, h := range w.names {
		if a.Remove(h) {
			removed++
		}
	}
	return removed, nil
}

func (w *arenaECS) Random(n int) (sum float64) {
	a := w.moving
	for _, h := range w.names[:n] {
		if p, ok := a.Get(h); ok {
			sum += p.Position.X
		}
	}
	return sum
}

func (w *arenaECS) Others(n int) error {
	for range n {
		if _, err := w.still.Insert(bench.Position{}); err != nil {
			return err
		}
	}
	return nil
}

func (w *arenaECS) Query() (visited int) {
	for _, p := range w.moving.All() {
		p.Position.X += p.Velocity.X
		p.Position.Y += p.Velocity.Y
		visited++
	}
	return visited
}

func (w *arenaECS) Close() error { return errors.Join(w.moving.Close(), w.still.Close()) }

// arenaBatchECS is arenaECS with operations on many entities at once.
type arenaBatchECS struct{ arenaECS }

func (w *arenaBatchECS) Create() (err error) {
	var batch [256]entity
	n := len(w.names)
	names := w.names[:0]
	for i := 0; i < n; i += len(batch) {
		part := batch[:min(len(batch), n-i)]
		for j := range part {
			x := float64(i + j)
			part[j] = entity{bench.Position{X: x, Y: x}, bench.Velocity{X: 1, Y: 2}}
		}
		if names, err = w.moving.InsertN(part, names); err != nil {
			return err
		}
	}
	w.names = names
	return nil
}

func (w *arenaBatchECS) Delete() (removed int, err error) {
	removed = w.moving.Len()
	w.moving.Reset()
	return removed, nil
}

func (w *arenaBatchECS) Query() (visited int) {
	for run := range w.moving.Chunks() {
		for i := range run {
			p := &run[i]
			p.Position.X += p.Velocity.X
			p.Position.Y += p.Velocity.Y
		}
		visited += len(run)
	}
	return visited
}
