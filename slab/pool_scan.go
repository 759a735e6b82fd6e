package slab

import (
	"math/bits"
	"unsafe"
)

// A scan visits the live slots of a pool in slot order. Its first point is memory order: once
// slots have been reused, a walk over handles in the order of their making misses the cache at
// every step, and takes eight times as long over 200 000 particles. The second is few
// instructions for each slot: the rest of the time is cache misses, and a processor overlaps
// as many of those as there are slots in its window of a few hundred instructions. With a
// million slots of which one in ten is live, each instruction more for a slot takes 0.3 ns. So
// the loop goes from word to word of the bitmap by itself, for as long as the bitmap alone says
// what is live, and keeps what it needs in registers: nothing of it has to outlive a call of
// Refresh, which returns all of it anew. (To read slots of later words ahead pays only where
// most slots are live, see Touch; to prefetch them does not.)
//
// What a loop needs for each slot is in fields and not behind methods: in the body of a
// range-over-func loop the compiler does not inline method calls, and two calls for each slot
// take twice as long as everything else.

// Scan visits the live slots of a pool in slot order. It is for the loops of a typed shell and,
// like Shell, checks nothing: a word that is not of the stretch is whatever lies there.
//
// The pool may be used during a scan, even to free one of the current slots or any other. Slots
// freed before the scan gets to them are not visited; slots taken meanwhile may be.
type Scan struct {
	// Base is the first slot of the current stretch, whose slot i is i strides from it. The
	// stretch is Words times 64 slots. Bit i of Live says whether slot i was live when Next,
	// Refresh or Extend returned; of the other slots, Word tells. (At the end of a slab there may
	// be fewer than 64 slots. Then the others are not live.)
	Base  unsafe.Pointer
	Live  uint64
	Words int
	// Gens points at the generations of the stretch, a uint32 each, and Index is the index
	// of its first slot. From these HandleAt makes handles.
	Gens  unsafe.Pointer
	Index uint32
	// Changes counts frees, and what else may end or move a slot. While *Changes == Seen, all
	// slots that Live and Word show are still live and in place. After that, Refresh tells
	// which are.
	Changes *uint64
	Seen    uint64

	pool  *Pool
	s     *slab   // nil before the first
	free  *uint64 // the stretch's first word of the bitmap
	place place   // of s
	seq   uint32  // of s
	born  uint32  // the pool's births when the scan began
	end   uint32  // behind the last place
	from  uint32  // where in the bitmap the stretch begins
	w     uint32  // the word behind the stretch
	words uint32  // of the slab
	plain uint32  // in words before this one, a slot that is not free is live
	read  byte    // see Touch
}

func (c *Scan) stale() bool { return *c.Changes != c.Seen }

// liveWord returns which of the 64 slots of word w are live.
func (p *Pool) liveWord(s *slab, w uint32) uint64 {
	m := ^*s.word(w)
	if n := s.slots - w<<6; n < 64 {
		m &= 1<<n - 1
	}
	e := &p.dir[s.seq]
	m &^= p.groupOf(p.at(e, w<<6), p.group.Slots)
	if s.retired > 0 {
		for r := m; r != 0; r &= r - 1 {
			if i := uint32(bits.TrailingZeros64(r)); *e.gen(w<<6 | i) == deadGen {
				m &^= 1 << i
			}
		}
	}
	return m
}

// Next goes on to the next stretch, in whose first word at least one slot is live, and returns
// false if there is none.
func (c *Scan) Next() bool {
	for {
		if c.s != nil && c.stale() {
			c.again()
		}
		for ; c.w < c.words; c.w++ {
			if m := c.live(c.w); m != 0 {
				c.show(m)
				return true
			}
		}
		if !c.enter() {
			return false
		}
	}
}

// Word returns which are live of the 64 slots of word w of the current stretch, for a w of more than
// 0 and less than Words. *Changes must be Seen.
func (c *Scan) Word(w int) uint64 {
	return ^*(*uint64)(unsafe.Add(unsafe.Pointer(c.free), w*8))
}

// Touch reads the first byte of the live slot at p, so that it will be in the processor's cache.
// (It keeps the byte, or the compiler would leave that out.)
func (c *Scan) Touch(p unsafe.Pointer) {
	if invariants && !c.pool.Owns(p) {
		panic("slab: Touch of what is not live")
	}
	c.read = *(*byte)(p)
}

// live returns which of the 64 slots of word w are live.
func (c *Scan) live(w uint32) uint64 {
	touch()
	if w < c.plain {
		return ^*c.s.word(w)
	}
	return c.pool.liveWord(c.s, w)
}

// show makes word w, of which these slots are live, and the plain words behind it the current
// stretch.
func (c *Scan) show(live uint64) {
	c.Live, c.from, c.free = live, c.w, c.s.word(c.w)
	c.Base = unsafe.Add(c.place.base, uintptr(c.w)*64*c.pool.stride)
	c.Gens = unsafe.Pointer(c.place.gen(c.w << 6))
	c.Index = c.place.index + c.w<<6
	c.w = max(c.w+1, c.plain)
	c.Words = int(c.w - c.from)
}

// enter goes on to the next slab and gives the group back. With no group and no retired slot,
// the slab's bitmap alone says what is live, until something is freed.
func (c *Scan) enter() bool {
	p := c.pool
	if c.s != nil {
		c.leave()
	}
	for ; c.seq < c.end; c.seq++ {
		// A place may have got a slab since the scan began. Everything in it is new, and a
		// loop that makes objects would go on as long as there are places.
		if e := &p.dir[c.seq]; e.base == nil || int32(e.rec.born-c.born) > 0 {
			continue
		}
		p.flush()
		c.place = p.dir[c.seq]
		// The group may have been all that kept the slab. Of an arena that was made for many
		// objects and has few, most slabs are empty, and their bitmaps are not in the cache.
		if c.place.base == nil || c.place.rec.used == 0 {
			continue
		}
		c.s, c.Seen = c.place.rec, p.frees
		if p.names && c.s.named == 0 {
			p.nameAll(&c.place)
		}
		c.w, c.words, c.plain = 0, c.s.words(), 0
		if c.s.retired == 0 {
			c.plain = c.s.slots / 64
		}
		return true
	}
	return false
}

// Refresh returns which of m, some slots of word w of the current stretch, are live now: none if
// their slab is gone. That word is then the first of the current stretch.
func (c *Scan) Refresh(w int, m uint64) uint64 {
	at := c.from + uint32(w)
	c.w = at + 1
	if c.s == nil || !c.again() {
		return 0
	}
	c.w = at
	c.show(c.pool.liveWord(c.s, at) & m)
	return c.Live
}

// again finds out what has become of the slab after something was freed, and returns false if
// it is gone.
func (c *Scan) again() bool {
	p := c.pool
	c.Seen = *c.Changes
	// Another slab may be at the place by now. If it has the same record, address and size,
	// what is known of the old slab is true of it too.
	if e := &p.dir[c.seq]; e.rec != c.place.rec || e.base != c.place.base || e.bytes != c.place.bytes {
		c.leave()
		return false
	}
	// The bitmap alone says what is live in word w and behind it, unless a slot is retired or
	// the group is ahead.
	c.plain = 0
	next := uintptr(c.place.base) + uintptr(c.w)*64*p.stride
	if c.s.retired == 0 && (p.group.Slots == 0 || uintptr(p.group.Base)-next >= c.place.bytes) {
		c.plain = c.s.slots / 64
	}
	return true
}

// leave moves past the slab and forgets where it was: the collector must not find pointers to
// memory that is gone.
func (c *Scan) leave() {
	c.s, c.free, c.place, c.Base, c.Gens = nil, nil, place{}, nil, nil
	c.Words, c.words = 0, 0
	c.seq++
}

// Extend goes on behind word w of the current stretch, of whose slots the last must be live, for
// as long as slots are live, and returns how many it has passed. The word that it stops in is
// then the first of the current stretch, and Live has those of its slots that are live behind
// the stop; at the end of the slab, there is no stretch, and Live is 0. Nothing may have been
// freed since Next or Refresh.
func (c *Scan) Extend(w int) (n int) {
	c.w = c.from + uint32(w) + 1
	for ; c.w < c.plain && *c.s.word(c.w) == 0; c.w++ { // most words are full: no call of live for these
		touch()
		n += 64
	}
	for ; c.w < c.words; c.w++ {
		m := c.live(c.w)
		k := bits.TrailingZeros64(^m)
		n += k
		if k < 64 {
			c.show(m >> k << k)
			return n
		}
	}
	c.Live, c.Words, c.from = 0, 0, c.words-1
	return n
}
