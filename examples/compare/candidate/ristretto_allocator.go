package candidate

import (
	"unsafe"

	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// z.Allocator is a bump allocator, safe for several goroutines at once, which
// costs an atomic addition. Its memory is bytes, so nodes come in pages and refer
// to each other by number, as in a region.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "z.Allocator",
		About:  "ristretto/v2 v2.4.2: z.Allocator, AllocateAligned of 1 024 objects at a time, linked by index; Reset",
		Family: bench.Module, Rank: 4, Colour: "#a0a000",
		Env: []string{"GOGC=100"},
		Kernels: bench.Kernels{
			bench.KindTreesBulk: func() bench.Kernel { return &zTrees{} },
			bench.KindHold:      func() bench.Kernel { return &zHold{} },
		},
		Lacks: bench.LacksAll("no free of single objects", bench.KindFixed, bench.KindMixed, bench.KindFit,
			bench.KindTreesFree, bench.KindFrame, bench.KindECS),
	})
}

type zTrees struct {
	pagedTrees
	short, long *z.Allocator
}

func (t *zTrees) Open() error {
	t.short, t.long = z.NewAllocator(1<<16, "compare"), z.NewAllocator(1<<16, "compare")
	t.tree.more = func() (*treePage, error) { return zPage[treePage](t.short), nil }
	t.keeping.more = func() (*treePage, error) { return zPage[treePage](t.long), nil }
	t.reset = t.short.Reset
	return nil
}

func zPage[page any](a *z.Allocator) *page {
	return (*page)(unsafe.Pointer(&a.AllocateAligned(int(unsafe.Sizeof(*new(page))))[0]))
}

func (t *zTrees) Close() error {
	t.short.Release()
	t.long.Release()
	return nil
}

type zHold struct {
	pagedHold
	a *z.Allocator
}

func (d *zHold) Open(n int) error {
	d.a = z.NewAllocator(1<<16, "compare")
	d.more = func() (*heldPage, error) { return zPage[heldPage](d.a), nil }
	return d.fill(n)
}

func (d *zHold) Close() error {
	d.pages = nil
	d.a.Release()
	return nil
}
