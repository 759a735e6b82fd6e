package candidate

import (
	"runtime/debug"

	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// z.Calloc is jemalloc if the program is built with -tags jemalloc and linked to
// dgraph's build of it, and make otherwise. Here it is make, so these are figures of
// the collector behind a function call.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "z.Calloc",
		About:  "ristretto/v2 v2.4.2: z.Calloc and z.Free, on Go's heap as built without -tags jemalloc, GOGC=100",
		Family: bench.Module, Rank: 3, Colour: "#bcbd22",
		Env: []string{"GOGC=100"},
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &callocFixed{} },
			bench.KindMixed: func() bench.Kernel { return &callocMixed{} },
		},
		Lacks: goBytesLacks,
	})
}

var goBytesLacks = map[bench.Kind]string{
	bench.KindFit:       "no heap of a fixed size",
	bench.KindTreesFree: "bytes, in which Go pointers must not be stored",
	bench.KindTreesBulk: "bytes, in which Go pointers must not be stored",
	bench.KindFrame:     "bytes on Go's heap: see gc 100",
	bench.KindHold:      "bytes, in which Go pointers must not be stored",
	bench.KindECS:       "bytes, not objects with names",
}

type callocFixed struct {
	size int
	at   [][]byte
}

func (f *callocFixed) Open(size, live int) error {
	f.size = size
	f.at = slots[[]byte](live)
	for i := range f.at {
		f.at[i] = z.Calloc(size, "compare")
		stamp(f.at[i], uint64(i), ^uint64(i))
	}
	return nil
}

func (f *callocFixed) Replace(order []uint32, stamp0 uint64) (sum uint64, err error) {
	size, at := f.size, f.at
	for k, s := range order {
		b := at[s]
		sum = 3*sum + stamps(b)
		z.Free(b)
		b = z.Calloc(size, "compare")
		stamp(b, stamp0+uint64(k), uint64(s))
		at[s] = b
	}
	return sum, nil
}

func (f *callocFixed) Close() error { f.at = nil; return nil }

type callocMixed struct {
	at    [][]byte
	touch bench.Touch
}

func (m *callocMixed) Open(n, _ int, touch bench.Touch) error {
	m.at, m.touch = slots[[]byte](n), touch
	return nil
}

func (m *callocMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	at, touch := m.at, m.touch
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			z.Free(b)
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			b := z.Calloc(int(op.Size), "compare")
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

func (m *callocMixed) Trim()        { debug.FreeOSMemory() }
func (m *callocMixed) Close() error { m.at = nil; return nil }
