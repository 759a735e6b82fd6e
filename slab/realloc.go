package slab

import "unsafe"

// Realloc changes the size of an allocation, in place when that can be done: a
// slot has its class's room, a chunk can be cut or can grow into a hole behind
// it, a block of its own has what the source rounded up to. Shrinking never
// fails, and if there is no better place what is not needed is cut off, for who shrinks in
// a full heap does so to make room.
//
// What shrinks by a quarter or more moves if there is a hole that it fits better
// than its own place: chunks that are cut down where they are leave a hole for
// every one that was large once. A fixed heap that is full has 1.8 % more in use
// for it (W15). Once the source has no more, a sixteenth will do, for another 0.1 %: in
// general that is four times the copying, but less than being refused costs.

// Realloc returns b with size bytes. The first min(len(b), size) of them are as
// they were, the others are zero, whether b moved or not. The old slice must not be
// used any more, unless there is an error: then b is untouched. A b of capacity 0 is
// allocated anew, size 0 frees b and gives an empty slice.
//
// The alignment that b was allocated with is kept. Of a b of up to 1 KiB that is not
// known any more, and what it may have been is kept, the largest power of two in its
// capacity: one of capacity 72 stays at multiples of 8, but one of 1024 stays at those
// of 1024, and so never takes less. Where that is a waste, Alloc, copy and Free.
//
// It takes the time of an Alloc and a Free, and that of copying where b moves. Errors
// are those of Alloc; like Free, it panics with a *MisuseError if b is not an
// allocation of a.
func (a *Allocator) Realloc(b []byte, size int) ([]byte, error) {
	const op = "Allocator.Realloc"
	switch {
	case cap(b) == 0:
		a.free(b, op) // panics if b is not just nothing
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
	c := a.resize(a.addrs.lookup(addr), b, size)
	if c == nil {
		to, _, err := a.alloc(size, align)
		switch {
		case err != nil && size > cap(b):
			return nil, err
		case err != nil: // it was to be smaller, and can stay
			a.failures--
			c = a.shorten(a.addrs.lookup(addr), b, size)
		case size <= cap(b) && cap(to) >= cap(b): // likewise: the last resort is no smaller
			a.free(to, op)
			c = b[:size]
		default:
			copy(to, b)
			a.free(b, op)
			c = to
		}
	}
	if size > len(b) {
		clear(c[len(b):])
	}
	a.after()
	return c, nil
}

// shorten returns b with size bytes, which are fewer, where it is. What it does not need is a
// hole then, also of a block that it had for itself; for want of a record it keeps that.
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

// canCut tells whether chunk c can be cut although there is no record to be had.
func (h *heap) canCut(c *chunk) bool {
	return h.table.spare > chunkStep || c.next != 0 && h.table.at(c.next).kind == chunkHole
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

// granules returns how many granules a chunk for size bytes has, which are no more than a
// block's: a window at least, so that no two start in one.
func granules(size int) uint32 {
	return uint32((max(uint64(size), window) + granule - 1) >> granuleShift)
}

// resize returns b with size bytes at the same address, nil if that cannot be
// done or would waste half of it.
func (a *Allocator) resize(v entry, b []byte, size int) []byte {
	if v.isSlab() {
		if size > cap(b) {
			return nil
		}
		// Not to another slot of the same class.
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
		// To a hole, not to a block that there is not yet.
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
	a.live += (int(c.size) - int(old)) << granuleShift
	a.peakLive = max(a.peakLive, a.live)
	return unsafe.Slice(unsafe.SliceData(b), uint64(c.size)<<granuleShift)[:size]
}
