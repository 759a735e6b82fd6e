package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W16, drain and release: 64 MiB are filled, then freed at random in three steps. After
// each step the candidate is asked to give back what it does not need. Last, one object
// is made and freed over and over while nothing else is live: a candidate that gives
// memory back too eagerly asks the system for it each time.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:  "w16",
		Group: "drain",
		Rank:  50,
		About: "fill 64 MiB with the sizes of w11, free 90, 99, 100 % at random, each followed by a trim: part of the resident memory that is back; " +
			"then the time of making and freeing one object of 4 to 32 KiB on its own, 10^6 times",
		Kind: bench.KindMixed,
		Metrics: []bench.Metric{
			{Name: "back at 90 %", Unit: "%", Higher: true, Format: "%.1f"},
			{Name: "back at 99 %", Unit: "%", Higher: true, Format: "%.1f"},
			{Name: "back at 100 %", Unit: "%", Higher: true, Format: "%.1f"},
			{Name: "edge pair", Unit: "ns", Format: "%.1f"},
		},
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			total, pairs := int64(64<<20), 1_000_000
			if s == bench.Short {
				total, pairs = 4<<20, 2_000
			}
			return drain(k.(bench.Mixed), total, pairs)
		},
	})
}

func drain(k bench.Mixed, total int64, pairs int) (out bench.Outcome, err error) {
	r := rand.New(rand.NewPCG(16, 0))
	var fill []bench.Op
	for sum := int64(0); sum < total; {
		n := inverseSquare(r, 4, 32768)
		fill = append(fill, bench.Op{Slot: uint32(len(fill)), Size: n})
		sum += int64(n)
	}
	free := make([]bench.Op, len(fill))
	for i, s := range r.Perm(len(fill)) {
		free[i].Slot = uint32(s)
	}
	edge := make([]bench.Op, 2*pairs)
	for i := 0; i < len(edge); i += 2 {
		edge[i].Size = 4096 << (r.Uint32N(4))
	}
	if err := k.Open(len(fill), 32768, bench.Lines); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	model := newMixedModel(len(fill), bench.Lines)
	run := func(ops []bench.Op) (took time.Duration) {
		if err != nil {
			return 0
		}
		want := model.run(ops, 16)
		start := time.Now()
		sum, failed := k.Run(ops, 16)
		took = time.Since(start)
		if err = failed; err == nil && sum != want {
			err = fmt.Errorf("wrong checksum %d, should be %d", sum, want)
		}
		out.Sum = 3*out.Sum + sum
		return took
	}
	trimmer, trims := k.(bench.Trimmer)
	g := newGauge(k)
	run(fill)
	full := g.residentNow()
	out.Values = map[string]float64{}
	done := 0
	for _, step := range []struct {
		percent int
		metric  string
	}{{90, "back at 90 %"}, {99, "back at 99 %"}, {100, "back at 100 %"}} {
		n := len(free) * step.percent / 100
		run(free[done:n])
		done = n
		if trims {
			trimmer.Trim()
		}
		if g.base >= 0 && full > 0 {
			out.Values[step.metric] = 100 * (1 - float64(g.residentNow())/float64(full))
		}
	}
	out.Values["edge pair"] = perOp(run(edge), pairs)
	if !trims {
		out.Notes = map[string]string{}
		for metric := range out.Values {
			if metric != "edge pair" {
				out.Notes[metric] = "cannot be asked to trim"
			}
		}
	}
	return out, err
}
