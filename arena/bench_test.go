//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package arena_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// The benchmarks compare an arena with what a program would do without one, and with the
// limit: the least code that could do the job by hand, without any check. Names have the
// form impl=/live= for benchstat -col /impl. What counts is the ratios within one run.

// record has 64 bytes, as do most examples in this field.
type record struct {
	id   uint64
	next arena.Handle[record]
	data [6]uint64
}

func filled(id uint64) record {
	return record{id: id, data: [6]uint64{id, id, id, id, id, id}}
}

// linked is record as a program without an arena would have it.
type linked struct {
	id   uint64
	next *linked
	data [6]uint64
}

func (r *record) fill(id uint64) {
	r.id = id
	for i := range r.data {
		r.data[i] = id
	}
}

// random is xorshift64: so fast that it is not what is measured.
type random uint64

func (r *random) below(n int) int {
	x := uint64(*r)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = random(x)
	return int(uint64(uint32(x>>32)) * uint64(n) >> 32)
}

// freeList is the limit: objects in one slice, the free ones linked by index.
type freeList struct {
	items []record
	next  []uint32
	head  uint32
}

const none = ^uint32(0)

func (f *freeList) alloc() uint32 {
	i := f.head
	if i == none {
		i = uint32(len(f.items))
		f.items = append(f.items, record{})
		f.next = append(f.next, none)
		return i
	}
	f.head = f.next[i]
	f.items[i] = record{}
	return i
}

func (f *freeList) insert(v record) uint32 {
	i := f.head
	if i == none {
		f.items = append(f.items, v)
		f.next = append(f.next, none)
		return uint32(len(f.items) - 1)
	}
	f.head = f.next[i]
	f.items[i] = v
	return i
}

func (f *freeList) free(i uint32) {
	f.next[i] = f.head
	f.head = i
}

// BenchmarkPair replaces a random live object: it reads the object, frees it, makes another
// and fills that in.
func BenchmarkPair(b *testing.B) {
	const live = 10_000
	run := func(name string, f func(b *testing.B)) {
		b.Run(fmt.Sprintf("impl=%s/live=%d", name, live), f)
	}
	run("limit", func(b *testing.B) {
		f := &freeList{head: none}
		at := make([]uint32, live)
		for k := range at {
			at[k] = f.alloc()
			f.items[at[k]].fill(uint64(k))
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if f.items[at[k]].id != uint64(k) {
				b.Fatal("lost", k)
			}
			f.free(at[k])
			i := f.alloc()
			f.items[i].fill(uint64(k))
			at[k] = i
		}
	})
	run("arena", func(b *testing.B) {
		var a arena.Arena[record]
		defer a.Close()
		at := make([]*record, live)
		for k := range at {
			at[k] = arena.Must(a.Alloc())
			at[k].fill(uint64(k))
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if at[k].id != uint64(k) {
				b.Fatal("lost", k)
			}
			a.Free(at[k])
			p, err := a.Alloc()
			if err != nil {
				b.Fatal(err)
			}
			p.fill(uint64(k))
			at[k] = p
		}
	})
	run("limit-insert", func(b *testing.B) {
		f := &freeList{head: none}
		at := make([]uint32, live)
		for k := range at {
			at[k] = f.alloc()
			f.items[at[k]].fill(uint64(k))
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if f.items[at[k]].id != uint64(k) {
				b.Fatal("lost", k)
			}
			f.free(at[k])
			at[k] = f.insert(filled(uint64(k)))
		}
	})
	run("handles", func(b *testing.B) {
		var a arena.Arena[record]
		defer a.Close()
		at := make([]arena.Handle[record], live)
		for k := range at {
			at[k] = arena.Must(a.Insert(filled(uint64(k))))
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if p, ok := a.Get(at[k]); !ok || p.id != uint64(k) {
				b.Fatal("lost", k)
			}
			if !a.Remove(at[k]) {
				b.Fatal("lost", k)
			}
			h, err := a.Insert(filled(uint64(k)))
			if err != nil {
				b.Fatal(err)
			}
			at[k] = h
		}
	})
	run("new", func(b *testing.B) {
		at := make([]*record, live)
		for k := range at {
			at[k] = new(record)
			at[k].fill(uint64(k))
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if at[k].id != uint64(k) {
				b.Fatal("lost", k)
			}
			p := new(record)
			p.fill(uint64(k))
			at[k] = p
		}
	})
	run("new-linked", func(b *testing.B) {
		at := make([]*linked, live)
		for k := range at {
			at[k] = &linked{id: uint64(k)}
		}
		r := random(1)
		b.ResetTimer()
		for range b.N {
			k := r.below(live)
			if at[k].id != uint64(k) {
				b.Fatal("lost", k)
			}
			p := &linked{id: uint64(k), next: at[(k+1)%live]}
			for i := range p.data {
				p.data[i] = uint64(k)
			}
			p.next = nil
			at[k] = p
		}
	})
}

// BenchmarkGet reads a field of each object by its handle, compared with an index into a
// slice. Then it replaces one object in a thousand, so that no slab is left in which all
// generations are the same, and reads them again.
func BenchmarkGet(b *testing.B) {
	const live = 1 << 20
	var a arena.Arena[record]
	defer a.Close()
	items := make([]record, live)
	hs := make([]arena.Handle[record], live)
	at := make([]uint32, live)
	for k := range hs {
		hs[k] = arena.Must(a.Insert(record{id: uint64(k)}))
		items[k].id = uint64(k)
		at[k] = uint32(k)
	}
	get := func(b *testing.B) {
		sum, found := uint64(0), 0
		for n := range b.N {
			if p, ok := a.Get(hs[n%live]); ok {
				sum += p.id
				found++
			}
		}
		if sink = sum; found != b.N {
			b.Fatal("lost some")
		}
	}
	for _, order := range []string{"sequential", "random"} {
		if order == "random" {
			r := random(1)
			for k := live - 1; k > 0; k-- {
				j := r.below(k + 1)
				hs[k], hs[j] = hs[j], hs[k]
				at[k], at[j] = at[j], at[k]
			}
		}
		b.Run(fmt.Sprintf("impl=limit/order=%s/live=%d", order, live), func(b *testing.B) {
			sum := uint64(0)
			for n := range b.N {
				sum += items[at[n%live]].id
			}
			sink = sum
		})
		b.Run(fmt.Sprintf("impl=arena/order=%s/live=%d", order, live), get)
	}
	for k := 0; k < live; k += 1000 {
		a.Remove(hs[k])
		hs[k] = arena.Must(a.Insert(record{id: uint64(k)}))
	}
	for _, order := range []string{"random", "sequential"} {
		if order == "sequential" {
			slices.SortFunc(hs, func(g, h arena.Handle[record]) int { return int(uint32(g.Bits())) - int(uint32(h.Bits())) })
		}
		b.Run(fmt.Sprintf("impl=arena-replaced/order=%s/live=%d", order, live), get)
	}
	runtime.KeepAlive(items)
}

var sink uint64

// sumAll is a function of its own so that its loop is inlined.
func sumAll(a *arena.Arena[record]) (sum uint64) {
	for _, p := range a.All() {
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
	all := func(b *testing.B, a *arena.Arena[record], impl string, percent int) {
		b.Run(fmt.Sprintf("impl=%s/slots=%d/live=%d%%", impl, slots, percent), func(b *testing.B) {
			for range b.N {
				sink = sumAll(a)
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
		all(b, &a, "all", percent)
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
	all(b, a, "all-huge-pages", 10)
	if err := on.Close(); err != nil {
		b.Fatal(err)
	}
}

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
