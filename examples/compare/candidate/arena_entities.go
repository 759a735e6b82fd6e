package candidate

import (
	"errors"

	"github.com/vita-go/deblockator/arena"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// An arena has no components: an entity with two is one struct of both, in one
// place where a system of entities and components has a column for each. That is
// less to do on making and removing, and more to read if only one is wanted.

type entity struct {
	bench.Position
	bench.Velocity
}

type arenaECS struct {
	moving *arena.Arena[entity]
	still  *arena.Arena[bench.Position]
	names  []arena.Handle[entity]
	spare  []arena.Handle[entity]
}

func (w *arenaECS) Open(n int) error {
	w.moving, w.still = new(arena.Arena[entity]), new(arena.Arena[bench.Position])
	w.names, w.spare = slots[arena.Handle[entity]](n), slots[arena.Handle[entity]](n)
	return nil
}

func (w *arenaECS) Create() (err error) {
	for i := range w.names {
		x := float64(i)
		w.names[i], err = w.moving.Insert(entity{bench.Position{X: x, Y: x}, bench.Velocity{X: 1, Y: 2}})
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
	for _, h := range w.names {
		if w.moving.Remove(h) {
			removed++
		}
	}
	return removed, nil
}

func (w *arenaECS) Random() (sum float64) {
	for _, h := range w.names {
		if p, ok := w.moving.Get(h); ok {
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

func (w *arenaECS) Close() error { return errors.Join(w.moving.Close(), w.still.Close()) }
