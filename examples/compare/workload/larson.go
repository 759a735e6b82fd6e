package workload

import (
	"fmt"
	"math/rand/v2"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Larson's server with one worker: a random one of the live objects is replaced by one
// of random size. In the original each worker now and then hands its objects on to a
// fresh thread; candidates that serve one goroutine at a time cannot do that.
func init() {
	for _, live := range []int{1_000, 50_000, 1_000_000} {
		bench.RegisterWorkload(&bench.Workload{
			Name:    "larson-" + count(live),
			Group:   "larson",
			Rank:    20,
			About:   fmt.Sprintf("replace a random one of %s live objects of 8 to 999 bytes; touch both ends", count(live)),
			Kind:    bench.KindMixed,
			Metrics: timeMetrics,
			Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
				m := mix{slots: live, maxSize: 999, touch: bench.Ends, batch: 1 << 16, perTime: 1}
				if s == bench.Short {
					m.slots = min(live, 20_000)
				}
				m.fill = (5*m.slots + m.batch - 1) / m.batch // as in the original: each is made and replaced four times
				// Enough for two collections, even with GOGC=400.
				m.batches = max(32, 8*m.slots/m.batch)
				if s == bench.Short {
					m.batches = 2
				}
				r := rand.New(rand.NewPCG(2, uint64(live)))
				filled := 0
				m.next = func(ops []bench.Op) {
					for i := range ops {
						ops[i] = bench.Op{Slot: r.Uint32N(uint32(m.slots)), Size: 8 + r.Uint32N(992)}
						if filled < m.slots {
							ops[i].Slot = uint32(filled)
							filled++
						}
					}
				}
				return m.run(k.(bench.Mixed), s, false)
			},
		})
	}
}
