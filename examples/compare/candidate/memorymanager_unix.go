//go:build unix

package candidate

import (
	"math"

	"github.com/fmstephe/memorymanager/offheap"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// refKernels adds the kernels, as the module builds here.
func refKernels(c *bench.Candidate) {
	c.Kernels[bench.KindFixed] = func() bench.Kernel { return &sized{New: newRefFixed} }
	c.Kernels[bench.KindMixed] = func() bench.Kernel { return &refMixed{} }
	c.Kernels[bench.KindTreesFree] = func() bench.Kernel { return &refTrees{} }
	c.Kernels[bench.KindFrame] = func() bench.Kernel { return &refFrame{} }
	c.Kernels[bench.KindHold] = func() bench.Kernel { return &refHold{} }
}

func newRefFixed(size int) bench.Fixed {
	switch size {
	case 16:
		return &refFixed[[2]uint64]{}
	case 64:
		return &refFixed[[8]uint64]{}
	case 256:
		return &refFixed[[32]uint64]{}
	}
	return nil
}

type refFixed[T object] struct {
	s  *offheap.Store
	at []offheap.RefObject[T]
}

func (f *refFixed[T]) Open(_, live int) error {
	f.s = offheap.New()
	f.at = slots[offheap.RefObject[T]](live)
	for i := range f.at {
		r := offheap.AllocObject[T](f.s)
		p := r.Value()
		(*p)[0], (*p)[len(*p)-1] = uint64(i), ^uint64(i)
		f.at[i] = r
	}
	return nil
}

func (f *refFixed[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	store, at := f.s, f.at
	for k, s := range order {
		p := at[s].Value()
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		offheap.FreeObject(store, at[s])
		at[s] = offheap.AllocObject[T](store)
		p = at[s].Value()
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
	}
	return sum, nil
}

func (f *refFixed[T]) Close() error { f.at = nil; return f.s.Destroy() }

type refMixed struct {
	s     *offheap.Store
	at    []offheap.RefSlice[byte]
	touch bench.Touch
}

func (m *refMixed) Open(n, _ int, touch bench.Touch) error {
	m.s = offheap.New()
	m.at, m.touch = slots[offheap.RefSlice[byte]](n), touch
	return nil
}

func (m *refMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	store, at, touch := m.s, m.at, m.touch
	for k, op := range ops {
		if r := at[op.Slot]; !r.IsNil() {
			sum = 3*sum + read(r.Value(), touch)
			offheap.FreeSlice(store, r)
			at[op.Slot] = offheap.RefSlice[byte]{}
		}
		if op.Size > 0 {
			r := offheap.AllocSlice[byte](store, int(op.Size), int(op.Size))
			write(r.Value(), byte(stamp+uint64(k)), touch)
			at[op.Slot] = r
		}
	}
	return sum, nil
}

// Held adds up the slabs of each size, which hold the records too.
func (m *refMixed) Held() (held int64) {
	configs := m.s.AllocConfigs()
	for i, stats := range m.s.Stats() {
		held += int64(stats.Slabs) * int64(configs[i].TotalSlabSize)
	}
	return held
}

func (m *refMixed) Close() error { m.at = nil; return m.s.Destroy() }

type refNode struct{ left, right offheap.RefObject[refNode] }

type refTrees struct {
	s    *offheap.Store
	kept offheap.RefObject[refNode]
}

func (t *refTrees) Open() error { t.s = offheap.New(); return nil }

func (t *refTrees) Keep(depth int) error {
	t.kept = t.tree(depth)
	return nil
}

func (t *refTrees) Kept() uint64 { return countRefTree(t.kept) }

func (t *refTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		root := t.tree(depth)
		nodes += countRefTree(root)
		t.free(root)
	}
	return nodes, nil
}

func (t *refTrees) Close() error { return t.s.Destroy() }

func (t *refTrees) tree(depth int) offheap.RefObject[refNode] {
	r := offheap.AllocObject[refNode](t.s)
	p := r.Value()
	*p = refNode{}
	if depth > 0 {
		p.left, p.right = t.tree(depth-1), t.tree(depth-1)
	}
	return r
}

func countRefTree(r offheap.RefObject[refNode]) uint64 {
	p := r.Value()
	if p.left.IsNil() {
		return 1
	}
	return 1 + countRefTree(p.left) + countRefTree(p.right)
}

func (t *refTrees) free(r offheap.RefObject[refNode]) {
	if p := r.Value(); !p.left.IsNil() {
		t.free(p.left)
		t.free(p.right)
	}
	offheap.FreeObject(t.s, r)
}

// refFrame is a list of references, in which the last takes the place of one that dies.
type refFrame struct {
	s    *offheap.Store
	live []offheap.RefObject[bench.Particle]
}

func (f *refFrame) Open(first []bench.Particle) error {
	f.s = offheap.New()
	f.bear(first)
	return nil
}

func (f *refFrame) bear(born []bench.Particle) {
	for i := range born {
		r := offheap.AllocObject[bench.Particle](f.s)
		*r.Value() = born[i]
		f.live = append(f.live, r)
	}
}

func (f *refFrame) Step(born []bench.Particle) (sum uint64, err error) {
	for i := 0; i < len(f.live); {
		p := f.live[i].Value()
		p.VY -= bench.Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life > 0 {
			i++
			continue
		}
		offheap.FreeObject(f.s, f.live[i])
		last := len(f.live) - 1
		f.live[i] = f.live[last]
		f.live = f.live[:last]
	}
	f.bear(born)
	return sum, nil
}

func (f *refFrame) Len() int     { return len(f.live) }
func (f *refFrame) Close() error { f.live = nil; return f.s.Destroy() }

type refHeld struct {
	id, value uint64
	link      offheap.RefObject[refHeld]
	_         [4]uint64 // a reference has 16 bytes
}

type refHold struct {
	s  *offheap.Store
	at []offheap.RefObject[refHeld]
}

func (d *refHold) Open(n int) error {
	d.s = offheap.New()
	d.at = slots[offheap.RefObject[refHeld]](n)
	for i := range d.at {
		r := offheap.AllocObject[refHeld](d.s)
		d.at[i] = r
		p := r.Value()
		p.id, p.value, p.link = uint64(i), uint64(i)*bench.Mix, d.at[i/2]
	}
	return nil
}

func (d *refHold) Look(order []uint32) (sum uint64) {
	for _, i := range order {
		p := d.at[i].Value()
		sum = 3*sum + (p.id ^ p.link.Value().value)
	}
	return sum
}

func (d *refHold) Close() error { d.at = nil; return d.s.Destroy() }
