package workload

import (
	"math/rand/v2"
	"slices"

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
			return m.run(k.(bench.Mixed), s, false)
		},
	})
}

// temporaries uses slots 0 to young-1 for what dies soon and the next old ones for
// what stays until its slot is wanted again.
func temporaries(r *rand.Rand, young, old int) func(ops []bench.Op) {
	type temporary struct {
		slot uint32
		born int // the number of its allocation
	}
	var live []temporary // the oldest first
	var free []uint32    // young slots
	for s := range young {
		free = append(free, uint32(s))
	}
	allocs := 0
	size := func() uint32 {
		allocs++
		return 2 + min(r.Uint32N(59), r.Uint32N(59))
	}
	return func(ops []bench.Op) {
		for i := range ops {
			n := len(live)
			expired := n > 0 && allocs-live[0].born >= 31
			switch {
			case expired || n > 0 && r.Uint32N(2) == 0:
				at := n - 1
				if expired {
					at = 0
				} else if r.Uint32N(4) == 0 {
					at = r.IntN(n)
				}
				ops[i] = bench.Op{Slot: live[at].slot}
				free = append(free, live[at].slot)
				live = slices.Delete(live, at, at+1)
			case r.Uint32N(100) == 0:
				ops[i] = bench.Op{Slot: uint32(young + r.IntN(old)), Size: size()}
			default:
				s := free[len(free)-1]
				free = free[:len(free)-1]
				ops[i] = bench.Op{Slot: s, Size: size()}
				live = append(live, temporary{s, allocs})
			}
		}
	}
}
