package slab

import (
	"math/bits"
	"unsafe"
)

// What a typed shell needs besides what a Pool offers, to be as fast as its type allows: it
// knows the stride when it is compiled, writes whole groups of slots, and has loops of its own
// over live ones. None of this checks what it requires, and a wrong stride is a write into
// somebody else's object. So it is a type of its own.

// Shell is a Pool for a typed shell such as arena.Arena, which is made of one. What it adds
// checks nothing: called out of order, or with a wrong stride, it corrupts memory.
type Shell struct{ Pool }

// Init makes a zero Shell ready, as Pool.Init does. The type of the objects is named by elem: if it
// is main.Ship, a MisuseError tells of a wrong "Arena[main.Ship].Free".
func (p *Shell) Init(a *Allocator, elem string, size, align int) error {
	err := p.Pool.Init(a, size, align)
	if err == nil {
		p.elem = elem
	}
	return err
}

// Names must be called before TakeNamed, and before a Scan begins if HandleAt is to make handles
// of its slots. From then on all slots are handed out with names.
func (p *Shell) Names() { p.ensureNames() } // in TakeNamed it would be too large to be inlined

// Take takes a slot of the group and leaves in it what was there before. It is a few
// instructions, so that it can be inlined. It returns nil if the group is used up, or if the
// pool has names; then TakeNamed may have one, and AllocUninitialized opens another group. Stride
// must be the pool's: a typed shell knows it when it is compiled.
func (p *Shell) Take(stride uintptr) unsafe.Pointer {
	o := &p.group
	m := o.Slots
	if none(m) || p.names {
		return nil
	}
	o.Slots = m & (m - 1)
	if invariants {
		p.a.after()
	}
	return unsafe.Add(o.Base, uintptr(bits.TrailingZeros64(m))*stride)
}

// TakeNamed is Take that also returns the slot's handle, or nil if the group is used up. Names
// must have been called, or else Take, and have returned nil: then there are names, or no slots.
func (p *Shell) TakeNamed(stride uintptr) (q unsafe.Pointer, h Handle) {
	o := &p.group
	if m := o.Slots; m != 0 { // none would make it too large to be inlined
		o.Slots &= m - 1
		i := uint32(bits.TrailingZeros64(m))
		g := (*uint32)(unsafe.Add(o.Gens, i*4))
		*g++
		q, h = unsafe.Add(o.Base, uintptr(i)*stride), Handle{o.Index + i, *g}
		if invariants {
			p.a.after()
		}
	}
	return
}

// InsertZero is Insert of a slot of which all bytes are zero, as Alloc's are.
func (p *Shell) InsertZero() (unsafe.Pointer, Handle, error) { return p.insert(true) }

// Room makes sure that n more slots can be taken now without asking the source.
// It promises nothing beyond the pool's next allocations in a row: a free, a Trim, or
// another request that is short of memory may take the room away. Reserve keeps it. The error
// is as Reserve's; then it has made none.
func (p *Shell) Room(n int) error { return p.room(n) }

// Group is a set of slots, taken by a Shell, among 64 neighbours of a slab. Bit i of Slots is for the slot
// that is i strides from Base. Its generation, a uint32, is at Gens+4i, and its index in
// handles is Index+i.
type Group struct {
	Base, Gens unsafe.Pointer
	Slots      uint64
	Index      uint32
}

// TakeGroup takes up to n slots that are among 64 neighbours, and at least one if n is
// more than 0. They are not cleared, and have names, so HandleAt makes their handles. Room
// beforehand makes it infallible.
func (p *Shell) TakeGroup(n int) (Group, error) {
	if n <= 0 {
		return Group{}, p.state()
	}
	p.Names()
	if p.group.Slots == 0 {
		if err := p.refill(); err != nil {
			return Group{}, err
		}
	}
	g := p.group
	if n < ones(g.Slots) {
		rest := g.Slots
		for range n {
			rest &= rest - 1
		}
		g.Slots &^= rest
	}
	p.group.Slots &^= g.Slots
	for m := g.Slots; m != 0; m &= m - 1 {
		*(*uint32)(unsafe.Add(g.Gens, bits.TrailingZeros64(m)*4))++
	}
	p.a.after()
	return g, nil
}

// Trim is Trim of the allocator that p is on, if there is one.
func (p *Shell) Trim() (released int) {
	p.checkPlace()
	if p.a != nil {
		released = p.a.Trim()
	}
	return released
}

// Scan returns a scan before the first slot. It covers the slabs there are now, so a loop that
// makes objects ends too.
func (p *Shell) Scan() Scan {
	p.checkPlace()
	return Scan{pool: &p.Pool, end: uint32(len(p.dir)), born: p.births, Changes: &p.frees}
}

// HandleAt returns the handle of the live slot with this index, whose generation, a
// uint32, is at gen, and which has a name. It is for a loop over a Group or, if Names was
// called before it began, a Scan, and checks nothing. It only reads: a loop that has no use for handles does not
// look at generations.
func HandleAt(index uint32, gen unsafe.Pointer) Handle {
	return Handle{index, *(*uint32)(gen)}
}
