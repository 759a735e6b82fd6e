package workload

import (
	"math/bits"
	"math/rand/v2"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W8, alloc-test: slots are toggled between an object and none, some of them much more
// often than others. Sizes are mostly small.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:  "w8",
		Group: "mixed",
		Rank:  30,
		About: "alloc-test: toggle one of 2^18 slots, 80/20 to the 6th power, sizes 5 to 1024 with 2^-k for each doubling; " +
			"10^7 times; time of an allocation and a free; touch both ends",
		Kind:    bench.KindMixed,
		Metrics: append(timeMetrics[:1:1], heldMetrics...),
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			m := mix{slots: 1 << 18, maxSize: 1024, touch: bench.Ends, batch: 1 << 17, perTime: 2, fill: 8, batches: 77}
			if s == bench.Short {
				m.slots, m.fill, m.batches = 1<<14, 1, 2
			}
			r := rand.New(rand.NewPCG(8, 0))
			full := make([]bool, m.slots)
			clear(full) // resident from now on
			first := 0  // half of the slots are filled first
			m.next = func(ops []bench.Op) {
				for i := range ops {
					slot := pareto(r, m.slots)
					if first < m.slots {
						slot, first = first, first+2
					}
					ops[i].Slot, ops[i].Size = uint32(slot), 0
					if full[slot] = !full[slot]; full[slot] {
						n := uint32(4) << bits.TrailingZeros32(r.Uint32()&127|128)
						ops[i].Size = n + 1 + r.Uint32N(n)
					}
				}
			}
			return m.run(k.(bench.Mixed), s, true)
		},
	})
}

// pareto returns an index below n: with probability 4/5 one in the first fifth, and
// likewise within either part, six times in all.
func pareto(r *rand.Rand, n int) int {
	lo, hi := 0, n
	for range 6 {
		fifth := lo + (hi-lo)/5
		if fifth == lo {
			break
		}
		if r.Uint32N(5) < 4 {
			hi = fifth
		} else {
			lo = fifth
		}
	}
	return lo + r.IntN(hi-lo)
}
