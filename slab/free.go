package slab

// From an address to what was allocated there: the address map names the slab or
// the chunk, whose record must agree with what the caller says, to the byte.

// Free gives b back. It goes by the start and the capacity of b, so a shorter
// b[:n] is as good; a slice of capacity 0 that points at none of a's memory,
// such as nil, is nothing to free. It takes constant time, cannot fail, and
// panics with a *MisuseError if b is not an allocation of a.
func (a *Allocator) Free(b []byte) {
	// What most programs do most, in one piece: with a million allocations live,
	// time is misses of the cache, and a processor overlaps as many of those as
	// there are operations in its window of a few hundred instructions. All else
	// is done by free.
	addr := addrOf(b)
	r := &a.addrs.table[a.addrs.place(keyOf(addr))]
	if n := uint(cap(b)); n <= smallMax && r.key == keyOf(addr) {
		if v := *r.entry(addr); v.isSlab() {
			// The class follows from the capacity, so that all that it says is
			// here before the slab's record.
			c := &a.classes[classOf[n]]
			s := a.slabs[v.number()].rec
			// One product says which slot it is and whether it starts there; see
			// slab.slotAt.
			prod := uint64(addr-s.addr) * uint64(c.quick)
			slot := uint32(prod >> 32)
			if uint32(prod) < c.quick && slot < s.slots && s.owner == c.id && uint(c.stride) == n {
				word, bit := s.word(slot>>6), uint64(1)<<(slot&63)
				if m := *word; m&bit == 0 {
					poison(b[:n])
					if s.summary == 0 {
						c.relist(v.number(), s)
					}
					*word = m | bit
					s.summary |= 1 << (slot >> 6 & 63)
					c.frees++
					c.used--
					a.live -= int(n)
					if s.used--; s.used == 0 {
						c.emptied(v.number())
					}
					touch()
					a.after()
					return
				}
			}
		}
	}
	if a.free(b, "Allocator.Free") {
		a.after()
	}
}

func (a *Allocator) free(b []byte, op string) bool {
	addr := addrOf(b)
	if a.closed {
		if cap(b) > 0 {
			a.misuse(op, addr, cap(b), anyClass)
		}
		return false
	}
	v := a.addrs.lookup(addr)
	if v.isSlab() {
		id := v.number()
		s := a.slabs[id].rec
		if s.owner < numClasses {
			c := &a.classes[s.owner]
			if slot, ok := s.slotAt(addr, c.quick); ok && uintptr(cap(b)) == c.stride && !s.isFree(slot) {
				poison(b[:cap(b)])
				c.frees++
				c.give(id, s, slot)
				return true
			}
		}
	} else if v != 0 {
		c := a.table.at(v.number())
		if n := uintptr(c.size) << granuleShift; a.user.address(c) == addr && n == uintptr(cap(b)) {
			poison(b[:cap(b)])
			a.addrs.set(addr, 1, 0)
			a.live -= int(n)
			a.frees++
			a.freeChunk(v.number(), c)
			return true
		}
	}
	if cap(b) == 0 {
		if _, ok := a.user.blockAt(addr); !ok {
			return false
		}
	}
	a.misuse(op, addr, cap(b), anyClass)
	return false
}

// Owns tells whether b is an allocation of a that Free would take.
func (a *Allocator) Owns(b []byte) bool {
	if a.closed || cap(b) == 0 {
		return false
	}
	room, _, ok := a.sizeOf(addrOf(b))
	return ok && room == cap(b)
}

// sizeOf returns the room of the allocation that starts at addr and the
// alignment that it keeps when it has to move.
func (a *Allocator) sizeOf(addr uintptr) (room, align int, ok bool) {
	v := a.addrs.lookup(addr)
	switch {
	case v == 0:
		return 0, 0, false
	case v.isSlab():
		s := a.slabs[v.number()].rec
		if s.owner >= numClasses {
			return 0, 0, false
		}
		c := &a.classes[s.owner]
		slot, exact := s.slotAt(addr, c.quick)
		if !exact || s.isFree(slot) {
			return 0, 0, false
		}
		return int(c.stride), int(c.stride & -c.stride), true
	default:
		c := a.table.at(v.number())
		return int(c.size) << granuleShift, 1 << c.align, a.user.address(c) == addr
	}
}
