package slab

import "math/bits"

// What a pool does with many slots at once.

// Reserve makes sure that n more slots can be taken without asking the source.
// The pool keeps room for these and the slots live now, whatever is freed
// meanwhile, until the allocator's Trim or Reset. (A slot that is retired, after a
// billion objects in it or more, takes its room along.) From a blocksrc.Populator, as Mmap is
// on Linux, most pages of the slabs that it makes come at once, unless a slot has more than
// 256 KiB. It takes time in proportion to the slots that are new, of which most is for their
// pages. The error wraps ErrInvalid if n is negative, ErrTooLarge, ErrClosed, or what the source
// said of the slab that it refused; then nothing is reserved.
func (p *Pool) Reserve(n int) error {
	err := p.room(n)
	if err == nil {
		p.reserved = max(p.reserved, p.Len()+n)
	}
	return err
}

// room makes sure that n more slots can be taken now; see Shell.Room.
func (p *Pool) room(n int) error {
	if err := p.state(); err != nil {
		return err
	}
	switch {
	case n < 0:
		return because(ErrInvalid, "room for %d", n)
	case uint64(n) > 1<<32-1 || n > maxInt-p.Len() || uint64(n) > maxBlockBytes/uint64(p.stride)*maxSeq:
		p.a.failures++
		return because(ErrTooLarge, "room for %d", n)
	}
	if n <= p.slots-p.Len() {
		return nil
	}
	p.flush() // now, because it may give a slab back
	n += p.Len()
	// What is free stays while this grows. Otherwise a refusal would give it back to
	// make room for slabs that are given back in the end.
	reserved := p.reserved
	p.reserved = maxInt
	defer func() { p.reserved, p.settled = reserved, false }()
	var made []uint32
	for p.slots < n {
		id, err := p.grow(n - p.slots)
		if p.a.startAnew(err) {
			id, err = p.grow(n - p.slots)
		}
		if err != nil {
			for _, id := range made {
				p.freeSlab(id)
			}
			p.a.failures++
			p.a.after()
			return &refusal{format: "slab: room for %d slots: %[3]v", n: n - p.Len(), err: err}
		}
		made = append(made, id)
	}
	p.a.after()
	return nil
}

// Reset frees every slot and keeps the slabs until their memory is needed for something
// else. It takes time in proportion to the number of live slots, and if those are in more
// than a slab or two, a little for each slab that there was.
func (p *Pool) Reset() {
	if p.state() != nil {
		return
	}
	p.keepEmpty = true // even a slab that only the group keeps
	p.flush()
	p.keepEmpty = false
	// The next slab to take slots from and that of the group come first: they may be all that
	// is used of a hundred, time and again. (When all slabs were looked at in order,
	// trees-bulk-21 of examples/compare took three times as long.)
	if p.head != 0 {
		p.resetUsed(p.first.seq)
	}
	p.resetUsed(p.group.Index >> slotShift) // any number will do
	for seq := uint32(0); p.used > 0 && int(seq) < len(p.dir); seq++ {
		p.resetUsed(seq)
	}
	p.a.after()
}

// resetUsed frees every used slot of the slab with that number, if there is one.
func (p *Pool) resetUsed(seq uint32) {
	touch()
	if int(seq) < len(p.dir) {
		if e := &p.dir[seq]; e.base != nil && e.rec.used > 0 {
			p.resetSlab(e, e.rec)
		}
	}
}

// resetSlab frees every used slot of a slab.
func (p *Pool) resetSlab(e *place, s *slab) {
	full := s.summary == 0
	for w := uint32(0); s.used > 0; w++ {
		touch()
		m := p.liveWord(s, w)
		if m == 0 {
			continue
		}
		for r := m; r != 0 && invariants; r &= r - 1 {
			p.poison(e, w<<6|uint32(bits.TrailingZeros64(r)))
		}
		n := ones(m)
		s.used -= uint32(n)
		p.used -= n
		p.frees += uint64(n)
		p.a.live -= n * int(p.stride)
		for r := m; r != 0 && p.names; r &= r - 1 {
			i := bits.TrailingZeros64(r)
			g := e.gen(w<<6 | uint32(i))
			if *g += *g & 1; *g == deadGen {
				m &^= 1 << i
				p.retire(s)
			}
		}
		if *s.word(w) |= m; *s.word(w) != 0 {
			s.summary |= 1 << w
		}
	}
	p.vacated(s)
	switch {
	case s.summary == 0: // every slot is retired
		p.freeSlab(e.id)
	case full:
		p.relist(e.id, s)
	}
}

// Close frees every slot and gives the slabs back to the allocator, in time proportional
// to their number and size. Handles name nothing from then on. The error is always nil, and a
// second call does nothing.
func (p *Pool) Close() error {
	p.checkPlace()
	if p.a != nil && !p.closed {
		p.flush()
		for i := range p.dir {
			if e := &p.dir[i]; e.base != nil { // no place has a slab if the allocator was closed before
				p.evict(e.id, e.rec)
			}
		}
		p.a.allocs += p.frees - p.extra
		p.a.frees += p.frees - p.extra
		p.a.retired += p.retired
		p.a.pools[p.id-numClasses] = nil
		p.a.vacantPools = append(p.a.vacantPools, p.id-numClasses)
		p.a.after()
	}
	p.group, p.lookasides, p.closed = Group{}, nil, true
	return nil
}
