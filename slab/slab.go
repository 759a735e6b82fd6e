package slab

import (
	"math/bits"
	"unsafe"
)

// A slab is a run of equal slots in one chunk. A bitmap beside the slab says which slots are
// free, with a summary above it, so that finding the lowest free slot is two bit scans. Each
// size class and each Pool keeps its slabs in a cache (Bonwick's word). A slot that is not free
// there need not be live: classes and pools have slots at hand that are neither. A second
// bitmap says which slots of a class are live; a pool has few at hand, and knows which. That
// is where a double free is seen.

const (
	slotShift = 12 // bits of a slot's number in its slab
	maxSlots  = 1 << slotShift

	slabHeader = 64 // bytes of a record before the bitmap
)

// slab is the record of a slab, in the record heap. The bitmap of free slots follows it, then
// the bitmap of live slots or, in a pool, the generations:
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
// What is left of a class's chunk behind the last slot is less than a slot. Its bit is the next
// one of live, which is 0, so Free need not check whether a slot's number is in range. That
// bit is in the last word, because slots that fill whole words leave nothing of the chunk.
type slab struct {
	chunk      uint32 // that the slots lie in
	record     uint32 // chunk that this record lies in
	owner      uint32 // the cache's id
	seq        uint32 // pools: the slab's number in the pool
	slots      uint32
	used       uint32
	retired    uint32 // slots whose generation would have wrapped
	freshFrom  uint32 // slots from here on were never handed out and are zero
	next, prev uint32 // in the cache's list of slabs with a free slot
	born       uint32 // pools: the pool's births when this slab came, itself included
	named      uint32 // pools: 1 if every live slot has a name
	summary    uint64
}

var _ [0]struct{} = [unsafe.Sizeof(slab{}) / (slabHeader + 1)]struct{}{}

func (s *slab) word(w uint32) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(s), slabHeader+uintptr(w)*8))
}

// free points at the bitmap of free slots.
func (s *slab) free() *uint64 { return s.word(0) }

// usable is the number of slots that are not retired.
func (s *slab) usable() int { return int(s.slots - s.retired) }

func (s *slab) words() uint32 { return (s.slots + 63) / 64 }

func (s *slab) isFree(slot uint32) bool { return hasBit(s.free(), slot) }

// markFree sets a slot's bit in the bitmap and its word's bit in the summary.
func (s *slab) markFree(slot uint32) {
	setBit(&s.summary, slot>>6&63)
	setBit(s.free(), slot)
}

// generations points at the generation of slot 0.
func (s *slab) generations() unsafe.Pointer { return unsafe.Pointer(s.behindFree()) }

// behindFree points behind the bitmap of free slots: at the bitmap of live ones or at the
// generations.
func (s *slab) behindFree() *uint64 { return s.word(s.words()) }

func recordBytes(slots uint32, generations bool) uint32 {
	bitmap := (slots + 63) / 64 * 8
	if generations {
		return slabHeader + bitmap + slots*4
	}
	return slabHeader + 2*bitmap
}

// slabRef is what the collector may see of a slab: pointers to it and to its record. What it
// takes to free a slot is here too, so that a free does not wait for the record's own cache
// line.
type slabRef struct {
	base  unsafe.Pointer // of slot 0
	rec   *slab
	live  *uint64 // a class's: the bitmap of live slots
	class *class  // noClass if it is a pool's
}

// slabAt is &a.slabs[v.number()], for an entry that is not a chunk's, without the check and the
// shifts.
func (a *Allocator) slabAt(v entry) *slabRef {
	if invariants {
		return &a.slabs[bits.RotateLeft32(uint32(v), -1)] // a chunk's is out of range
	}
	return (*slabRef)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(a.slabs)), uintptr(v)*(unsafe.Sizeof(slabRef{})/2)))
}

// noSlab is the slabRef of a number that no slab has.
var noSlab = slabRef{class: &noClass}

// slotAt returns the slot of a class that addr lies in and whether it starts there. Addr is any
// address in the slab's chunk; behind the last slot, the result is a slot that is not live. One
// product gives both answers: recip is ceil(1<<32 / stride), the product's high half is the
// slot, and its low half is less than recip only at multiples of the stride; see recipStride.
func (r *slabRef) slotAt(addr uintptr) (slot uint32, ok bool) {
	prod := uint64(addr-uintptr(r.base)) * uint64(r.class.recip)
	return uint32(prod >> 32), uint32(prod) < r.class.recip
}

// liveWord points at the word of the bitmap of live slots that slot is in.
func (r *slabRef) liveWord(slot uint32) *uint64 { return word(r.live, slot) }

func (r *slabRef) isLive(slot uint32) bool { return hasBit(r.live, slot) }
