package slab

import (
	"math/bits"
	"unsafe"
)

// A class keeps some of its free slots at hand in a stack (a magazine, in Bonwick's later
// word). A free clears the slot's live bit and pushes the slot; an allocation pops a slot and
// sets its bit. Neither touches anything else of the slab, and the slot freed last, whose bit
// is in the processor's cache, is the next to be used. The books of slabs (which slot is
// free; which slab is full, empty or next) are brought up to date half a magazine at a time.
//
// Slots in a magazine count as used in their slab but are not live. They keep their slab, and
// so its block, from going back. The magazine's size bounds that. Its slots go back to the
// slabs when memory is needed, and when the class has nothing live, unless the class has a
// single slab and not much else is free, or had nothing live a short while ago; see putSlow.

// magazineSize is how many slots a class keeps at hand. A random walk of allocations and frees
// that starts with half as many stays within it for (32/2)² = 256 operations on average, and
// only then are the slabs visited.
const magazineSize = 32

// lullsKept is how often a class that has nothing live keeps what it has at hand, after each time
// that it gave it back. A program that makes and frees a few scratch buffers comes there all
// the time, and to give their slabs back and make new ones takes twenty times as long as all the
// rest. And what has something live every other moment holds its blocks anyway.
const lullsKept = 31

// class is the cache of a size class, with its magazine.
type class struct {
	_ [24]byte // see TestClassFieldsShareALine
	cache
	count    uint32                // slots in the magazine
	limit    uint32                // while count is below it, a free only has to put the slot
	bits     [magazineSize]slotBit // of the slots in the magazine: apart, they fill what is left of a cache line
	magazine [magazineSize]atHand
	lulls    uint32 // how often the class may have nothing live, and keep what it has at hand
}

// atHand is a slot in a magazine: its address and the word that has its live bit. With these and
// the bit an allocation needs nothing of the slab.
type atHand struct {
	at   unsafe.Pointer
	live *uint64
}

// slotBit is the position of a slot's live bit in its word. freshBit says besides that the slot was
// never handed out and is zero.
type slotBit uint8

const freshBit slotBit = 1 << 7

func bitOf(slot uint32) slotBit { return slotBit(slot & 63) }

func (b slotBit) fresh() bool      { return b&freshBit != 0 }
func (b slotBit) position() uint32 { return uint32(b) & 63 }

// noClass stands in where there is no class. Its magazine is empty, so no request finds a
// slot in it, and its recip is 0, so no address is that of a slot. All allocators share it, so
// nothing may write to it: being settled, it has nothing to trim.
var noClass = class{cache: cache{settled: true}}

// classMask is for indexing classes.
const classMask = 63

var _ [classMask + 1 - numClasses]struct{}

// live is the number of slots that are live.
func (c *class) live() int { return c.used - int(c.count) }

// hasFree tells whether a slot can be had without a new slab.
func (c *class) hasFree() bool { return c.count != 0 || c.head != 0 }

// take pops a slot off the magazine, which must have one, for it to become live. The result is
// good until the next put.
func (c *class) take() (*atHand, slotBit) {
	c.count--
	i := c.count % magazineSize
	return &c.magazine[i], c.bits[i]
}

// put pushes the slot of b, which was live, on the magazine, which has n slots and room.
func (c *class) put(n uint32, b []byte, live *uint64, bit slotBit) {
	h := &c.magazine[n%magazineSize]
	c.bits[n%magazineSize] = bit
	h.at, h.live = unsafe.Pointer(unsafe.SliceData(b)), live
	c.count = n + 1
	c.frees++
}

// putSlow is put for a magazine that is at its limit: it has no more room, or the slot is the
// last live one of the class.
func (c *class) putSlow(b []byte, live *uint64, bit slotBit) {
	if c.count == magazineSize {
		c.giveBack(magazineSize / 2)
	}
	c.put(c.count, b, live, bit)
	if c.setLimit(); c.live() == 0 && (c.slabs > 1 || c.a.mostlyEmpty()) {
		if c.lulls > 0 {
			c.lulls--
			return
		}
		c.lulls = lullsKept
		c.flush() // else its one slab is the one that is kept for the next need
	}
}

// forget clears the stale entries of the magazine. They may point into a slab that goes, and
// the collector must not find pointers to memory that is gone.
func (c *class) forget() { clear(c.magazine[c.count:]) }

// setLimit is called when the number of used slots has changed. For a program that makes and
// frees one object, and has little else, the magazine's size is the only limit.
func (c *class) setLimit() {
	c.limit = magazineSize
	if c.used <= magazineSize && (c.slabs > 1 || c.a.grown()) {
		c.limit = uint32(max(c.used, 1) - 1)
	}
}

// flush gives all of the magazine back to the slabs.
func (c *class) flush() {
	if c.count != 0 {
		c.giveBack(c.count)
		c.setLimit()
	}
}

// giveBack gives the n slots that are longest in the magazine back to the slabs, which are looked
// up. Where a program frees what it made in a row, most slots are neighbours, and go back together.
func (c *class) giveBack(n uint32) {
	// No pointers: when the first slots go back their memory may go, and then the collector must not
	// find pointers to it on the stack.
	var words [magazineSize]struct {
		slab, number uint32
		free         uint64
	}
	k := 0
	for i := uint32(0); i < n; k++ {
		h, w := &c.magazine[i], &words[k]
		w.slab = c.a.addrs.lookup(uintptr(h.at)).number()
		ref := &c.a.slabs[w.slab]
		w.number = uint32((uintptr(unsafe.Pointer(h.live)) - uintptr(unsafe.Pointer(ref.live))) / 8)
		for ; i < n && c.magazine[i].live == h.live; i++ {
			bit := c.bits[i]
			w.free |= 1 << bit.position()
			if bit.fresh() {
				ref.rec.freshFrom = min(ref.rec.freshFrom, w.number<<6|bit.position())
			}
		}
	}
	copy(c.bits[:], c.bits[n:c.count])
	c.count = uint32(copy(c.magazine[:], c.magazine[n:c.count]))
	for _, w := range words[:k] {
		c.giveWord(w.slab, w.number, w.free, 0)
	}
}

// load adds up to half a magazine of free slots: the lowest of the first slab on the list,
// which must have one, from one word of its bitmap. The lowest slot goes on top.
func (c *class) load() {
	s, id := c.first, c.head
	w := uint32(bits.TrailingZeros64(s.summary)) & 63
	word := s.word(w)
	free := *word
	n := min(ones(free), magazineSize/2)
	if s.used == 0 {
		c.begun(id)
	}
	s.used += uint32(n)
	c.used += n
	ref, slot := &c.a.slabs[id], uint32(0)
	for i := range n {
		slot = w<<6 | uint32(bits.TrailingZeros64(free))
		free &= free - 1
		k := c.count + uint32(n-1-i)
		h, bit := &c.magazine[k], bitOf(slot)
		h.at, h.live = unsafe.Add(ref.base, uintptr(slot)*c.stride), ref.liveWord(slot)
		if slot >= s.freshFrom {
			bit |= freshBit
		}
		c.bits[k] = bit
	}
	c.count += uint32(n)
	s.freshFrom = max(s.freshFrom, slot+1)
	if *word = free; free == 0 {
		if s.summary &= s.summary - 1; s.summary == 0 {
			c.unlink(s)
		}
	}
	c.setLimit()
	touch()
}
