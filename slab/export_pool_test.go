package slab

import (
	"math/bits"
	"unsafe"
)

// Access for tests to the internals of a Pool. Use alone cannot bring a generation to
// its end: that takes 2^31 frees of one slot.

const (
	PoolLastGen    = lastGen
	PoolMaxSlots   = maxSlots
	PoolMaxSeq     = maxSeq
	LookasideShift = lookasideShift
)

// Index returns the place and the slot that h names.
func (h Handle) Index() (place, slot uint32) { return h.index >> slotShift, h.index % maxSlots }

// Gen returns the generation of h.
func (h Handle) Gen() uint32 { return h.gen }

// RawHandle returns a handle that HandleFromBits may refuse to make.
func RawHandle(place, slot, gen uint32) Handle { return Handle{place<<slotShift | slot, gen} }

// SetGeneration gives the slot that h names, live or not, another generation,
// and returns the handle with it.
func (p *Pool) SetGeneration(h Handle, gen uint32) Handle {
	place, slot := h.Index()
	*p.dir[place].gen(slot) = gen
	return Handle{h.index, gen}
}

// Slot is Get with one result: nil if h names no slot.
func (p *Pool) Slot(h Handle) unsafe.Pointer {
	q, ok := p.Get(h)
	if ok != (q != nil) {
		panic("Get contradicts itself")
	}
	return q
}

// Generation returns the present generation of the slot that h names.
func (p *Pool) Generation(h Handle) uint32 {
	place, slot := h.Index()
	return *p.dir[place].gen(slot)
}

// Places returns how many places the pool has, and how many of them wait for a slab.
func (p *Pool) Places() (all, vacant int) { return len(p.dir), len(p.vacantSeqs) }

// UsePlaces makes a new pool look as if it had used up n places, whose generations have
// all come to their end.
func (p *Pool) UsePlaces(n int) {
	p.dir = make([]place, n, maxSeq+1)
	for i := range p.dir {
		p.dir[i].floor = deadGen
	}
}

// AtHand returns how many slots the pool hands out before it opens another group.
func (p *Pool) AtHand() int { return bits.OnesCount64(p.group.Slots) }

// Lookasides returns how many entries the lookaside table has, and how many of
// them hold a place.
func (p *Pool) Lookasides() (entries, used int) {
	for _, e := range p.lookasideTable() {
		if e != &noPlace {
			used++
		}
	}
	return len(p.lookasideTable()), used
}

// Into tells whether the pool still has a pointer into [addr, addr+n) that the
// collector could follow.
func (p *Pool) Into(addr uintptr, n int) bool {
	in := func(q unsafe.Pointer) bool { return uintptr(q)-addr < uintptr(n) }
	if in(p.group.Base) || in(p.group.Gens) {
		return true
	}
	for _, e := range p.dir[:cap(p.dir)] {
		if in(e.base) || in(unsafe.Pointer(unsafe.SliceData(e.gens))) || in(unsafe.Pointer(e.rec)) {
			return true
		}
	}
	return false
}

// MoveGroup moves the pool's group, and returns what moves it back.
func (p *Pool) MoveGroup(bytes int) func() {
	return setTo(&p.group.Base, unsafe.Add(p.group.Base, bytes))
}

// PlaceSize is the size of a place, a power of two so that indexing is a shift.
const PlaceSize = unsafe.Sizeof(place{})

// Numbers returns how many numbers for blocks, slabs and pools there are, in use or not.
func Numbers(a *Allocator) (blocks, slabs, pools int) {
	return len(a.user.blocks) + len(a.meta.blocks), len(a.slabs), len(a.pools)
}

// Lost tells whether the scan has no pointer to the pool's memory.
func (c *Scan) Lost() bool {
	for _, q := range []unsafe.Pointer{
		c.Base, c.Gens, unsafe.Pointer(c.s), unsafe.Pointer(c.free), c.place.base, unsafe.Pointer(c.place.rec), unsafe.Pointer(unsafe.SliceData(c.place.gens)),
	} {
		if q != nil {
			return false
		}
	}
	return true
}

// Named tells whether the slab at a place is known to have a name for each live slot.
func (p *Pool) Named(place uint32) bool { return p.dir[place].rec.named == 1 }

// WordScan is a Scan that shows one word of a bitmap at a time.
type WordScan struct {
	Scan
	Base, Gens unsafe.Pointer
	Live       uint64
	Index      uint32
	w          int // word of the stretch
}

func (p *Pool) ScanWords() WordScan { return WordScan{Scan: ShellOf(p).Scan()} }

func (c *WordScan) Next() bool {
	if c.stale() {
		c.Refresh()
	}
	for c.w++; c.w < c.Words; c.w++ {
		if m := c.Word(c.w); m != 0 {
			c.show(m)
			return true
		}
	}
	c.w = 0
	if !c.Scan.Next() {
		return false
	}
	c.show(c.Scan.Live)
	return true
}

func (c *WordScan) show(live uint64) {
	c.Live, c.Index = live, c.Scan.Index+uint32(c.w)<<6
	c.Base = unsafe.Add(c.Scan.Base, uintptr(c.w)*64*c.pool.stride)
	c.Gens = unsafe.Add(c.Scan.Gens, c.w*64*4)
}

func (c *WordScan) Refresh() uint64 {
	m := c.Scan.Refresh(c.w, ^uint64(0))
	c.w = 0
	return m
}

func (c *WordScan) Extend() int {
	n := c.Scan.Extend(c.w)
	c.w = 0
	c.show(c.Scan.Live)
	return n
}

// ShellOf is p as a typed shell has it. (A Shell is a Pool and nothing else.)
func ShellOf(p *Pool) *Shell { return (*Shell)(unsafe.Pointer(p)) }
