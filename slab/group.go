package slab

import (
	"math/bits"
	"unsafe"
)

// A group is what a pool hands slots out of in a row: the free slots of a word of
// the bitmap, taken from it at once. They count as taken there; that they are dead
// is in their generations.

// Group is slots that are among 64 neighbours: bit i of Slots is for slot i of
// those. Base is where slot 0 is, one is a stride from the next; Gens points at
// the generation of slot 0, an uint32 each; Index is the index of slot 0 in
// handles.
type Group struct {
	Base, Gens unsafe.Pointer
	Slots      uint64
	Index      uint32
}

// TakeGroup takes up to n slots that are among 64 neighbours; at least one if n
// is not 0. Their generations count up, and they are not cleared. Room beforehand
// makes it infallible.
func (p *Pool) TakeGroup(n int) (Group, error) {
	if err := p.state(); err != nil {
		return Group{}, err
	}
	if n <= 0 {
		return Group{}, nil
	}
	if p.group.Slots == 0 {
		if p.head == 0 && p.hot != nil {
			_, h := p.HotHandle()
			p.a.after()
			return p.groupOf(h), nil
		}
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
	n = bits.OnesCount64(g.Slots)
	p.used += n
	p.a.gain(p.stride * uintptr(n))
	for m := g.Slots; m != 0; m &= m - 1 {
		*(*uint32)(unsafe.Add(g.Gens, uintptr(bits.TrailingZeros64(m))*4))++
	}
	p.a.after()
	return g, nil
}

// groupOf returns the group that is the slot that h names.
func (p *Pool) groupOf(h Handle) Group {
	e, first := &p.dir[h.index>>slotShift], h.index%maxSlots&^63
	return Group{
		Base: p.at(e, first), Gens: unsafe.Pointer(e.gen(first)),
		Slots: 1 << (h.index & 63), Index: e.index + first,
	}
}

// takeCold takes a slot of the group, or of another.
func (p *Pool) takeCold() (q unsafe.Pointer, h Handle, fresh bool, err error) {
	o := &p.group
	if o.Slots == 0 {
		if err := p.refill(); err != nil {
			return nil, Handle{}, false, err
		}
	}
	i := uint32(bits.TrailingZeros64(o.Slots))
	fresh = p.fresh&o.Slots&-o.Slots != 0
	o.Slots &= o.Slots - 1
	p.used++
	p.a.gain(p.stride)
	g := (*uint32)(unsafe.Add(o.Gens, uintptr(i)*4))
	*g++
	q = unsafe.Add(o.Base, uintptr(i)*p.stride)
	p.a.after()
	return q, Handle{o.Index + i, *g}, fresh, nil
}

// refill opens a group, which is empty.
func (p *Pool) refill() error {
	if p.head == 0 { // always so if p is closed
		err := p.state()
		if err == nil {
			_, err = p.grow()
		}
		if err != nil {
			p.refused()
			return err
		}
	}
	s, w, free, fresh := p.takeWord()
	e := &p.dir[s.seq]
	p.group = Group{
		Base: unsafe.Add(e.base, uintptr(w)*64*p.stride), Gens: unsafe.Add(e.gens, uintptr(w)*64*4),
		Index: e.index + w<<6, Slots: free,
	}
	p.fresh = fresh
	p.frees++ // for scans to notice
	p.gone++
	return nil
}

// settle gives the hot slot and the group back, so that the bitmaps say what is
// live.
func (p *Pool) settle() {
	p.cool()
	if free := p.group.Slots; free != 0 {
		p.group.Slots = 0
		p.giveWord(p.dir[p.group.Index>>slotShift].id, p.group.Index%maxSlots>>6, free)
	}
}
