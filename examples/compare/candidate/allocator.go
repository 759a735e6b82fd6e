package candidate

import (
	"errors"
	"maps"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The allocator of this library, for bytes of any size: not cleared, as by malloc, and
// cleared, as by make.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "allocator",
		About:  "slab.Allocator: AllocUninitialized and Free of byte slices",
		Family: bench.Ours, Rank: 3, Colour: "#1f77b4", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &allocatorFixed{} },
			bench.KindMixed: func() bench.Kernel { return &allocatorMixed{} },
			bench.KindFit:   func() bench.Kernel { return &allocatorFit{} },
		},
		Lacks: allocatorLacks,
	})
	lacks := maps.Clone(allocatorLacks)
	lacks[bench.KindFit] = "clearing does not change what fits: see allocator"
	bench.Register(&bench.Candidate{
		Name:   "allocator zeroed",
		About:  "slab.Allocator: Alloc, which clears, and Free of byte slices",
		Family: bench.Ours, Rank: 4, Colour: "#6baed6", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &allocatorFixed{zeroed: true} },
			bench.KindMixed: func() bench.Kernel { return &allocatorMixed{zeroed: true} },
		},
		Lacks: lacks,
	})
	lacks = maps.Clone(allocatorLacks)
	lacks[bench.KindFit] = "a fixed heap is what it is: see allocator"
	lacks[bench.KindFixed] = "for mixed sizes only: see allocator"
	bench.Register(&bench.Candidate{
		Name:   "allocator huge",
		About:  "slab.Allocator on blocksrc.Mmap{HugePages: true}: AllocUninitialized and Free of byte slices",
		Family: bench.Ours, Rank: 5, Colour: "#aec7e8", Frees: true,
		Kernels: bench.Kernels{
			bench.KindMixed: func() bench.Kernel { return &allocatorMixed{src: blocksrc.Mmap{HugePages: true}} },
		},
		Lacks: lacks,
	})
}

var allocatorLacks = bench.LacksAll("it has bytes, not objects that refer to each other: see the arenas",
	bench.KindTreesFree, bench.KindTreesBulk, bench.KindFrame, bench.KindHold, bench.KindECS)

type allocatorFixed struct {
	zeroed bool
	a      *slab.Allocator
	size   int
	at     [][]byte
}

func (f *allocatorFixed) Open(size, live int) (err error) {
	if f.a, err = slab.New(slab.Config{}); err != nil {
		return err
	}
	f.size = size
	f.at = slots[[]byte](live)
	for i := range f.at {
		b, err := f.a.AllocUninitialized(size, 8)
		if err != nil {
			return errors.Join(err, f.a.Close())
		}
		stamp(b, uint64(i), ^uint64(i))
		f.at[i] = b
	}
	return nil
}

func (f *allocatorFixed) Replace(order []uint32, stamp0 uint64) (sum uint64, err error) {
	a, size, at, zeroed := f.a, f.size, f.at, f.zeroed
	for k, s := range order {
		b := at[s]
		sum = 3*sum + stamps(b)
		a.Free(b)
		if zeroed {
			b, err = a.Alloc(size, 8)
		} else {
			b, err = a.AllocUninitialized(size, 8)
		}
		if err != nil {
			return 0, err
		}
		stamp(b, stamp0+uint64(k), uint64(s))
		at[s] = b
	}
	return sum, nil
}

func (f *allocatorFixed) Close() error { return f.a.Close() }

type allocatorMixed struct {
	zeroed bool
	src    blocksrc.Source // nil: the default
	a      *slab.Allocator
	at     [][]byte
	touch  bench.Touch
}

func (m *allocatorMixed) Open(n, _ int, touch bench.Touch) (err error) {
	m.at, m.touch = slots[[]byte](n), touch
	m.a, err = slab.New(slab.Config{Source: m.src})
	return err
}

func (m *allocatorMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	a, at, touch, zeroed := m.a, m.at, m.touch, m.zeroed
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			a.Free(b)
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			var b []byte
			if zeroed {
				b, err = a.Alloc(int(op.Size), 0)
			} else {
				b, err = a.AllocUninitialized(int(op.Size), 0)
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

func (m *allocatorMixed) Held() int64  { return int64(m.a.Stats().Held) }
func (m *allocatorMixed) Trim()        { m.a.Trim() }
func (m *allocatorMixed) Close() error { return m.a.Close() }

type allocatorFit struct {
	heap []byte // reused after Close
	a    *slab.Allocator
	at   [][]byte
}

func (f *allocatorFit) Open(heap, n int) (err error) {
	f.at = slots[[]byte](n)
	if len(f.heap) != heap {
		f.heap = make([]byte, heap)
	}
	f.a, err = slab.New(slab.Config{Source: blocksrc.NewBuffer(f.heap)})
	return err
}

func (f *allocatorFit) Run(ops []bench.FitOp) (done int, sum uint64, err error) {
	for done, op := range ops {
		b := f.at[op.Slot]
		switch {
		case op.Size == 0:
			sum = 3*sum + read(b, bench.Ends)
			f.a.Free(b)
			b = nil
		case b == nil:
			b, err = f.a.AllocUninitialized(int(op.Size), int(op.Align))
		default:
			if b, err = f.a.Realloc(b, int(op.Size)); err == nil {
				sum = 3*sum + uint64(b[0])
			}
		}
		if errors.Is(err, blocksrc.ErrExhausted) {
			return done, sum, nil
		}
		if err != nil {
			return done, sum, err
		}
		if b != nil {
			write(b, byte(op.Slot), bench.Ends)
		}
		f.at[op.Slot] = b
	}
	return len(ops), sum, nil
}

func (f *allocatorFit) Close() error { return f.a.Close() }
