package slab

import (
	"math/bits"
	"unsafe"
)

// A pool hands slots out of a group: the free slots of one word of the bitmap, taken
// from it at once, or one slot that was freed. All books count them as taken from then
// on, so none of the books is touched when one is handed out. Code that asks for live
// slots leaves them out.

// Group is a set of slots among 64 neighbours of a slab. Bit i of Slots is for the slot
// that is i strides from Base. Its generation, a uint32, is at Gens+4i, and its index in
// handles is Index+i. All are of one word of the bitmap, whose bit 0 need not be Base.
//
// (Of the group that a pool without names has at hand, only Base and Slots count. Keeping up the
// others would be a good part of what it takes to free a slot and take it again. TakeGroup
// returns a group of which all is known.)
type Group struct {
	Base, Gens unsafe.Pointer
	Slots      uint64
	Index      uint32
}

// mayHave is false only if the slot at q is not in the group, but may be true for no reason. Quick
// is that of the pool's stride, and not 0.
func (o *Group) mayHave(q unsafe.Pointer, quick uint32) bool {
	i := uint64(uintptr(q)-uintptr(o.Base)) * uint64(quick) >> 32
	return i < 64 && hasBit(&o.Slots, uint32(i))
}

// grouped tells whether the slot at q is in the group. Only bits of slots of the group's own slab
// are set, so no slot of a slab behind it is taken for one.
func (p *Pool) grouped(q unsafe.Pointer) bool {
	off := uintptr(q) - uintptr(p.group.Base)
	return off/64 < p.stride && hasBit(&p.group.Slots, uint32(off/p.stride))
}

// groupOf returns which of some slots of the group are of the word that starts at base, as
// bits of that word. If the slab ends before its 64 slots do, bits behind its end may be set,
// for another slab. (Inlined, it would be twice in Check, which need not be fast.)
//
//go:noinline
func (p *Pool) groupOf(base unsafe.Pointer, slots uint64) uint64 {
	off := uintptr(p.group.Base) - uintptr(base)
	if off/64 < p.stride { // most have no need to be divided
		if i := off / p.stride; i*p.stride == off { // always if they are of this slab; Check depends on it
			return slots << (i & 63)
		}
	}
	return 0
}

// locateGroup fills in the group's Gens and Index in a pool without names.
func (p *Pool) locateGroup() {
	o := &p.group
	if p.names || o.Base == nil {
		return
	}
	addr := uintptr(o.Base)
	e := &p.dir[p.a.slabs[p.a.addrs.lookup(addr).number()].rec.seq]
	slot := uint32((addr - uintptr(e.base)) / p.stride)
	o.Gens, o.Index = unsafe.Pointer(e.gen(slot)), e.index+slot
}

// Take takes a slot of the group and leaves in it what was there before. It is a few
// instructions, so that it can be inlined. It returns nil if the group is used up, or if the
// pool has names; AllocUninitialized opens another, or gives the slot a name. Stride must be
// the pool's: a typed shell knows it when it is compiled.
func (p *Pool) Take(stride uintptr) unsafe.Pointer {
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

// TakeNamed is Take that also returns the slot's handle. Names must have been called.
func (p *Pool) TakeNamed(stride uintptr) (q unsafe.Pointer, h Handle) {
	o := &p.group
	if m := o.Slots; m != 0 { // none would make it too large to be inlined
		o.Slots = m & (m - 1)
		i := bits.TrailingZeros64(m)
		g := (*uint32)(unsafe.Add(o.Gens, i*4))
		*g++
		q, h = unsafe.Add(o.Base, i*int(stride)), Handle{o.Index + uint32(i), *g}
		if invariants {
			p.a.after()
		}
	}
	return
}

// take takes a slot of the group, or opens one if there is none, and tells whether the slot is
// zero.
func (p *Pool) take() (q unsafe.Pointer, fresh bool, err error) {
	if p.group.Slots == 0 {
		if err := p.refill(); err != nil {
			return nil, false, err
		}
	}
	// Take and TakeNamed in one. To choose between them instead takes a seventh longer where
	// Alloc gives names.
	o := &p.group
	m := o.Slots
	fresh = p.unused()&m&-m != 0
	o.Slots = m & (m - 1)
	i := uintptr(bits.TrailingZeros64(m))
	if p.names {
		*(*uint32)(unsafe.Add(o.Gens, i*4))++
	}
	if invariants {
		p.a.after()
	}
	return unsafe.Add(o.Base, i*p.stride), fresh, nil
}

// unused returns the slots of the group that are known to have never been handed out.
func (p *Pool) unused() uint64 {
	if p.frees != p.freshAt {
		return 0 // the group may be another by now
	}
	return p.fresh
}

// TakeGroup takes up to n slots that are among 64 neighbours, and at least one if n is
// more than 0. They are not cleared, and have names, so HandleAt makes their handles. Room
// beforehand makes it infallible.
func (p *Pool) TakeGroup(n int) (Group, error) {
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
	if n < bits.OnesCount64(g.Slots) {
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

// refill opens a group; the one before must be used up.
func (p *Pool) refill() error {
	p.assure()
	if p.head == 0 { // always so if p is closed
		if err := p.state(); err != nil {
			return err
		}
		_, err := p.grow(1)
		if p.a.startAnew(err) {
			_, err = p.grow(1)
		}
		if err != nil {
			p.a.failures++
			return err
		}
	}
	s, w, free, fresh := p.takeWord()
	e := &p.dir[s.seq]
	p.group = Group{
		Base: unsafe.Add(e.base, uintptr(w)*64*p.stride), Gens: unsafe.Pointer(e.gen(w << 6)),
		Index: e.index + w<<6, Slots: free,
	}
	p.frees++ // for scans to notice
	p.extra++
	p.fresh, p.freshAt = fresh, p.frees
	return nil
}

// assure is called when the group is used up. If all slots of the slab that it was from
// are live now, each with its first name, their generation becomes the sure one.
func (p *Pool) assure() {
	if seq := p.group.Index >> slotShift; p.names && int(seq) < len(p.dir) {
		if e := &p.dir[seq]; e.rec != nil && e.rec.summary == 0 && e.sure == e.floor && e.firstNames() {
			e.sure = e.floor + 1
		}
	}
}

// flush gives the group back, so that the bitmaps say what is live.
func (p *Pool) flush() {
	if p.group.Slots == 0 {
		return
	}
	p.locateGroup()
	i, free := p.group.Index, p.group.Slots<<(p.group.Index&63)
	p.group.Slots = 0
	p.giveWord(p.dir[i>>slotShift].id, i%maxSlots>>6, free)
}
