package candidate

import (
	"errors"
	"maps"
	"math"

	"github.com/vita-go/deblockator/arena"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The arena of this library by pointers. Objects that refer to each other do so by
// handles.
func init() {
	bench.Register(&bench.Candidate{
		Name:   "arena pointers",
		About:  "arena.Arena: AllocUninitialized and Free of pointers; iteration by Chunks",
		Family: bench.Ours, Rank: 1, Colour: "#d62728", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &sized{New: newArenaPointers(false)} },
			bench.KindFrame: func() bench.Kernel { return &arenaPointersFrame{} },
		},
		Lacks: arenaPointersLacks,
	})
	lacks := maps.Clone(arenaPointersLacks)
	lacks[bench.KindFrame] = "particles are written whole: see arena pointers"
	bench.Register(&bench.Candidate{
		Name:   "arena zeroed",
		About:  "arena.Arena: Alloc, which clears, and Free of pointers",
		Family: bench.Ours, Rank: 2, Colour: "#e36667", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFixed: func() bench.Kernel { return &sized{New: newArenaPointers(true)} },
		},
		Lacks: lacks,
	})
}

var arenaPointersLacks = map[bench.Kind]string{
	bench.KindMixed:     "objects of one type: see allocator",
	bench.KindFit:       "objects of one type: see allocator",
	bench.KindTreesFree: "objects in an arena refer to each other by handles: see arena handles",
	bench.KindTreesBulk: "objects in an arena refer to each other by handles: see arena handles",
	bench.KindHold:      "objects in an arena refer to each other by handles: see arena handles",
	bench.KindECS:       "a pointer does not notice that its entity is gone: see arena handles",
}

// sized is a Fixed that has a type for each size.
type sized struct {
	bench.Fixed // of the size, from Open on
	New         func(size int) bench.Fixed
}

func (s *sized) Open(size, live int) error {
	if s.Fixed = s.New(size); s.Fixed == nil {
		return bench.Cannot("no type of this size")
	}
	return s.Fixed.Open(size, live)
}

func newArenaPointers(zeroed bool) func(size int) bench.Fixed {
	return func(size int) bench.Fixed {
		switch size {
		case 16:
			return &arenaPointers[[2]uint64]{zeroed: zeroed}
		case 64:
			return &arenaPointers[[8]uint64]{zeroed: zeroed}
		case 256:
			return &arenaPointers[[32]uint64]{zeroed: zeroed}
		}
		return nil
	}
}

type arenaPointers[T object] struct {
	zeroed bool
	a      arena.Arena[T]
	at     []*T
}

func (f *arenaPointers[T]) Open(_, live int) error {
	f.at = slots[*T](live)
	for i := range f.at {
		p, err := f.a.Alloc()
		if err != nil {
			return errors.Join(err, f.a.Close())
		}
		(*p)[0], (*p)[len(*p)-1] = uint64(i), ^uint64(i)
		f.at[i] = p
	}
	return nil
}

func (f *arenaPointers[T]) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	a, at, zeroed := &f.a, f.at, f.zeroed
	for k, s := range order {
		p := at[s]
		sum = 3*sum + ((*p)[0] ^ (*p)[len(*p)-1])
		a.Free(p)
		if zeroed {
			p, err = a.Alloc()
		} else {
			p, err = a.AllocUninitialized()
		}
		if err != nil {
			return 0, err
		}
		(*p)[0], (*p)[len(*p)-1] = stamp+uint64(k), uint64(s)
		at[s] = p
	}
	return sum, nil
}

func (f *arenaPointers[T]) Close() error { return f.a.Close() }

type arenaPointersFrame struct {
	a arena.Arena[bench.Particle]
}

func (f *arenaPointersFrame) Open(first []bench.Particle) error {
	if err := f.a.Reserve(len(first)); err != nil {
		return err
	}
	return f.bear(first)
}

func (f *arenaPointersFrame) bear(born []bench.Particle) error {
	for i := range born {
		p, err := f.a.AllocUninitialized()
		if err != nil {
			return err
		}
		*p = born[i]
	}
	return nil
}

func (f *arenaPointersFrame) Step(born []bench.Particle) (sum uint64, err error) {
	for run := range f.a.Chunks() {
		for i := range run {
			p := &run[i]
			p.VY -= bench.Gravity
			p.X += p.VX
			p.Y += p.VY
			p.Z += p.VZ
			p.Life--
			sum += p.ID ^ uint64(math.Float32bits(p.Y))
			if p.Life == 0 {
				f.a.Free(p)
			}
		}
	}
	return sum, f.bear(born)
}

func (f *arenaPointersFrame) Len() int     { return f.a.Len() }
func (f *arenaPointersFrame) Close() error { return f.a.Close() }
