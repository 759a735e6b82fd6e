package slab

import (
	"slices"
)

// recordCorruptions are of the chunk table and the address map.
var recordCorruptions = map[string][]Corruption{
	"I8 records": {
		{"count of the unused", func(a *Allocator, _ *Pool) func() { return setTo(&a.table.spare, a.table.spare-1) }},
		{"a record lost", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.table.unused, a.table.at(a.table.unused).link), setTo(&a.table.spare, a.table.spare-1))
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
		{"page of the table in a hole", func(a *Allocator, _ *Pool) func() {
			i, _ := pick(a, innerHole)
			return setTo(&a.table.owner[1], i)
		}},
	},
	"I9 address map": {
		{"no entry of a chunk", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			at := a.user.address(c)
			a.addrs.set(at, 1, 0)
			return func() { a.addrs.set(at, 1, chunkEntry(i)) }
		}},
		{"entry of another chunk", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			at := a.user.address(c)
			a.addrs.set(at, 1, chunkEntry(i+1))
			return func() { a.addrs.set(at, 1, chunkEntry(i)) }
		}},
		{"no entry of a large allocation", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLarge))
			at := a.user.address(c)
			a.addrs.set(at, 1, 0)
			return func() { a.addrs.set(at, 1, chunkEntry(i)) }
		}},
		{"entry of a hole", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.size >= 3*window>>granuleShift })
			at := a.user.address(c) + window
			a.addrs.set(at, 1, chunkEntry(i))
			return func() { a.addrs.set(at, 1, 0) }
		}},
		{"no entry of a slab's middle", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			a.addrs.set(s.addr+window, 1, 0)
			return func() { a.addrs.set(s.addr+window, 1, slabEntry(id)) }
		}},
		{"entry of another slab", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			a.addrs.set(s.addr, 1, slabEntry(id+1))
			return func() { a.addrs.set(s.addr, 1, slabEntry(id)) }
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
			// Its own place is empty then, so the search for it ends there.
			t := a.addrs.table
			from, to := anyRegion(a), slices.IndexFunc(t, func(r region) bool { return r.key == noRegion })
			return both(setTo(&t[to], *from), setTo(from, region{key: noRegion}))
		}},
		{"leaf in no chunk", func(a *Allocator, _ *Pool) func() { return setTo(&anyRegion(a).at, a.table.unused) }},
	},
}
