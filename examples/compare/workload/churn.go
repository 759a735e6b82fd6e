package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Fixed-size churn: a random one of many equal objects is read, freed and replaced, over
// and over, as in a cache or a table of sessions.
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
	t := timing{warm: 8, batches: 32, enough: enough}
	if s == bench.Short {
		live, t = min(live, 20_000), timing{warm: 1, batches: 2}
	} else if live >= 1_000_000 {
		t.warm = 16
	}
	if err := k.Open(size, live); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	r := rand.New(rand.NewPCG(1, uint64(size)))
	order := make([]uint32, batch)
	model := newFixedModel(live)
	kept := newHoard()
	for t.next() {
		for j := range order {
			order[j] = r.Uint32N(uint32(live))
		}
		stamp := uint64(t.done) << 32
		want := model.replace(order, stamp)
		start := time.Now()
		sum, err := k.Replace(order, stamp)
		took := time.Since(start)
		if err != nil {
			return out, err
		}
		if err := t.add(took, sum, want); err != nil {
			return out, err
		}
		kept.made += int64(size * batch)
	}
	if err := kept.check(int64(size * live)); err != nil {
		return out, err
	}
	out.Sum = t.sum
	out.Values = map[string]float64{"time": perOp(t.spent, t.timed*batch)}
	return out, nil
}

// fixedModel knows what the objects hold.
type fixedModel struct{ first, last []uint64 }

func newFixedModel(live int) *fixedModel {
	m := &fixedModel{make([]uint64, live), make([]uint64, live)}
	for i := range live {
		m.first[i], m.last[i] = uint64(i), ^uint64(i)
	}
	return m
}

// replace returns the sum that a kernel must return.
func (m *fixedModel) replace(order []uint32, stamp uint64) (sum uint64) {
	for k, s := range order {
		sum = 3*sum + (m.first[s] ^ m.last[s])
		m.first[s], m.last[s] = stamp+uint64(k), uint64(s)
	}
	return sum
}
