//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package arena_test

import (
	"fmt"
	"testing"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// BenchmarkPeak makes many objects and frees them all, again and again: once with the memory
// that the default slab.Config.Retain keeps from one time to the next, once with none kept.
// The time is for one object. The limit is a slice that keeps its memory.
func BenchmarkPeak(b *testing.B) {
	const many = 100_000
	run := func(name string, f func(b *testing.B)) {
		b.Run(fmt.Sprintf("impl=%s/live=%d", name, many), func(b *testing.B) {
			f(b)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/object")
		})
	}
	run("limit", func(b *testing.B) {
		f := &freeList{head: none}
		for range b.N {
			for k := range many {
				f.items[f.alloc()].fill(uint64(k))
			}
			for i := range f.items {
				f.free(uint32(i))
			}
		}
	})
	for _, retain := range []int{0, -1} {
		name := "arena"
		if retain < 0 {
			name = "arena-retain-none"
		}
		run(name, func(b *testing.B) {
			m, err := slab.New(slab.Config{Retain: retain})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			a, err := arena.New[record](m)
			if err != nil {
				b.Fatal(err)
			}
			at := make([]*record, many)
			for range b.N {
				for k := range at {
					p, err := a.Alloc()
					if err != nil {
						b.Fatal(err)
					}
					p.fill(uint64(k))
					at[k] = p
				}
				for _, p := range at {
					a.Free(p)
				}
			}
		})
	}
	run("new", func(b *testing.B) {
		at := make([]*record, many)
		for range b.N {
			for k := range at {
				at[k] = new(record)
				at[k].fill(uint64(k))
			}
			clear(at)
		}
	})
}
