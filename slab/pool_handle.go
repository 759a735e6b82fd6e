package slab

// A handle names a slot for the life of one object in it. It is safe to keep: when
// the object is gone, the slot's generation has moved on.

// Handle is an 8-byte name of a slot and its generation, for the life of the
// object in it. The zero Handle names nothing. Encoders see nothing of it: Bits is for those.
type Handle struct{ index, gen uint32 }

// Bits returns h as a number, to store it where a Handle cannot be.
func (h Handle) Bits() uint64 { return uint64(h.gen)<<32 | uint64(h.index) }

// HandleFromBits is the inverse of Bits. A number that no Bits returned gives a
// handle that names nothing or, by chance, a live slot. It never names a dead one,
// because no handle but the zero Handle has an even generation.
func HandleFromBits(b uint64) Handle {
	h := Handle{index: uint32(b), gen: uint32(b >> 32)}
	if h.gen&1 == 0 {
		return Handle{}
	}
	return h
}

// nameAll gives a name to each live slot of a slab that has none: the slab is from before the
// pool's first handle.
func (p *Pool) nameAll(e *place) {
	live := uint64(0) // of the word that slot i is in
	for i := range e.gens {
		if i&63 == 0 {
			live = p.liveWord(e.rec, uint32(i>>6))
		}
		e.gens[i] |= uint32(live & 1)
		live >>= 1
	}
	e.rec.named = 1
}

const (
	maxSeq  = 1 << (32 - slotShift) // slabs of a pool
	lastGen = ^uint32(0) - 2        // a slot freed at it is retired
	deadGen = lastGen + 1           // of a retired slot, and of no other
)
