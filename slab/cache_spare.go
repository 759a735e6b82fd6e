package slab

// A cache keeps one empty slab for its next need. Where most of the memory is empty that slab
// goes too, because a slab can keep a block of 2 MiB from going back to the source.

// emptied keeps one empty slab for the next need and gives others back. The one kept goes to
// the end of the list, so that partly used slabs fill up first.
func (c *cache) emptied(id uint32) {
	s := c.a.slabs[id].rec
	c.vacated(s)
	if c.keepEmpty {
		return
	}
	if s.summary == 0 { // every slot is retired
		c.freeSlab(id)
		return
	}
	if !c.canSpare(s) {
		c.putLast(id, s)
		return
	}
	if c.a.mostlyEmpty() {
		// Each empty slab can keep a block of 2 MiB from going back: this one will do.
		c.a.dropSpares()
	}
	if k := c.spare; k != 0 {
		if c.a.slabs[k].rec.usable() >= s.usable() {
			c.freeSlab(id)
			return
		}
		c.freeSlab(k)
	}
	c.setSpare(id)
	c.putLast(id, s)
}

// vacated counts slab s, which has no slot taken any more. If it has to stay, there is still
// nothing for a trim to find.
func (c *cache) vacated(s *slab) {
	c.vacant++
	c.settled = c.settled && !c.canSpare(s)
}

// begun is called when slots of slab id, which is empty, are about to be taken.
func (c *cache) begun(id uint32) {
	c.vacant--
	if c.spare == id {
		c.setSpare(0)
	}
}

// setSpare sets which empty slab is kept for the next need; 0 is none. The allocator has a
// list of the caches that keep one, because it may have thousands of pools.
func (c *cache) setSpare(id uint32) {
	list := &c.a.spares
	switch {
	case c.spare == 0 && id != 0:
		c.spareAt = len(*list)
		*list = append(*list, c)
	case c.spare != 0 && id == 0:
		n := len(*list) - 1
		last := (*list)[n]
		last.spareAt = c.spareAt
		(*list)[c.spareAt], (*list)[n] = last, nil
		*list = (*list)[:n]
	}
	c.spare = id
}

// dropSpare gives back the empty slab that is kept for the next need. If its slots were
// reserved since, it stays for that reason alone.
func (c *cache) dropSpare() {
	if c.canSpare(c.a.slabs[c.spare].rec) {
		c.freeSlab(c.spare)
	} else {
		c.setSpare(0)
	}
}

// grown tells whether there are many blocks. Blocks that are kept although empty, as after a
// Reset, do not count.
func (a *Allocator) grown() bool { return (a.user.held-a.user.empty)/16 > a.cfg.BlockSize }

// mostlyEmpty tells whether there are many blocks and so little of them is live that giving
// blocks back matters more than having slabs at hand.
func (a *Allocator) mostlyEmpty() bool { return a.grown() && a.live < (a.user.held-a.user.empty)/8 }

// dropSpares gives back the slots that classes have at hand, and empty slabs that classes and
// pools keep, but only some of those, since it may be called again soon.
func (a *Allocator) dropSpares() {
	if a.dropping {
		return
	}
	a.dropping = true
	defer func() { a.dropping = false }()
	for i := range a.classes {
		a.classes[i].flush()
	}
	for n := min(len(a.spares), spareDrops); n > 0; n-- {
		a.spares[len(a.spares)-1].dropSpare() // which takes it off the list
	}
}

// spareDrops is how many empty slabs go at once, at most.
const spareDrops = 8
