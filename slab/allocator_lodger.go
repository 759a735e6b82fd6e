package slab

import "unsafe"

// Records have blocks of their own, so that no record keeps a block of the user's from going
// back to the source. But once the source has no more, much of the user's blocks may be free
// and yet serve nothing for want of the 32 bytes that describe a chunk. Then a record lodges
// there: it takes a hole, as a chunk of the user's heap. So no room has to be set aside for
// the records of the worst case. That puts 0.2 % more of a full fixed heap of 16 MiB in use
// (W15), and of one of 8 MiB, where objects of up to 4 KB come and go, up to 8 % more,
// depending on its address (BenchmarkFullHeap).
//
// A block stays as long as a record lodges in it. A slab's record goes with the slab. A leaf
// of the address map goes at a Trim if nothing is at its addresses. A page of chunk records
// goes when nothing at all is live: then a Trim or a Reset gives every block back. A write
// beyond the end of an allocation may hit a lodger. Where that is worse than a refusal,
// Config.MetaSource keeps records out of the user's blocks.

// lodge takes n granules for records from a hole of the user's, or from a block that the source
// did not take back, and returns the chunk, if err says that the source has no more and lodging
// is allowed; else, or if there is no room, 0.
func (a *Allocator) lodge(n uint32, err error) uint32 {
	if !a.lodging || !canHelp(err) {
		return 0
	}
	i := a.user.anyHole(n, granule)
	if i == 0 {
		i = a.user.reuse(n, granule)
	}
	if i != 0 {
		a.user.take(i, 0, n, chunkLodger)
		a.lodged += int(n) << granuleShift
	}
	return i
}

// recordHeap returns the heap that a record's chunk is in.
func (a *Allocator) recordHeap(c *chunk) *heap {
	if c.kind == chunkLodger {
		return &a.user
	}
	return &a.meta
}

// useRecord marks a record's chunk as handed out. It returns the chunk's address and how many
// of its bytes, from its start, may not be zero.
func (a *Allocator) useRecord(i uint32) (p unsafe.Pointer, dirty uintptr) {
	c := a.table.at(i)
	h := a.recordHeap(c)
	return h.pointer(c), h.use(c)
}

// freeRecord gives a record's chunk back.
func (a *Allocator) freeRecord(i uint32) {
	c := a.table.at(i)
	if c.kind == chunkLodger {
		a.lodged -= int(c.size) << granuleShift
	}
	a.recordHeap(c).free(i)
}
