package slab

import "unsafe"

// Where the slabs of a pool are. A handle's index is a place and a slot in it; an
// address leads to a place by the address map, or faster by what was set aside
// when it was looked up the last time.

// place is where a slab of the pool is: the high bits of a handle's index are
// the place, the low bits the slot. A place outlives its slabs and remembers the
// highest generation they reached, so that the next one goes on from there.
type place struct {
	base  unsafe.Pointer // of slot 0; nil if there is no slab
	gens  unsafe.Pointer // of generation 0
	slots uintptr
	bytes uintptr   // of the slots
	index uint32    // of slot 0
	id    uint32    // the slab's number
	floor uint32    // generation that slots start with
	_     [5]uint32 // to a cache line, where indexing is a shift
}

const (
	asideSize  = 512
	asideShift = 12
)

func (e *place) gen(slot uint32) *uint32 {
	return (*uint32)(unsafe.Add(e.gens, uintptr(slot)*4))
}

func (p *Pool) at(e *place, slot uint32) unsafe.Pointer {
	return unsafe.Add(e.base, uintptr(slot)*p.stride)
}

// find returns the place and number of the slot at q, live or not, and notes the
// slab for the next time.
func (p *Pool) find(q unsafe.Pointer) (e *place, slot uint32, ok bool) {
	addr := uintptr(q)
	if p.state() != nil {
		return nil, 0, false
	}
	v := p.a.addrs.lookup(addr)
	if !v.isSlab() {
		return nil, 0, false
	}
	s := p.a.slabs[v.number()].rec
	if s.owner != p.id {
		return nil, 0, false
	}
	if slot, ok = p.slotAt(s, addr); !ok {
		return nil, 0, false
	}
	e = &p.dir[s.seq]
	p.aside[addr>>asideShift%asideSize] = e
	return e, slot, true
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
			p.aside = [asideSize]*place{} // they are about to move
		}
		p.dir = append(p.dir, place{})
	}
	e := &p.dir[s.seq]
	*e = place{
		base: p.a.slabs[id].base, gens: s.generations(), bytes: uintptr(s.slots) * p.stride,
		index: s.seq << slotShift, slots: uintptr(s.slots), id: id, floor: gen,
	}
	for i := range s.slots {
		*e.gen(i) = gen
	}
}

// full tells whether there is no place for another slab.
func (p *Pool) full() bool { return len(p.vacantSeqs) == 0 && len(p.dir) >= maxSeq }

// forget takes the slab s from its place. No slot of it is live, but for those
// that are dropped with it. Later slabs there start above its generations, so
// that old handles stay stale; a place near the end of its generations is not
// used again.
func (p *Pool) forget(s *slab) {
	e := &p.dir[s.seq]
	for i := range s.slots {
		g := *e.gen(i)
		if g == lastGen {
			g = deadGen
		}
		e.floor = max(e.floor, g+g&1)
	}
	*e = place{floor: e.floor}
	p.frees++ // for scans to notice
	p.gone++
	if p.hot == nil {
		p.hotGen = nil // it may point to where the slab's record was
	}
	if s.retired == 0 && e.floor < deadGen {
		p.vacantSeqs = append(p.vacantSeqs, s.seq)
	}
}
