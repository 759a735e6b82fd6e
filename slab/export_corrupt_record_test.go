package slab

import (
	"slices"
	"unsafe"
)

// recordCorruptions break the chunk table and the address map.
var recordCorruptions = map[string][]Corruption{
	"I8 records": {
		{"count of the unused", func(a *Allocator, _ *Pool) func() { return setTo(&a.table.unusedLen, a.table.unusedLen-1) }},
		{"a record lost", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.table.unused, a.table.at(a.table.unused).link), setTo(&a.table.unusedLen, a.table.unusedLen-1))
		}},
		{"in use and unused", func(a *Allocator, _ *Pool) func() {
			i, _ := pick(a, ofKind(chunkLive))
			c := a.table.at(a.table.unused)
			return setTo(&c.link, i)
		}},
		{"unused with a kind", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.table.at(a.table.unused).kind, chunkHole)
		}},
		{"loop among the unused", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.table.unused)
			return setTo(&c.link, a.table.unused)
		}},
		{"page of the table in no chunk", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.table.owner[1], a.table.unused)
		}},
		{"page of the table in another's chunk", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.table.owner[1], anyRegion(a).at)
		}},
		{"page of the table elsewhere than in its chunk", func(a *Allocator, _ *Pool) func() {
			page := *(*[chunkPage]chunk)(a.table.pages[1])
			return setTo(&a.table.pages[1], unsafe.Pointer(&page))
		}},
		{"chunk of records that nobody has", func(a *Allocator, _ *Pool) func() {
			i, _, _, err := a.allocRecord(100)
			if err != nil {
				panic(err)
			}
			return func() { a.freeRecord(i) }
		}},
		{"record 0 in use", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.table.at(0).kind, chunkHole)
		}},
		{"unused record that its page has lost", func(a *Allocator, _ *Pool) func() {
			t := &a.table
			return both(setTo(&t.unused, t.at(t.unused).link), setTo(&t.unusedLen, t.unusedLen-1))
		}},
		{"page of the table in a hole", func(a *Allocator, _ *Pool) func() {
			i, _ := pick(a, innerHole)
			return setTo(&a.table.owner[1], i)
		}},
	},
	"I9 address map": {
		{"no entry of a chunk", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setEntry(a, a.user.address(c), 0)
		}},
		{"entry of another chunk", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			return setEntry(a, a.user.address(c), chunkEntry(i+1))
		}},
		{"no entry of a large allocation", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLarge))
			return setEntry(a, a.user.address(c), 0)
		}},
		{"entry of a hole", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.size >= 3*window>>granuleShift })
			return setEntry(a, a.user.address(c)+window, chunkEntry(i))
		}},
		{"no entry of a slab's middle", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setEntry(a, uintptr(a.slabs[id].base)+window, 0)
		}},
		{"entry of another slab", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setEntry(a, uintptr(a.slabs[id].base), slabEntry(id+1))
		}},
		{"count of a region", func(a *Allocator, _ *Pool) func() {
			r := anyRegion(a)
			return setTo(&r.used, r.used-1)
		}},
		{"count of idle regions", func(a *Allocator, _ *Pool) func() { return setTo(&a.addrs.idle, a.addrs.idle+1) }},
		{"count of regions", func(a *Allocator, _ *Pool) func() { return setTo(&a.addrs.leaves, a.addrs.leaves+1) }},
		{"region of another address", func(a *Allocator, _ *Pool) func() {
			r := anyRegion(a)
			return setTo(&r.key, r.key+1)
		}},
		{"region in a place where it is not found", func(a *Allocator, _ *Pool) func() {
			// Its own place is then empty, so a search for the region ends there.
			t := a.addrs.table
			from, to := anyRegion(a), slices.IndexFunc(t, func(r region) bool { return r.key == noRegion })
			return both(setTo(&t[to], *from), setTo(from, region{key: noRegion}))
		}},
		{"idle region in a place where it is not found", func(a *Allocator, _ *Pool) func() {
			i, leaf, dirty, err := a.allocRecord(leafSize(false))
			if err != nil {
				panic(err)
			}
			clear(unsafe.Slice((*byte)(leaf), leafSize(false))[:dirty])
			r := region{key: noRegion - 1}
			r.move(leaf, i, false)
			back := both(setTo(&a.addrs.leaves, a.addrs.leaves+1), setTo(&a.addrs.idle, a.addrs.idle+1))
			for to := range a.addrs.table {
				if place := &a.addrs.table[to]; place.key == noRegion {
					undo := setTo(place, r)
					if a.addrs.find(r.key<<regionShift) != place {
						return both(func() { a.freeRecord(i) }, back, undo)
					}
					undo()
				}
			}
			panic("it is found in every place")
		}},
		{"leaf in a chunk of the user's", func(a *Allocator, _ *Pool) func() {
			i, _ := pick(a, ofKind(chunkLive))
			return setTo(&anyRegion(a).at, i)
		}},
		{"leaf in another's chunk", func(a *Allocator, _ *Pool) func() { return setTo(&anyRegion(a).at, a.table.owner[1]) }},
		{"leaf elsewhere than in its chunk", func(a *Allocator, _ *Pool) func() {
			r := anyRegion(a)
			leaf := *r.narrowEntries()
			return setTo(&r.leaf, unsafe.Pointer(&leaf))
		}},
		{"leaf in a chunk of a number that there is not", func(a *Allocator, _ *Pool) func() { return setTo(&anyRegion(a).at, ^uint32(0)) }},
		{"leaf in no chunk", func(a *Allocator, _ *Pool) func() { return setTo(&anyRegion(a).at, a.table.unused) }},
	},
}
