//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package arena_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// body is what benchmarks of entity component systems create: two components of two float64
// each.
type body struct{ x, y, vx, vy float64 }

func bodyAt(x float64) body { return body{x: x, y: -x, vx: 1, vy: 1} }

// BenchmarkSpawn makes 1024 objects, one by one or at once, and frees them with the clock
// stopped. It has a clock of its own, because testing.B reads the memory statistics whenever
// its timer stops or starts.
func BenchmarkSpawn(b *testing.B) {
	const n = 1024
	run := func(impl string, spawn func(b *testing.B), clean func()) {
		b.Run(fmt.Sprintf("impl=%s/n=%d", impl, n), func(b *testing.B) {
			var clock time.Duration
			for range b.N {
				start := time.Now()
				spawn(b)
				clock += time.Since(start)
				clean()
			}
			b.ReportMetric(float64(clock.Nanoseconds())/float64(b.N)/n, "ns/object")
		})
	}
	var a arena.Arena[body]
	defer a.Close()
	hs := make([]arena.Handle[body], 0, n)
	remove := func() {
		for _, h := range hs {
			a.Remove(h)
		}
		hs = hs[:0]
	}
	run("insert", func(b *testing.B) {
		for i := range n {
			h, err := a.Insert(bodyAt(float64(i)))
			if err != nil {
				b.Fatal(err)
			}
			hs = append(hs, h)
		}
	}, remove)
	ps := make([]*body, n)
	run("alloc", func(b *testing.B) {
		for i := range ps {
			p, err := a.Alloc()
			if err != nil {
				b.Fatal(err)
			}
			*p = bodyAt(float64(i))
			ps[i] = p
		}
	}, func() {
		for _, p := range ps {
			a.Free(p)
		}
	})
	vs := make([]body, n)
	run("insertN", func(b *testing.B) {
		var err error
		if hs, err = a.InsertN(vs, hs); err != nil {
			b.Fatal(err)
		}
	}, remove)
	run("slice", func(*testing.B) {
		vs = vs[:0]
		for i := range n {
			vs = append(vs, bodyAt(float64(i)))
		}
	}, func() {})
}

// BenchmarkNew makes an arena, puts a few objects into it, and closes it.
func BenchmarkNew(b *testing.B) {
	run := func(impl string, open func() *arena.Arena[body]) {
		b.Run(fmt.Sprintf("impl=%s/objects=16", impl), func(b *testing.B) {
			for range b.N {
				a := open()
				for range 16 {
					if _, err := a.Insert(body{}); err != nil {
						b.Fatal(err)
					}
				}
				if err := a.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("own", func() *arena.Arena[body] { return new(arena.Arena[body]) })
	on, err := slab.New(slab.Config{})
	if err != nil {
		b.Fatal(err)
	}
	run("shared", func() *arena.Arena[body] { return arena.Must(arena.New[body](on)) })
	if err := on.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMake makes a value in a region, which is reset every 1024 values: of one type, and of
// three in turn.
func BenchmarkMake(b *testing.B) {
	region := func(types int, make func(r *arena.Region, n int) error) {
		b.Run(fmt.Sprintf("impl=region/types=%d", types), func(b *testing.B) {
			r := arena.Must(arena.NewRegion(nil))
			defer r.Close()
			for n := range b.N {
				if n%1024 == 0 {
					r.Reset()
				}
				if err := make(r, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	region(1, makeValue[body])
	region(3, func(r *arena.Region, n int) error {
		switch n % 3 {
		case 0:
			return makeValue[body](r, n)
		case 1:
			return makeValue[[5]uint64](r, n)
		default:
			return makeValue[[6]uint32](r, n)
		}
	})
	b.Run("impl=new/types=1", func(b *testing.B) {
		for range b.N {
			newBody = new(body)
		}
	})
}

var newBody *body

func makeValue[T any](r *arena.Region, _ int) error {
	_, err := arena.Make[T](r)
	return err
}
