package slab

import (
	"unsafe"
)

// A slot goes back to its pool in one of two ways. If the pool has no group, the slot becomes
// the group, next to be handed out. If it has one, the slot's bit is set in its slab's bitmap.
// Either takes a few instructions once the place is known, which had to be looked up anyway.
// Rare cases are off the fast path: a slot whose generation cannot grow, a slab that was full
// or that may be empty now.

// Free gives the slot at q back. It takes constant time, cannot fail, and panics
// with a *MisuseError if q is not a live slot of p.
func (p *Pool) Free(q unsafe.Pointer) {
	if p.lookasides != nil {
		e := *p.lookaside(uintptr(q))
		if off := uintptr(q) - uintptr(e.base); off < e.bytes {
			// place.slotAt, inlined by hand
			prod := uint64(off) * uint64(p.recip)
			if slot := uint32(prod >> 32); uint32(prod) < p.recip && !e.rec.isFree(slot) {
				switch o := &p.group; {
				case none(o.Slots) && !p.names:
					p.freeToUnnamedGroup(e, slot, q)
					return
				case p.names && (e.rec.retired != 0 || *e.gen(slot) == lastGen): // rare
				case none(o.Slots):
					p.noteFree(e, slot)
					p.freeToGroup(e, slot, q)
					return
				case !o.mayHave(q, p.recip):
					p.checkPlace()
					if s := e.rec; s.common() {
						p.noteFree(e, slot)
						p.freeToBitmap(s, slot)
						return
					}
					p.putAny(e, slot)
					return
				}
			}
		}
	}
	p.freeCold(q)
}

// freeCold is the slow path of Free: the lookaside table does not know q, or the fast path
// cannot tell that all is well.
func (p *Pool) freeCold(q unsafe.Pointer) {
	e, slot, ok := p.find(q)
	if !ok || !p.isLive(e, slot) {
		p.bad("Free", q)
	}
	p.putAny(e, slot)
}

// Remove gives back the slot that h names and tells whether h named one. With a handle of an
// object that is gone, or was never there, it changes nothing.
func (p *Pool) Remove(h Handle) bool {
	seq, slot := h.index>>slotShift, h.index%maxSlots
	if int(seq) >= len(p.dir) {
		return false
	}
	e := &p.dir[seq]
	if int(slot) >= len(e.gens) || e.gens[slot] != h.gen {
		return false
	}
	if h.gen != lastGen {
		alone, s := none(p.group.Slots), e.rec
		if !alone {
			p.checkPlace()
		}
		if alone || s.common() {
			p.poison(e, slot)
			e.gens[slot] = h.gen + 1 // as noteFree does, but the generation is known
			p.frees++
			if alone {
				p.freeToGroup(e, slot, p.at(e, slot))
			} else {
				p.freeToBitmap(s, slot)
			}
			return true
		}
	}
	p.putAny(e, slot)
	return true
}

// freeToGroup makes the slot at q, which is free, the group, which must be empty.
func (p *Pool) freeToGroup(e *place, slot uint32, q unsafe.Pointer) {
	o := &p.group
	o.Base, o.Gens, o.Slots, o.Index = q, unsafe.Pointer(e.gen(slot)), 1, e.index+slot
	if invariants {
		p.a.after()
	}
}

// freeToUnnamedGroup is freeToGroup in a pool without names, where it can leave out what Take
// does without. With a million objects live, freeing one and taking one then takes three
// quarters of the time.
func (p *Pool) freeToUnnamedGroup(e *place, slot uint32, q unsafe.Pointer) {
	p.poison(e, slot)
	p.frees++
	p.group.Base, p.group.Slots = q, 1
	if invariants {
		p.a.after()
	}
}

// poison poisons a slot that is being freed.
func (p *Pool) poison(e *place, slot uint32) {
	if invariants {
		poison(unsafe.Slice((*byte)(p.at(e, slot)), p.size))
	}
}

// noteFree is what most ways of freeing a slot begin with, and the others do by hand: it fills
// the slot in a build with the tag slabcheck, ends its name, if it has one, and counts it.
func (p *Pool) noteFree(e *place, slot uint32) {
	p.poison(e, slot)
	if p.names {
		g := e.gen(slot)
		*g += *g & 1
	}
	p.frees++
}

// common tells whether freeToBitmap will do for a slot of s: s is on the list of its cache
// already, and stays in use even if all of the group, at most 63 slots, is of s.
func (s *slab) common() bool { return !none(s.summary) && s.used > 64 }

// freeToBitmap sets the bit of a slot, which is free, in the bitmap of its slab.
func (p *Pool) freeToBitmap(s *slab, slot uint32) {
	s.markFree(slot)
	s.used--
	p.used--
	p.a.live -= int(p.stride)
	if invariants {
		p.a.after()
	}
}

// putAny frees any live slot, even if its slab was full or has few others in use. The last
// slot of its slab or of the pool always becomes the group: its slab may be wanted again at
// once, and a slab that only the old group keeps may not.
func (p *Pool) putAny(e *place, slot uint32) {
	p.checkPlace()
	if p.names && *e.gen(slot) == lastGen {
		p.retireSlot(e, slot)
		return
	}
	if n := ones(p.group.Slots); n != 0 && e.rec.summary != 0 && int(e.rec.used) > n+1 {
		// The slab has others in use even if all of the group is of it. What is below would
		// do as well, but a pool of a few dozen comes here all the time, and this makes it a
		// quarter faster to free some and make as many.
		p.noteFree(e, slot)
		p.freeToBitmap(e.rec, slot)
		return
	}
	if p.group.Slots == 0 || e.rec.used == 1 || p.Len() == 1 {
		p.flush()
		p.noteFree(e, slot)
		p.freeToGroup(e, slot, p.at(e, slot))
		return
	}
	p.noteFree(e, slot)
	p.giveWord(e.id, slot>>6, 1<<(slot&63), p.stride)
	p.a.after()
}

// retireSlot frees a slot whose generation cannot grow any more.
func (p *Pool) retireSlot(e *place, slot uint32) {
	if p.Len() == 1 {
		p.flush()
	}
	p.poison(e, slot)
	*e.gen(slot) = deadGen
	p.retire(e.rec)
	p.frees++
	p.drop(e.id, e.rec)
	p.a.after()
}

// retire counts a slot of s as never to be used again.
func (p *Pool) retire(s *slab) {
	s.retired++
	p.retired++
	p.slots--
}
