package slab

import (
	"math/bits"
	"unsafe"
)

// A cache is a set of slabs with slots of one size: a size class's or a pool's. It
// knows which of its slabs have a free slot, adds slabs as it grows, and gives
// empty ones back, except for one that is kept for the next need.

// cache is a set of slabs with slots of one size. The fields that nearly every operation
// needs are last, to share a cache line with those that a class adds: there are 59 classes, and
// programs that use them all.
type cache struct {
	_         [0]func() // no two can be compared, which spares the code for it
	a         *Allocator
	id        uint32
	keepEmpty bool    // all empty slabs are kept for now
	settled   bool    // since the last trim none has become vacant, nor lost its reservation
	align     uintptr // of slot 0

	head, tail uint32 // slabs with a free slot; empty ones last
	first      *slab  // head's record
	spare      uint32 // the empty slab that is kept, 0 = none
	vacant     uint32 // number of slabs with no slot taken
	spareAt    int    // index among the caches that keep one, see setSpare
	reserved   int    // slots that the cache must keep
	slabs      int
	bytes      int // of the slabs' chunks
	slots      int // without those that are retired
	used       int // slots taken

	frees  uint64  // slots given back
	stride uintptr // from slot to slot, bytes
	recip  uint32  // see reciprocal
}

func (c *cache) init(a *Allocator, id uint32, stride, align uintptr) {
	*c = cache{a: a, id: id, stride: stride, recip: reciprocal(stride), align: max(align, window)}
}

// pool returns the pool that the cache is of, nil if it is a size class's.
func (c *cache) pool() *Pool { return c.a.pool(c.id) }

// reciprocal returns ceil(1<<32 / stride). It returns 0, which makes callers divide, if that is
// not exact enough, and for a stride of 1, which would take 33 bits.
func reciprocal(stride uintptr) uint32 {
	if stride > recipStride || stride == 1 {
		return 0
	}
	return uint32((1<<32 + uint64(stride) - 1) / uint64(stride))
}

// recipStride is the largest stride for which 32 bits of the reciprocal tell multiples of
// the stride in a slab from all other offsets: log2(stride) + log2(slab) <= 32
// (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019).
const recipStride = 1 << (32 - 19)

// takeWord takes all free slots of a word of the bitmap, and tells which of them were
// never handed out and are zero. There must be a slab with a free slot.
func (c *cache) takeWord() (s *slab, w uint32, free, fresh uint64) {
	s = c.first
	w = uint32(bits.TrailingZeros64(s.summary)) & 63
	free, *s.word(w) = *s.word(w), 0
	s.summary &= s.summary - 1
	if s.used == 0 {
		c.begun(c.head)
	}
	n := ones(free)
	s.used += uint32(n)
	c.used += n
	c.a.gain(uintptr(n) * c.stride)
	if s.freshFrom < w<<6+64 {
		fresh = ^uint64(0)
		if s.freshFrom > w<<6 {
			fresh <<= s.freshFrom & 63
		}
		s.freshFrom = min(w<<6+64, s.slots)
	}
	if s.summary == 0 {
		c.unlink(s)
	}
	touch()
	return s, w, free, fresh & free
}

// giveWord makes slots of a word free again. For each of them, size bytes are no longer live: 0
// if it was not live any more.
func (c *cache) giveWord(id, w uint32, free uint64, size uintptr) {
	s := c.a.slabs[id].rec
	if s.summary == 0 {
		c.relist(id, s)
	}
	s.summary |= 1 << w
	*s.word(w) |= free
	n := ones(free)
	s.used -= uint32(n)
	c.used -= n
	c.a.live -= n * int(size)
	touch()
	if s.used == 0 {
		c.emptied(id)
	}
}

// relist puts a slab that was full on the list, at its tail but before the empty slab
// that is kept.
func (c *cache) relist(id uint32, s *slab) {
	c.append(id, s)
	if k := c.spare; k != 0 {
		c.putLast(k, c.a.slabs[k].rec)
	}
}

// drop counts one slot fewer in use: it is retired, not free.
func (c *cache) drop(id uint32, s *slab) {
	c.used--
	c.a.live -= int(c.stride)
	if s.used--; s.used == 0 {
		c.emptied(id)
	}
}

func (c *cache) putLast(id uint32, s *slab) {
	if c.tail == id {
		return
	}
	c.unlink(s)
	c.append(id, s)
}

func (c *cache) push(id uint32, s *slab) {
	s.prev, s.next = 0, c.head
	if c.head != 0 {
		c.a.slabs[c.head].rec.prev = id
	} else {
		c.tail = id
	}
	c.setHead(id)
}

// setHead is called once for many slots, and inlined it would be in twenty places.
//
//go:noinline
func (c *cache) setHead(id uint32) { c.head, c.first = id, c.a.slabs[id].rec }

// append puts a slab at the tail of the list, where slabs that were full go. By the time
// its turn comes such a slab has several free slots, which are taken in address order.
func (c *cache) append(id uint32, s *slab) {
	s.prev, s.next = c.tail, 0
	if c.tail != 0 {
		c.a.slabs[c.tail].rec.next = id
	} else {
		c.setHead(id)
	}
	c.tail = id
}

func (c *cache) unlink(s *slab) {
	if s.prev != 0 {
		c.a.slabs[s.prev].rec.next = s.next
	} else {
		c.setHead(s.next)
	}
	if s.next != 0 {
		c.a.slabs[s.next].rec.prev = s.prev
	} else {
		c.tail = s.prev
	}
	s.prev, s.next = 0, 0
}

// newSlab makes a slab and puts it at the head of the list. On an error nothing
// has changed.
func (c *cache) newSlab(slots uint32, size int) (uint32, error) {
	a, p := c.a, c.pool()
	if p != nil && p.full() {
		return 0, because(ErrTooLarge, "the pool has %d slabs", maxSeq)
	}
	rec, at, _, err := a.allocRecord(recordBytes(slots, p != nil))
	if err != nil {
		return 0, err
	}
	i, err := a.allocMapped(uint32(size>>granuleShift), c.align, uintptr(size), chunkSlab)
	if err != nil {
		a.freeRecord(rec)
		return 0, err
	}
	ch := a.table.at(i)
	id := a.nextSlab()
	if n := len(a.vacantSlabs); n > 0 {
		a.vacantSlabs = a.vacantSlabs[:n-1]
	} else {
		a.slabs = append(a.slabs, noSlab)
	}
	s := (*slab)(at)
	*s = slab{chunk: i, record: rec, owner: c.id, slots: slots}
	for w := range s.words() {
		n := min(slots-w<<6, 64)
		*s.word(w) = ^uint64(0) >> (64 - n)
		s.summary |= 1 << w
	}
	dirty := a.user.use(ch)
	if dirty > 0 {
		s.freshFrom = min(slots, uint32((dirty-1)/c.stride)+1)
	}
	ch.link = id
	ref := slabRef{base: a.user.pointer(ch), rec: s, class: &noClass}
	if p == nil {
		ref.live, ref.class = s.behindFree(), a.classes[c.id]
		clear(unsafe.Slice(ref.live, s.words()))
	}
	a.slabs[id] = ref
	a.addrs.set(uintptr(ref.base), uintptr(size), slabEntry(id))
	if p != nil {
		p.adopt(id, s)
	}
	c.push(id, s)
	c.slabs++
	c.vacant++
	c.settled = false
	c.slots += int(slots)
	c.bytes += size
	a.user.populate(ch, dirty)
	return id, nil
}

// freeSlab gives an empty slab back to the heap.
func (c *cache) freeSlab(id uint32) {
	a := c.a
	s := a.slabs[id].rec
	if s.summary != 0 {
		c.unlink(s)
	}
	if c.spare == id {
		c.setSpare(0)
	}
	i, rec := s.chunk, s.record
	size := int(a.table.at(i).size) << granuleShift
	if p := c.pool(); p != nil {
		p.forget(s)
	} else {
		a.slabs[id].class.forget()
	}
	c.slabs--
	if s.used == 0 {
		c.vacant--
	}
	c.slots -= s.usable()
	c.bytes -= size
	a.addrs.set(uintptr(a.slabs[id].base), uintptr(size), 0)
	a.slabs[id] = noSlab
	a.vacantSlabs = append(a.vacantSlabs, id)
	a.table.at(i).link = 0
	a.user.free(i)
	a.freeRecord(rec)
}

// evict frees the slots of slab id, of which none is at hand, and gives it back to
// the heap.
func (c *cache) evict(id uint32, s *slab) {
	if invariants {
		poison(unsafe.Slice((*byte)(c.a.slabs[id].base), uintptr(s.slots)*c.stride))
	}
	c.frees += uint64(s.used)
	c.used -= int(s.used)
	c.a.live -= int(s.used) * int(c.stride)
	c.freeSlab(id)
}

// trim gives all empty slabs back, except those that are reserved. Each request that is refused
// comes here for every cache, and a cache may have thousands of slabs with a free slot. So trim
// looks for no more empty ones than there are, from the end of the list, where most of them are,
// and not again for those that it has left.
func (c *cache) trim() {
	if c.settled {
		return
	}
	for id, left := c.tail, uint32(0); left < c.vacant && c.slots > c.reserved; {
		touch()
		s := c.a.slabs[id].rec
		prev := s.prev
		switch {
		case s.used != 0:
		case c.canSpare(s):
			c.freeSlab(id)
		default:
			left++
		}
		id = prev
	}
	c.settled = true
}

// canSpare tells whether what is reserved is there without slab s too.
func (c *cache) canSpare(s *slab) bool { return c.slots-s.usable() >= c.reserved }

// unreserve ends a reservation.
func (c *cache) unreserve() { c.reserved, c.settled = 0, false }
