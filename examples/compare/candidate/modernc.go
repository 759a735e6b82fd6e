package candidate

import (
	"errors"
	"maps"
	"unsafe"

	"modernc.org/memory"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The allocator of modernc.org's C libraries. Its objects may hold pointers to each
// other, as in C: only Go pointers must not be stored there, and its own are none. The
// program must leave no such memory uncleared, or the collector may meet what was there
// before, so Calloc makes objects with pointers.
func init() {
	c := bench.Candidate{
		Name:   "modernc",
		About:  "modernc.org/memory v1.12.1: UnsafeMalloc, not cleared, and UnsafeFree; for bytes Malloc and Free, of slices as ours",
		Family: bench.Module, Rank: 1, Colour: "#ff7f0e", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &modernFixed{} },
			bench.KindMixed: func() bench.Kernel { return &modernMixed{} },
			bench.KindFrame: func() bench.Kernel {
				a := new(memory.Allocator)
				return &pointerFrame{
					alloc: func() (*bench.Particle, error) {
						p, err := a.UnsafeMalloc(int(unsafe.Sizeof(bench.Particle{})))
						return (*bench.Particle)(p), err
					},
					free:  func(p *bench.Particle) error { return a.UnsafeFree(unsafe.Pointer(p)) },
					close: a.Close,
				}
			},
		},
		Lacks: map[bench.Kind]string{
			bench.KindFit:       "no heap of a fixed size",
			bench.KindECS:       "a pointer does not notice that its entity is gone",
			bench.KindTreesFree: "objects with pointers must be cleared: see modernc zeroed",
			bench.KindTreesBulk: "objects with pointers must be cleared: see modernc zeroed",
			bench.KindHold:      "objects with pointers must be cleared: see modernc zeroed",
		},
	}
	bench.Register(&c)
	z := c
	z.Kernels = maps.Clone(c.Kernels)
	z.Name, z.Rank, z.Colour = "modernc zeroed", 2, "#ffbb78"
	z.About = "modernc.org/memory v1.12.1: UnsafeCalloc, which clears, and UnsafeFree; for bytes Calloc and Free"
	z.Kernels[bench.KindFixed] = func() bench.Kernel { return &modernFixed{zeroed: true} }
	z.Kernels[bench.KindMixed] = func() bench.Kernel { return &modernMixed{zeroed: true} }
	z.Kernels[bench.KindTreesFree] = func() bench.Kernel { return &modernTrees{} }
	delete(z.Kernels, bench.KindFrame)
	z.Kernels[bench.KindHold] = func() bench.Kernel {
		a := new(memory.Allocator)
		return &pointerHold{alloc: func() (*held, error) { return modernNew[held](a) }, close: a.Close, outside: true}
	}
	z.Lacks = maps.Clone(c.Lacks)
	delete(z.Lacks, bench.KindTreesFree)
	z.Lacks[bench.KindTreesBulk] = "all at once only by Close, which gives everything back to the system: eighty times as long as one by one for depth 18"
	delete(z.Lacks, bench.KindHold)
	z.Lacks[bench.KindFrame] = "particles are written whole: see modernc"
	bench.Register(&z)
}

func modernNew[T any](a *memory.Allocator) (*T, error) {
	p, err := a.UnsafeCalloc(int(unsafe.Sizeof(*new(T))))
	return (*T)(p), err
}

type modernFixed struct {
	zeroed bool
	a      memory.Allocator
	size   int
	at     []unsafe.Pointer
}

func (f *modernFixed) Open(size, live int) error {
	f.size = size
	f.at = slots[unsafe.Pointer](live)
	for i := range f.at {
		p, err := f.a.UnsafeMalloc(size)
		if err != nil {
			return errors.Join(err, f.a.Close())
		}
		*(*uint64)(p), *(*uint64)(unsafe.Add(p, size-8)) = uint64(i), ^uint64(i)
		f.at[i] = p
	}
	return nil
}

func (f *modernFixed) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	a, size, at, zeroed := &f.a, f.size, f.at, f.zeroed
	for k, s := range order {
		p := at[s]
		sum = 3*sum + (*(*uint64)(p) ^ *(*uint64)(unsafe.Add(p, size-8)))
		if err := a.UnsafeFree(p); err != nil {
			return 0, err
		}
		if zeroed {
			p, err = a.UnsafeCalloc(size)
		} else {
			p, err = a.UnsafeMalloc(size)
		}
		if err != nil {
			return 0, err
		}
		*(*uint64)(p), *(*uint64)(unsafe.Add(p, size-8)) = stamp+uint64(k), uint64(s)
		at[s] = p
	}
	return sum, nil
}

func (f *modernFixed) Close() error { f.at = nil; return f.a.Close() }

type modernMixed struct {
	zeroed bool
	a      memory.Allocator
	at     [][]byte
	touch  bench.Touch
}

func (m *modernMixed) Open(n, _ int, touch bench.Touch) error {
	m.at, m.touch = slots[[]byte](n), touch
	return nil
}

func (m *modernMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	a, at, touch, zeroed := &m.a, m.at, m.touch, m.zeroed
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			if err := a.Free(b); err != nil {
				return 0, err
			}
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			var b []byte
			if zeroed {
				b, err = a.Calloc(int(op.Size))
			} else {
				b, err = a.Malloc(int(op.Size))
			}
			if err != nil {
				return 0, err
			}
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

func (m *modernMixed) Trim()        { _ = m.a.Trim() }
func (m *modernMixed) Close() error { m.at = nil; return m.a.Close() }

type modernTrees struct {
	a, long memory.Allocator
	kept    *node
}

func (t *modernTrees) Open() error { return nil }

func (t *modernTrees) Keep(depth int) (err error) {
	t.kept, err = modernTree(&t.long, depth)
	return err
}

func (t *modernTrees) Kept() uint64 { return countTree(t.kept) }

func (t *modernTrees) Churn(depth, trees int) (nodes uint64, err error) {
	for range trees {
		root, err := modernTree(&t.a, depth)
		if err != nil {
			return 0, err
		}
		nodes += countTree(root)
		if err := freeModernTree(&t.a, root); err != nil {
			return 0, err
		}
	}
	return nodes, nil
}

func (t *modernTrees) Close() error {
	t.kept = nil
	return errors.Join(t.a.Close(), t.long.Close())
}

func modernTree(a *memory.Allocator, depth int) (*node, error) {
	n, err := modernNew[node](a)
	if err != nil || depth == 0 {
		return n, err
	}
	if n.left, err = modernTree(a, depth-1); err != nil {
		return n, err
	}
	n.right, err = modernTree(a, depth-1)
	return n, err
}

func freeModernTree(a *memory.Allocator, n *node) error {
	if n.left != nil {
		if err := freeModernTree(a, n.left); err != nil {
			return err
		}
		if err := freeModernTree(a, n.right); err != nil {
			return err
		}
	}
	return a.UnsafeFree(unsafe.Pointer(n))
}
