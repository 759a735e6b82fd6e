//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package arena_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/vita-go/deblockator/arena"
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

// sink keeps what is computed from being optimized away.
var sink uint64

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
			id := uint64(k) // a literal, since a function that returned it would add a copy, even inlined
			at[k] = f.insert(record{id: id, data: [6]uint64{id, id, id, id, id, id}})
		}
	})
	run("handles", func(b *testing.B) {
		var a arena.Arena[record]
		defer a.Close()
		at := make([]arena.Handle[record], live)
		for k := range at {
			p, h, err := a.AllocHandle()
			if err != nil {
				b.Fatal(err)
			}
			p.fill(uint64(k))
			at[k] = h
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
			id := uint64(k)
			h, err := a.Insert(record{id: id, data: [6]uint64{id, id, id, id, id, id}})
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
