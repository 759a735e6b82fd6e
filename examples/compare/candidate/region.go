package candidate

import (
	"errors"

	"github.com/vita-go/deblockator/arena"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The region of this library: bump allocation, everything freed together. Its
// values have no handles, so nodes of trees come in pages of 1 024 and refer to
// each other by number.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "region",
		About:  "arena.Region: Make of 1 024 objects at a time, linked by index; Reset",
		Family: bench.Ours, Rank: 6, Colour: "#17becf",
		Kernels: bench.Kernels{
			bench.KindTreesBulk: func() bench.Kernel { return &regionTrees{} },
			bench.KindHold:      func() bench.Kernel { return &regionHold{} },
		},
		Lacks: bench.LacksAll("no free of single objects", bench.KindFixed, bench.KindMixed, bench.KindFit,
			bench.KindTreesFree, bench.KindFrame, bench.KindECS),
	})
}

const pageNodes = 1024

type treePage = [pageNodes]listNode

// pagedTree is a tree in pages of nodes; a node refers to its children by their
// numbers plus one.
type pagedTree struct {
	more  func() (*treePage, error)
	pages []*treePage
	used  uint32
	err   error // why more returned no page
}

func (t *pagedTree) alloc() uint32 {
	i := t.used
	if i%pageNodes == 0 {
		t.grow()
	}
	t.used++
	return i
}

func (t *pagedTree) grow() {
	page, err := t.more()
	if err != nil {
		page, t.err = new(treePage), err // the tree is finished, and then given up
	}
	t.pages = append(t.pages, page)
}

func (t *pagedTree) at(i uint32) *listNode { return &t.pages[i/pageNodes][i%pageNodes] }

func (t *pagedTree) reset() { t.pages, t.used = t.pages[:0], 0 }

func (t *pagedTree) tree(depth int) uint32 {
	i := t.alloc()
	if depth > 0 {
		left := t.tree(depth - 1)
		right := t.tree(depth - 1)
		*t.at(i) = listNode{left + 1, right + 1}
	}
	return i
}

func (t *pagedTree) count(i uint32) uint64 {
	n := t.at(i)
	if n.left == 0 {
		return 1
	}
	return 1 + t.count(n.left-1) + t.count(n.right-1)
}

// pagedTrees keeps one tree and churns through others, each of which is freed as a
// whole.
type pagedTrees struct {
	tree, keeping pagedTree
	reset         func() // frees the pages of tree
}

func (t *pagedTrees) Keep(depth int) error {
	t.keeping.tree(depth)
	return t.keeping.err
}

func (t *pagedTrees) Kept() uint64 { return t.keeping.count(0) }

func (t *pagedTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		root := t.tree.tree(depth)
		if t.tree.err != nil {
			return 0, t.tree.err
		}
		nodes += t.tree.count(root)
		t.tree.reset()
		t.reset()
	}
	return nodes, nil
}

type regionTrees struct {
	pagedTrees
	short, long *arena.Region
}

func (t *regionTrees) Open() (err error) {
	if t.short, err = arena.NewRegion(nil); err != nil {
		return err
	}
	if t.long, err = arena.NewRegion(nil); err != nil {
		return err
	}
	t.tree.more = func() (*treePage, error) { return arena.Make[treePage](t.short) }
	t.keeping.more = func() (*treePage, error) { return arena.Make[treePage](t.long) }
	t.reset = t.short.Reset
	return nil
}

func (t *regionTrees) Close() error { return errors.Join(t.short.Close(), t.long.Close()) }

type heldPage = [pageNodes]listHeld

// pagedHold has its objects in pages; one refers to another by its number.
type pagedHold struct {
	more  func() (*heldPage, error)
	pages []*heldPage
}

func (d *pagedHold) at(i uint64) *listHeld { return &d.pages[i/pageNodes][i%pageNodes] }

func (d *pagedHold) fill(n int) error {
	for i := range uint64(n) {
		if i%pageNodes == 0 {
			page, err := d.more()
			if err != nil {
				return err
			}
			d.pages = append(d.pages, page)
		}
		*d.at(i) = listHeld{id: i, value: i * bench.Mix, link: i / 2}
	}
	return nil
}

func (d *pagedHold) Look(order []uint32) (sum uint64) {
	for _, i := range order {
		p := d.at(uint64(i))
		sum = 3*sum + (p.id ^ d.at(p.link).value)
	}
	return sum
}

type regionHold struct {
	pagedHold
	r *arena.Region
}

func (d *regionHold) Open(n int) (err error) {
	if d.r, err = arena.NewRegion(nil); err != nil {
		return err
	}
	d.more = func() (*heldPage, error) { return arena.Make[heldPage](d.r) }
	if err := d.fill(n); err != nil {
		return errors.Join(err, d.r.Close())
	}
	return nil
}

func (d *regionHold) Close() error { d.pages = nil; return d.r.Close() }
