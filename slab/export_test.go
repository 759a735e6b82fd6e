package slab

import (
	"encoding/binary"
	"hash/fnv"
	"math/bits"
	"slices"
	"unsafe"
)

// The door for the external tests: constants, counters, and ways to bring about
// what a program cannot in reasonable time, or not at all.

// Invariants says that every operation ends with a Check, so that tests do less.
const Invariants = invariants

// NumClasses is how many sizes of slots there are for small requests.
const NumClasses = numClasses

// ClassSize returns the slot size of class c.
func ClassSize(c int) int { return int(classSize[c]) }

// SlabShape returns the shape of a slab of class c of about target bytes.
func SlabShape(c, target int) (slots, size int) {
	n, size := (&cache{stride: uintptr(classSize[c])}).shape(target)
	return int(n), size
}

// MetaBlocks returns the blocks of the allocator's own records.
func MetaBlocks(a *Allocator) [][]byte {
	var all [][]byte
	for _, i := range a.meta.order {
		all = append(all, a.meta.blocks[i].mem)
	}
	return all
}

// Stuck returns how many blocks the sources refused to take back.
func Stuck(a *Allocator) int { return a.user.stuck + a.meta.stuck }

// Regions returns how many regions the address map has a leaf for.
func Regions(a *Allocator) int { return a.addrs.leaves }

// Fingerprint returns a hash of everything that can bear on what an allocator
// does next, counts of events aside. Two allocators with the same fingerprint
// have the same future. Addresses count relative to the blocks.
func Fingerprint(a *Allocator) uint64 {
	f := fnv.New64a()
	put := func(ns ...uint64) {
		var b [8]byte
		for _, n := range ns {
			binary.LittleEndian.PutUint64(b[:], n)
			f.Write(b[:])
		}
	}
	flag := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	// Record numbers follow from history; what counts is which chunk each is.
	name := make(map[uint32]uint64)
	for _, h := range []*heap{&a.user, &a.meta} {
		for _, bi := range h.order {
			for i := h.blocks[bi].first; i != 0; i = a.table.at(i).next {
				name[i] = uint64(len(name) + 1)
			}
		}
	}
	for _, h := range []*heap{&a.user, &a.meta} {
		rank := make(map[uint32]uint64)
		for n, bi := range h.order {
			rank[bi+1] = uint64(n + 1)
		}
		put(uint64(len(h.order)), uint64(h.held), uint64(h.empty), rank[h.spare], uint64(h.stuck))
		for _, bi := range h.order {
			b := &h.blocks[bi]
			put(uint64(len(b.mem)), uint64(b.addr()), uint64(b.clean), flag(b.stuck))
			for i := b.first; i != 0; i = a.table.at(i).next {
				c := a.table.at(i)
				put(uint64(c.off), uint64(c.size), uint64(c.kind), uint64(c.align))
			}
		}
		for level, steps := range h.bins.head {
			for step, i := range steps {
				for ; i != 0; i = a.table.at(i).link {
					put(uint64(level), uint64(step), name[i])
				}
			}
		}
	}
	fresh := func(c *cache) {
		put(uint64(c.id))
		for id := c.head; id != 0; id = c.a.slabs[id].rec.next {
			put(name[c.a.slabs[id].rec.chunk])
		}
		if c.spare != 0 {
			put(1, name[c.a.slabs[c.spare].rec.chunk])
		}
	}
	for _, c := range a.classes {
		fresh(&c.cache)
		for _, h := range c.magazine[:c.count] {
			put(name[a.slabs[h.id.slab()].rec.chunk], uint64(h.id&(1<<32-1)))
		}
	}
	for _, p := range a.pools {
		if p != nil {
			fresh(&p.cache)
			if p.group.Slots != 0 {
				put(p.group.Slots, uint64(p.group.Index), p.fresh)
			}
		}
	}
	for id := range a.slabs {
		if s := a.slabs[id].rec; s != nil {
			put(name[s.chunk], uint64(s.owner), uint64(s.clean), uint64(s.retired))
			for w := range s.words() {
				put(*s.word(w))
			}
		}
	}
	put(uint64(a.table.spare), uint64(a.addrs.leaves), flag(a.closed))
	return f.Sum64()
}

// A Corruption breaks one thing in an allocator that has at least
//
//	a large allocation, chunks, two neighbours among them, holes at both sides of
//	chunks, slabs of a class with free slots and without, a pool with a
//	group, an empty block that is kept back, and an unused slab number.
//
// Apply returns what undoes it.
type Corruption struct {
	Name  string
	Apply func(a *Allocator, p *Pool) (undo func())
}

func setTo[T any](p *T, v T) (undo func()) {
	old := *p
	*p = v
	return func() { *p = old }
}

func both(undos ...func()) func() {
	return func() {
		for i := len(undos) - 1; i >= 0; i-- {
			undos[i]()
		}
	}
}

// pick returns the first chunk of the user's memory for which ok holds.
func pick(a *Allocator, ok func(c *chunk) bool) (uint32, *chunk) {
	for _, bi := range a.user.order {
		for i := a.user.blocks[bi].first; i != 0; {
			c := a.table.at(i)
			if ok(c) {
				return i, c
			}
			i = c.next
		}
	}
	panic("the allocator has no such chunk")
}

func ofKind(kind chunkKind) func(*chunk) bool {
	return func(c *chunk) bool { return c.kind == kind }
}

func innerHole(c *chunk) bool { return c.kind == chunkHole && c.prev != 0 && c.next != 0 }

// listed returns the bin that a hole is in.
func (h *heap) listed(c *chunk) (head *uint32, level, step uint32) {
	level, step = binOf(c.size)
	return &h.bins.head[level][step], level, step
}

// partial returns a slab of a class that has used and free slots, and its number.
func partial(a *Allocator) (uint32, *slab) {
	for id := 1; id < len(a.slabs); id++ {
		if s := a.slabs[id].rec; s != nil && s.owner < numClasses && s.used > 1 && s.summary != 0 {
			return uint32(id), s
		}
	}
	panic("the allocator has no such slab")
}

func usedSlot(s *slab) uint32 {
	for i := range s.slots {
		if !s.isFree(i) {
			return i
		}
	}
	panic("the slab has no used slot")
}

// liveBit returns the word of the live bits that a slot of slab id is in that is
// live or not, and its bit.
func liveBit(a *Allocator, id uint32, live bool) (word *uint64, bit uint64) {
	ref := &a.slabs[id]
	for i := range ref.rec.slots {
		if ref.isLive(i) == live {
			return ref.liveWord(i), 1 << (i & 63)
		}
	}
	panic("the slab has no such slot")
}

// stocked returns a class of several slabs that has two slots at hand, and room
// for one.
func stocked(a *Allocator) *class {
	for _, c := range a.classes {
		if c.count > 1 && c.count < magazineSize && c.slabs > 1 {
			return c
		}
	}
	panic("no class has slots at hand")
}

// full returns a slab without a free slot.
func fullSlab(a *Allocator) (uint32, *slab) {
	for id := 1; id < len(a.slabs); id++ {
		if s := a.slabs[id].rec; s != nil && s.summary == 0 {
			return uint32(id), s
		}
	}
	panic("the allocator has no such slab")
}

func anyRegion(a *Allocator) *region {
	for i := range a.addrs.table {
		if r := &a.addrs.table[i]; r.key != noRegion && r.used > 0 {
			return r
		}
	}
	panic("the address map has no region")
}

// livePlace returns a place of p with a slab that has a live slot, and the slot.
func livePlace(p *Pool) (*place, uint32) {
	for i := range p.dir {
		e := &p.dir[i]
		for slot := range uint32(len(e.gens)) {
			if *e.gen(slot)&1 != 0 {
				return e, slot
			}
		}
	}
	panic("the pool has no live slot")
}

// Corruptions is what Check must find, by the invariant that is broken.
var Corruptions = map[string][]Corruption{
	"I1 tiling": {
		{"offset", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.kind == chunkSlab && c.off > 0 })
			return setTo(&c.off, c.off-1)
		}},
		{"gap behind a chunk", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return both(setTo(&c.size, c.size-1), setTo(&a.live, a.live-granule))
		}},
		{"chunks overlap", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return both(setTo(&c.size, c.size+1), setTo(&a.live, a.live+granule), setTo(&a.peakLive, a.peakLive+granule))
		}},
		{"size 0", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.size, 0)
		}},
		{"block does not start with its first chunk", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			b := &a.user.blocks[c.block]
			return setTo(&b.first, a.table.at(b.first).next)
		}},
		{"chunk of another block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.block, c.block+1)
		}},
		{"chunk of no block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.block, ^uint32(0))
		}},
		{"block without chunks", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&a.user.blocks[c.block].first, 0)
		}},
		{"block has other granules", func(a *Allocator, _ *Pool) func() {
			b := &a.user.blocks[a.user.order[0]]
			return setTo(&b.size, b.size+1)
		}},
		{"records do not tile", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.meta.blocks[a.meta.order[0]].first)
			return setTo(&c.size, c.size+1)
		}},
	},
	"I2 holes touch": {
		{"a hole in two", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return innerHole(c) && c.size > 4 })
			a.user.removeHole(c)
			j, d := a.table.get()
			*d = chunk{off: c.off + 2, size: c.size - 2, block: c.block, prev: i, next: c.next}
			a.table.at(c.next).prev = j
			c.size, c.next = 2, j
			a.user.insertHole(i, c)
			a.user.insertHole(j, d)
			return func() {
				a.user.removeHole(c)
				a.user.removeHole(d)
				a.user.absorb(i, c, j, d)
				a.user.insertHole(i, c)
			}
		}},
		{"a chunk that is free and was not merged", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool {
				return c.kind == chunkLive && c.next != 0 && a.table.at(c.next).kind == chunkHole
			})
			old, live, align := a.user.address(c), a.live, c.align
			a.addrs.set(old, 1, 0)
			a.live -= int(c.size) << granuleShift
			a.user.insertHole(i, c)
			return func() {
				a.user.removeHole(c)
				a.addrs.set(old, 1, chunkEntry(i))
				c.kind, c.align, a.live = chunkLive, align, live
			}
		}},
	},
	"I3 bins": {
		{"hole in no bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			a.user.removeHole(c)
			a.user.holes++
			a.user.holeSize += uint64(c.size)
			return func() {
				a.user.holes--
				a.user.holeSize -= uint64(c.size)
				a.user.insertHole(i, c)
			}
		}},
		{"hole in the bin of another size", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			a.user.removeHole(c)
			n := c.size
			c.size = 31
			if n == 31 {
				c.size = 30
			}
			a.user.insertHole(i, c)
			bin := c.size
			a.user.holeSize += uint64(n) - uint64(bin)
			c.size = n
			return func() {
				c.size = bin
				a.user.removeHole(c)
				a.user.holeSize -= uint64(n) - uint64(bin)
				c.size = n
				a.user.insertHole(i, c)
			}
		}},
		{"hole twice in its bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.link, i)
		}},
		{"live chunk in a bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			head, level, step := a.user.listed(c)
			return both(setTo(head, i), setTo(&a.user.bins.steps[level], a.user.bins.steps[level]|1<<step),
				setTo(&a.user.bins.levels, a.user.bins.levels|1<<level))
		}},
		{"link back to another", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.binPrev, i)
		}},
		{"unused record in a bin", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.link, a.table.unused)
		}},
		{"hole marked live", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.kind, chunkLive)
		}},
		{"kind that there is not", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.kind, 77)
		}},
		{"record among the user's chunks", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.kind, chunkRecord)
		}},
		{"user's chunk among the records", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.meta.blocks[a.meta.order[0]].first)
			return setTo(&c.kind, chunkLive)
		}},
	},
	"I4 bitmaps": {
		{"bit of an empty bin", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.bins.steps[binLevels-1], 1), setTo(&a.user.bins.levels, a.user.bins.levels|1<<(binLevels-1)))
		}},
		{"no bit of a bin", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			_, level, step := a.user.listed(c)
			return setTo(&a.user.bins.steps[level], a.user.bins.steps[level]&^(1<<step))
		}},
		{"bit of an empty level", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.bins.levels, a.user.bins.levels|1<<(binLevels-1))
		}},
		{"no bit of a level", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			_, level, _ := a.user.listed(c)
			return setTo(&a.user.bins.levels, a.user.bins.levels&^(1<<level))
		}},
		{"records: bit of an empty level", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.meta.bins.levels, a.meta.bins.levels|1<<(binLevels-1))
		}},
	},
	"I5 neighbors": {
		{"previous is another", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.prev, c.next)
		}},
		{"previous is none", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.prev, 0)
		}},
		{"next is the one after", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next != 0 && a.table.at(c.next).next != 0 })
			return setTo(&c.next, a.table.at(c.next).next)
		}},
		{"next is none", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next != 0 })
			return setTo(&c.next, 0)
		}},
		{"next is itself", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.next, i)
		}},
		{"next is the first", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.next, a.user.blocks[c.block].first)
		}},
		{"next is in another block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next == 0 })
			_, d := pick(a, func(d *chunk) bool { return d.block != c.block })
			return setTo(&c.next, a.user.blocks[d.block].first)
		}},
	},
	"I6 totals": {
		{"holes", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.holes, a.user.holes+1) }},
		{"hole bytes", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.holeSize, a.user.holeSize-1) }},
		{"held", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.held, a.user.held-16) }},
		{"held by records", func(a *Allocator, _ *Pool) func() { return setTo(&a.meta.held, a.meta.held-16) }},
		{"peak held", func(a *Allocator, _ *Pool) func() { return setTo(&a.peakHeld, a.user.held) }},
		{"live", func(a *Allocator, _ *Pool) func() { return setTo(&a.live, a.live-8) }},
		{"peak live", func(a *Allocator, _ *Pool) func() { return setTo(&a.peakLive, a.live-1) }},
		{"empty", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.empty, a.user.empty-1) }},
		{"slots of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].slots, a.classes[s.owner].slots+1)
		}},
		{"used slots of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return both(setTo(&c.used, c.used-1), setTo(&a.live, a.live-int(c.stride)))
		}},
		{"bytes of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].bytes, a.classes[s.owner].bytes-1)
		}},
		{"slabs of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].slabs, a.classes[s.owner].slabs+1)
		}},
		{"used slots of a pool", func(a *Allocator, p *Pool) func() {
			return both(setTo(&p.used, p.used-1), setTo(&a.live, a.live-int(p.stride)))
		}},
		{"slots of a pool", func(_ *Allocator, p *Pool) func() { return setTo(&p.slots, p.slots-1) }},
	},
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
	"I10 slabs": {
		{"used slot free", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			i := usedSlot(s)
			return setTo(s.word(i>>6), *s.word(i >> 6)|1<<(i&63))
		}},
		{"free slot used", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			w := uint32(bits.TrailingZeros64(s.summary))
			return setTo(s.word(w), *s.word(w)&(*s.word(w)-1))
		}},
		{"summary bit of a full word", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.summary, s.summary|1<<63)
		}},
		{"no summary bit", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.summary, s.summary&(s.summary-1))
		}},
		{"bits beyond the slots", func(a *Allocator, _ *Pool) func() {
			for id := 1; id < len(a.slabs); id++ {
				if s := a.slabs[id].rec; s != nil && s.slots&63 != 0 {
					w := s.words() - 1
					return both(setTo(s.word(w), *s.word(w)|1<<63), setTo(&s.summary, s.summary|1<<w))
				}
			}
			panic("every slab is of whole words")
		}},
		{"used", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.used, s.used-1)
		}},
		{"slots", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return both(setTo(&s.slots, s.slots-1), setTo(&a.classes[s.owner].slots, a.classes[s.owner].slots-1))
		}},
		{"retired slots in a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return both(setTo(&s.retired, 1), setTo(&s.used, s.used-1))
		}},
		{"owner that there is not", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.owner, numClasses+1000)
		}},
		{"another owner", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.owner, s.owner-1)
		}},
		{"address", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.addr, s.addr+window)
		}},
		{"base", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].base, unsafe.Add(a.slabs[id].base, 8))
		}},
		{"chunk", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			i, _ := pick(a, ofKind(chunkLive))
			return setTo(&s.chunk, i)
		}},
		{"record", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.record, s.chunk)
		}},
		{"chunk names another", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.table.at(s.chunk)
			return setTo(&c.link, c.link+1)
		}},
		{"chunk names none", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.table.at(s.chunk).link, 0)
		}},
		{"slab not on its list", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return both(setTo(&c.head, 0), setTo(&c.tail, 0))
		}},
		{"full slab on the list", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			c := a.cacheOf(s.owner)
			return both(setTo(&s.next, c.head), setTo(&c.head, id))
		}},
		{"slab of another cache on the list", func(a *Allocator, p *Pool) func() {
			id, _ := partial(a)
			return setTo(&p.head, id)
		}},
		{"link back", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&s.prev, id)
		}},
		{"loop on the list", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&s.next, id)
		}},
		{"end of the list", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return setTo(&c.tail, c.tail+1)
		}},
		{"slab kept back is not empty", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&a.classes[s.owner].spare, id)
		}},
		{"slab kept back is none", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].spare, a.vacantSlabs[0])
		}},
		{"slab kept back is another's", func(a *Allocator, p *Pool) func() {
			for _, c := range a.classes {
				if c.spare != 0 {
					return setTo(&p.spare, c.spare)
				}
			}
			panic("no class keeps a slab back")
		}},
		{"unused slab number lost", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.vacantSlabs, a.vacantSlabs[1:])
		}},
		{"unused slab number in use", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.vacantSlabs[0], id)
		}},
		{"live slot that is not", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			word, bit := liveBit(a, id, true)
			return setTo(word, *word&^bit)
		}},
		{"dead slot that is live", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			word, bit := liveBit(a, id, false)
			return setTo(word, *word|bit)
		}},
		{"live bits beyond the slots", func(a *Allocator, _ *Pool) func() {
			for id := range a.slabs {
				if ref := &a.slabs[id]; ref.live != nil && ref.rec.slots&63 != 0 {
					word := ref.liveWord(ref.rec.slots)
					return setTo(word, *word|1<<63)
				}
			}
			panic("every slab is of whole words")
		}},
		{"live bits are elsewhere", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].live, unsafe.Add(a.slabs[id].live, 8))
		}},
		{"class as Free sees it", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].class, &noClass)
		}},
		{"a pool's slab with a class", func(a *Allocator, p *Pool) func() {
			return setTo(&a.slabs[p.head].class, stocked(a))
		}},
		{"slot at hand is live", func(a *Allocator, _ *Pool) func() {
			h := stocked(a).magazine[0]
			return setTo(h.live, *h.live|1<<(h.id&63))
		}},
		{"slot at hand is free", func(a *Allocator, _ *Pool) func() {
			h := stocked(a).magazine[0]
			s, slot := a.slabs[h.id.slab()].rec, h.id.slot()
			word := s.word(slot >> 6)
			return both(setTo(word, *word|1<<(slot&63)), setTo(&s.summary, s.summary|1<<(slot>>6)), setTo(&s.used, s.used-1))
		}},
		{"slot at hand at another address", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[0].at, unsafe.Add(c.magazine[0].at, c.stride))
		}},
		{"slot at hand with another's bit", func(a *Allocator, _ *Pool) func() {
			h := &stocked(a).magazine[0]
			return setTo(&h.live, (*uint64)(unsafe.Add(unsafe.Pointer(h.live), 8)))
		}},
		{"slot that was at hand, of a slab that is gone", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			h := c.magazine[0]
			h.id = slotOf(a.vacantSlabs[0], 0)
			return setTo(&c.magazine[c.count], h)
		}},
		{"slot at hand twice", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[0], c.magazine[1])
		}},
		{"slot at hand twice, once fresh", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			h := c.magazine[1]
			h.id ^= freshBit
			return setTo(&c.magazine[0], h)
		}},
		{"slot at hand of no slab", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).magazine[0].id, slotOf(uint32(len(a.slabs)), 0))
		}},
		{"slot at hand of a slab that is gone", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).magazine[0].id, slotOf(a.vacantSlabs[0], 0))
		}},
		{"slot at hand beyond its slab", func(a *Allocator, _ *Pool) func() {
			h := &stocked(a).magazine[0]
			return setTo(&h.id, slotOf(h.id.slab(), a.slabs[h.id.slab()].rec.slots))
		}},
		{"slot at hand of another class", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			for id := range a.slabs {
				if ref := &a.slabs[id]; ref.live != nil && ref.class != c {
					return setTo(&c.magazine[0], atHand{ref.base, ref.liveWord(0), slotOf(uint32(id), 0)})
				}
			}
			panic("there is no other class")
		}},
		{"slot at hand lost", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.count, c.count-1)
		}},
		{"more at hand than there are", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).count, magazineSize+1)
		}},
		{"limit beyond the magazine", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).limit, magazineSize+1)
		}},
		{"limit beyond what is live", func(a *Allocator, _ *Pool) func() {
			for _, c := range a.classes {
				if c.slabs > 1 && c.used > 0 && c.used <= magazineSize {
					return setTo(&c.limit, uint32(c.used))
				}
			}
			panic("no class has little that is live, in several slabs")
		}},
		{"clean beyond a slot in use", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.clean, usedSlot(s))
		}},
	},
	"I10 generations": {
		{"live slot with the generation of a dead one", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(e.gen(slot), *e.gen(slot)+1)
		}},
		{"free slot with the generation of a live one", func(a *Allocator, p *Pool) func() {
			for i := range p.dir {
				e := &p.dir[i]
				for slot := range uint32(len(e.gens)) {
					if a.slabs[e.id].rec.isFree(slot) {
						return setTo(e.gen(slot), *e.gen(slot)+1)
					}
				}
			}
			panic("the pool has no free slot")
		}},
		{"slot of the group with the generation of a live one", func(_ *Allocator, p *Pool) func() {
			g := (*uint32)(unsafe.Add(p.group.Gens, 4*bits.TrailingZeros64(p.group.Slots)))
			return setTo(g, *g+1)
		}},
		{"slot of the group forgotten", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Slots, p.group.Slots&(p.group.Slots-1))
		}},
		{"slot in the group that is not", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Slots, p.group.Slots|(p.group.Slots+1)) // the lowest
		}},
		{"group nowhere", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Index, uint32(len(p.dir))<<slotShift)
		}},
		{"group of others", func(_ *Allocator, p *Pool) func() { return setTo(&p.group.Index, p.group.Index+1) }},
		{"group forgotten", func(_ *Allocator, p *Pool) func() { return setTo(&p.group.Slots, 0) }},
		{"slot of the group that counts as never handed out", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.fresh, p.group.Slots)
		}},
		{"group at another address", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Base, unsafe.Add(p.group.Base, p.stride))
		}},
		{"group with the generations of others", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Gens, unsafe.Add(p.group.Gens, 4))
		}},
		{"generation below the place's", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(&e.floor, *e.gen(slot)+1)
		}},
		{"retired slots of a slab", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			s := a.slabs[e.id].rec
			return both(setTo(&s.retired, s.retired+1), setTo(&s.used, s.used-1), setTo(&p.used, p.used-1),
				setTo(&a.live, a.live-int(p.stride)))
		}},
		{"slab in another place", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&a.slabs[e.id].rec.seq, uint32(len(p.dir)))
		}},
		{"place of another slab", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.id, e.id+1)
		}},
		{"place at another address", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.base, unsafe.Add(e.base, p.stride))
		}},
		{"place with other generations", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.gens, e.gens[1:])
		}},
		{"place with fewer slots", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.gens, e.gens[:len(e.gens)-1])
		}},
		{"place with other numbers", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.index, e.index+1)
		}},
		{"place with the record of another slab", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			_, s := partial(a)
			return setTo(&e.rec, s)
		}},
		{"place sure of a generation that slots do not have", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(&e.sure, *e.gen(slot))
		}},
		{"place sure that no slot was freed", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.sure, e.floor)
		}},
		{"place with more bytes", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.bytes, e.bytes+1)
		}},
		{"place in use counts as vacant", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&p.vacantSeqs, append(p.vacantSeqs, e.index>>slotShift))
		}},
		{"vacant place twice", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.vacantSeqs, append(p.vacantSeqs, p.vacantSeqs[0]))
		}},
		{"closed pool has slabs", func(a *Allocator, p *Pool) func() { return setTo(&a.pools[p.id-numClasses], nil) }},
	},
	"I12 blocks kept back": {
		{"block kept back is in use", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&a.user.spare, c.block+1)
		}},
		{"block kept back is none", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.spare, uint32(len(a.user.blocks))+1)
		}},
		{"empty block kept that should not be", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.retain, -1), setTo(&a.user.spare, 0))
		}},
		{"more kept back than Retain", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.retain, 1), setTo(&a.user.spare, 0))
		}},
		{"empty block forgotten", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.spare, 0) }},
		{"stuck blocks", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.stuck, 1) }},
		{"blocks out of order", func(a *Allocator, _ *Pool) func() {
			o := a.user.order
			o[0], o[1] = o[1], o[0]
			return func() { o[0], o[1] = o[1], o[0] }
		}},
		{"block twice", func(a *Allocator, _ *Pool) func() {
			o := a.user.order
			return setTo(&o[1], o[0])
		}},
		{"block number lost", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.blocks, append(a.user.blocks[:len(a.user.blocks):len(a.user.blocks)], block{}))
		}},
		{"clean beyond a chunk in use", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			b := &a.user.blocks[c.block]
			return setTo(&b.clean, 0)
		}},
		{"clean beyond the block", func(a *Allocator, _ *Pool) func() {
			b := &a.user.blocks[a.user.order[0]]
			return setTo(&b.clean, b.size+1)
		}},
	},
}
