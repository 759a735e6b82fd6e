package slab

// Free has an address and has to find what was allocated there. The address map names
// the slab or the chunk, whose record must agree with the caller, to the byte.

// Free gives b back. It goes by the start and the capacity of b, so a shorter b[:n]
// will do as well. A slice of capacity 0 that points at none of a's memory, such as
// nil, is ignored. Free takes constant time, cannot fail, and panics with a
// *MisuseError if b is not an allocation of a.
func (a *Allocator) Free(b []byte) {
	// The fast path is in one piece, without a call that values would be spilled for:
	// with a million allocations live, time is cache misses, and a processor overlaps
	// as many of those as there are operations in its window of a few hundred
	// instructions. The slow path is free.
	//
	// The class is the one that b's capacity names, not the one that the slab is of: what is
	// written to it does not wait for the slab to be found, and so neither does the next Alloc,
	// which may not read before the processor knows where all that was written before goes.
	addr := addrOf(b)
	if size := uint(cap(b)); size <= smallMax {
		c := a.classes[classOf[size]&classMask]
		n := c.count
		if r := a.addrs.home(keyOf(addr)); r.key == keyOf(addr) && n < c.limit {
			if v := r.entry(addr); v.notChunk() { // none is noSlab's
				ref := a.slabAt(v)
				if prod := uint64(addr-uintptr(ref.base)) * uint64(c.recip); // see slotAt
				uint32(prod) < c.recip && c.stride == uintptr(size) && c == ref.class {
					slot := uint32(prod >> 32)
					if word := ref.liveWord(slot); hasBit(word, slot&63) {
						poison(b[:cap(b)])
						clearBit(word, slot&63)
						a.live -= cap(b)
						c.put(n, b, word, bitOf(slot))
						touch()
						a.after()
						return
					}
				}
			}
		}
	}
	if a.free(b, "Allocator.Free") {
		a.after()
	}
}

// free is Free, with the name of the method for the panic. It tells whether there
// was anything to free.
func (a *Allocator) free(b []byte, op string) bool {
	addr := addrOf(b)
	v := a.addrs.lookup(addr)
	if v.isSlab() {
		ref := &a.slabs[v.number()]
		c := ref.class
		if slot, ok := ref.slotAt(addr); ok && c.stride == uintptr(cap(b)) && ref.isLive(slot) {
			poison(b[:cap(b)])
			clearBit(ref.live, slot)
			a.live -= cap(b)
			c.putSlow(b, ref.liveWord(slot), bitOf(slot))
			return true
		}
	}
	return a.freeRange(v, b, op)
}

// freeRange is free for what is no live slot of a class. If b is no other allocation
// either, that is a misuse, unless b has capacity 0 and is outside a's memory.
func (a *Allocator) freeRange(v entry, b []byte, op string) bool {
	addr := addrOf(b)
	if v != 0 && !v.isSlab() {
		c := a.table.at(v.number())
		if n := uintptr(c.size) << granuleShift; a.user.address(c) == addr && n == uintptr(cap(b)) {
			poison(b[:cap(b)])
			a.addrs.set(addr, 1, 0)
			a.live -= int(n)
			a.frees++
			if c.kind == chunkLarge {
				a.user.freeBlock(v.number(), c)
			} else {
				a.user.free(v.number())
			}
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

// Owns tells, in constant time, whether b is an allocation of a that Free would take.
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
		slot, exact := ref.slotAt(addr)
		if !exact || !ref.isLive(slot) {
			return 0, 0, false
		}
		stride := ref.class.stride
		return int(stride), int(stride & -stride), true
	default:
		c := a.table.at(v.number())
		return int(c.size) << granuleShift, 1 << c.align, a.user.address(c) == addr
	}
}
