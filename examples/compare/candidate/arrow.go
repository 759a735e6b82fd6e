package candidate

import (
	"runtime/debug"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Arrow's allocator for Go memory: make with 64 bytes more, for an alignment of
// 64. It is made for columns, not for small objects; it is here because programs
// have it at hand.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "arrow",
		About:  "arrow-go/v18 v18.8.0: memory.GoAllocator, bytes aligned to 64 on Go's heap, GOGC=100",
		Family: bench.Module, Rank: 5, Colour: "#7f7f7f",
		Env: []string{"GOGC=100"},
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &arrowFixed{a: memory.NewGoAllocator()} },
			bench.KindMixed: func() bench.Kernel { return &arrowMixed{a: memory.NewGoAllocator()} },
		},
		Lacks: goBytesLacks,
	})
}

type arrowFixed struct {
	a    *memory.GoAllocator
	size int
	at   [][]byte
}

func (f *arrowFixed) Open(size, live int) error {
	f.size = size
	f.at = slots[[]byte](live)
	for i := range f.at {
		f.at[i] = f.a.Allocate(size)
		stamp(f.at[i], uint64(i), ^uint64(i))
	}
	return nil
}

func (f *arrowFixed) Replace(order []uint32, stamp0 uint64) (sum uint64, err error) {
	a, size, at := f.a, f.size, f.at
	for k, s := range order {
		b := at[s]
		sum = 3*sum + stamps(b)
		a.Free(b)
		b = a.Allocate(size)
		stamp(b, stamp0+uint64(k), uint64(s))
		at[s] = b
	}
	return sum, nil
}

func (f *arrowFixed) Close() error { f.at = nil; return nil }

type arrowMixed struct {
	a     *memory.GoAllocator
	at    [][]byte
	touch bench.Touch
}

func (m *arrowMixed) Open(n, _ int, touch bench.Touch) error {
	m.at, m.touch = slots[[]byte](n), touch
	return nil
}

func (m *arrowMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	a, at, touch := m.a, m.at, m.touch
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			a.Free(b)
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			b := a.Allocate(int(op.Size))
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

func (m *arrowMixed) Trim()        { debug.FreeOSMemory() }
func (m *arrowMixed) Close() error { m.at = nil; return nil }
