package slab

import (
	"math/bits"
	"unsafe"
)

// A slab is a run of equal slots in one chunk. Which of them are free is in a
// bitmap beside the slab, with a summary above it, so that taking the lowest
// free slot is two bit scans, giving one back is one bit, and a second free of
// the same slot is seen in that bit. The classes of the allocator and every
// Pool keep their slabs in a cache (Bonwick's word); a pool's slabs have a
// generation for each slot besides.

const (
	slotShift = 12 // a slot's number in its slab
	maxSlots  = 1 << slotShift

	slabHeader = 64 // bytes of a record before the bitmap
)

// slab is the record of a slab, in the record heap. The bitmap follows it, and
// the generations follow that:
//
//	record: slab | free: (slots+63)/64 uint64 | generations: slots uint32
//
// and always
//
//	used == slots - retired - (bits set in free)
//	summary bit w set  <=>  free[w] != 0
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
	summary    uint64
}

var _ [0]struct{} = [unsafe.Sizeof(slab{}) / (slabHeader + 1)]struct{}{}

func (s *slab) word(w uint32) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(s), slabHeader+uintptr(w)*8))
}

func (s *slab) words() uint32 { return (s.slots + 63) / 64 }

func (s *slab) isFree(slot uint32) bool { return *s.word(slot >> 6)>>(slot&63)&1 != 0 }

// takeLowest takes the lowest free slot, and returns what is left of the summary.
// There is one.
func (s *slab) takeLowest() (slot uint32, rest uint64) {
	w := uint32(bits.TrailingZeros64(s.summary)) & 63
	word := s.word(w)
	free := *word
	slot = w<<6 | uint32(bits.TrailingZeros64(free))
	free &= free - 1
	*word = free
	// Whether that was the last of its word is a toss-up, so this is no branch.
	rest = s.summary & (s.summary - 1)
	if free != 0 {
		rest = s.summary
	}
	s.summary = rest
	return slot, rest
}

// slotAt returns the slot that starts at addr, which is in the slab's chunk. One
// product says which it is and whether it starts there: quick is ceil(1<<32 /
// stride), and what is left below 1<<32 is less than that for multiples of the
// stride only; see quickStride.
func (s *slab) slotAt(addr uintptr, quick uint32) (slot uint32, ok bool) {
	prod := uint64(addr-s.addr) * uint64(quick)
	return uint32(prod >> 32), uint32(prod) < quick && uint32(prod>>32) < s.slots
}

// generations points at the generation of slot 0.
func (s *slab) generations() unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(s), slabHeader+uintptr(s.words())*8)
}

func recordBytes(slots uint32, generations bool) uint32 {
	n := slabHeader + (slots+63)/64*8
	if generations {
		n += slots * 4
	}
	return n
}

// slabRef is what the collector may see of a slab: where it and its record are.
type slabRef struct {
	base unsafe.Pointer
	rec  *slab
}

// fresh tells whether slot was never handed out since its memory came from the
// source as zeros, and notes that it is handed out now. Slots are taken lowest
// first, so one number a slab says it for all.
func (s *slab) fresh(slot uint32) bool {
	if slot < s.clean {
		return false
	}
	s.clean = slot + 1
	return true
}
