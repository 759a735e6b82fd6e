package slab

import (
	"math/bits"
	"unsafe"
)

// A class keeps some of its free slots at hand, in a stack (a magazine, in
// Bonwick's later word). Freeing a slot clears its live bit and pushes it, and an
// allocation pops one and sets its bit: nothing else of the slab is looked at, and
// the slot that was freed last, whose bit is in the processor's cache, is the next
// to be used. The books of slabs, which slot is free and which slab is full, empty
// or next, are kept half a magazine at a time.
//
// Slots in a magazine count as used in their slab and are not live. They keep
// their slab, and so its block, from going back; that is bounded by the
// magazine, and they go back to the slabs when there is need of memory, and when the
// class has nothing live, unless it has one slab and not much else is free; see full.

// magazineSize is how many slots a class keeps at hand. The number of a class's
// live slots wanders by that much between two visits to the slabs, on average the
// square of half of it operations apart.
const magazineSize = 32

// class is the cache of a size class, with its magazine.
type class struct {
	_ [0]func() // no two are compared, and no code is needed for it
	cache
	count    uint32 // of the magazine
	limit    uint32 // up to which nothing else is to be done when a slot is added
	magazine [magazineSize]atHand
}

// atHand is a slot in a magazine: where it is, the word of the live bits that its
// bit is in, and which slot of which slab that makes it. With this an allocation
// looks at nothing of the slab's.
type atHand struct {
	at   unsafe.Pointer
	live *uint64
	id   slotID
}

// slotID is a slab's number in the high half, and in the low half that of a slot,
// with a bit on top that says that it was never handed out and is zero. The lowest
// six bits are so the place of its live bit in its word.
type slotID uint64

const freshBit = 1 << 31

func slotOf(slab, slot uint32) slotID { return slotID(slab)<<32 | slotID(slot) }

func (id slotID) slab() uint32 { return uint32(id >> 32) }
func (id slotID) slot() uint32 { return uint32(id) &^ freshBit }
func (id slotID) fresh() bool  { return id&freshBit != 0 }

// noClass stands for a class that there is not. No request finds a slot at hand in
// it, and with a quick of 0 no address is that of a slot.
var noClass class

// classMask is for indexing classes.
const classMask = 63

var _ [classMask + 1 - numClasses]struct{}

// live is the number of slots that are live.
func (c *class) live() int { return c.used - int(c.count) }

// hasFree tells whether a slot can be had as things are.
func (c *class) hasFree() bool { return c.count != 0 || c.head != 0 }

// take takes a slot from the magazine, which has one, for it to be live. It is there
// until the next is put.
func (c *class) take() *atHand {
	c.count--
	return &c.magazine[c.count%magazineSize]
}

// put adds the slot of b, which was live, to the magazine, which has n and room.
func (c *class) put(n uint32, b []byte, live *uint64, id slotID) {
	h := &c.magazine[n%magazineSize]
	h.at, h.live, h.id = unsafe.Pointer(unsafe.SliceData(b)), live, id
	c.count = n + 1
	c.frees++
}

// full is put where the magazine is at its limit: it has no more room, or what is
// added was the last that is live.
func (c *class) full(b []byte, live *uint64, id slotID) {
	if c.count == magazineSize {
		c.spill()
	}
	c.put(c.count, b, live, id)
	if c.setLimit(); c.live() == 0 && (c.slabs > 1 || c.a.mostlyEmpty()) {
		c.empty() // else its one slab is the one that is kept for the next need
	}
}

// forget drops what is left of slots that were at hand: they may be of a slab that
// goes, and the collector must not meet pointers to where that was.
func (c *class) forget() { clear(c.magazine[c.count:]) }

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
	var old [magazineSize / 2]slotID
	for i := range old {
		old[i] = c.magazine[i].id
	}
	c.count = uint32(copy(c.magazine[:], c.magazine[len(old):c.count]))
	for _, id := range old {
		c.settle(id)
	}
}

// empty gives all of the magazine back to the slabs.
func (c *class) empty() {
	if c.count == 0 {
		return
	}
	for c.count > 0 {
		c.settle(c.take().id)
	}
	c.setLimit()
}

// settle makes a slot free in its slab.
func (c *class) settle(id slotID) {
	s, slot := c.a.slabs[id.slab()].rec, id.slot()
	if id.fresh() && slot < s.clean {
		s.clean = slot
	}
	c.used--
	c.restore(id.slab(), s, slot)
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
		c.setSpare(0)
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
	ref := &c.a.slabs[id]
	for n--; n >= 0; n-- {
		slot := slots[n]
		h := &c.magazine[c.count]
		h.at, h.live, h.id = unsafe.Add(ref.base, uintptr(slot)*c.stride), ref.liveWord(slot), slotOf(id, slot)
		if slot >= clean {
			h.id |= freshBit
		}
		c.count++
	}
	c.setLimit()
	touch()
}
