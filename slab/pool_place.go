package slab

import "unsafe"

// Each slab of a pool has a place. A handle's index is a place and a slot in it. An address
// leads to a place through a table that remembers earlier lookups (pool_lookaside.go).

// place says where a slab of the pool is. The high bits of a handle's index are the number of
// the place, the low bits that of the slot. A place outlives its slabs and remembers the
// highest generation that they reached, so that the next slab goes on from there.
type place struct {
	_ [placeSize - 6*unsafe.Sizeof(uintptr(0)) - 12]byte // in front of the numbers: together they fill whole words

	index uint32         // of slot 0
	id    uint32         // the slab's number
	floor uint32         // generation that slots start with
	base  unsafe.Pointer // of slot 0; nil if there is no slab
	gens  []uint32       // generations, one for each slot
	rec   *slab          // the slab's record
	bytes uintptr        // of the slots
}

const placeSize = 64 // a cache line, and indexing is a shift

func (e *place) gen(slot uint32) *uint32 {
	return (*uint32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(e.gens)), uintptr(slot)*4))
}

// slotAt returns the slot that starts at addr, and false if none does. Addr may be any address
// at all. Otherwise it is like slabRef.slotAt.
func (e *place) slotAt(addr uintptr, recip uint32) (slot uint32, ok bool) {
	off := addr - uintptr(e.base)
	prod := uint64(off) * uint64(recip)
	return uint32(prod >> 32), off < e.bytes && uint32(prod) < recip
}

func (p *Pool) at(e *place, slot uint32) unsafe.Pointer {
	return unsafe.Add(e.base, uintptr(slot)*p.stride)
}

// find returns the place and number of the slot at q, live or not.
func (p *Pool) find(q unsafe.Pointer) (e *place, slot uint32, ok bool) {
	addr := uintptr(q)
	switch e = p.look(addr); {
	case e == nil:
		return nil, 0, false
	case p.recip != 0:
		slot, ok = e.slotAt(addr, p.recip)
	default:
		off := addr - uintptr(e.base)
		slot, ok = uint32(off/p.stride), off < e.bytes && off%p.stride == 0
	}
	return e, slot, ok
}

// adopt gives a new slab a place.
func (p *Pool) adopt(id uint32, s *slab) {
	gen := p.seed
	if n := len(p.vacantSeqs); n > 0 {
		s.seq, p.vacantSeqs = p.vacantSeqs[n-1], p.vacantSeqs[:n-1]
		gen = p.dir[s.seq].floor
	} else {
		s.seq = uint32(len(p.dir))
		if len(p.dir) == cap(p.dir) {
			p.lookasides = nil // the places are about to move
		}
		p.dir = append(p.dir, place{})
	}
	p.births++
	s.born = p.births
	if p.names {
		s.named = 1
	}
	e := &p.dir[s.seq]
	*e = place{
		base: p.a.slabs[id].base, gens: unsafe.Slice((*uint32)(s.generations()), s.slots), bytes: uintptr(s.slots) * p.stride,
		rec: s, index: s.seq << slotShift, id: id, floor: gen,
	}
	for i := range e.gens {
		e.gens[i] = gen
	}
}

// full tells whether there is no place for another slab.
func (p *Pool) full() bool { return len(p.vacantSeqs) == 0 && len(p.dir) >= maxSeq }

// forget takes slab s from its place; slots that are still live are dropped with it. Later
// slabs there start above the generations of s, so that old handles stay stale. A place at the
// end of its generations is not used again.
func (p *Pool) forget(s *slab) {
	e := &p.dir[s.seq]
	top := e.floor
	if p.names { // else all are still at the floor
		for _, g := range e.gens {
			top = max(top, g)
		}
	}
	*e = place{floor: top + top&1}
	p.frees++ // for scans to notice
	p.extra++
	if p.group.Slots == 0 {
		p.group = Group{} // it may point to where the slab was
	} else if !p.names {
		p.group.Gens = nil // likewise; it does not count
	}
	if e.floor < deadGen { // not so if a slot was retired
		p.vacantSeqs = append(p.vacantSeqs, s.seq)
	}
}
