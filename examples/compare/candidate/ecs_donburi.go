package candidate

import (
	"math"

	"github.com/yohamta/donburi"
	"github.com/yohamta/donburi/filter"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Donburi allocates each component on Go's heap, and groups the pointers to them by
// entities with the same components.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "donburi",
		About:  "github.com/yohamta/donburi v1.15.7: CreateMany, Remove, Valid and Entry, Query.Iter",
		Family: bench.Entity, Rank: 3, Colour: "#e8590c", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFrame: func() bench.Kernel { return &donburiFrame{} },
			bench.KindHold:  func() bench.Kernel { return &donburiHold{} },
			bench.KindECS:   func() bench.Kernel { return &donburiECS{} },
		},
		Lacks: entityLacks(),
	})
}

// Donburi's component types are global.
var (
	donburiPosition = donburi.NewComponentType[bench.Position]()
	donburiVelocity = donburi.NewComponentType[bench.Velocity]()
	donburiParticle = donburi.NewComponentType[bench.Particle]()
	donburiObject   = donburi.NewComponentType[donburiNode]()
)

type donburiECS struct {
	world donburi.World
	query *donburi.Query
	n     int
	names []donburi.Entity
}

func (d *donburiECS) Open(n int) error {
	d.world = donburi.NewWorld()
	d.query = donburi.NewQuery(filter.Contains(donburiPosition, donburiVelocity))
	d.n = n
	return nil
}

func (d *donburiECS) Create() error {
	d.names = d.world.CreateMany(d.n, donburiPosition, donburiVelocity)
	for k, e := range d.names {
		entry, i := d.world.Entry(e), float64(k)
		*donburiPosition.Get(entry) = bench.Position{X: i, Y: i}
		*donburiVelocity.Get(entry) = bench.Velocity{X: 1, Y: 2}
	}
	return nil
}

func (d *donburiECS) Shuffle(order []uint32) { d.names = shuffled(d.names, order) }

func (d *donburiECS) Delete() (removed int, err error) {
	before := d.world.Len()
	for _, e := range d.names {
		d.world.Remove(e) // does nothing if e is dead
	}
	d.names = nil
	return before - d.world.Len(), nil
}

func (d *donburiECS) Random(n int) (sum float64) {
	world := d.world
	for _, e := range d.names[:n] {
		if world.Valid(e) {
			sum += donburiPosition.Get(world.Entry(e)).X
		}
	}
	return sum
}

func (d *donburiECS) Others(n int) error {
	d.world.CreateMany(n, donburiPosition)
	return nil
}

func (d *donburiECS) Query() (visited int) {
	for entry := range d.query.Iter(d.world) {
		p, v := donburiPosition.Get(entry), donburiVelocity.Get(entry)
		p.X += v.X
		p.Y += v.Y
		visited++
	}
	return visited
}

func (d *donburiECS) Close() error { return nil }

// donburiFrame has one entity with one component for each particle. Removing while
// iterating would skip the entity that takes the place, so it waits.
type donburiFrame struct {
	world donburi.World
	dead  []donburi.Entity
}

func (f *donburiFrame) Open(first []bench.Particle) error {
	f.world = donburi.NewWorld()
	f.add(first)
	return nil
}

func (f *donburiFrame) add(born []bench.Particle) {
	for k, e := range f.world.CreateMany(len(born), donburiParticle) {
		*donburiParticle.Get(f.world.Entry(e)) = born[k]
	}
}

func (f *donburiFrame) Step(born []bench.Particle) (sum uint64, err error) {
	dead := f.dead[:0]
	for entry := range donburiParticle.Iter(f.world) {
		p := donburiParticle.Get(entry)
		p.VY -= bench.Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life == 0 {
			dead = append(dead, entry.Entity())
		}
	}
	for _, e := range dead {
		f.world.Remove(e)
	}
	f.dead = dead
	f.add(born)
	return sum, nil
}

func (f *donburiFrame) Len() int { return f.world.Len() }

func (f *donburiFrame) Close() error { return nil }

// donburiNode is what donburiHold keeps, linked by names.
type donburiNode struct {
	ID, Value uint64
	Link      donburi.Entity
	_         [5]uint64
}

type donburiHold struct {
	world donburi.World
	at    []donburi.Entity
}

func (h *donburiHold) Open(n int) error {
	h.world = donburi.NewWorld()
	h.at = h.world.CreateMany(n, donburiObject)
	for k, e := range h.at {
		i := uint64(k)
		*donburiObject.Get(h.world.Entry(e)) = donburiNode{ID: i, Value: i * bench.Mix, Link: h.at[i/2]}
	}
	return nil
}

func (h *donburiHold) Look(order []uint32) (sum uint64) {
	world, at := h.world, h.at
	for _, i := range order {
		o := donburiObject.Get(world.Entry(at[i]))
		sum = 3*sum + (o.ID ^ donburiObject.Get(world.Entry(o.Link)).Value)
	}
	return sum
}

func (h *donburiHold) Close() error { return nil }
