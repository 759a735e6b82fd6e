package slab

import (
	"math/rand/v2"
	"unsafe"
)

// A Pool hands out equal slots and tells them apart over time. Every slot has a generation. It
// grows by one when the slot is given a name, and by one more when the object there is freed.
// So it is odd while there is a name, and one comparison tells whether a handle still names its
// object. Whether a slot is live is in the bitmap of its slab. A pool where nobody has asked for
// a handle gives no names and looks at no generation: generations take four bytes an object, and
// where many objects are live a cache miss each.
//
// From the first handle on, a slot gets its name when it is handed out. Objects that were there
// before get theirs when their handle is asked for, or all those of a slab when a loop comes to
// it. So a loop can make a handle by reading alone, and the compiler leaves that out if the
// handle is not used. (When the loop gave the names, it took half as long again over a million
// slots of which one in ten is live.)
//
// Slots are handed out of a group (pool_group.go): all the free slots of a word of the bitmap,
// taken from it at once, or the one slot that was freed while there was no group. That one
// spares the bitmap in a program that frees one and takes one, which is most of what games and
// caches do, and its memory is in the processor's cache. A program that frees many has them
// put into their bitmaps one by one (pool_free.go); one that takes many gets them word by word.

// Pool hands out slots of one size from an allocator. Arena of package arena is its typed
// shell, and what most programs want.
//
// A Pool must not be copied or moved after Init, and panics when it notices. It is not
// goroutine-safe: one goroutine at a time may use its allocator and all that is on it. But Get and
// Len change nothing: any number of goroutines may call these two while nothing else runs on the
// allocator or its other pools.
type Pool struct {
	_ noCopy

	group         Group          // slots to be handed out next
	lookasides    unsafe.Pointer // places by page of the address, nil if there is no table; see pool_lookaside.go
	lookasideMask uintptr        // size of the table, less one
	names         bool           // slots are handed out with names
	dir           []place        // by seq
	size          int            // the stride once more, where Get needs fewer steps for it

	cache
	fresh      uint64   // slots of the group that were never handed out and are zero, if frees is freshAt
	seed       uint32   // generation of a slot in a new place
	vacantSeqs []uint32 // places without a slab
	freshAt    uint64   // frees when the group was taken from its slab
	extra      uint64   // counted in frees for scans to notice, but no frees: slabs that went, groups that were opened
	births     uint32   // slabs that the pool has ever had
	retired    int      // slots retired so far
	closed     bool

	collisions int // in the table of lookasides since it was made

	elem string // name of the type of the objects, for a MisuseError
	self *Pool  // where Init found the pool, nil before
}

// NewPool returns a pool on a, of slots that have size bytes at a multiple of align, a power
// of two; an align of 0 means 1. It acquires nothing yet. Slots of size 0 have addresses of
// their own, like others. The error wraps ErrClosed if a was closed, ErrTooLarge if no block
// can hold such a slot, or ErrInvalid if size, align or a is invalid otherwise.
func NewPool(a *Allocator, size, align int) (*Pool, error) {
	p := &Pool{}
	if err := p.Init(a, size, align); err != nil {
		return nil, err
	}
	return p, nil
}

// Init makes a zero Pool what NewPool returns, for a Pool that is part of another type. Until
// then the pool is empty and refuses every allocation.
func (p *Pool) Init(a *Allocator, size, align int) error {
	if align == 0 {
		align = 1
	}
	switch {
	case p.closed:
		return ErrClosed
	case p.a != nil:
		return because(ErrInvalid, "pool is in use")
	case a == nil:
		return because(ErrInvalid, "no allocator")
	case a.state() != nil:
		return a.state()
	case size < 0 || align < 0 || align&(align-1) != 0:
		return because(ErrInvalid, "size %d, align %d", size, align)
	case uint64(max(size, 1))+uint64(align)+window > maxBlockBytes:
		return because(ErrTooLarge, "slots of %d bytes aligned to %d", size, align)
	}
	id := len(a.pools)
	if n := len(a.vacantPools) - 1; n >= 0 {
		id, a.vacantPools = int(a.vacantPools[n]), a.vacantPools[:n]
	} else {
		a.pools = append(a.pools, nil)
	}
	// Pools start at different generations, so that a handle of one names nothing in
	// another, except by a chance of one in 2^30.
	p.size, p.seed = (max(size, 1)+align-1)&-align, max(rand.Uint32()>>2, 1)*2
	p.init(a, numClasses+uint32(id), uintptr(p.size), uintptr(align))
	a.pools[id], p.self = p, p
	return nil
}

// checkPlace panics if p is a copy, or was moved by one. The allocator knows the original, and
// both would hand out the same slots. The fast paths of taking a slot from the group leave it out,
// and of freeing one that becomes the group: neither gets far without the others.
func (p *Pool) checkPlace() {
	if p.self != p {
		p.moved()
	}
}

// moved panics unless p is a pool before Init. (Inlined, it would be code in a dozen places.)
//
//go:noinline
func (p *Pool) moved() {
	if p.self != nil {
		panic(&MisuseError{Misuse: Moved, Op: p.name(), Name: p.a.cfg.Name})
	}
}

// name returns what a MisuseError calls p.
func (p *Pool) name() string {
	if p.elem != "" {
		return "Arena[" + p.elem + "]"
	}
	return "Pool"
}

// state returns why nothing can be allocated from p.
func (p *Pool) state() error {
	p.checkPlace()
	switch {
	case p.closed:
		return ErrClosed
	case p.a == nil:
		return because(ErrInvalid, "pool without an allocator")
	}
	return p.a.state()
}

// pool returns the pool with that id, nil if it is a size class's. (Inlined, it would be code in
// a dozen places, none of them on a fast path.)
//
//go:noinline
func (a *Allocator) pool(id uint32) *Pool {
	if id < numClasses {
		return nil
	}
	return a.pools[id-numClasses]
}

func (a *Allocator) cacheOf(id uint32) *cache {
	if p := a.pool(id); p != nil {
		return &p.cache
	}
	return &a.classes[id].cache
}

// Alloc takes a slot, of which all bytes are zero. Like AllocUninitialized it takes constant time,
// apart from the clearing.
func (p *Pool) Alloc() (unsafe.Pointer, error) {
	i, fresh, err := p.take()
	if err != nil {
		return nil, err
	}
	q := p.inGroup(i)
	if !fresh {
		clear(unsafe.Slice((*byte)(q), p.size))
	}
	return q, nil
}

// AllocUninitialized takes a slot and leaves in it what was there before. It
// takes constant time unless the source must be asked; its errors are those of
// Allocator.Alloc.
func (p *Pool) AllocUninitialized() (unsafe.Pointer, error) {
	i, _, err := p.take()
	if err != nil {
		return nil, err
	}
	return p.inGroup(i), nil
}

// Insert is AllocUninitialized that also returns the slot's handle. From the first one on, all
// slots get names, and taking one and freeing it takes one and a half times as long.
func (p *Pool) Insert() (unsafe.Pointer, Handle, error) {
	return p.insert(false)
}

func (p *Pool) insert(zero bool) (unsafe.Pointer, Handle, error) {
	p.ensureNames()
	i, fresh, err := p.take()
	if err != nil {
		return nil, Handle{}, err
	}
	o, q := &p.group, p.inGroup(i)
	if zero && !fresh {
		clear(unsafe.Slice((*byte)(q), p.size))
	}
	return q, HandleAt(o.Index+uint32(i), unsafe.Add(o.Gens, i*4)), nil
}

// bad panics with the reason why q, passed to that method, is not a live slot of p.
func (p *Pool) bad(method string, q unsafe.Pointer) {
	op := p.name() + "." + method
	if p.a != nil && !p.closed {
		p.a.misuse(op, uintptr(q), int(p.stride), p.id)
	}
	e := &MisuseError{Misuse: Foreign, Op: op, Addr: uintptr(q), Size: int(p.stride)}
	if p.closed {
		e.Misuse = UseAfterClose
	}
	if p.a != nil {
		e.Name = p.a.cfg.Name
	}
	panic(e)
}

// Get returns the slot that h names, or nil and false if h names none any more, in constant time.
func (p *Pool) Get(h Handle) (q unsafe.Pointer, ok bool) {
	// An arena's Get is inlined, and takes 79 steps of the 80 that the compiler allows for that:
	// there is no room for a condition more, and with results that have no names it takes 92.
	if i := h.index >> slotShift; int(i) < len(p.dir) {
		e, slot := &p.dir[i], int(h.index%maxSlots)
		if slot < len(e.gens) && h.gen == e.gens[slot] {
			return unsafe.Add(e.base, slot*p.size), true
		}
	}
	return
}

// Handle returns the handle of the live slot at q, in constant time. It panics with a
// *MisuseError if there is none. The first call makes the pool name all its slots from then on,
// and may make the table that finds slots by address (as Free and Owns may): 4 to 64 KiB on Go's
// heap, or up to 0.8 % of the slots' bytes.
func (p *Pool) Handle(q unsafe.Pointer) Handle {
	e, slot, ok := p.find(q)
	if !ok || !p.isLive(e, slot) {
		p.bad("Handle", q)
	}
	p.ensureNames()
	g := e.gen(slot)
	*g |= 1
	return Handle{e.index + slot, *g}
}

// ensureNames has all slots handed out with names from now on.
func (p *Pool) ensureNames() {
	if !p.names {
		p.giveNames()
	}
}

// giveNames is apart so that ensureNames can be inlined, and is not inlined itself, since it is
// for once in a pool's life.
//
//go:noinline
func (p *Pool) giveNames() {
	p.locateGroup()
	p.names = true
}

// Owns tells, in constant time, whether there is a live slot of p at q.
func (p *Pool) Owns(q unsafe.Pointer) bool {
	e, slot, ok := p.find(q)
	return ok && p.isLive(e, slot)
}

func (p *Pool) isLive(e *place, slot uint32) bool {
	return !e.rec.isFree(slot) && !p.grouped(p.at(e, slot)) && (e.rec.retired == 0 || *e.gen(slot) != deadGen)
}

// Allocator returns the allocator that p is on.
func (p *Pool) Allocator() *Allocator { return p.a }

// Len returns the number of live slots.
//
// (Not inlined: without an instruction for it, counting bits is much code.)
//
//go:noinline
func (p *Pool) Len() int { return p.used - ones(p.group.Slots) }
