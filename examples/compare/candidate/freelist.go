package candidate

import (
	"math"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The least code that does the job by hand: a []T and a list of the free indices. It
// checks nothing, and growing it copies everything. Most growth is in Open, which is not
// timed; that of trees is timed.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "free list",
		About:  "by hand: a []T and a list of free indices, without any check",
		Family: bench.Go, Rank: 4, Colour: "#8c564b", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed:     func() bench.Kernel { return &sized{New: newListFixed} },
			bench.KindTreesFree: func() bench.Kernel { return &listTrees{} },
			bench.KindTreesBulk: func() bench.Kernel { return &listTrees{bulk: true} },
			bench.KindFrame:     func() bench.Kernel { return &listFrame{} },
			bench.KindHold:      func() bench.Kernel { return &listHold{} },
		},
		Lacks: map[bench.Kind]string{
			bench.KindMixed: "objects of one size",
			bench.KindFit:   "objects of one size",
			bench.KindECS:   "an index does not notice that its entity is gone",
		},
	})
}

// list is the whole of it.
type list[T any] struct {
	all  []T
	free []uint32
}

func (l *list[T]) alloc() uint32 {
	if n := len(l.free); n > 0 {
		i := l.free[n-1]
		l.free = l.free[:n-1]
		return i
	}
	var zero T
	l.all = append(l.all, zero)
	return uint32(len(l.all) - 1)
}

func (l *list[T]) release(i uint32) { l.free = append(l.free, i) }

func newListFixed(size int) bench.Fixed {
	switch size {
	case 16:
		return &listFixed[[2]uint64]{}
	case 64:
		return &listFixed[[8]uint64]{}
	case 256:
		return &listFixed[[32]uint64]{}
	}
	return nil
}

type listFixed[T object] struct {
	list[T]
	at []uint32
}

func (f *listFixed[T]) Open(_, live int) error {
	f.at = slots[uint32](live)
	for i := range f.at {
		n := f.alloc()
		p := &f.all[n]
		(*p)[0], (*p)[len(*p)-1] = uint64(i), ^uint64(i)
		f.at[i] = n
	}
	return nil
}

func (f *listFixed[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	at := f.at
	for k, s := range order {
		p := &f.all[at[s]]
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		f.release(at[s])
		n := f.alloc()
		p = &f.all[n]
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
		at[s] = n
	}
	return sum, nil
}

func (f *listFixed[T]) Close() error { f.list, f.at = list[T]{}, nil; return nil }

// listNode has its children's indices plus one; 0 is none. It is half as large as a node
// with two pointers.
type listNode struct{ left, right uint32 }

type listTrees struct {
	bulk    bool
	l, long list[listNode]
	kept    uint32
}

func (t *listTrees) Open() error { return nil }

func (t *listTrees) Keep(depth int) error {
	t.kept = listTree(&t.long, depth)
	return nil
}

func (t *listTrees) Kept() uint64 { return countListTree(t.long.all, t.kept) }

func (t *listTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		root := listTree(&t.l, depth)
		nodes += countListTree(t.l.all, root)
		if t.bulk {
			t.l.all = t.l.all[:0]
		} else {
			t.release(root)
		}
	}
	return nodes, nil
}

func (t *listTrees) Close() error { t.l, t.long = list[listNode]{}, list[listNode]{}; return nil }

func listTree(l *list[listNode], depth int) uint32 {
	i := l.alloc()
	var n listNode
	if depth > 0 {
		n = listNode{listTree(l, depth-1) + 1, listTree(l, depth-1) + 1}
	}
	l.all[i] = n
	return i
}

func countListTree(all []listNode, i uint32) uint64 {
	n := all[i]
	if n.left == 0 {
		return 1
	}
	return 1 + countListTree(all, n.left-1) + countListTree(all, n.right-1)
}

func (t *listTrees) release(i uint32) {
	if n := t.l.all[i]; n.left != 0 {
		t.release(n.left - 1)
		t.release(n.right - 1)
	}
	t.l.release(i)
}

// listFrame goes over all slots in order; a slot with a Life of 0 is free.
type listFrame struct{ list[bench.Particle] }

func (f *listFrame) Open(first []bench.Particle) error {
	f.bear(first)
	return nil
}

func (f *listFrame) bear(born []bench.Particle) {
	for i := range born {
		f.all[f.alloc()] = born[i]
	}
}

func (f *listFrame) Step(born []bench.Particle) (sum uint64, err error) {
	all := f.all
	for i := range all {
		p := &all[i]
		if p.Life == 0 {
			continue
		}
		p.VY -= bench.Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life == 0 {
			f.release(uint32(i))
		}
	}
	f.bear(born)
	return sum, nil
}

func (f *listFrame) Len() int     { return len(f.all) - len(f.free) }
func (f *listFrame) Close() error { f.list = list[bench.Particle]{}; return nil }

type listHeld struct {
	id, value uint64
	link      uint64
	_         [5]uint64
}

type listHold struct {
	list[listHeld]
	at []uint32
}

func (d *listHold) Open(n int) error {
	d.at = slots[uint32](n)
	for i := range d.at {
		d.at[i] = d.alloc()
		d.all[d.at[i]] = listHeld{id: uint64(i), value: uint64(i) * bench.Mix, link: uint64(d.at[i/2])}
	}
	return nil
}

func (d *listHold) Look(order []uint32) (sum uint64) {
	for _, i := range order {
		p := &d.all[d.at[i]]
		sum = 3*sum + (p.id ^ d.all[p.link].value)
	}
	return sum
}

func (d *listHold) Close() error { d.list, d.at = list[listHeld]{}, nil; return nil }
