package slab

import "unsafe"

// Realloc changes the size of an allocation, in place where it can: a slot has the room of its
// class, a chunk can be cut or can grow into a hole behind it, and a block of its own has what
// the source rounded up to. Shrinking never fails. If there is no better place, what is not
// needed is cut off, because a program that shrinks in a full heap does so to make room.
//
// A chunk that shrinks by a quarter or more moves if it fits a hole better than its own place:
// cut in place, every chunk that was once large would leave a hole. Moving puts 1.8 % more of
// a full fixed heap in use (W15). Once the source has no more, a sixteenth will do, for
// another 0.1 %: in general that is four times the copying, but it costs less than being
// refused.

// Realloc returns b with size bytes. The first min(len(b), size) of them are unchanged and the
// others are zero, whether b moved or not. The old slice must not be used any more, unless
// there is an error: then b is untouched. If b has capacity 0 and points at none of a's memory, such
// as nil, Realloc is Alloc(size, 1); if size is 0, it frees b and returns an empty slice.
//
// Realloc keeps the alignment that b was allocated with. For a b of up to 1 KiB that is no
// longer known, so Realloc keeps the largest that it may have been, the largest power of two
// in its capacity. A b of capacity 72 stays at multiples of 8. One of 64, 256 or 1024 stays at
// multiples of that: it never takes less, and one of 512 that grows to 700 takes 1024. So a
// buffer that has grown by doubling is not made to fit its contents: Alloc, copy and Free do that.
//
// A b of 128 KiB or more that has to move to grow by less than a quarter gets room for a quarter
// more, if there is enough, so that many small steps take little more time than one. Its capacity
// says so.
//
// Realloc takes the time of an Alloc and a Free, and of the copy if b moves. Errors are those
// of Alloc. Like Free, it panics with a *MisuseError if b is not an allocation of a.
func (a *Allocator) Realloc(b []byte, size int) ([]byte, error) {
	const op = "Allocator.Realloc"
	switch {
	case cap(b) == 0:
		a.free(b, op) // panics if b points into a's memory
		return a.Alloc(size, 1)
	case a.closed:
		a.misuse(op, addrOf(b), cap(b), anyClass)
	case size < 0:
		return nil, because(ErrInvalid, "size %d", size)
	case size == 0:
		a.free(b, op)
		a.after()
		return []byte{}, nil
	}
	addr := addrOf(b)
	room, align, ok := a.sizeOf(addr)
	if !ok || room != cap(b) {
		a.misuse(op, addr, cap(b), anyClass)
	}
	v := a.addrs.lookup(addr)
	c := a.resize(v, b, size)
	if c == nil {
		// What is long and grows step by step gets a quarter more at once, as with append. Otherwise
		// each step of a block of its own would take a new block and a copy, and two buffers in turn
		// would be copied at each step.
		want := size
		if more := cap(b) + cap(b)/4; cap(b) >= growLong && size > cap(b) && size < more && !a.tight() {
			want = more
		}
		to, _, err := a.alloc(want, align)
		if err != nil && want > size {
			a.failures--
			to, _, err = a.alloc(size, align)
		}
		switch {
		case err != nil && size > cap(b):
			return nil, err
		case err != nil: // it was to be smaller, and can stay
			a.failures--
			c = a.shorten(v, b, size)
		case size <= cap(b) && cap(to) >= cap(b): // likewise: the last resort saves nothing
			a.free(to, op)
			c = b[:size]
		default:
			copy(to, b)
			a.free(b, op)
			c = to[:size]
		}
	}
	if size > len(b) {
		clear(c[len(b):])
	}
	a.after()
	return c, nil
}

// growLong is the size from which what grows in steps gets more than it asks for. (With 16 KiB,
// 0.6 % less of a full fixed heap is in use, with 64 KiB 0.4; see W15.)
const growLong = 128 << 10

// shorten returns b with size bytes, which are fewer, in place. What it does not need becomes
// a hole, even in a block that b had for itself. For want of a record, b keeps all of it.
func (a *Allocator) shorten(v entry, b []byte, size int) []byte {
	if v.isSlab() {
		return b[:size]
	}
	a.begin()
	i := v.number()
	c := a.table.at(i)
	old, n := c.size, granules(size)
	if n >= old || a.ready() != nil && !a.user.canCut(c) {
		return b[:size]
	}
	if invariants {
		poison(b[:cap(b)][uint64(n)<<granuleShift:])
	}
	c.kind = chunkLive
	a.user.cut(i, c, n)
	a.live -= int(old-n) << granuleShift
	return unsafe.Slice(unsafe.SliceData(b), uint64(n)<<granuleShift)[:size]
}

// canCut tells whether chunk c can be cut although the table cannot get more records.
func (h *heap) canCut(c *chunk) bool {
	return h.table.unusedLen > chunkStep || h.table.at(c.next).kind == chunkHole
}

// hasSlot tells whether class k has a slot without asking the source for a block.
func (a *Allocator) hasSlot(k int) bool {
	c := a.class(k)
	if c.hasFree() {
		return true
	}
	_, _, ok := c.next(1)
	return ok
}

// granules returns how many granules a chunk for size bytes has: at least a window, so that no
// two chunks start in the same one. Size is no more than a block can have.
func granules(size int) uint32 {
	return uint32((max(uint64(size), window) + granule - 1) >> granuleShift)
}

// resize returns b with size bytes at the same address, or nil if that cannot be done, would
// waste half of it, or is worse than a move.
func (a *Allocator) resize(v entry, b []byte, size int) []byte {
	if v.isSlab() {
		if size > cap(b) {
			return nil
		}
		// It does not move to another slot of the same class.
		if k, _ := smallClass(size, cap(b)&-cap(b)); size > cap(b)/2 || int(classSize[k]) == cap(b) {
			return b[:size]
		}
		return nil
	}
	i := v.number()
	c := a.table.at(i)
	k, slot := smallClass(size, 1<<c.align)
	if slot && (size <= smallMax/2 || c.kind == chunkLarge) {
		if a.hasSlot(k) {
			return nil
		}
		return a.shorten(v, b, size)
	}
	if c.kind == chunkLarge {
		if size <= cap(b) && size > cap(b)/2 {
			return b[:size]
		}
		return nil
	}
	if uint64(size) > maxBlockBytes {
		return nil
	}
	old := c.size
	n := granules(size)
	switch {
	case n < old:
		least := old / 4
		if a.tight() {
			least = old / 16
		}
		// It moves to a hole that there is, not to one in a new block.
		if n <= old-least && size < a.cfg.LargeSize && a.user.tighter(c, n) && (!slot || a.hasSlot(k)) {
			return nil
		}
		return a.shorten(v, b, size)
	case n > old:
		if !a.user.extend(i, c, n) {
			return nil
		}
		a.user.use(c)
	}
	a.gain(uintptr(c.size-old) << granuleShift)
	return unsafe.Slice(unsafe.SliceData(b), uint64(c.size)<<granuleShift)[:size]
}
