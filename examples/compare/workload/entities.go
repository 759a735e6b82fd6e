package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The cases of go-ecs-benchmarks that a candidate without components can do, with the
// same numbers of entities; a component is two float64. The cases about adding,
// removing and combining components are left out, since an arena has none.
func init() {
	for i, w := range []struct {
		name, about string
		run         func(k bench.ECS, n, rounds int) (time.Duration, error)
	}{
		{"create2comp", "make n entities with two components in a world that had as many before", warmCreate},
		{"create2comp_alloc", "make n entities with two components in a new world, and give that up", freshCreate},
		{"delete2comp", "remove n entities with two components", deleteAll},
		{"random", "look up n entities in random order, check that each is alive, and add up one number", lookUp},
		{"query2comp", "add the velocity of n entities to their position, among ten times as many without one", query},
	} {
		wl := &bench.Workload{
			Name:  w.name,
			Group: "entities",
			Rank:  90 + i,
			About: w.about,
			Kind:  bench.KindECS,
			Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
				return entities(k.(bench.ECS), s, w.run)
			},
		}
		for _, n := range entityCounts {
			wl.Metrics = append(wl.Metrics, bench.Metric{Name: count(n), Unit: "ns", Format: "%.1f"})
		}
		bench.RegisterWorkload(wl)
	}
}

// entityCounts are those of the original. Making or removing 1 or 4 takes less time than
// reading the clock, which is subtracted: those figures are rough.
var entityCounts = []int{1, 4, 16, 64, 256, 1_024, 16_000, 256_000, 1_000_000}

func entities(k bench.ECS, s bench.Size, run func(k bench.ECS, n, rounds int) (time.Duration, error)) (out bench.Outcome, err error) {
	out.Values = map[string]float64{}
	for _, n := range entityCounts {
		rounds := min(max(400_000/n, 3), 10_000)
		if s == bench.Short {
			if n > 1_024 {
				break
			}
			rounds = 2
		}
		took, err := run(k, n, rounds)
		if err != nil {
			return out, err
		}
		out.Values[count(n)] = perOp(took, rounds*n)
		out.Sum += uint64(n) // each run checks its own sums
	}
	return out, nil
}

// stopwatch adds up times, less the cost of reading the clock, which is more than that
// of making one entity.
type stopwatch struct{ total float64 } // nanoseconds

// clockCost is the mean time between two readings of the clock with nothing in between.
// It is the least of several measurements, since one that was interrupted would subtract
// too much from everything else. It need not be a whole number of nanoseconds.
var clockCost = func() float64 {
	const n, times = 1000, 20
	least := math.Inf(1)
	for range times {
		var sum time.Duration
		for range n {
			sum += time.Since(time.Now())
		}
		least = min(least, float64(sum)/n)
	}
	return least
}()

func (s *stopwatch) add(start time.Time) {
	s.total += float64(time.Since(start)) - clockCost
}

func (s *stopwatch) time() time.Duration { return time.Duration(max(0, s.total)) }

// remove removes all entities, and returns an error if they were not n.
func remove(k bench.ECS, n int) error {
	removed, err := k.Delete()
	if err == nil && removed != n {
		err = fmt.Errorf("of %d entities %d were there to remove", n, removed)
	}
	return err
}

// checkSum returns an error if the X of entities 0 to n-1, each increased by more, do
// not add up.
func checkSum(k bench.ECS, n, more int) error {
	want := float64(n)*float64(n-1)/2 + float64(n)*float64(more)
	if got := k.Random(n); got != want {
		return fmt.Errorf("the positions of %d entities add up to %v, not %v", n, got, want)
	}
	return nil
}

// checkGone returns an error if an entity is left after all were removed.
func checkGone(k bench.ECS) error {
	if left := k.Query(); left != 0 {
		return fmt.Errorf("%d entities are there after all were removed", left)
	}
	return nil
}

func warmCreate(k bench.ECS, n, rounds int) (_ time.Duration, err error) {
	if err := k.Open(n); err != nil {
		return 0, err
	}
	defer func() { err = closing(k, err) }()
	var watch stopwatch
	for round := range rounds + 1 {
		start := time.Now()
		if err := k.Create(); err != nil {
			return 0, err
		}
		if round > 0 {
			watch.add(start)
		}
		if err := checkSum(k, n, 0); err != nil {
			return 0, err
		}
		if err := remove(k, n); err != nil {
			return 0, err
		}
	}
	return watch.time(), checkGone(k)
}

func freshCreate(k bench.ECS, n, rounds int) (_ time.Duration, err error) {
	var watch stopwatch
	for range rounds {
		if err := k.Open(n); err != nil {
			return 0, err
		}
		start := time.Now()
		err := k.Create()
		watch.add(start)
		if err == nil {
			err = checkSum(k, n, 0)
		}
		// Some candidates free the world here. Others leave it to the collector, which
		// runs during a later Create. Both are in the time.
		start = time.Now()
		err = closing(k, err)
		watch.add(start)
		if err != nil {
			return 0, err
		}
	}
	return watch.time(), nil
}

func deleteAll(k bench.ECS, n, rounds int) (_ time.Duration, err error) {
	if err := k.Open(n); err != nil {
		return 0, err
	}
	defer func() { err = closing(k, err) }()
	var watch stopwatch
	for range rounds {
		if err := k.Create(); err != nil {
			return 0, err
		}
		start := time.Now()
		err := remove(k, n)
		watch.add(start)
		if err != nil {
			return 0, err
		}
	}
	return watch.time(), checkGone(k)
}

func lookUp(k bench.ECS, n, rounds int) (_ time.Duration, err error) {
	if err := k.Open(n); err != nil {
		return 0, err
	}
	defer func() { err = closing(k, err) }()
	if err := k.Create(); err != nil {
		return 0, err
	}
	order := make([]uint32, n)
	for k, i := range rand.New(rand.NewPCG(90, 0)).Perm(n) {
		order[k] = uint32(i)
	}
	k.Shuffle(order)
	if err := checkSum(k, n, 0); err != nil {
		return 0, err
	}
	some := 0.0 // of half of them, which shows that they are in this order
	for _, i := range order[:n/2] {
		some += float64(i)
	}
	if got := k.Random(n / 2); got != some {
		return 0, fmt.Errorf("the positions of the first %d names add up to %v, not %v", n/2, got, some)
	}
	var watch stopwatch
	start := time.Now()
	sum := 0.0
	for range rounds {
		sum += k.Random(n)
	}
	watch.add(start)
	if want := float64(rounds) * float64(n) * float64(n-1) / 2; sum != want {
		return 0, fmt.Errorf("%d times %d positions add up to %v, not %v", rounds, n, sum, want)
	}
	return watch.time(), nil
}

func query(k bench.ECS, n, rounds int) (_ time.Duration, err error) {
	if err := k.Open(n); err != nil {
		return 0, err
	}
	defer func() { err = closing(k, err) }()
	if err := k.Create(); err != nil {
		return 0, err
	}
	if err := k.Others(10 * n); err != nil {
		return 0, err
	}
	k.Query()
	var watch stopwatch
	start := time.Now()
	visited := 0
	for range rounds {
		visited += k.Query()
	}
	watch.add(start)
	if visited != rounds*n {
		return 0, fmt.Errorf("%d visits of %d entities, not %d", visited, n, rounds*n)
	}
	return watch.time(), checkSum(k, n, rounds+1)
}
