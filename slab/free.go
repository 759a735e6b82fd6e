package slab

// From an address to what was allocated there: the address map names the slab or
// the chunk, whose record must agree with what the caller says, to the byte.

// Free gives b back. It goes by the start and the capacity of b, so a shorter
// b[:n] is as good; a slice of capacity 0 that points at none of a's memory,
// such as nil, is nothing to free. It takes constant time, cannot fail, and
// panics with a *MisuseError if b is not an allocation of a.
func (a *Allocator) Free(b []byte) {
	// What most programs do most, in one piece and without a call that anything has
	// to be kept for: with a million allocations live, time is misses of the cache,
	// and a processor overlaps as many of those as there are operations in its
	// window of a few hundred instructions. All else is done by free.
	addr, n := addrOf(b), uint(cap(b))
	if r := a.addrs.place(keyOf(addr)); r.key == keyOf(addr) && n <= smallMax {
		// The class follows from the capacity, so that all that it says is here
		// before anything of the slab's.
		v, k := *r.entry(addr), classWith[n]
		if id := v.number(); v.isSlab() && k < numClasses && uint(id) < uint(len(a.slabs)) {
			c, ref := &a.classes[k], &a.slabs[id]
			prod := uint64(addr-uintptr(ref.base)) * uint64(c.quick) // see slotAt
			slot := uint32(prod >> 32)
			if uint32(prod) < c.quick && slot < ref.slots && ref.owner == uint32(k) && c.count < c.limit {
				word, bit := ref.liveWord(slot), uint64(1)<<(slot&63)
				if m := *word; m&bit != 0 {
					poison(b[:n])
					*word = m &^ bit
					a.live -= int(n)
					c.put(handOf(id, slot))
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

// free is Free for op, which is for the message. It tells whether there was
// anything to free.
func (a *Allocator) free(b []byte, op string) bool {
	addr := addrOf(b)
	v := a.addrs.lookup(addr)
	if n := uint(cap(b)); n <= smallMax && v.isSlab() {
		c, ref := &a.classes[classOf[n]], &a.slabs[v.number()]
		if slot, ok := ref.slotAt(addr, c.quick); ok && ref.owner == c.id && uint(c.stride) == n && ref.isLive(slot) {
			poison(b[:n])
			*ref.liveWord(slot) &^= 1 << (slot & 63)
			a.live -= int(n)
			c.full(handOf(v.number(), slot))
			return true
		}
	}
	return a.freeRange(v, b, op)
}

// freeRange is free for what is in no slab. What it cannot take is a mistake or,
// for a slice without capacity, nothing.
func (a *Allocator) freeRange(v entry, b []byte, op string) bool {
	addr := addrOf(b)
	if v != 0 && !v.isSlab() {
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
		ref := &a.slabs[v.number()]
		if ref.owner >= numClasses {
			return 0, 0, false
		}
		c := &a.classes[ref.owner]
		slot, exact := ref.slotAt(addr, c.quick)
		if !exact || !ref.isLive(slot) {
			return 0, 0, false
		}
		return int(c.stride), int(c.stride & -c.stride), true
	default:
		c := a.table.at(v.number())
		return int(c.size) << granuleShift, 1 << c.align, a.user.address(c) == addr
	}
}
