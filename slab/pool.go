package slab

import (
	"fmt"
	"math/rand/v2"
	"unsafe"
)

// A Pool hands out equal slots and tells them apart over time: every slot has a
// generation that grows by one when the slot is taken and by one when it is
// freed. It is odd while the slot is live, so one compare says whether a handle
// still names what it named.
//
// The slot that was freed last is kept aside, hot, for the next request. It
// spares the bitmap in a program that frees one and takes one, which is most of
// what games and caches do, and that request gets memory that is in the
// processor's cache. Who takes many gets them from a group: all the free slots
// of a word of the bitmap, taken from it at once. A slot that is hot or in the
// group counts as taken in the bitmap; its generation says that it is dead.

// Pool hands out slots of one size from an allocator. Arena is its typed shell,
// and what most programs want.
//
// A Pool must not be copied, and shares the one goroutine of its allocator.
type Pool struct {
	_ noCopy

	hot      unsafe.Pointer // the slot freed last, nil if it is in use again
	hotGen   *uint32
	hotIndex uint32

	group Group  // slots to be handed out next
	fresh uint64 // of those, which were never handed out and are zero

	aside [asideSize]*place // by page of the address: where the slot was
	dir   []place           // by seq

	cache
	size       int
	seed       uint32   // generation of a slot in a new place
	vacantSeqs []uint32 // places without a slab
	gone       uint64   // slabs that went, which frees counts too
	retired    int      // slots retired so far
	closed     bool
}

// NewPool returns a pool on a of slots that have size bytes at a multiple of
// align, a power of two; 0 means 1. It acquires nothing yet. Size 0 is served
// too: such slots are told apart by their address like others.
func NewPool(a *Allocator, size, align int) (*Pool, error) {
	p := &Pool{}
	if err := p.Init(a, size, align); err != nil {
		return nil, err
	}
	return p, nil
}

// Init makes a zero Pool what NewPool returns, for a Pool that is part of
// another type. Until then it is empty, and every allocation is refused.
func (p *Pool) Init(a *Allocator, size, align int) error {
	if align == 0 {
		align = 1
	}
	switch {
	case p.closed:
		return ErrClosed
	case p.a != nil:
		return fmt.Errorf("%w: pool is in use", ErrInvalid)
	case a == nil:
		return fmt.Errorf("%w: no allocator", ErrInvalid)
	case a.closed:
		return ErrClosed
	case size < 0 || align < 0 || align&(align-1) != 0:
		return fmt.Errorf("%w: size %d, align %d", ErrInvalid, size, align)
	case uint64(max(size, 1))+uint64(align)+window > maxBlockBytes:
		return fmt.Errorf("%w: slots of %d bytes aligned to %d", ErrTooLarge, size, align)
	}
	id := -1
	for i, p := range a.pools {
		if p == nil {
			id = i
			break
		}
	}
	if id < 0 {
		id = len(a.pools)
		a.pools = append(a.pools, nil)
	}
	// Pools start at different generations, so that a handle of one means
	// nothing to another: it takes a chance of one in 2^30.
	p.size, p.seed = size, rand.Uint32N(1<<30-1)*2+2
	p.init(a, numClasses+uint32(id), uintptr((max(size, 1)+align-1)&-align), uintptr(align), true)
	a.pools[id] = p
	return nil
}

// state returns why nothing can be allocated from p.
func (p *Pool) state() error {
	switch {
	case p.closed:
		return ErrClosed
	case p.a == nil:
		return fmt.Errorf("%w: pool without an allocator", ErrInvalid)
	case p.a.closed:
		return ErrClosed
	}
	return nil
}

func (a *Allocator) pool(owner uint32) *Pool { return a.pools[owner-numClasses] }

func (a *Allocator) cacheOf(owner uint32) *cache {
	if owner < numClasses {
		return &a.classes[owner].cache
	}
	return &a.pool(owner).cache
}

// Alloc takes a slot and clears it.
func (p *Pool) Alloc() (unsafe.Pointer, error) {
	q, fresh := p.Hot(), false
	if q == nil {
		var err error
		if q, _, fresh, err = p.takeCold(); err != nil {
			return nil, err
		}
	}
	if !fresh {
		clear(unsafe.Slice((*byte)(q), p.size))
	}
	return q, nil
}

// AllocUninitialized takes a slot and leaves in it what was there before. It
// takes constant time unless the source must be asked; its errors are those of
// Allocator.Alloc.
func (p *Pool) AllocUninitialized() (unsafe.Pointer, error) {
	if q := p.Hot(); q != nil {
		return q, nil
	}
	q, _, _, err := p.takeCold()
	return q, err
}

// Hot is AllocUninitialized if that is a matter of a few instructions, for the
// compiler to put them where they are needed, and nil if not.
func (p *Pool) Hot() unsafe.Pointer {
	q := p.hot
	if q != nil {
		p.hot = nil
		*p.hotGen++
	}
	return q
}

// Insert is AllocUninitialized that returns the slot's handle as well.
func (p *Pool) Insert() (unsafe.Pointer, Handle, error) {
	if q, h := p.HotHandle(); q != nil {
		return q, h, nil
	}
	q, h, _, err := p.takeCold()
	return q, h, err
}

// HotHandle is to Insert what Hot is to AllocUninitialized.
func (p *Pool) HotHandle() (unsafe.Pointer, Handle) {
	q := p.hot
	if q == nil {
		return nil, Handle{}
	}
	p.hot = nil
	*p.hotGen++
	return q, Handle{p.hotIndex, *p.hotGen}
}

// refused counts a request that was answered with an error.
func (p *Pool) refused() {
	if p.a != nil {
		p.a.failures++
	}
}

// Free gives the slot at q back. It takes constant time, cannot fail, and panics
// with a *MisuseError if q is not a live slot of p.
func (p *Pool) Free(q unsafe.Pointer) {
	if e := p.aside[uintptr(q)>>asideShift%asideSize]; e != nil {
		if slot, ok := e.slotAt(uintptr(q), p.quick); ok {
			if !p.heat(e, q, slot) {
				p.freeAt(e, q, slot)
			}
			return
		}
	}
	p.freeCold(q)
}

// heat frees a live slot that is to be the hot one, if there is none and its
// generation can grow.
func (p *Pool) heat(e *place, q unsafe.Pointer, slot uint32) bool {
	g := e.gen(slot)
	if p.hot != nil || *g&1 == 0 || *g == lastGen {
		return false
	}
	*g++
	p.hot, p.hotGen, p.hotIndex = q, g, e.index+slot
	p.frees++
	p.freed()
	return true
}

// freeCold is Free where the pool has nothing set aside for q.
func (p *Pool) freeCold(q unsafe.Pointer) {
	e, slot, ok := p.find(q)
	if !ok {
		p.bad("Pool.Free", q)
	}
	if !p.heat(e, q, slot) {
		p.freeAt(e, q, slot)
	}
}

// freeAt is Free where another slot is hot, or all is not well.
func (p *Pool) freeAt(e *place, q unsafe.Pointer, slot uint32) {
	if *e.gen(slot)&1 == 0 {
		p.bad("Pool.Free", q)
	}
	p.retire(e, slot)
}

// Remove gives the slot that h names back, and tells whether h named one. A
// handle of an object that is gone, or was never there, changes nothing.
func (p *Pool) Remove(h Handle) bool {
	seq, slot := h.index>>slotShift, h.index%maxSlots
	if uint(seq) >= uint(len(p.dir)) {
		return false
	}
	e := &p.dir[seq]
	if uintptr(slot) >= e.slots {
		return false
	}
	g := e.gen(slot)
	if *g != h.gen {
		return false
	}
	if !p.heat(e, p.at(e, slot), slot) {
		p.retire(e, slot)
	}
	return true
}

// retire frees a live slot: it is hot from now on or, if its generation cannot
// grow any more, never used again.
func (p *Pool) retire(e *place, slot uint32) {
	p.cool()
	if p.used == 1 {
		p.settle() // no slab is kept for the group of an empty pool
	}
	if *e.gen(slot) == lastGen {
		p.end(e, slot)
		return
	}
	p.heat(e, p.at(e, slot), slot)
}

// end frees a live slot whose generation cannot grow any more.
func (p *Pool) end(e *place, slot uint32) {
	*e.gen(slot) = deadGen
	p.frees++
	p.retired++
	s := p.a.slabs[e.id].rec
	s.retired++
	p.drop(e.id, s)
	p.freed()
}

// freed is called after a slot was freed, for the slabcheck build.
func (p *Pool) freed() {
	if invariants {
		if p.hot != nil {
			poison(unsafe.Slice((*byte)(p.hot), p.size))
		}
		p.a.after()
	}
}

// cool gives the hot slot back to the group, if it is from there, or to its slab.
func (p *Pool) cool() {
	if p.hot == nil {
		return
	}
	p.hot = nil
	if p.group.Slots != 0 && p.group.Index == p.hotIndex&^63 {
		bit := uint64(1) << (p.hotIndex & 63)
		p.group.Slots |= bit
		p.fresh &^= bit
		p.used--
		p.a.live -= int(p.stride)
		return
	}
	e := &p.dir[p.hotIndex>>slotShift]
	p.give(e.id, p.a.slabs[e.id].rec, p.hotIndex%maxSlots)
}

// bad panics with the reason why q is no live slot of p.
func (p *Pool) bad(op string, q unsafe.Pointer) {
	if p.a == nil || p.closed {
		m := Foreign
		if p.closed {
			m = UseAfterClose
		}
		panic(&MisuseError{Misuse: m, Op: op, Addr: uintptr(q), Size: p.size})
	}
	p.a.misuse(op, uintptr(q), int(p.stride), p.id)
}

// Get returns the slot that h names, and nil if it names none any more. It takes
// constant time. (One result, so that an arena's Get is small enough to be put in
// line.)
func (p *Pool) Get(h Handle) unsafe.Pointer {
	if i := h.index >> slotShift; int(i) < len(p.dir) {
		e := &p.dir[i]
		if slot := uintptr(h.index % maxSlots); slot < e.slots && *(*uint32)(unsafe.Add(e.gens, slot*4)) == h.gen {
			return unsafe.Add(e.base, slot*p.stride)
		}
	}
	return nil
}

// Handle returns the handle of the live slot at q. It panics with a
// *MisuseError if there is none.
func (p *Pool) Handle(q unsafe.Pointer) Handle {
	e, slot, ok := p.find(q)
	if !ok || *e.gen(slot)&1 == 0 {
		p.bad("Pool.Handle", q)
	}
	return Handle{e.index + slot, *e.gen(slot)}
}

// Owns tells whether there is a live slot of p at q.
func (p *Pool) Owns(q unsafe.Pointer) bool {
	e, slot, ok := p.find(q)
	return ok && *e.gen(slot)&1 != 0
}

// Allocator returns the allocator that p is on.
func (p *Pool) Allocator() *Allocator { return p.a }

// Len returns the number of live slots.
func (p *Pool) Len() int {
	if p.hot != nil {
		return p.used - 1
	}
	return p.used
}
