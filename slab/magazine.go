package slab

import "math/bits"

// A class keeps some of its free slots at hand, in a stack (a magazine, in
// Bonwick's later word). Freeing a slot clears its live bit and pushes it, and an
// allocation pops one and sets its bit: nothing else of the slab is looked at, and
// the slot that was freed last, whose bit is in the processor's cache, is the next
// to be used. The books of slabs, which slot is free and which slab is full, empty
// or next, are kept half a magazine at a time.
//
// Slots in a magazine count as used in their slab and are not live. They keep
// their slab, and so its block, from going back; that is bounded by the
// magazine, and they go back to the slabs when the class has nothing live, when
// little is live in all, and when there is need of memory.

// magazineSize is how many slots a class keeps at hand. The number of a class's
// live slots wanders by that much between two visits to the slabs, on average the
// square of half of it operations apart.
const magazineSize = 16

// class is the cache of a size class, with its magazine.
type class struct {
	_ [0]func() // no two are compared, and no code is needed for it
	cache
	count    uint32 // of the magazine
	limit    uint32 // up to which nothing else is to be done when a slot is added
	magazine [magazineSize]atHand
}

// atHand is a slot in a magazine: the number of its slab, above that its own, and
// a bit on top that says that it was never handed out and is zero.
type atHand uint64

const freshBit = 1 << 63

func handOf(slab, slot uint32) atHand { return atHand(slot)<<32 | atHand(slab) }

func (h atHand) slot() uint32 { return uint32(h>>32) % maxSlots }
func (h atHand) slab() uint32 { return uint32(h) }

// live is the number of slots that are live.
func (c *class) live() int { return c.used - int(c.count) }

// take takes a slot from the magazine, which has one, for it to be live.
func (c *class) take() atHand {
	c.count--
	return c.magazine[c.count%magazineSize]
}

// put adds a slot that was live to the magazine, which has room.
func (c *class) put(h atHand) {
	c.magazine[c.count%magazineSize] = h
	c.count++
	c.frees++
}

// full is put where the magazine is at its limit: it has no more room, or what is
// added was the last that is live.
func (c *class) full(h atHand) {
	if c.count == magazineSize {
		c.spill()
	}
	c.put(h)
	if c.setLimit(); c.live() == 0 && (c.slabs > 1 || c.a.mostlyEmpty()) {
		c.empty() // else its one slab is the one that is kept for the next need
	}
}

// setLimit is called when the number of slots that are used has changed. A program
// that makes and frees one object, and has little else, has no limit but the
// magazine's size.
func (c *class) setLimit() {
	c.limit = magazineSize
	if c.used <= magazineSize && (c.slabs > 1 || c.a.grown()) {
		c.limit = uint32(max(c.used, 1) - 1)
	}
}

// spill gives the older half of the magazine back to the slabs.
func (c *class) spill() {
	const n = magazineSize / 2
	var old [n]atHand
	copy(old[:], c.magazine[:])
	c.count = uint32(copy(c.magazine[:], c.magazine[n:c.count]))
	for _, h := range old {
		c.settle(h)
	}
}

// empty gives all of the magazine back to the slabs.
func (c *class) empty() {
	if c.count == 0 {
		return
	}
	for c.count > 0 {
		c.count--
		c.settle(c.magazine[c.count])
	}
	c.setLimit()
}

// settle makes a slot free in its slab.
func (c *class) settle(h atHand) {
	id, slot := h.slab(), h.slot()
	s := c.a.slabs[id].rec
	if h&freshBit != 0 && slot < s.clean {
		s.clean = slot
	}
	c.used--
	c.restore(id, s, slot)
}

// load takes up to half a magazine of free slots, the lowest of the first slab on
// the list, which has one. The lowest is on top.
func (c *class) load() {
	s, id := c.first, c.head
	w := uint32(bits.TrailingZeros64(s.summary)) & 63
	word := s.word(w)
	free := *word
	var slots [magazineSize / 2]uint32
	n := 0
	for ; n < len(slots) && free != 0; n++ {
		slots[n] = w<<6 | uint32(bits.TrailingZeros64(free))
		free &= free - 1
	}
	if s.used == 0 && c.spare == id {
		c.spare = 0
	}
	s.used += uint32(n)
	c.used += n
	if *word = free; free == 0 {
		if s.summary &= s.summary - 1; s.summary == 0 {
			c.unlink(id, s)
		}
	}
	clean := s.clean
	s.clean = max(clean, slots[n-1]+1)
	for n--; n >= 0; n-- {
		h := handOf(id, slots[n])
		if slots[n] >= clean {
			h |= freshBit
		}
		c.magazine[c.count] = h
		c.count++
	}
	c.setLimit()
	touch()
}
