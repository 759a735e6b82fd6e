package slab

import "unsafe"

// How memory goes back: all that was allocated (Reset), all that is not needed
// (Trim), and everything (Close).

// Reset frees everything that was allocated from a, also in pools, arenas and regions on
// it. It keeps the blocks for what comes next, except those that a large request had for
// itself. If the source had run out, and records of the allocator's own have come to lie among
// what was allocated, it keeps none. It ends what pools and arenas have reserved. Handles from
// before name nothing any more; pointers and slices from before must not be used. Reset takes
// time in proportion to the number of blocks, slabs and chunks, and to the slots of those pools
// in which any slot had a handle.
func (a *Allocator) Reset() {
	if a.closed {
		return
	}
	a.freeAll(func(b uint32) { _ = a.user.releaseBlock(b) }) // Stats counts what was refused
	a.user.kept = a.user.empty
	if a.lodged > 0 {
		_ = a.trim() // a block in which a record lodges cannot be used as a whole
	}
	a.after()
}

// freeAll frees everything and keeps all blocks, but calls large with those that a large
// request had for itself.
func (a *Allocator) freeAll(large func(b uint32)) {
	a.tellDependents()
	a.user.keepAll = true
	for _, p := range a.pools {
		if p != nil {
			p.flush()
			p.unreserve()
		}
	}
	for i := range a.classes {
		a.classes[i].flush()
	}
	for id, ref := range a.slabs {
		if ref.rec != nil {
			a.cacheOf(ref.rec.owner).evict(uint32(id), ref.rec)
		}
	}
	for n := len(a.user.order) - 1; n >= 0; n-- { // backward: the last leaves without a copy
		b := a.user.order[n]
		for i := a.user.blocks[b].first; i != 0; {
			c := a.table.at(i)
			if c.kind == chunkHole || c.kind == chunkLodger {
				i = c.next
				continue
			}
			if invariants {
				poison(unsafe.Slice((*byte)(a.user.pointer(c)), uint64(c.size)<<granuleShift))
			}
			a.addrs.set(a.user.address(c), 1, 0)
			a.live -= int(c.size) << granuleShift
			a.frees++
			if c.kind == chunkLarge {
				a.user.freeBlock(i, c)
				large(b)
				break
			}
			before := c.prev // a hole that i is now part of, or a lodger
			if a.user.free(i); before == 0 {
				before = a.user.blocks[b].first
			}
			i = before
		}
	}
	a.user.keepAll = false
	a.epoch++
}

// Trim gives back to the source what a holds and does not need: empty slabs, empty blocks
// whatever Retain says, and the records that described them. In blocks that stay, the pages of
// holes and of free slots go back too if the source can take them. Trim ends what pools and
// arenas on a have reserved. It returns the bytes of the blocks that were released.
//
// As long as anything is live, some records stay: 32 bytes for each chunk that there was at the
// peak, and up to 4 KiB for each MiB of addresses in which something is live. The blocks that
// these lie in stay as well, which after a peak may be a third of those that there were, but
// without the pages that hold no record.
//
// Trim takes time in proportion to the number of blocks, chunks and slots, and a system call for
// each run of pages.
func (a *Allocator) Trim() (released int) {
	if a.closed {
		return 0
	}
	for _, p := range a.pools {
		if p != nil {
			p.unreserve()
		}
	}
	released = a.trimmed()
	a.user.discardFree()
	a.meta.discardFree()
	return released
}

// trimmed is Trim, but keeps what is reserved, and all pages.
func (a *Allocator) trimmed() (released int) {
	held := a.user.held + a.meta.held
	_ = a.trim() // Stats counts what was refused
	a.after()
	return held - a.user.held - a.meta.held
}

// dropEmpty gives back the slots that classes and pools have at hand, and all empty slabs
// that are not reserved.
func (a *Allocator) dropEmpty() {
	for i := range a.classes {
		a.classes[i].flush()
		a.classes[i].trim()
	}
	for _, p := range a.pools {
		if p != nil {
			p.flush()
			p.trim()
		}
	}
}

func (a *Allocator) trim() error {
	a.dropEmpty()
	for _, p := range a.pools {
		if p != nil {
			p.lookasides = nil // it may be sized for many more slabs than there are
		}
	}
	a.addrs.prune(a.freeRecord)
	if a.live == 0 && len(a.slabs) == len(a.vacantSlabs)+1 {
		// The records describe nothing any more, except themselves.
		a.user.restart()
		a.meta.restart()
		a.table.init()
		a.lodged = 0
		return a.offer()
	}
	return join(a.user.shrink(0, false), a.meta.shrink(0, false))
}

// offer offers all blocks that are not in use. Where several are refused, the system may have no
// mapping left, and take only what borders on a gap: then the blocks of both heaps go by turns,
// for as long as that makes gaps.
func (a *Allocator) offer() error {
	err := join(a.user.offer(true), a.meta.offer(true))
	if len(a.user.refused)+len(a.meta.refused) > 1 {
		held := 0
		for held != a.user.held+a.meta.held {
			held = a.user.held + a.meta.held
			_, _ = a.user.offer(false), a.meta.offer(false)
		}
		if held == 0 {
			err = nil
		}
	}
	return err
}

// Close gives everything back to the sources. Memory that was allocated must not
// be used any more. The error is that of a source that refused to take a block back, or of the
// first few of several. A further call offers such blocks again, and otherwise does nothing.
func (a *Allocator) Close() error {
	if !a.closed {
		a.freeAll(func(uint32) {})
	} else if a.user.held+a.meta.held == 0 {
		return nil
	}
	err := a.trim()
	a.closed = true
	return err
}
