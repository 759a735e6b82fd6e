package workload

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// A game's frame: 200 000 particles of 48 bytes move, 5 000 of them die and as
// many are born.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:  "frame",
		Group: "frame",
		Rank:  70,
		About: "200 000 particles of 48 bytes, about 5 000 die and 5 000 are born a frame; 3 000 frames after 100",
		Kind:  bench.KindFrame,
		Metrics: []bench.Metric{
			{Name: "p50", Unit: "ms", Format: "%.2f"},
			{Name: "p99", Unit: "ms", Format: "%.2f"},
			{Name: "p99.9", Unit: "ms", Format: "%.2f", Worst: true},
			{Name: "max", Unit: "ms", Format: "%.2f", Worst: true},
			{Name: "slow", Unit: "% beyond twice p50", Format: "%.2f", Worst: true},
			{Name: "mallocs", Unit: "a frame", Format: "%.0f"},
		},
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			if s == bench.Short {
				return frames(k.(bench.Frame), 100, 10, 100)
			}
			return frames(k.(bench.Frame), 5_000, 100, 3_000)
		},
	})
}

// meanLife is how many frames a particle lives, plus or minus 4. The number alive is
// meanLife times the births of a frame.
const meanLife = 40

// A cradle makes particles, always the same sequence.
type cradle struct {
	r  *rand.Rand
	id uint64
}

func newCradle() *cradle { return &cradle{r: rand.New(rand.NewPCG(21, 0))} }

// particle returns the next one.
func (c *cradle) particle() bench.Particle {
	r := c.r
	c.id++
	return bench.Particle{
		X: r.Float32(), Y: r.Float32(), Z: r.Float32(),
		VX: r.Float32() - .5, VY: r.Float32(), VZ: r.Float32() - .5,
		Size: 1, ID: c.id * bench.Mix, Kind: uint32(c.id) % 7,
		Life: meanLife - 4 + r.Int32N(9),
	}
}

// first returns the particles that are there at the start, of any age.
func (c *cradle) first(births int) []bench.Particle {
	first := make([]bench.Particle, meanLife*births)
	for i := range first {
		first[i] = c.particle()
		first[i].Life = 1 + c.r.Int32N(meanLife)
	}
	return first
}

// lived returns the right checksum of so many frames.
func lived(births, frames int) (sum uint64) {
	c := newCradle()
	live := c.first(births)
	for range frames {
		left, part := bench.Age(live)
		live, sum = left, 3*sum+part
		for range births {
			live = append(live, c.particle())
		}
	}
	return 3*sum + uint64(len(live))
}

func frames(k bench.Frame, births, warm, n int) (out bench.Outcome, err error) {
	c := newCradle()
	first := c.first(births)
	born := make([]bench.Particle, births)
	if err := k.Open(first); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()

	times := make([]time.Duration, 0, n)
	var before, after runtime.MemStats
	for i := range warm + n {
		for j := range born {
			born[j] = c.particle()
		}
		if i == warm {
			runtime.ReadMemStats(&before)
		}
		start := time.Now()
		sum, err := k.Step(born)
		took := time.Since(start)
		if err != nil {
			return out, err
		}
		out.Sum = 3*out.Sum + sum
		if i >= warm {
			times = append(times, took)
		}
	}
	runtime.ReadMemStats(&after)
	out.Sum = 3*out.Sum + uint64(k.Len())
	if live := k.Len(); live < births*(meanLife-5) || live > births*(meanLife+5) {
		return out, fmt.Errorf("%d particles are alive", live)
	}
	if want := lived(births, warm+n); out.Sum != want {
		return out, fmt.Errorf("wrong checksum %d of %d frames, should be %d", out.Sum, warm+n, want)
	}
	slices.Sort(times)
	slow, _ := slices.BinarySearch(times, 2*times[n/2]+1)
	ms := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
	out.Values = map[string]float64{
		"p50":     ms(times[n/2]),
		"p99":     ms(times[n*99/100]),
		"p99.9":   ms(times[n*999/1000]),
		"max":     ms(times[n-1]),
		"slow":    100 * float64(n-slow) / float64(n),
		"mallocs": float64(after.Mallocs-before.Mallocs) / float64(n),
	}
	return out, nil
}
