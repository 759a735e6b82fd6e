package slab

import "unsafe"

// A slab is a run of equal slots in one chunk. Which of them are free is in a
// bitmap beside the slab, with a summary above it, so that finding the lowest
// free slot is two bit scans. The classes of the allocator and every Pool keep
// their slabs in a cache (Bonwick's word). What is free there is not all that is
// dead: both have slots at hand that are neither free nor live. A second bitmap says
// which slots of a class are live; a pool has few at hand, and knows which. A second
// free of the same slot is seen there.

const (
	slotShift = 12 // a slot's number in its slab
	maxSlots  = 1 << slotShift

	slabHeader = 64 // bytes of a record before the bitmap
)

// slab is the record of a slab, in the record heap. The bitmap of what is free
// follows it, and what tells the live from the dead follows that:
//
//	record: slab | free: (slots+63)/64 uint64 | live: as many        (a class's)
//	                                          | generations: slots uint32 (a pool's)
//
// and always
//
//	used == slots - retired - (bits set in free)
//	summary bit w set  <=>  free[w] != 0
//	free & live == 0
//
// What is left of a class's chunk behind the last slot is less than one, and has
// the next bit of live, which is 0: Free need not ask whether a slot that it comes
// upon is one. The bit is in the last word, for whole words of slots leave nothing.
type slab struct {
	addr       uintptr // of slot 0, for arithmetic only
	chunk      uint32  // that the slots lie in
	record     uint32  // chunk that this record lies in
	owner      uint32  // the cache's id
	seq        uint32  // pools: the slab's number in the pool
	slots      uint32
	used       uint32
	retired    uint32 // slots whose generation wrapped
	clean      uint32 // slots from here on were never handed out and are zero
	next, prev uint32 // in the cache's list of slabs with a free slot
	born       uint32 // pools: how many slabs there had been, this one included
	summary    uint64
}

var _ [0]struct{} = [unsafe.Sizeof(slab{}) / (slabHeader + 1)]struct{}{}

func (s *slab) word(w uint32) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(s), slabHeader+uintptr(w)*8))
}

// free points at the bitmap of free slots.
func (s *slab) free() *uint64 { return s.word(0) }

// usable is the number of slots but for those that are retired.
func (s *slab) usable() int { return int(s.slots - s.retired) }

func (s *slab) words() uint32 { return (s.slots + 63) / 64 }

func (s *slab) isFree(slot uint32) bool { return hasBit(s.free(), slot) }

// markFree sets a slot's bit, and that of its word.
func (s *slab) markFree(slot uint32) {
	setBit(&s.summary, slot>>6&63)
	setBit(s.free(), slot)
}

// generations points at the generation of slot 0.
func (s *slab) generations() unsafe.Pointer { return unsafe.Pointer(s.behindFree()) }

// behindFree points behind the bitmap of free slots: at that of live ones or at
// the generations.
func (s *slab) behindFree() *uint64 { return s.word(s.words()) }

func recordBytes(slots uint32, generations bool) uint32 {
	bitmap := (slots + 63) / 64 * 8
	if generations {
		return slabHeader + bitmap + slots*4
	}
	return slabHeader + 2*bitmap
}

// slabRef is what the collector may see of a slab: where it and its record are.
// What it takes to free a slot is here too, so that the record's own line of the
// cache need not be there for it.
type slabRef struct {
	base  unsafe.Pointer // of slot 0
	rec   *slab
	live  *uint64 // a class's: the bitmap of live slots
	class *class  // noClass if it is a pool's
}

// noSlab is what there is for a number that no slab has.
var noSlab = slabRef{class: &noClass}

// slotAt returns the slot of a class that starts at addr, any address in the slab's
// chunk; behind the last slot it is one that is not live. One product says which it
// is and whether it starts there: quick is ceil(1<<32 / stride), and what is left
// below 1<<32 is less than that for multiples of the stride only; see quickStride.
func (r *slabRef) slotAt(addr uintptr) (slot uint32, ok bool) {
	prod := uint64(addr-uintptr(r.base)) * uint64(r.class.quick)
	return uint32(prod >> 32), uint32(prod) < r.class.quick
}

// liveWord points at the word of the bitmap of live slots that slot is in.
func (r *slabRef) liveWord(slot uint32) *uint64 { return word(r.live, slot) }

func (r *slabRef) isLive(slot uint32) bool { return hasBit(r.live, slot) }
