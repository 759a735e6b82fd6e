//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package arena_test

import (
	"fmt"
	"testing"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// sumAll is a function of its own so that its loop is inlined.
func sumAll(a *arena.Arena[record]) (sum uint64) {
	for _, p := range a.All() {
		sum += p.id
	}
	return sum
}

// sumValues is likewise.
func sumValues(a *arena.Arena[record]) (sum uint64) {
	for p := range a.Values() {
		sum += p.id
	}
	return sum
}

// BenchmarkIterate goes over all live objects; one op is all of them.
func BenchmarkIterate(b *testing.B) {
	const slots = 1 << 20
	items := make([]record, slots)
	for k := range items {
		items[k].id = uint64(k)
	}
	perLive := func(b *testing.B, live int) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(live), "ns/live")
	}
	b.Run(fmt.Sprintf("impl=limit/slots=%d/live=100%%", slots), func(b *testing.B) {
		for range b.N {
			sum := uint64(0)
			for i := range items {
				sum += items[i].id
			}
			sink = sum
		}
		perLive(b, slots)
	})
	fill := func(a *arena.Arena[record], percent int) (order []uint32) { // of those that stay
		r := random(1)
		for k, h := range arena.Must(a.InsertN(items, nil)) {
			if r.below(100) < percent {
				order = append(order, uint32(k))
			} else {
				a.Remove(h)
			}
		}
		return order
	}
	loop := func(b *testing.B, a *arena.Arena[record], impl string, percent int, sum func(*arena.Arena[record]) uint64) {
		b.Run(fmt.Sprintf("impl=%s/slots=%d/live=%d%%", impl, slots, percent), func(b *testing.B) {
			for range b.N {
				sink = sum(a)
			}
			perLive(b, a.Len())
		})
	}
	for _, percent := range []int{100, 10} {
		var a arena.Arena[record]
		order := fill(&a, percent)
		live := a.Len()
		if percent < 100 { // the speed of reading memory with gaps
			b.Run(fmt.Sprintf("impl=limit/slots=%d/live=%d%%", slots, percent), func(b *testing.B) {
				for range b.N {
					sum := uint64(0)
					for _, k := range order {
						sum += items[k].id
					}
					sink = sum
				}
				perLive(b, live)
			})
		}
		loop(b, &a, "all", percent, sumAll)
		loop(b, &a, "values", percent, sumValues)
		b.Run(fmt.Sprintf("impl=chunks/slots=%d/live=%d%%", slots, percent), func(b *testing.B) {
			for range b.N {
				sum := uint64(0)
				for c := range a.Chunks() {
					for i := range c {
						sum += c[i].id
					}
				}
				sink = sum
			}
			perLive(b, live)
		})
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
	on, err := slab.New(slab.Config{Source: blocksrc.Mmap{HugePages: true}, BlockSize: 2 << 20})
	if err != nil {
		b.Fatal(err)
	}
	a := arena.Must(arena.New[record](on))
	fill(a, 10)
	loop(b, a, "all-huge-pages", 10, sumAll)
	if err := on.Close(); err != nil {
		b.Fatal(err)
	}
}
