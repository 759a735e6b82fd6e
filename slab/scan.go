package slab

import (
	"math/bits"
	"unsafe"
)

// A Scan visits the live slots of a pool in slot order, 64 at a time. Its first point is memory
// order: once slots have been reused, a walk over handles in the order of their making misses
// the cache at every step, and takes eight times as long over 200 000 particles. The second is
// few instructions for each slot: the rest of the time is cache misses, and a processor
// overlaps as many of those as there are slots in its window of a few hundred instructions.
//
// The pool may be used during a scan, even to free one of the current slots or any other. Slots
// freed before the scan gets to them are not visited; slots taken meanwhile may be.
//
// What a loop needs of a Scan is in fields and not behind methods: in the body of a
// range-over-func loop the compiler does not inline method calls, and two calls for each slot
// take twice as long as everything else.
type Scan struct {
	// Base is the first of the current 64 slots. Bit i of Live says whether slot i, which is
	// i strides from Base, was live when Next returned.
	Base unsafe.Pointer
	Live uint64
	// Gens points at the generations of the 64 slots, a uint32 each, and Index is the index
	// of the first slot. From these HandleAt makes handles.
	Gens  unsafe.Pointer
	Index uint32
	// While *Frees == Seen, all slots of Live are still live and in place. After that,
	// Refresh tells which are.
	Frees *uint64
	Seen  uint64

	pool  *Pool
	s     *slab  // nil before the first
	place place  // of s
	seq   uint32 // of s
	born  uint32 // the pool's births when the scan began
	end   uint32 // behind the last place
	group uint32 // the bitmap word of the current slots
	w     uint32 // the next word
	words uint32 // of the slab
	plain uint32 // in words before this one, a slot that is not free is live
	lead  uint32 // words to prefetch ahead; see lead.go
}

// Scan returns a scan before the first slot.
//
// It covers the slabs there are now, so a loop that makes objects ends too.
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

// Next goes on to the next 64 slots of which at least one is live, and returns false if there
// are none.
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

// show makes the 64 slots of the word before w the current ones.
func (c *Scan) show(live uint64) {
	c.group = c.w - 1
	c.Live = live
	c.Base = c.at(c.group)
	c.Gens = unsafe.Pointer(c.place.gen(c.group << 6))
	c.Index = c.place.index + c.group<<6
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
		p.settle()
		c.place = p.dir[c.seq]
		if c.place.base == nil { // the group was all that kept the slab
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

// Refresh returns which of the current 64 slots are live now: none if their slab is gone. Next
// goes on behind them.
func (c *Scan) Refresh() uint64 {
	if c.s == nil {
		return 0
	}
	p := c.pool
	c.Seen = *c.Frees
	// Another slab may be at the place by now. If it has the same record, address and size,
	// what is known of the old slab is true of it too.
	if e := &p.dir[c.seq]; e.rec != c.place.rec || e.base != c.place.base || e.bytes != c.place.bytes {
		c.leave()
		return 0
	}
	// The bitmap alone says what is live from here on, unless a slot is retired or
	// the group is ahead.
	c.plain = 0
	next := uintptr(c.place.base) + uintptr(c.w)*64*p.stride
	if c.s.retired == 0 && (p.group.Slots == 0 || uintptr(p.group.Base)-next >= c.place.bytes) {
		c.plain = c.s.slots / 64
	}
	return p.liveWord(c.s, c.group)
}

// leave moves past the slab and forgets where it was: the collector must not find pointers to
// memory that is gone.
func (c *Scan) leave() {
	c.s, c.place, c.Base, c.Gens = nil, place{}, nil, nil
	c.Live, c.w, c.words, c.plain = 0, 0, 0, 0
	c.seq++
}

// Extend goes on behind the current 64 slots, of which the last must be live, for as long as
// slots are live, and returns how many it has passed. The 64 slots that it stops in are then
// the current ones, and Live has those behind the stop that are live; if it gets to the end of
// the slab, Live is 0. Nothing may have been freed since Next or Refresh.
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
