package slab

// A handle names a slot for the life of one object in it. It is safe to keep: when
// the object is gone, the slot's generation has moved on.

// Handle is an 8-byte name of a slot and its generation, for the life of the
// object in it. The zero Handle names nothing.
type Handle struct{ index, gen uint32 }

// Bits returns h as a number, to store it where a Handle cannot be.
func (h Handle) Bits() uint64 { return uint64(h.gen)<<32 | uint64(h.index) }

// HandleFromBits is the inverse of Bits. A number that no Bits returned gives a
// handle that names nothing or, by chance, a live slot: never a dead one, for
// there is no handle with an even generation but the zero Handle.
func HandleFromBits(b uint64) Handle {
	h := Handle{index: uint32(b), gen: uint32(b >> 32)}
	if h.gen&1 == 0 {
		return Handle{}
	}
	return h
}

// HandleOf returns the handle of a slot with this index, if its generation says
// that it is live; what it returns for another names nothing. It is for the loop
// over a Scan or a Group.
func HandleOf(index, gen uint32) Handle {
	return Handle{index, gen & -(gen & 1)} // no slot ever has generation 0
}

const (
	maxSeq  = 1 << (32 - slotShift) // slabs of a pool
	lastGen = ^uint32(0)            // a slot freed at it is retired
	deadGen = lastGen - 1           // of a retired slot
)
