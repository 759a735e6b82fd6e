package arena

import (
	"reflect"
	"unsafe"

	"github.com/vita-go/deblockator/slab"
)

// LastGeneration is the last generation of a slot.
const LastGeneration = ^uint32(0) - 2

// Pool returns the pool that a is the shell of.
func Pool[T any](a *Arena[T]) *slab.Pool { return &a.pool.Pool }

// SetGeneration gives the slot that h names, live or not, another generation, and returns the
// handle with it. It uses reflection, for what tests of package slab can touch is out of
// reach here.
func SetGeneration[T any](a *Arena[T], h Handle[T], gen uint32) Handle[T] {
	const slotBits = 12
	index := uint32(h.Bits())
	place := reflect.ValueOf(&a.pool).Elem().FieldByName("dir").Index(int(index >> slotBits))
	slot := uintptr(index & (1<<slotBits - 1))
	*(*uint32)(unsafe.Add(place.FieldByName("gens").UnsafePointer(), slot*4)) = gen
	return HandleFromBits[T](uint64(gen)<<32 | uint64(index))
}

// Chunks returns what r has from its allocator.
func (r *Region) Chunks() [][]byte { return r.chunks }

// Lows returns the number of places that r remembers it was rewound to.
func (r *Region) Lows() int { return len(r.lows) }

// LowsCap returns the number of places that r has room to remember.
func (r *Region) LowsCap() int { return cap(r.lows) }

// TypesAtHand returns how many types r knows at once to hold no pointers.
func (r *Region) TypesAtHand() (n int) {
	for _, t := range r.recent {
		if t != nil {
			n++
		}
	}
	return n
}
