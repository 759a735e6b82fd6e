package candidate

import (
	"encoding/binary"
	"errors"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The allocator of this library, for bytes of any size, without clearing them, as
// malloc does.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "allocator",
		About:  "slab.Allocator: AllocUninitialized and Free of byte slices",
		Family: bench.Ours, Rank: 3, Colour: "#1f77b4", Frees: true,
		Fixed: func() bench.Fixed { return &allocatorFixed{} },
		Mixed: func() bench.Mixed { return &allocatorMixed{} },
		Fit:   func() bench.Fit { return &allocatorFit{} },
		Lacks: bench.LacksAll("it has bytes, not objects that refer to each other: see the arenas",
			bench.KindTreesFree, bench.KindTreesBulk, bench.KindFrame, bench.KindHold, bench.KindECS),
	})
}

type allocatorFixed struct {
	a    *slab.Allocator
	size int
	at   [][]byte
}

func (f *allocatorFixed) Open(size, live int) (err error) {
	if f.a, err = slab.New(slab.Config{}); err != nil {
		return err
	}
	f.size = size
	f.at = make([][]byte, live)
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
	a, size, at := f.a, f.size, f.at
	for k, s := range order {
		b := at[s]
		sum = 3*sum + stamps(b)
		a.Free(b)
		if b, err = a.AllocUninitialized(size, 8); err != nil {
			return 0, err
		}
		stamp(b, stamp0+uint64(k), uint64(s))
		at[s] = b
	}
	return sum, nil
}

func (f *allocatorFixed) Close() error { return f.a.Close() }

// stamp writes the first and the last word of an object.
func stamp(b []byte, first, last uint64) {
	binary.NativeEndian.PutUint64(b, first)
	binary.NativeEndian.PutUint64(b[len(b)-8:], last)
}

// stamps reads them.
func stamps(b []byte) uint64 {
	return binary.NativeEndian.Uint64(b) ^ binary.NativeEndian.Uint64(b[len(b)-8:])
}

type allocatorMixed struct {
	a     *slab.Allocator
	at    [][]byte
	touch bench.Touch
}

func (m *allocatorMixed) Open(slots, _ int, touch bench.Touch) (err error) {
	m.at, m.touch = make([][]byte, slots), touch
	m.a, err = slab.New(slab.Config{})
	return err
}

func (m *allocatorMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	a, at, touch := m.a, m.at, m.touch
	for k, op := range ops {
		if b := at[op.Slot]; b != nil {
			sum = 3*sum + read(b, touch)
			a.Free(b)
			at[op.Slot] = nil
		}
		if op.Size > 0 {
			b, err := a.AllocUninitialized(int(op.Size), 0)
			if err != nil {
				return 0, err
			}
			write(b, byte(stamp+uint64(k)), touch)
			at[op.Slot] = b
		}
	}
	return sum, nil
}

// read returns what the touched bytes of an object add up to.
func read(b []byte, touch bench.Touch) uint64 {
	sum := uint64(b[len(b)-1])
	if touch == bench.Ends {
		return sum + uint64(b[0])
	}
	for i := 0; i < len(b); i += 64 {
		sum += uint64(b[i])
	}
	return sum
}

// write writes them.
func write(b []byte, x byte, touch bench.Touch) {
	b[0], b[len(b)-1] = x, x
	if touch == bench.Lines {
		for i := 0; i < len(b); i += 64 {
			b[i] = x
		}
	}
}

func (m *allocatorMixed) Held() int64  { return int64(m.a.Stats().Held) }
func (m *allocatorMixed) Trim()        { m.a.Trim() }
func (m *allocatorMixed) Close() error { return m.a.Close() }

type allocatorFit struct {
	a  *slab.Allocator
	at [][]byte
}

func (f *allocatorFit) Open(heap, slots int) (err error) {
	f.at = make([][]byte, slots)
	f.a, err = slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, heap))})
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
