package slab

import "unsafe"

// A scan of few live slots among many waits for memory. Each live slot is on a cache line of
// its own, and the slots of each bitmap word fill a page or more, whose address has to be
// translated first. While the processor waits it runs ahead, but only as far as its window
// of instructions reaches, about a dozen slots, and hardware prefetching does not cross
// pages. So the scan leads: it prefetches the live slots of a word some words before their
// turn. With one in ten of a million slots of 64 bytes live, All and Chunks take a third to
// a fourth of the time.
//
// A prefetch instruction takes assembly, which there is for amd64. With the build tag purego,
// and on other processors, where nobody has measured it, scans do not lead. To read the slots
// in Go instead means to wait for them: reading the first slot of each of 16 words at once
// gained a quarter.

const (
	leadSlots = 16      // live slots between the one prefetched and the one visited
	leadBytes = 4 << 20 // a smaller pool is in a cache, and a prefetch is a nanosecond a slot
)

// leadOf returns how many words a scan of slab s leads by, 0 for none. If more than a third
// of the slots are live, the processor does as well by itself; if fewer than one in 32 are,
// the time goes into finding them.
func (p *Pool) leadOf(s *slab) uint32 {
	if !canPrefetch || p.bytes < leadBytes || s.used > s.slots/3 || s.used < max(s.slots/32, 1) {
		return 0
	}
	return (s.slots*leadSlots/64 + s.used - 1) / s.used
}

// ask prefetches the live slots of word w, if its bits alone tell which those are.
func (c *Scan) ask(w uint32) {
	if w < c.plain {
		prefetch(c.at(w), c.pool.stride, ^*c.s.word(w))
	}
}

// at returns the address of the first slot of word w.
func (c *Scan) at(w uint32) unsafe.Pointer {
	return unsafe.Add(c.place.base, uintptr(w)*64*c.pool.stride)
}
