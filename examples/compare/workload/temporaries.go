package workload

import (
	"math/rand/v2"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W19, like cfrac: the temporaries of a program that computes with long numbers.
// Nearly all die within 32 allocations, the youngest first more often than not;
// one in a hundred stays.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:    "w19",
		Group:   "mixed",
		Rank:    32,
		About:   "like cfrac: 2 to 60 bytes, 99 % die within 32 allocations, mostly youngest first; time of an allocation and a free; touch both ends",
		Kind:    bench.KindMixed,
		Metrics: timeMetrics,
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			const young, old = 64, 4096
			m := mix{slots: young + old, maxSize: 60, touch: bench.Ends, batch: 1 << 17, perTime: 2, fill: 4, batches: 80}
			if s == bench.Short {
				m.fill, m.batches = 1, 2
			}
			m.next = temporaries(rand.New(rand.NewPCG(19, 0)), young, old)
			return m.run(k.(bench.Mixed), false)
		},
	})
}

// temporaries uses slots 0 to young-1 for what dies soon and the next old ones for
// what stays until its slot is wanted again.
func temporaries(r *rand.Rand, young, old int) func(ops []bench.Op) {
	var free, stack []uint32 // of the young slots; stack has the oldest first
	for s := range young {
		free = append(free, uint32(s))
	}
	size := func() uint32 { return 2 + min(r.Uint32N(59), r.Uint32N(59)) }
	return func(ops []bench.Op) {
		for i := range ops {
			switch {
			case len(stack) >= 32 || len(stack) > 0 && r.Uint32N(2) == 0:
				at := len(stack) - 1
				if r.Uint32N(4) == 0 {
					at = r.IntN(len(stack))
				}
				if len(stack) >= 32 {
					at = 0
				}
				ops[i] = bench.Op{Slot: stack[at]}
				free = append(free, stack[at])
				stack = append(stack[:at], stack[at+1:]...)
			case r.Uint32N(100) == 0:
				ops[i] = bench.Op{Slot: uint32(young + r.IntN(old)), Size: size()}
			default:
				s := free[len(free)-1]
				free = free[:len(free)-1]
				stack = append(stack, s)
				ops[i] = bench.Op{Slot: s, Size: size()}
			}
		}
	}
}
