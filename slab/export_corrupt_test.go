package slab

import (
	"maps"
)

// A Corruption breaks one thing in an allocator that has at least
//
//	a large allocation, chunks, two neighbours among them, holes at both sides of
//	chunks, slabs of a class with free slots and without, a pool with a
//	group, a slab of whole rows of the address map, an empty block that is kept back,
//	and an unused slab number.
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

// partial returns a slab of a class with used and free slots, and its number.
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

// liveBit returns the word and the bit in the live bitmap of the first slot of slab id
// that is live, or that is not.
func liveBit(a *Allocator, id uint32, live bool) (word *uint64, bit uint64) {
	ref := &a.slabs[id]
	for i := range ref.rec.slots {
		if ref.isLive(i) == live {
			return ref.liveWord(i), 1 << (i & 63)
		}
	}
	panic("the slab has no such slot")
}

// stocked returns a class of several slabs that has at least two slots at hand, and
// room for one more.
func stocked(a *Allocator) *class {
	for _, c := range a.classes {
		if c.count > 1 && c.count < magazineSize && c.slabs > 1 {
			return c
		}
	}
	panic("no class has slots at hand")
}

// fullSlab returns a slab without a free slot, and its number.
func fullSlab(a *Allocator) (uint32, *slab) {
	for id := 1; id < len(a.slabs); id++ {
		if s := a.slabs[id].rec; s != nil && s.summary == 0 {
			return uint32(id), s
		}
	}
	panic("the allocator has no such slab")
}

// setEntry changes what lookup returns for addr, and no count.
func setEntry(a *Allocator, addr uintptr, e entry) (undo func()) {
	r := a.addrs.find(addr)
	before, w := r.entry(addr), addr>>windowShift%leafWindows
	r.fill(w, 1, e)
	return func() { r.fill(w, 1, before) }
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

// Corruptions is what Check must find, by broken invariant.
var Corruptions = func() map[string][]Corruption {
	all := make(map[string][]Corruption)
	for _, some := range []map[string][]Corruption{chunkCorruptions, recordCorruptions, slabCorruptions, aloneCorruptions} {
		maps.Copy(all, some)
	}
	return all
}()
