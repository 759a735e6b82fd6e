package workload

import (
	"fmt"
	"math/rand/v2"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W11, glibc's thread benchmark: sizes from 4 bytes to 32 KiB, their frequency falling
// with the square of the size. Half of all bytes are in objects above 360.
func init() {
	for _, slots := range []int{1 << 10, 1 << 20} {
		name, about := "w11", "1 024 slots"
		if slots > 1<<10 {
			name, about = "w11-1M", "2^20 slots"
		}
		bench.RegisterWorkload(&bench.Workload{
			Name:    name,
			Group:   "mixed",
			Rank:    31,
			About:   fmt.Sprintf("glibc-thread: replace a random one of %s, sizes 4 to 32768 of inverse-square frequency; touch every line", about),
			Kind:    bench.KindMixed,
			Metrics: append(timeMetrics[:1:1], heldMetrics...),
			Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
				m := mix{slots: slots, maxSize: 32768, touch: bench.Lines, batch: 1 << 16, perTime: 1}
				m.batches = max(40, 8*m.slots/m.batch)
				if slots == 1<<10 { // what is live doubles now and then, for a moment: look often
					m.batch, m.batches = m.batch/128, m.batches*128
				}
				if s == bench.Short {
					m.slots, m.batches = min(slots, 1<<14), 2
				}
				m.fill = max(2, 3*m.slots/m.batch)
				r := rand.New(rand.NewPCG(11, 0))
				sizes := make([]uint32, 8000) // computed beforehand, as in the original
				for i := range sizes {
					sizes[i] = inverseSquare(r, 4, 32768)
				}
				filled := 0
				m.next = func(ops []bench.Op) {
					for i := range ops {
						ops[i] = bench.Op{Slot: r.Uint32N(uint32(m.slots)), Size: sizes[r.IntN(len(sizes))]}
						if filled < m.slots {
							ops[i].Slot = uint32(filled)
							filled++
						}
					}
				}
				return m.run(k.(bench.Mixed), s, true)
			},
		})
	}
}

// inverseSquare returns a size from lo to hi.
func inverseSquare(r *rand.Rand, lo, hi float64) uint32 {
	return uint32(1 / (1/lo - r.Float64()*(1/lo-1/hi)))
}
