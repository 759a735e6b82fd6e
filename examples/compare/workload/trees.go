package workload

import (
	"fmt"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Binary trees, as in the benchmarks game: one tree stays, and many of each of several
// depths are made, walked and freed.
func init() {
	for i, depth := range []int{18, 21} {
		for j, w := range []struct {
			kind        bench.Kind
			name, freed string
		}{
			{bench.KindTreesFree, "trees", "every node freed"},
			{bench.KindTreesBulk, "trees-bulk", "each tree freed as a whole"},
		} {
			bench.RegisterWorkload(&bench.Workload{
				Name:  fmt.Sprintf("%s-%d", w.name, depth),
				Group: "binary trees",
				Rank:  60 + 2*i + j,
				About: fmt.Sprintf("binary-trees of depth %d, %s; resident at the peak", depth, w.freed),
				Kind:  w.kind,
				Skip: func(c *bench.Candidate) string {
					if c.Slow && depth > 18 {
						return "it would take many minutes: see the smaller tree"
					}
					return ""
				},
				Metrics: []bench.Metric{
					{Name: "time", Unit: "s", Format: "%.2f"},
					{Name: "CPU", Unit: "s", Format: "%.2f"},
					{Name: "resident", Unit: "MiB", Format: "%.0f"},
				},
				Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
					if s == bench.Short {
						return trees(k.(bench.Trees), 10)
					}
					return trees(k.(bench.Trees), depth)
				},
			})
		}
	}
}

func trees(k bench.Trees, depth int) (out bench.Outcome, err error) {
	const least = 4
	if err := k.Open(); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	forgetPeak()
	base, cpu, start := resident(), cpuTime(), time.Now()
	churn := func(depth, trees int) {
		if err == nil {
			var nodes uint64
			nodes, err = k.Churn(depth, trees)
			if want := uint64(trees) * (2<<depth - 1); err == nil && nodes != want {
				err = fmt.Errorf("%d trees of depth %d had %d nodes, not %d", trees, depth, nodes, want)
			}
			out.Sum = 3*out.Sum + nodes
		}
	}
	churn(depth+1, 1)
	if err == nil {
		err = k.Keep(depth)
	}
	for d := least; d <= depth; d += 2 {
		churn(d, 1<<(depth-d+least))
	}
	if err != nil {
		return out, err
	}
	out.Sum = 3*out.Sum + k.Kept()
	out.Values = map[string]float64{"time": time.Since(start).Seconds()}
	if now := cpuTime(); now > 0 {
		out.Values["CPU"] = (now - cpu).Seconds()
	}
	// The peak was when the largest tree was complete, long before now.
	if peak := residentPeak(); peak >= 0 && base >= 0 {
		out.Values["resident"] = float64(max(0, peak-base)) / (1 << 20)
	}
	return out, nil
}
