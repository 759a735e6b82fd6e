package candidate

import (
	"math"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// A []T in which the last element takes the place of a removed one: the fastest there is
// for a crowd. Its members move, so nothing else may refer to them.
func init() {
	const moves = "removing moves another object, so nothing can refer to one"
	bench.Register(&bench.Candidate{
		Name:   "swap-remove",
		About:  "by hand: a []T, the last element takes the place of a removed one",
		Family: bench.Go, Rank: 5, Colour: "#e377c2", Frees: true,
		Kernels: bench.Kernels{
			bench.KindFrame: func() bench.Kernel { return &swapFrame{} },
		},
		Lacks: bench.LacksAll(moves, bench.KindFixed, bench.KindMixed, bench.KindFit,
			bench.KindTreesFree, bench.KindTreesBulk, bench.KindHold, bench.KindECS),
	})
}

type swapFrame struct{ live []bench.Particle }

func (f *swapFrame) Open(first []bench.Particle) error {
	f.live = append(f.live, first...)
	return nil
}

func (f *swapFrame) Step(born []bench.Particle) (sum uint64, err error) {
	live := f.live
	for i := 0; i < len(live); {
		p := &live[i]
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
		// The last one takes the place and has its turn there.
		*p = live[len(live)-1]
		live = live[:len(live)-1]
	}
	f.live = append(live, born...)
	return sum, nil
}

func (f *swapFrame) Len() int     { return len(f.live) }
func (f *swapFrame) Close() error { f.live = nil; return nil }
