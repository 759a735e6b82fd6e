package slab

import "unsafe"

// Records have blocks of their own, so that none keeps a block of the user's from going back
// to the source. But once the source has no more, much of the user's blocks may be free, and
// could serve nothing for want of the 32 bytes that describe a chunk. Then a record lodges
// there: it takes a hole, as a chunk of the user's heap. That needs no room to be set aside
// for the records of the worst case. A fixed heap of 16 MiB that is full has 0.2 % more in
// use (W15), and one of 8 MiB, where objects of up to 4 KB come and go, up to 8 % more, by
// where it lies (BenchmarkFullHeap).
//
// A block stays as long as a record lodges in it: a slab's goes with the slab, a leaf of the
// address map at a Trim when nothing is at its addresses, and a page of chunks when nothing
// at all is live; then a Trim or a Reset gives every block back. And who writes beyond the end
// of an allocation may hit a record. Where that is worse than a refusal, Config.MetaSource
// keeps records out of there.

// lodge returns a chunk for n granules of records in a hole of the user's, if err says that
// the source has no more; 0 if there is none.
func (a *Allocator) lodge(n uint32, err error) uint32 {
	if !a.lodging || !canHelp(err) {
		return 0
	}
	i := a.user.anyHole(n, granule)
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

// useRecord marks a record's chunk as handed out, and returns where it is and how many of
// its bytes may not be zero.
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
