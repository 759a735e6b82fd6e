package workload

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// What much live data costs the collector, and how often it runs while the program
// serves requests that leave garbage. The two are opposed: data outside Go's heap costs
// a cycle nothing, but does not count for when the next is due, so there are many more
// cycles.
func init() {
	for i, n := range []int{1_000_000, 10_000_000} {
		bench.RegisterWorkload(&bench.Workload{
			Name:  "gc-" + count(n),
			Group: "garbage collector",
			Rank:  80 + i,
			About: fmt.Sprintf("hold %s objects of 64 bytes with links; a cycle; then 1 000 000 requests, each 4 looks at random and 4 KiB of garbage", count(n)),
			Kind:  bench.KindHold,
			Metrics: []bench.Metric{
				{Name: "cycle", Unit: "ms", Format: "%.2f"},
				{Name: "cycle CPU", Unit: "ms", Format: "%.2f"},
				{Name: "resident", Unit: "B/object", Format: "%.1f"},
				{Name: "requests", Unit: "µs each", Format: "%.2f"},
				{Name: "worst request", Unit: "ms", Format: "%.2f", Worst: true},
				{Name: "cycles", Unit: "", Format: "%.0f"},
			},
			Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
				if s == bench.Short {
					return hold(k.(bench.Hold), 20_000, 2_000)
				}
				return hold(k.(bench.Hold), n, 1_000_000)
			},
		})
	}
}

const looks = 4 // per request

var garbage []byte // global, so that it is on the heap

func hold(k bench.Hold, n, requests int) (out bench.Outcome, err error) {
	debug.FreeOSMemory()
	base := resident()
	if err := k.Open(n); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	debug.FreeOSMemory() // also what growing a table has left behind
	out.Values = map[string]float64{}
	if now := resident(); now >= 0 {
		out.Values["resident"] = float64(now-base) / float64(n)
	}

	const cycles = 5
	var times [cycles]time.Duration
	cpu := cpuTime()
	for i := range times {
		start := time.Now()
		runtime.GC()
		times[i] = time.Since(start)
	}
	if now := cpuTime(); now > 0 {
		out.Values["cycle CPU"] = float64((now - cpu).Nanoseconds()) / cycles / 1e6
	}
	slices.Sort(times[:])
	out.Values["cycle"] = float64(times[cycles/2].Nanoseconds()) / 1e6

	// Each request draws what it looks at. A list for all requests would be on Go's heap,
	// where GOGC leaves room in proportion, so cycles would be rarer.
	r := rand.New(rand.NewPCG(holdSeed, 0))
	order := make([]uint32, looks)
	before := gcCycles()
	worst := time.Duration(0)
	start := time.Now()
	last := start
	for i := range requests {
		garbage = make([]byte, 4096)
		garbage[i%len(garbage)] = 1
		for j := range order {
			order[j] = r.Uint32N(uint32(n))
		}
		out.Sum = 3*out.Sum + k.Look(order)
		now := time.Now()
		worst = max(worst, now.Sub(last))
		last = now
	}
	out.Values["requests"] = perOp(time.Since(start), requests) / 1e3
	out.Values["worst request"] = float64(worst.Nanoseconds()) / 1e6
	out.Values["cycles"] = float64(gcCycles() - before)
	if want := lookedUp(n, requests); out.Sum != want {
		return out, fmt.Errorf("wrong checksum %d of what was looked at, should be %d", out.Sum, want)
	}
	return out, nil
}

const holdSeed = 64

// lookedUp returns the sum that the requests must have.
func lookedUp(n, requests int) (sum uint64) {
	r := rand.New(rand.NewPCG(holdSeed, 0))
	order := make([]uint32, looks)
	for range requests {
		for j := range order {
			order[j] = r.Uint32N(uint32(n))
		}
		sum = 3*sum + bench.Looked(order)
	}
	return sum
}

func gcCycles() uint64 {
	s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
