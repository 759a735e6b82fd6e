package candidate

import (
	"errors"
	"math"

	"github.com/vita-go/deblockator/arena"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The arena of this library by handles, each checked at every use. The worlds of
// entities are in arena_entities.go.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "arena handles",
		About:  "arena.Arena: AllocHandle or Insert, Get and Remove by handle, each checked; iteration by All; worlds of entities share an allocator",
		Family: bench.Ours, Rank: 2, Colour: "#ff9896", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed:     func() bench.Kernel { return &sized{New: newArenaHandles} },
			bench.KindTreesFree: func() bench.Kernel { return &arenaTrees{} },
			bench.KindTreesBulk: func() bench.Kernel { return &arenaTrees{bulk: true} },
			bench.KindFrame:     func() bench.Kernel { return &arenaHandlesFrame{} },
			bench.KindHold:      func() bench.Kernel { return &arenaHold{} },
			bench.KindECS:       func() bench.Kernel { return &arenaECS{} },
		},
		Lacks: bench.LacksAll("objects of one type: see allocator",
			bench.KindMixed, bench.KindFit),
	})
}

func newArenaHandles(size int) bench.Fixed {
	switch size {
	case 16:
		return &arenaHandles[[2]uint64]{}
	case 64:
		return &arenaHandles[[8]uint64]{}
	case 256:
		return &arenaHandles[[32]uint64]{}
	}
	return nil
}

type arenaHandles[T object] struct {
	a  arena.Arena[T]
	at []arena.Handle[T]
}

func (f *arenaHandles[T]) Open(_, live int) error {
	f.at = slots[arena.Handle[T]](live)
	for i := range f.at {
		var v T
		v[0], v[len(v)-1] = uint64(i), ^uint64(i)
		h, err := f.a.Insert(v)
		if err != nil {
			return errors.Join(err, f.a.Close())
		}
		f.at[i] = h
	}
	return nil
}

var errGone = errors.New("an object is gone that should be there")

func (f *arenaHandles[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	a, at := &f.a, f.at
	for k, s := range order {
		p, ok := a.Get(at[s])
		if !ok {
			return 0, errGone
		}
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		a.Remove(at[s])
		p, h, err := a.AllocHandle()
		if err != nil {
			return 0, err
		}
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
		at[s] = h
	}
	return sum, nil
}

func (f *arenaHandles[T]) Close() error { return f.a.Close() }

// arenaNode is as large as one with two pointers.
type arenaNode struct{ left, right arena.Handle[arenaNode] }

type arenaTrees struct {
	bulk  bool
	long  arena.Arena[arenaNode]
	kept  arena.Handle[arenaNode]
	short arena.Arena[arenaNode]
}

func (t *arenaTrees) Open() error { return nil }

func (t *arenaTrees) Keep(depth int) (err error) {
	t.kept, err = arenaTree(&t.long, depth)
	return err
}

func (t *arenaTrees) Kept() uint64 { return countArenaTree(&t.long, t.kept) }

func (t *arenaTrees) Churn(depth, trees int) (nodes uint64, err error) {
	a := &t.short
	for range trees {
		root, err := arenaTree(a, depth)
		if err != nil {
			return 0, err
		}
		nodes += countArenaTree(a, root)
		if t.bulk {
			a.Reset()
		} else {
			freeArenaTree(a, root)
		}
	}
	return nodes, nil
}

func (t *arenaTrees) Close() error { return errors.Join(t.long.Close(), t.short.Close()) }

func arenaTree(a *arena.Arena[arenaNode], depth int) (arena.Handle[arenaNode], error) {
	p, h, err := a.AllocHandle()
	if err != nil || depth == 0 {
		return h, err
	}
	if p.left, err = arenaTree(a, depth-1); err != nil {
		return h, err
	}
	p.right, err = arenaTree(a, depth-1)
	return h, err
}

func countArenaTree(a *arena.Arena[arenaNode], h arena.Handle[arenaNode]) uint64 {
	p, ok := a.Get(h)
	if !ok {
		return 0
	}
	if p.left.IsZero() {
		return 1
	}
	return 1 + countArenaTree(a, p.left) + countArenaTree(a, p.right)
}

func freeArenaTree(a *arena.Arena[arenaNode], h arena.Handle[arenaNode]) {
	p, ok := a.Get(h)
	if !ok {
		return
	}
	if left, right := p.left, p.right; !left.IsZero() {
		freeArenaTree(a, left)
		freeArenaTree(a, right)
	}
	a.Remove(h)
}

type arenaHandlesFrame struct {
	a   arena.Arena[bench.Particle]
	new []arena.Handle[bench.Particle]
}

func (f *arenaHandlesFrame) Open(first []bench.Particle) (err error) {
	f.new, err = f.a.InsertN(first, f.new[:0])
	return err
}

func (f *arenaHandlesFrame) Step(born []bench.Particle) (sum uint64, err error) {
	for h, p := range f.a.All() {
		p.VY -= bench.Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life == 0 {
			f.a.Remove(h)
		}
	}
	f.new, err = f.a.InsertN(born, f.new[:0])
	return sum, err
}

func (f *arenaHandlesFrame) Len() int     { return f.a.Len() }
func (f *arenaHandlesFrame) Close() error { return f.a.Close() }

type arenaHeld struct {
	id, value uint64
	link      arena.Handle[arenaHeld]
	_         [5]uint64
}

type arenaHold struct {
	a  arena.Arena[arenaHeld]
	at []arena.Handle[arenaHeld]
}

func (d *arenaHold) Open(n int) error {
	d.at = slots[arena.Handle[arenaHeld]](n)
	for i := range d.at {
		p, h, err := d.a.AllocHandle()
		if err != nil {
			return errors.Join(err, d.a.Close())
		}
		d.at[i] = h
		p.id, p.value, p.link = uint64(i), uint64(i)*bench.Mix, d.at[i/2]
	}
	return nil
}

func (d *arenaHold) Look(order []uint32) (sum uint64) {
	for _, i := range order {
		p, ok := d.a.Get(d.at[i])
		if !ok {
			return 0
		}
		q, ok := d.a.Get(p.link)
		if !ok {
			return 0
		}
		sum = 3*sum + (p.id ^ q.value)
	}
	return sum
}

func (d *arenaHold) Close() error { return d.a.Close() }
