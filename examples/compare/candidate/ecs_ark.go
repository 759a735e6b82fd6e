package candidate

import (
	"math"

	"github.com/mlange-42/ark/ecs"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Ark has a table for all entities with the same components, with a column for each. The
// last entity of a table takes the place of a removed one, so iteration is over slices
// without gaps. An index of the rows finds an entity.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "ark",
		About:  "github.com/mlange-42/ark v0.8.1, one entity at a time: Map2.NewEntityFn, RemoveEntity, Map.Get, Query.Next",
		Family: bench.Entity, Rank: 1, Colour: "#17a2b8", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFrame: func() bench.Kernel { return &arkFrame{} },
			bench.KindHold:  func() bench.Kernel { return &arkHold{} },
			bench.KindECS:   func() bench.Kernel { return &arkECS{} },
		},
		Lacks: entityLacks(),
	})
	bench.Register(&bench.Candidate{
		Name: "ark batch",
		About: "github.com/mlange-42/ark v0.8.1, all entities at once: NewBatchFn, RemoveEntities of a filter " +
			"(in Ark's order, not that of the names), Query.NextTable",
		Family: bench.Entity, Rank: 2, Colour: "#0b7285", Frees: true,
		Kernels: bench.Kernels{
			bench.KindECS: func() bench.Kernel { return &arkBatchECS{} },
		},
		Lacks: lacks(entityLacks(), "the same as ark's",
			bench.KindFrame, bench.KindHold),
	})
}

// entityLacks is what no entity component system does.
func entityLacks() map[bench.Kind]string {
	return lacks(bench.LacksAll("its objects are entities of a world, not nodes of a tree",
		bench.KindTreesFree, bench.KindTreesBulk),
		"an entity's components have a type, not a number of bytes",
		bench.KindFixed, bench.KindMixed, bench.KindFit)
}

// lacks adds a reason for some kinds to m.
func lacks(m map[bench.Kind]string, reason string, kinds ...bench.Kind) map[bench.Kind]string {
	for _, k := range kinds {
		m[k] = reason
	}
	return m
}

type arkECS struct {
	world *ecs.World
	both  *ecs.Map2[bench.Position, bench.Velocity]
	pos   *ecs.Map[bench.Position]
	query *ecs.Filter2[bench.Position, bench.Velocity]
	n     int
	names []ecs.Entity
}

func (a *arkECS) Open(n int) error {
	a.world = ecs.NewWorld()
	a.both = a.both.New(a.world)
	a.pos = a.pos.New(a.world)
	a.query = a.query.New(a.world)
	a.n, a.names = n, slots[ecs.Entity](n)[:0]
	return nil
}

func (a *arkECS) Create() error {
	both, names := a.both, a.names[:0]
	var i float64
	first := func(p *bench.Position, v *bench.Velocity) {
		*p, *v = bench.Position{X: i, Y: i}, bench.Velocity{X: 1, Y: 2}
	}
	for k := range a.n {
		i = float64(k)
		names = append(names, both.NewEntityFn(first))
	}
	a.names = names
	return nil
}

func (a *arkECS) Shuffle(order []uint32) { a.names = shuffled(a.names, order) }

// shuffled returns the names in another order.
func shuffled[N any](names []N, order []uint32) []N {
	in := make([]N, len(names))
	for k, i := range order {
		in[k] = names[i]
	}
	return in
}

func (a *arkECS) Delete() (removed int, err error) {
	world := a.world
	for _, e := range a.names {
		world.RemoveEntity(e) // panics if e is dead
		removed++
	}
	a.names = a.names[:0]
	return removed, nil
}

func (a *arkECS) Random(n int) (sum float64) {
	pos := a.pos
	for _, e := range a.names[:n] {
		sum += pos.Get(e).X // panics if e is dead
	}
	return sum
}

func (a *arkECS) Others(n int) error {
	a.pos.NewBatchFn(n, nil)
	return nil
}

func (a *arkECS) Query() (visited int) {
	q := a.query.Query()
	for q.Next() {
		p, v := q.Get()
		p.X += v.X
		p.Y += v.Y
		visited++
	}
	return visited
}

func (a *arkECS) Close() error { return nil }

// arkBatchECS is arkECS with Ark's operations on many entities at once.
type arkBatchECS struct{ arkECS }

func (a *arkBatchECS) Create() error {
	names := a.names[:0]
	a.both.NewBatchFn(a.n, func(e ecs.Entity, p *bench.Position, v *bench.Velocity) {
		i := float64(len(names))
		*p, *v = bench.Position{X: i, Y: i}, bench.Velocity{X: 1, Y: 2}
		names = append(names, e)
	})
	a.names = names
	return nil
}

func (a *arkBatchECS) Delete() (removed int, err error) {
	q := a.query.Query()
	removed = q.Count()
	q.Close()
	a.world.RemoveEntities(a.query.Batch(), nil)
	a.names = a.names[:0]
	return removed, nil
}

func (a *arkBatchECS) Query() (visited int) {
	q := a.query.Query()
	for q.NextTable() {
		ps, vs := q.GetColumns()
		for i := range ps {
			p, v := &ps[i], &vs[i]
			p.X += v.X
			p.Y += v.Y
		}
		visited += len(ps)
	}
	return visited
}

// arkFrame has one entity with one component for each particle. A world cannot
// change while it is iterated, so the dead are removed after the loop.
type arkFrame struct {
	world     *ecs.World
	particles *ecs.Map[bench.Particle]
	query     *ecs.Filter1[bench.Particle]
	dead      []ecs.Entity
}

func (f *arkFrame) Open(first []bench.Particle) error {
	f.world = ecs.NewWorld()
	f.particles = f.particles.New(f.world)
	f.query = f.query.New(f.world)
	f.add(first)
	return nil
}

func (f *arkFrame) add(born []bench.Particle) {
	if len(born) == 0 {
		return
	}
	k := 0
	f.particles.NewBatchFn(len(born), func(_ ecs.Entity, p *bench.Particle) {
		*p = born[k]
		k++
	})
}

func (f *arkFrame) Step(born []bench.Particle) (sum uint64, err error) {
	dead := f.dead[:0]
	q := f.query.Query()
	for q.NextTable() {
		ps, es := q.GetColumns(), q.Entities()
		for i := range ps {
			p := &ps[i]
			p.VY -= bench.Gravity
			p.X += p.VX
			p.Y += p.VY
			p.Z += p.VZ
			p.Life--
			sum += p.ID ^ uint64(math.Float32bits(p.Y))
			if p.Life == 0 {
				dead = append(dead, es[i])
			}
		}
	}
	for _, e := range dead {
		f.world.RemoveEntity(e)
	}
	f.dead = dead
	f.add(born)
	return sum, nil
}

func (f *arkFrame) Len() int {
	q := f.query.Query()
	defer q.Close()
	return q.Count()
}

func (f *arkFrame) Close() error { return nil }

// arkObject is what arkHold keeps, linked by names.
type arkObject struct {
	ID, Value uint64
	Link      ecs.Entity
	_         [5]uint64
}

type arkHold struct {
	world   *ecs.World
	objects *ecs.Map[arkObject]
	at      []ecs.Entity
}

func (h *arkHold) Open(n int) error {
	h.world = ecs.NewWorld()
	h.objects = h.objects.New(h.world)
	h.at = make([]ecs.Entity, 0, n)
	h.objects.NewBatchFn(n, func(e ecs.Entity, o *arkObject) {
		i := uint64(len(h.at))
		h.at = append(h.at, e)
		*o = arkObject{ID: i, Value: i * bench.Mix, Link: h.at[i/2]}
	})
	return nil
}

func (h *arkHold) Look(order []uint32) (sum uint64) {
	objects, at := h.objects, h.at
	for _, i := range order {
		o := objects.Get(at[i])
		sum = 3*sum + (o.ID ^ objects.Get(o.Link).Value)
	}
	return sum
}

func (h *arkHold) Close() error { return nil }
