package slab

import (
	"math/bits"
	"unsafe"
)

// A pool hands slots out of a group: the free slots of one word of the bitmap, taken
// from it at once, or one slot that was freed. All books count them as taken from then
// on, so none of the books is touched when one is handed out. Code that asks for live
// slots leaves them out. All slots of the group are of one word of the bitmap, whose bit 0 need
// not be Base. In a pool without names only Base and Slots count: keeping up the others would be
// a good part of what it takes to free a slot and take it again.

// mayHave is false only if the slot at q is not in the group, but may be true for no reason.
// Recip is the pool's, and not 0.
func (o *Group) mayHave(q unsafe.Pointer, recip uint32) bool {
	i := uint64(uintptr(q)-uintptr(o.Base)) * uint64(recip) >> 32
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

// take takes slot i of the group, of a new one if it is used up, and tells whether the slot is
// zero.
func (p *Pool) take() (i uintptr, fresh bool, err error) {
	if p.group.Slots == 0 {
		if err := p.refill(); err != nil {
			return 0, false, err
		}
	}
	// Take and TakeNamed of Shell in one. To choose between them instead takes a seventh longer
	// where Alloc gives names.
	o := &p.group
	m := o.Slots
	fresh = p.unused()&m&-m != 0
	o.Slots = m & (m - 1)
	i = uintptr(bits.TrailingZeros64(m))
	if p.names {
		*(*uint32)(unsafe.Add(o.Gens, i*4))++
	}
	if invariants {
		p.a.after()
	}
	return i, fresh, nil
}

// inGroup returns slot i of the group, or of what the group was before that slot was taken.
func (p *Pool) inGroup(i uintptr) unsafe.Pointer { return unsafe.Add(p.group.Base, i*p.stride) }

// unused returns the slots of the group that are known to have never been handed out.
func (p *Pool) unused() uint64 {
	if p.frees != p.freshAt {
		return 0 // the group may be another by now
	}
	return p.fresh
}

// refill opens a group; the one before must be used up.
func (p *Pool) refill() error {
	p.checkPlace()
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

// flush gives the group back, so that the bitmaps say what is live.
func (p *Pool) flush() {
	if p.group.Slots == 0 {
		return
	}
	p.locateGroup()
	i, free := p.group.Index, p.group.Slots<<(p.group.Index&63)
	p.group.Slots = 0
	p.giveWord(p.dir[i>>slotShift].id, i%maxSlots>>6, free, p.stride)
}
