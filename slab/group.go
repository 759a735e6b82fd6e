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
// Where a pool has no names, Gens of its group may be nil: the group is a slot that was freed,
// and neither Gens nor Index are known yet. See place.
type Group struct {
	Base, Gens unsafe.Pointer
	Slots      uint64
	Index      uint32
}

// word returns which word of the bitmaps the slots are of, counted from the first
// place's, and which of its bits they are.
func (o *Group) word() (w uint32, slots uint64) { return o.Index >> 6, o.Slots << (o.Index & 63) }

// among returns which of the slots of word w of slab s are in the group.
func (o *Group) among(s *slab, w uint32) uint64 {
	if n, slots := o.word(); n == s.seq<<(slotShift-6)|w {
		return slots
	}
	return 0
}

// has tells whether the slot with this index is in the group.
func (o *Group) has(index uint32) bool {
	i := index - o.Index
	return i < 64 && hasBit(&o.Slots, i&63)
}

// place fills in what keep has left out of o, the group of p. It comes before everything that
// looks at more of it than Base and Slots.
func (p *Pool) place(o *Group) {
	if o.Slots != 0 && o.Gens == nil {
		addr := uintptr(o.Base)
		e := &p.dir[p.a.slabs[p.a.addrs.lookup(addr).number()].rec.seq]
		slot := uint32((addr - uintptr(e.base)) / p.stride)
		o.Gens, o.Index = unsafe.Pointer(e.gen(slot)), e.index+slot
	}
}

// Take takes a slot of the group and leaves in it what was there before. It is a few
// instructions, so that it can be inlined. It returns nil if the group is used up; then
// AllocUninitialized opens another.
func (p *Pool) Take() unsafe.Pointer {
	o := &p.group
	m := o.Slots
	if none(m) {
		return nil
	}
	o.Slots = m & (m - 1)
	return unsafe.Add(o.Base, uintptr(bits.TrailingZeros64(m))*p.stride)
}

// TakeNamed is Take that also returns the slot's handle. Names must have been called.
func (p *Pool) TakeNamed() (q unsafe.Pointer, h Handle) {
	o := &p.group
	if m := o.Slots; m != 0 { // none would make it too large to be inlined
		o.Slots = m & (m - 1)
		i := bits.TrailingZeros64(m)
		g := (*uint32)(unsafe.Add(o.Gens, i*4))
		*g++
		q, h = unsafe.Add(o.Base, i*int(p.stride)), Handle{o.Index + uint32(i), *g}
	}
	return
}

// take is Take that opens a group if there is none, and tells whether the slot is
// zero.
func (p *Pool) take() (q unsafe.Pointer, fresh bool, err error) {
	if p.group.Slots == 0 {
		if err := p.refill(); err != nil {
			return nil, false, err
		}
	}
	m := p.group.Slots
	fresh = p.fresh&m&-m != 0
	q = p.Take()
	p.a.after()
	return q, fresh, nil
}

// TakeGroup takes up to n slots that are among 64 neighbours, and at least one if n is
// more than 0. They are not cleared, and have no names until HandleAt gives them some.
// Room beforehand makes it infallible.
func (p *Pool) TakeGroup(n int) (Group, error) {
	if n <= 0 {
		return Group{}, p.state()
	}
	if p.group.Slots == 0 {
		if err := p.refill(); err != nil {
			return Group{}, err
		}
	}
	p.Names()
	g := p.group
	if n < bits.OnesCount64(g.Slots) {
		rest := g.Slots
		for range n {
			rest &= rest - 1
		}
		g.Slots &^= rest
	}
	p.group.Slots &^= g.Slots
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
	p.fresh = fresh
	p.frees++ // for scans to notice
	p.extra++
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

// settle gives the group back, so that the bitmaps say what is live.
func (p *Pool) settle() {
	if p.group.Slots == 0 {
		return
	}
	p.place(&p.group)
	w, free := p.group.word()
	p.group.Slots = 0
	p.giveWord(p.dir[w>>(slotShift-6)].id, w%(maxSlots/64), free)
}
