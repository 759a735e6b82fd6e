package slab

// How large the next slab of a cache is.

// Slabs start small and grow a cache by a quarter while it is small, and then by an
// eighth, so that what it holds beyond its need stays in proportion. Those of a pool
// start at a page and double it: there are few pools, not 59, and a pool looks up
// one slab for each page.
const (
	slabMin  = 1 << 10
	slabPage = 1 << lookasideShift
	slabSoft = 64 << 10
	slabMax  = 256 << 10
)

// shape returns the number of slots and the bytes of a slab of about target bytes, and
// of no more than most, a multiple of window, unless one slot needs more. (Inlined, it
// would be in next twice, which is no fast path.)
//
//go:noinline
func (c *cache) shape(target, most int) (slots uint32, size int) {
	n := uintptr(min(target, most)) / c.stride
	if n < 2 {
		n = min(2, max(n, 1, uintptr(min(slabSoft, most))/c.stride))
	}
	n = min(n, maxSlots)
	size = c.bytesFor(uint32(n))
	return uint32(min(uintptr(size)/c.stride, maxSlots)), size
}

// next returns the shape of the next slab, for a caller that needs n slots and will ask
// again for the rest, and whether there is a hole for it.
func (c *cache) next(n int) (slots uint32, size int, ok bool) {
	target := max(slabMin, min(c.bytes/4, slabSoft), min(c.bytes/8, slabMax))
	if c.pool() != nil {
		target = max(target, slabPage, min(c.bytes, slabSoft))
	}
	if n > 1 {
		target = max(target, int(min(uint64(n)*uint64(c.stride), slabMax)))
	}
	most := c.a.cfg.MaxBlockSize
	if c.align > uintptr(c.a.user.align) {
		most -= int(c.align) // a new block must have that much more
	}
	slots, size = c.shape(target, max(most, 0)&^(window-1))
	// Slabs of one size do not tile a block: five of 4096 times 48 bytes leave 64 of its
	// 1024 KiB. The rest becomes a slab before another block is acquired: a million
	// objects of that size then hold an eighth less (TestSlabsTileBlocks).
	h := &c.a.user
	if c.hasHole(size) {
		return slots, size, true
	}
	rest := h.roomAt(h.topmost(), c.align)
	for _, rest := range [...]int{rest, rest - rest/32 - int(c.align)} { // a search may miss all of it, see findHole
		n, bytes := c.shape(max(rest, 0)&^(window-1), size)
		if bytes >= size/8 && c.hasHole(bytes) {
			return n, bytes, true
		}
	}
	return slots, size, false
}

// hasHole tells whether a search finds a hole for a slab of size bytes.
func (c *cache) hasHole(size int) bool {
	return c.a.user.findHole(uint32(size>>granuleShift), c.align) != 0
}

// grow adds a slab, a smaller one if there is no room for one of full size, for a caller
// that needs n slots and will ask again for the rest. Once the source has refused as little as
// the least slab, larger ones are tried only where there is a hole for them: if there is room again
// after all, because somebody else gave it back, the least one finds out.
func (c *cache) grow(n int) (uint32, error) {
	c.a.begin()
	slots, size, _ := c.next(n)
	least := c.bytesFor(1)
	for {
		if size == least || !c.a.user.hasRefused(least) || c.hasHole(size) {
			id, err := c.newSlab(slots, size)
			if err == nil || size == least {
				return id, err
			}
		}
		size = c.bytesFor(max(slots/2, 1))
		slots = uint32(uintptr(size) / c.stride)
	}
}

// bytesFor returns the bytes of a slab with that many slots, in whole windows.
func (c *cache) bytesFor(slots uint32) int {
	return int((uintptr(slots)*c.stride + window - 1) &^ (window - 1))
}
