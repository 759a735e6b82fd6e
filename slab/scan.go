package slab

import (
	"math/bits"
	"unsafe"
)

// A Scan visits the live slots of a pool in slot order, 64 at a time. Order in
// memory is the point: a walk over handles in the order of their making misses
// the cache at every step once slots have been reused, and takes eight times as
// long over 200 000 particles. Few instructions for each slot are the other: what
// is left of the time is cache misses, and a processor overlaps as many of those
// as there are slots in its window of a few hundred instructions.
//
// The pool may be used while a scan is under way, also to free the slot at hand
// or any other. Slots that are freed before the scan gets to them are not
// visited; slots that are taken meanwhile may be.
//
// What a loop needs of a Scan is in fields and not behind methods: within the
// body of a range-over-func loop the compiler leaves calls of methods as calls,
// and two of those for each slot take twice as long as everything else.
type Scan struct {
	// Base is the first of the 64 slots at hand, and bit i of Live says whether
	// slot i, i strides from it, was live when Next returned.
	Base unsafe.Pointer
	Live uint64
	// Gens points at the generations of the 64 slots, uint32 each, and Index is
	// the index of the first, from which HandleAt makes their handles.
	Gens  unsafe.Pointer
	Index uint32
	// While *Frees == Seen, all of Live still are, and where they were; then
	// Refresh knows.
	Frees *uint64
	Seen  uint64

	pool  *Pool
	s     *slab  // nil before the first
	place place  // of s
	seq   uint32 // of s
	born  uint32 // the pool's births, when it began
	end   uint32 // behind the last place
	group uint32 // the word of the bitmap that is about the slots at hand
	w     uint32 // the next word
	words uint32 // of the slab
	plain uint32 // of those, words in which a bit that is not free is live
	lead  uint32 // words that it asks for ahead, see lead.go
}

// Scan returns a scan before the first slot.
//
// It ends with the slabs there are now, so a loop that makes objects ends too.
func (p *Pool) Scan() Scan {
	return Scan{pool: p, end: uint32(len(p.dir)), born: p.births, Frees: &p.frees}
}

func (c *Scan) stale() bool { return *c.Frees != c.Seen }

// liveWord returns which of the 64 slots of word w are live.
func (p *Pool) liveWord(s *slab, w uint32) uint64 {
	m := ^*s.word(w)
	if n := s.slots - w<<6; n < 64 {
		m &= 1<<n - 1
	}
	m &^= p.group.among(s, w)
	if s.retired > 0 {
		e := &p.dir[s.seq]
		for r := m; r != 0; r &= r - 1 {
			if i := uint32(bits.TrailingZeros64(r)); *e.gen(w<<6 | i) == deadGen {
				m &^= 1 << i
			}
		}
	}
	return m
}

// Next goes on to the next 64 slots of which one at least is live, and returns
// false if there are none.
func (c *Scan) Next() bool {
	for {
		for c.w < c.plain && !c.stale() {
			m := ^*c.s.word(c.w)
			if canPrefetch && c.lead != 0 {
				c.ask(c.w + c.lead)
			}
			if c.w++; m != 0 {
				c.show(m)
				return true
			}
		}
		if c.s != nil && c.stale() {
			c.Refresh()
		}
		for c.w < c.words {
			m := c.pool.liveWord(c.s, c.w)
			if c.w++; m != 0 {
				c.show(m)
				return true
			}
		}
		if !c.enter() {
			return false
		}
	}
}

// show makes the 64 slots before word w those at hand.
func (c *Scan) show(live uint64) {
	c.group = c.w - 1
	c.Live = live
	c.Base = c.at(c.group)
	c.Gens = unsafe.Pointer(c.place.gen(c.group << 6))
	c.Index = c.place.index + c.group<<6
}

// enter goes to the next slab. With no group and no slot retired, its bitmap alone
// says what is live, until something is freed.
func (c *Scan) enter() bool {
	p := c.pool
	if c.s != nil {
		c.leave()
	}
	for ; c.seq < c.end; c.seq++ {
		// A place may have got a slab since. In that all is new, and a loop that makes
		// objects would go on as long as there are places.
		if e := &p.dir[c.seq]; e.base == nil || int32(e.rec.born-c.born) > 0 {
			continue
		}
		p.settle()
		c.place = p.dir[c.seq]
		if c.place.base == nil { // what was given back was the slab's last
			continue
		}
		c.s, c.Seen = c.place.rec, p.frees
		c.w, c.words, c.plain = 0, c.s.words(), 0
		if c.s.retired == 0 {
			c.plain = c.s.slots / 64
		}
		c.lead = p.leadOf(c.s)
		for w := range c.lead {
			c.ask(w)
		}
		return true
	}
	c.place = place{}
	return false
}

// Refresh returns which of the 64 slots at hand are live now: none if their slab
// is gone. Next goes on behind them.
func (c *Scan) Refresh() uint64 {
	if c.s == nil {
		return 0
	}
	p := c.pool
	c.Seen = *c.Frees
	// Another slab may be at the place by now. If it has the record, the address and
	// the size of the one before, what is known of that is true of it too.
	if e := &p.dir[c.seq]; e.rec != c.place.rec || e.base != c.place.base || e.bytes != c.place.bytes {
		c.leave()
		return 0
	}
	// The bitmap alone says what is live from here on, unless a slot is retired or
	// the group is ahead.
	c.plain = 0
	if c.s.retired == 0 && (p.group.Slots == 0 || p.group.Index>>6 < c.seq<<(slotShift-6)|c.w) {
		c.plain = c.s.slots / 64
	}
	return p.liveWord(c.s, c.group)
}

// leave goes behind the slab, and forgets where it was: the collector must not
// find pointers to memory that is gone.
func (c *Scan) leave() {
	c.s, c.place, c.Base, c.Gens = nil, place{}, nil, nil
	c.Live, c.w, c.words, c.plain = 0, 0, 0, 0
	c.seq++
}

// Extend goes on behind the 64 slots at hand, of which the last is live, as far as
// all are, and returns how many those are. Then the last 64 that it has looked at are
// at hand, and Live tells which of them are live behind the first that is not.
// Nothing may have been freed since Next or Refresh.
func (c *Scan) Extend() (n int) {
	c.Live = 0
	for c.w < c.words {
		m := ^*c.s.word(c.w)
		if c.w >= c.plain {
			m = c.pool.liveWord(c.s, c.w)
		}
		k := bits.TrailingZeros64(^m)
		c.w++
		n += k
		if k < 64 {
			c.show(m >> k << k)
			break
		}
	}
	return n
}
