package slab

import (
	"errors"
	"unsafe"
)

// An allocation needs three things from two heaps: a chunk of the user's memory, the
// records that describe it, and the leaf of the address map that has its addresses. If
// one is refused, those that were had before it go back.

// ready makes sure that there are enough unused chunk records for the next step.
func (a *Allocator) ready() error {
	if a.table.unusedLen >= chunkReserve {
		return nil
	}
	if len(a.table.pages) >= chunkPages {
		return errTooMuch
	}
	i, err := a.allocMeta(uint32(chunkPageBytes), chunkPageLeast)
	if err != nil {
		if a.table.unusedLen >= chunkReserve { // what was given back has left enough
			return nil
		}
		return err
	}
	p, _ := a.useRecord(i)
	a.table.addPage(p, a.table.at(i).size<<granuleShift, i)
	return nil
}

// allocChunk returns a chunk of the user's memory, without an address entry.
func (a *Allocator) allocChunk(size uint32, align uintptr, kind chunkKind) (uint32, error) {
	if err := a.ready(); err != nil {
		return 0, err
	}
	i, err := a.user.alloc(size, align, kind)
	if a.reclaim(err) {
		i, err = a.user.alloc(size, align, kind)
	}
	return i, err
}

// allocMapped returns a chunk of the user's memory whose first mapped bytes can have
// entries in the address map. A block that can get no leaf is useless: it goes back, and a
// smaller one is tried, which leaves room for the leaf or lies where there is one. If there
// is no such block, a hole serves that lies where there is a leaf.
func (a *Allocator) allocMapped(size uint32, align, mapped uintptr, kind chunkKind) (uint32, error) {
	for most := maxInt; ; {
		i, err := a.allocChunk(size, align, kind)
		if err != nil {
			return 0, err
		}
		c := a.table.at(i)
		if err = a.mapRegions(i, mapped, kind); err == nil {
			return i, nil
		}
		b, mem := c.block, len(a.user.blocks[c.block].mem)
		a.user.free(i)
		if !errors.Is(err, ErrExhausted) {
			return 0, err
		}
		_ = a.user.shrink(0, false)
		if a.user.blocks[b].mem == nil { // it went
			a.user.askMost = max(mem/2, 1)
			if mem < most {
				most = mem
				continue
			}
		}
		if i = a.atOnce(size, align, mapped, kind); i == 0 {
			return 0, err
		}
		return i, nil
	}
}

// allocBlock returns a chunk that is a block of its own.
func (a *Allocator) allocBlock(size, align int) (uint32, error) {
	if err := a.ready(); err != nil {
		return 0, err
	}
	return a.user.allocBlock(size, align)
}

// allocRecord returns a chunk for records of the allocator's own, its address, and how many
// of its bytes, from its start, may not be zero.
func (a *Allocator) allocRecord(size uint32) (i uint32, p unsafe.Pointer, dirty uintptr, err error) {
	if err = a.ready(); err != nil {
		return 0, nil, 0, err
	}
	if i, err = a.allocMeta(size, size); err != nil {
		return 0, nil, 0, err
	}
	p, dirty = a.useRecord(i)
	return i, p, dirty, nil
}

// allocMeta returns a chunk for size bytes of records if the record heap has room or can grow,
// and else a lodger of least bytes.
func (a *Allocator) allocMeta(size, least uint32) (uint32, error) {
	n := (size + granule - 1) >> granuleShift
	i, err := a.meta.alloc(n, granule, chunkRecord)
	if a.reclaim(err) {
		i, err = a.meta.alloc(n, granule, chunkRecord)
	}
	if err != nil {
		if i = a.lodge((least+granule-1)>>granuleShift, err); i == 0 {
			return 0, &refusal{format: "%[3]v (for records)", err: err}
		}
	}
	return i, nil
}

// mapRegions makes sure that the first size bytes of chunk i, which is to be of that kind, can
// have entries in the address map.
func (a *Allocator) mapRegions(i uint32, size uintptr, kind chunkKind) error {
	if a.addrs.mostlyIdle() {
		a.addrs.prune(a.freeRecord)
	}
	addr := a.user.address(a.table.at(i))
	var e entry
	var ready uintptr // bytes of the chunk that can have it
	for {
		// Where a slab has gone back to make room for a leaf, the next one gets its number.
		if now := a.entryOf(i, kind); now != e {
			e, ready = now, 0
		}
		if ready += a.addrs.mapped(addr+ready, size-ready, e); ready == size {
			return nil
		}
		if err := a.growLeaf(addr+ready, e > narrowMost); err != nil {
			return err
		}
	}
}

// entryOf returns the entry that chunk i will have once it is of that kind: a slab gets the
// next number of slabs.
func (a *Allocator) entryOf(i uint32, kind chunkKind) entry {
	if kind == chunkSlab {
		return slabEntry(a.nextSlab())
	}
	return chunkEntry(i)
}

// nextSlab returns the number that the next slab gets.
func (a *Allocator) nextSlab() uint32 {
	if n := len(a.vacantSlabs); n > 0 {
		return a.vacantSlabs[n-1]
	}
	return uint32(len(a.slabs))
}

// mapped returns for how many of size bytes at addr the address map can have entry e, before
// the first region that is not ready for it.
func (m *addrMap) mapped(addr, size uintptr, e entry) (n uintptr) {
	for n < size && m.isReady(addr+n, e) {
		n += min(size-n, 1<<regionShift-(addr+n)&(1<<regionShift-1))
	}
	return n
}

// growLeaf makes a leaf for the region of addr, a wide one if it has one already.
func (a *Allocator) growLeaf(addr uintptr, wide bool) error {
	i, leaf, dirty, err := a.allocRecord(leafSize(wide))
	if err != nil {
		return err
	}
	clear(unsafe.Slice((*byte)(leaf), leafSize(wide))[:dirty])
	// Only now, because a need of memory makes slabs go, and their entries with them.
	r := a.addrs.find(addr)
	if r == nil {
		r = a.addrs.insert(region{key: keyOf(addr)})
	}
	before := r.at
	r.move(leaf, i, wide)
	if before != 0 {
		a.freeRecord(before)
	}
	return nil
}
