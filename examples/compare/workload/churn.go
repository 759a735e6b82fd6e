package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Fixed-size churn: of equal objects, one at random is looked at, freed and
// replaced, over and over. It is what a cache or a table of sessions does.
func init() {
	for _, size := range []int{16, 64, 256} {
		for _, live := range []int{1_000, 10_000, 1_000_000} {
			bench.RegisterWorkload(&bench.Workload{
				Name:    fmt.Sprintf("churn-%d-%s", size, count(live)),
				Group:   "churn",
				Rank:    10,
				About:   fmt.Sprintf("look at, free, replace and stamp a random one of %s live objects of %d bytes", count(live), size),
				Kind:    bench.KindFixed,
				Metrics: timeMetrics,
				Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
					return churn(k.(bench.Fixed), s, size, live)
				},
			})
		}
	}
}

func churn(k bench.Fixed, s bench.Size, size, live int) (out bench.Outcome, err error) {
	const batch = 1 << 17
	batches, warm := 32, 8
	if s == bench.Short {
		live, batches, warm = min(live, 20_000), 2, 1
	} else if live >= 1_000_000 {
		warm = 16
	}
	if err := k.Open(size, live); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	r := rand.New(rand.NewPCG(1, uint64(size)))
	order := make([]uint32, batch)
	var spent time.Duration
	for i := range warm + batches {
		for j := range order {
			order[j] = r.Uint32N(uint32(live))
		}
		start := time.Now()
		sum, err := k.Replace(order, uint64(i)<<32)
		took := time.Since(start)
		if err != nil {
			return out, err
		}
		out.Sum = 3*out.Sum + sum
		if i >= warm {
			spent += took
		}
	}
	out.Values = map[string]float64{"time": perOp(spent, batches*batch)}
	return out, nil
}
