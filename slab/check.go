package slab

import (
	"errors"
	"fmt"
	"unsafe"
)

// Check verifies everything the allocator knows about itself. It returns what does not
// hold, or nil. It is for tests and bug reports: it takes time proportional to all
// records. With the build tag slabcheck it runs by itself.
//
//	I1  chunks tile their block exactly
//	I2  no two holes touch
//	I3  a hole is in the bin of its size, once
//	I4  a bin's bit is set iff it has a hole
//	I5  neighbours name each other
//	I6  chunks, holes and slots add up to the totals
//	I7  what was allocated and not freed is there
//	I8  every record is in use or unused, not both
//	I9  each address entry is of a chunk or slab, and each of those has its own
//	I10 slabs: bitmap, summary, list, generations and counts agree
//	I12 empty blocks are within what Retain allows
//
// (Tests go by these numbers. There is no I11: it would be about threads.)
func (a *Allocator) Check() error {
	k := &checker{a: a, seen: make(map[uint32]bool), kept: make(map[uint32]bool), idle: make(map[uint32]int), ready: make(map[uint32]int)}
	if a.closed && len(a.user.order) == 0 && len(a.meta.order) == 0 {
		return nil
	}
	k.heap("user", &a.user)
	k.heap("records", &a.meta)
	k.records()
	k.slabs()
	k.addresses()
	return errors.Join(k.errs...)
}

type checker struct {
	a       *Allocator
	errs    []error
	seen    map[uint32]bool // chunks in use
	kept    map[uint32]bool // of those, chunks with a record that is in use
	live    int             // bytes
	chunks  uint64          // that are live
	spares  int             // caches that keep a slab back
	entries int             // address windows that must have an entry

	inRecords int            // chunks of records
	lodged    int            // bytes of those that lodge
	idle      map[uint32]int // by owner: slots in the group of a pool
	ready     map[uint32]int // by slab of a class: slots that must be in its magazine
}

func (k *checker) fail(format string, args ...any) {
	if len(k.errs) < 20 {
		k.errs = append(k.errs, fmt.Errorf("slab: check: "+format, args...))
	}
}

// unused checks that a list has exactly the numbers below n that free reports as unused,
// each of them once.
func (k *checker) unused(what string, list []uint32, n int, free func(i uint32) bool) {
	listed := make(map[uint32]bool)
	for _, i := range list {
		if listed[i] || int64(i) >= int64(n) || !free(i) {
			k.fail("%s %d counts as unused", what, i)
		}
		listed[i] = true
	}
	for i := range uint32(n) {
		if free(i) && !listed[i] {
			k.fail("%s %d is in no use, and lost", what, i)
		}
	}
}

func (k *checker) heap(name string, h *heap) {
	t := h.table
	held, empty, spare, stuck := 0, 0, 0, 0
	holes := make(map[uint32]uint32) // chunk to size
	for n, bi := range h.order {
		b := &h.blocks[bi]
		if n > 0 {
			if before := &h.blocks[h.order[n-1]]; before.addr() >= b.addr() || b.addr()-before.addr() < uintptr(len(before.mem)) {
				k.fail("%s: block %d does not lie behind block %d", name, bi, h.order[n-1])
			}
		}
		held += len(b.mem)
		if b.stuck {
			stuck++
			if c := t.at(b.first); c.kind != chunkHole || !c.isWhole() {
				k.fail("%s: block %d waits for the source to take it back and is in use", name, bi)
			}
		}
		if uint32(uint64(len(b.mem))>>granuleShift) != b.size || b.freshFrom > b.size || b.base != unsafe.Pointer(unsafe.SliceData(b.mem)) {
			k.fail("%s: block %d of %d bytes: granules, fresh from: %d, at %p", name, bi, len(b.mem), [...]uint32{b.size, b.freshFrom}, b.base)
		}
		off, prev, prevHole := uint32(0), uint32(0), false
		for i := b.first; i != 0; {
			c := t.at(i)
			if k.seen[i] {
				k.fail("%s: chunk %d is met twice", name, i)
				break
			}
			k.seen[i] = true
			if got, want := [...]uint32{c.block, c.off, c.prev}, [...]uint32{bi, off, prev}; got != want || c.size == 0 {
				k.fail("%s: chunk %d, of %d granules: block, offset, previous: %d, not %d", name, i, c.size, got, want)
			}
			if c.block != bi {
				break
			}
			hole := c.kind == chunkHole
			if hole && prevHole {
				k.fail("%s: holes %d and %d touch", name, prev, i)
			}
			k.chunk(name, h, i, c)
			if hole {
				holes[i] = c.size
				if c.isWhole() {
					empty += len(b.mem)
					if h.spare == bi+1 {
						spare = len(b.mem)
					}
				}
			} else if c.off+c.size > b.freshFrom {
				k.fail("%s: chunk %d reaches to %d, but the block counts as fresh from %d", name, i, c.off+c.size, b.freshFrom)
			}
			off, prev, prevHole = off+c.size, i, hole
			i = c.next
		}
		if off != b.size {
			k.fail("%s: the chunks of block %d end at %d of %d", name, bi, off, b.size)
		}
	}
	k.unused(name+": block", h.vacant, len(h.blocks), func(i uint32) bool { return h.blocks[i].mem == nil })
	for _, b := range h.refused {
		held += len(b.mem)
	}
	got, want := [...]int{h.held, h.empty, h.stuck, len(h.order) + len(h.vacant)}, [...]int{held, empty, stuck, len(h.blocks)}
	if got != want {
		k.fail("%s: bytes held, bytes empty, blocks stuck, blocks: %d, not %d", name, got, want)
	}
	if h.spare != 0 && spare == 0 {
		k.fail("%s: block %d is kept back but is not empty", name, h.spare-1)
	}
	if h.learned.low > empty-spare || h.kept > empty {
		k.fail("%s: at the least %d bytes were empty beside the spare block, and %d may stay so, but now %d are, and %d of it", name, h.learned.low, h.kept, empty, spare)
	}
	// Reset keeps all blocks, and a source may refuse to take one.
	if stuck == 0 && empty-spare > max(h.retain, h.kept, h.learned.missed) {
		k.fail("%s: %d bytes of empty blocks are kept, Retain is %d, Reset has left %d, %d were missed", name, empty, h.retain, h.kept, h.learned.missed)
	}
	k.bins(name, h, holes)
}

func (k *checker) chunk(name string, h *heap, i uint32, c *chunk) {
	a := k.a
	if h == &a.meta && c.kind != chunkHole && c.kind != chunkRecord {
		k.fail("%s: chunk %d has kind %d", name, i, int(c.kind))
	}
	switch c.kind {
	case chunkHole:
	case chunkRecord, chunkLodger:
		k.inRecords++
		if c.kind == chunkLodger {
			k.lodged += int(c.size) << granuleShift
		}
		if h != a.recordHeap(c) {
			k.fail("%s: chunk %d is a record", name, i)
		}
	case chunkLive, chunkLarge:
		k.live += int(c.size) << granuleShift
		k.entries++
		k.chunks++
		at := h.address(c)
		if c.kind == chunkLive && c.size < window>>granuleShift || c.kind == chunkLarge && !c.isWhole() || at&(1<<c.align-1) != 0 {
			k.fail("%s: chunk %d: kind %d, %d granules, at %#x, aligned to %d", name, i, int(c.kind), c.size, at, 1<<c.align)
		}
		if a.addrs.lookup(at) != chunkEntry(i) {
			k.fail("%s: chunk %d: the address map has %#x for it", name, i, a.addrs.lookup(at))
		}
	case chunkSlab:
		k.entries += int(c.size) >> (windowShift - granuleShift)
		for w := uintptr(0); w < uintptr(c.size)<<granuleShift; w += window {
			if at := h.address(c) + w; a.addrs.lookup(at) != slabEntry(c.link) {
				k.fail("%s: slab %d: the address map has %#x for its byte %d", name, c.link, a.addrs.lookup(at), w)
			}
		}
		if c.link == 0 || int(c.link) >= len(a.slabs) || a.slabs[c.link].rec == nil || a.slabs[c.link].rec.chunk != i {
			k.fail("%s: chunk %d names slab %d, which does not name it", name, i, c.link)
		}
	default:
		k.fail("%s: chunk %d has kind %d", name, i, int(c.kind))
	}
}

func (k *checker) bins(name string, h *heap, holes map[uint32]uint32) {
	var size uint64
	for _, n := range holes {
		size += uint64(n)
	}
	found := 0
	for level := range h.bins.head {
		steps := h.bins.steps[level]
		if steps != 0 != (h.bins.levels>>level&1 != 0) {
			k.fail("%s: level %d: steps %#x, but bit %d", name, level, steps, h.bins.levels>>level&1)
		}
		for step, head := range h.bins.head[level] {
			if head != 0 != (steps>>step&1 != 0) {
				k.fail("%s: bin %d.%d: head %d, but bit %d", name, level, step, head, steps>>step&1)
			}
			for i, prev := head, uint32(0); i != 0; {
				c := h.table.at(i)
				l, s := binOf(c.size)
				lacked := h.lack.size != 0 && h.endsLack(c)
				if _, ok := holes[i]; !ok || c.kind != chunkHole || int(l) != level || int(s) != step || c.binPrev != prev || lacked {
					k.fail("%s: bin %d.%d holds chunk %d, %+v, after %d; it is what was lacking: %t", name, level, step, i, c, prev, lacked)
					break
				}
				if found++; found > len(holes) {
					k.fail("%s: bins hold more than all holes", name)
					return
				}
				i, prev = c.link, i
			}
		}
	}
	if got, want := [...]int{h.holes, int(h.holeSize), found}, [...]int{len(holes), int(size), len(holes)}; got != want {
		k.fail("%s: holes, granules of holes, holes in bins: %d, not %d", name, got, want)
	}
}

// records checks that every chunk record is either in use or unused.
func (k *checker) records() {
	t := &k.a.table
	total := chunkPage - 1
	for page, i := range t.owner {
		if page > 0 {
			k.record("page", page, i, t.pages[page], chunkPageLeast)
			total += int(t.at(i).size) << granuleShift / int(unsafe.Sizeof(chunk{}))
		}
	}
	if t.at(0).kind != chunkUnused {
		k.fail("record 0 is in use")
	}
	n := 0
	for i := t.unused; i != 0; {
		c := t.at(i)
		if k.seen[i] || c.kind != chunkUnused {
			k.fail("unused record %d is of kind %d", i, int(c.kind))
		}
		if n++; n > total {
			k.fail("the list of unused records has a loop")
			return
		}
		i = c.link
	}
	if n != t.unusedLen || n+len(k.seen) != total {
		k.fail("%d records: %d in use, %d unused, but %d counted as such", total, len(k.seen), n, t.unusedLen)
	}
}

// record checks that the n-th record of a kind lies at p, in chunk i, which has room for it.
func (k *checker) record(what string, n int, i uint32, p unsafe.Pointer, bytes uint32) {
	ok := k.seen[i]
	if ok {
		c := k.a.table.at(i)
		ok = (c.kind == chunkRecord || c.kind == chunkLodger) && c.size<<granuleShift >= bytes && k.a.recordHeap(c).pointer(c) == p
	}
	if !ok {
		k.fail("%s %d, %d bytes at %p, does not lie in chunk %d", what, n, bytes, p, i)
	}
	k.kept[i] = true
}

// addresses checks that the map has no entries besides those that were found. Leaves are the
// last records to be checked, so it also checks that no chunk of records is lost.
func (k *checker) addresses() {
	m := &k.a.addrs
	n, leaves, idle := 0, 0, 0
	for i := range m.table {
		r := &m.table[i]
		if r.key == noRegion {
			continue
		}
		leaves++
		if r.used == 0 {
			idle++
		}
		n += k.leaf(r)
		k.record("leaf", i, r.at, r.leaf, leafSize(r.wide))
		if m.find(r.key<<regionShift) != r {
			k.fail("the region at %#x cannot be found", r.key<<regionShift)
		}
	}
	got, want := [...]int{n, m.leaves, m.idle, k.inRecords, k.a.lodged}, [...]int{k.entries, leaves, idle, len(k.kept), k.lodged}
	if got != want {
		k.fail("the address map's windows, leaves, idle leaves, chunks of records, and bytes of those that lodge: %d, not %d", got, want)
	}
}

// leaf checks region r and returns how many of its windows have an entry.
func (k *checker) leaf(r *region) (n int) {
	for w := range uintptr(leafWindows) {
		if r.entry(w<<windowShift) != 0 {
			n++
		}
	}
	if n != int(r.used) {
		k.fail("the region at %#x: %d windows have an entry, not %d", r.key<<regionShift, n, r.used)
	}
	return n
}
