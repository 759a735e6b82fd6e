package slab

import "unsafe"

// A scan of few live slots among many waits for memory: each is on a line of the cache
// of its own, and each word of the bitmap on a page or more, whose address the processor
// has to translate first. It goes on to what comes next while it waits, but no farther
// than its window of instructions reaches, which is a dozen slots, and the caches'
// own prefetching does not cross pages. So the scan leads: it asks for the slots of a
// word some words before their turn. With one slot in ten live, a million of 64 bytes,
// All takes a third to a fourth of the time, and Chunks as well.
//
// An instruction that asks and does not wait is assembly. There is some for amd64; with
// the build tag purego, and elsewhere, where nobody has measured it, scans do not lead.
// Reading the slots instead, in Go, waits for them: the first slot of each of 16 words
// at once gave a quarter.

const (
	leadSlots = 16      // live slots between what is asked for and what is visited
	leadBytes = 4 << 20 // a smaller pool is in a cache, and asking is a nanosecond a slot
)

// leadOf returns how many words a scan of slab s leads by, 0 for none. If a third of
// the slots are live, what the processor does of itself is as good; of less than one
// in 32, finding them takes the time.
func (p *Pool) leadOf(s *slab) uint32 {
	if !canPrefetch || p.bytes < leadBytes || s.used > s.slots/3 || s.used < max(s.slots/32, 1) {
		return 0
	}
	return (s.slots*leadSlots/64 + s.used - 1) / s.used
}

// ask prefetches what is live in word w, if it is one whose bits alone tell.
func (c *Scan) ask(w uint32) {
	if w < c.plain {
		prefetch(c.at(w), c.pool.stride, ^*c.s.word(w))
	}
}

// at returns where the first slot of word w is.
func (c *Scan) at(w uint32) unsafe.Pointer {
	return unsafe.Add(c.place.base, uintptr(w)*64*c.pool.stride)
}
