package slab

import (
	"math/bits"
	"slices"
	"unsafe"
)

// aloneCorruptions leave everything consistent but for one thing, so that a single condition of
// Check has to see it.
var aloneCorruptions = map[string][]Corruption{
	"alone: chunks": {
		{"blocks overlap", func(a *Allocator, _ *Pool) func() {
			h := &a.user
			i, _ := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.isWhole() })
			_, large := pick(a, ofKind(chunkLarge))
			n, under := a.table.at(i).block, large.block
			b, mem := &h.blocks[n], h.blocks[under].mem
			order := slices.DeleteFunc(slices.Clone(h.order), func(j uint32) bool { return j == n })
			order = slices.Insert(order, slices.Index(order, under)+1, n)
			part := mem[granule:][:len(b.mem):len(b.mem)]
			return both(setTo(&b.mem, part), setTo(&b.base, unsafe.Pointer(unsafe.SliceData(part))), setTo(&h.order, order))
		}},
		{"empty block starts elsewhere", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.isWhole() })
			b := &a.user.blocks[c.block]
			return setTo(&b.base, unsafe.Add(b.base, granule))
		}},
		{"block has fewer bytes than granules", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			b := &a.user.blocks[c.block]
			return both(setTo(&b.mem, b.mem[:len(b.mem)-granule]), setTo(&a.user.held, a.user.held-granule))
		}},
		{"nothing behind the last hole", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.next == 0 && c.prev != 0 && c.size > 1 })
			resize := func(n uint32) {
				a.user.removeHole(c)
				c.size += n
				a.user.insertHole(i, c)
			}
			resize(^uint32(0))
			return func() { resize(1) }
		}},
		{"hole of no size", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool {
				return c.kind == chunkLive && c.next != 0 && a.table.at(c.next).kind != chunkHole
			})
			j, d := a.table.get()
			*d = chunk{off: c.off + c.size, block: c.block, prev: i, next: c.next}
			a.table.at(c.next).prev, c.next = j, j
			a.user.insertHole(j, d)
			return func() {
				a.user.removeHole(d)
				a.user.absorb(i, c, j, d)
			}
		}},
		{"offset of a hole", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.off, c.off+1)
		}},
		{"more kept than is empty", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.kept, a.user.empty+1) }},
		{"stuck block has a large allocation", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLarge))
			return both(setTo(&a.user.blocks[c.block].stuck, true), setTo(&a.user.stuck, a.user.stuck+1))
		}},
		{"allocation shorter than a window", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			n, live := c.size, a.live
			a.user.cut(i, c, window>>granuleShift-1)
			a.live -= int(n-c.size) << granuleShift
			return func() {
				a.user.extend(i, c, n)
				a.live = live
			}
		}},
		{"large allocation among others", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.kind, chunkLarge)
		}},
		{"allocation less aligned than was asked for", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.align, uint16(bits.TrailingZeros64(uint64(a.user.address(c))))+1)
		}},
		{"hole one level too high", func(a *Allocator, _ *Pool) func() { return rebin(a, 1, 0) }},
		{"hole one step too high", func(a *Allocator, _ *Pool) func() { return rebin(a, 0, 1) }},
	},
	"alone: records": {
		{"leaf in a chunk that is too short", func(a *Allocator, _ *Pool) func() {
			i := anyRegion(a).at
			c := a.table.at(i)
			n := c.size
			a.meta.cut(i, c, n-1)
			return func() { a.meta.extend(i, c, n) }
		}},
		{"entry of a hole that its region counts", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return c.kind == chunkHole && c.size >= 3*window>>granuleShift })
			at := a.user.address(c) + window
			a.addrs.set(at, 1, chunkEntry(i))
			return func() { a.addrs.set(at, 1, 0) }
		}},
	},
	"alone: slabs": {
		{"unused slab number that there is not", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.vacantSlabs, append(a.vacantSlabs[:len(a.vacantSlabs):len(a.vacantSlabs)], uint32(len(a.slabs))))
		}},
		{"chunk names a slab that there is not", func(a *Allocator, _ *Pool) func() {
			_, s := fullSlab(a)
			return setTo(&a.table.at(s.chunk).link, uint32(len(a.slabs)))
		}},
		{"chunk names a slab that is gone", func(a *Allocator, _ *Pool) func() {
			_, s := fullSlab(a)
			return setTo(&a.table.at(s.chunk).link, a.vacantSlabs[0])
		}},
		{"slab that is gone on the list", func(a *Allocator, p *Pool) func() {
			return both(setTo(&p.head, a.vacantSlabs[0]), setTo(&p.first, nil))
		}},
		{"base of a full slab", func(a *Allocator, _ *Pool) func() {
			id, _ := fullSlab(a)
			return setTo(&a.slabs[id].base, unsafe.Add(a.slabs[id].base, window))
		}},
		{"slab less aligned than its slots", func(_ *Allocator, p *Pool) func() { return setTo(&p.align, 1<<30) }},
		{"more slots than the chunk has room for", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			c, n := a.classes[s.owner], s.slots
			live := a.slabs[id].liveWord(n)
			return both(setTo(&s.slots, n+1), setTo(&s.used, s.used+1), setTo(&s.freshFrom, n+1), setTo(&c.slots, c.slots+1),
				setTo(&c.used, c.used+1), setTo(live, *live|1<<(n&63)), setTo(&a.live, a.live+int(c.stride)), setTo(&a.peakLive, a.peakLive+int(c.stride)))
		}},
		{"no summary bit of one word of several", func(a *Allocator, p *Pool) func() {
			for i := range p.dir {
				if s := p.dir[i].rec; s != nil && bits.OnesCount64(s.summary) > 1 {
					return setTo(&s.summary, s.summary&(s.summary-1))
				}
			}
			panic("every slab of the pool has free slots in one word")
		}},
		{"retired slot in a class that the counts agree with", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			c := a.classes[s.owner]
			word, bit := liveBit(a, id, true)
			return both(setTo(&s.retired, 1), setTo(&s.used, s.used-1), setTo(&c.used, c.used-1), setTo(&c.slots, c.slots-1),
				setTo(&a.live, a.live-int(c.stride)), setTo(word, *word&^bit))
		}},
		{"a live slot is free, and a free one is neither", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			for i := range s.freshFrom {
				if s.isFree(i) {
					_, bit := liveBit(a, id, true)
					j := uint32(bits.TrailingZeros64(bit))
					if i>>6 != 0 || j >= 64 {
						break
					}
					return setTo(s.word(0), *s.word(0)&^(1<<i)|bit)
				}
			}
			panic("the slab has no free slot that was handed out")
		}},
		{"live bit beyond the slots instead of another", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			word, bit := liveBit(a, id, true)
			if s.words() != 1 || s.slots == 64 {
				panic("the slab is not of one word")
			}
			return setTo(word, *word&^bit|1<<63)
		}},
		{"live bits are a copy", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			bitmap := slices.Clone(unsafe.Slice(a.slabs[id].live, s.words()))
			return setTo(&a.slabs[id].live, unsafe.SliceData(bitmap))
		}},
		{"slot that was at hand, beyond its slab", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			id, _ := a.atHand(c, 0)
			ref := &a.slabs[id]
			n := ref.rec.slots
			return both(setTo(&c.magazine[c.count], atHand{unsafe.Add(ref.base, uintptr(n)*c.stride), ref.liveWord(n)}), setTo(&c.bits[c.count], bitOf(n)))
		}},
		{"slot at hand is live, and another is not", func(a *Allocator, _ *Pool) func() {
			id, slot := a.atHand(stocked(a), 0)
			word, bit := liveBit(a, id, true)
			if word != a.slabs[id].liveWord(slot) {
				panic("they are in different words")
			}
			return setTo(word, *word&^bit|1<<(slot&63))
		}},
		{"slot at hand is free, and another is not", func(a *Allocator, _ *Pool) func() {
			id, slot := a.atHand(stocked(a), 0)
			s := a.slabs[id].rec
			for i := range s.freshFrom {
				if s.isFree(i) && i>>6 == slot>>6 {
					word := s.word(i >> 6)
					return setTo(word, *word&^(1<<(i&63))|1<<(slot&63))
				}
			}
			panic("no slot of the word is free")
		}},
		{"slabs of a class not on its list", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return both(setTo(&c.head, 0), setTo(&c.tail, 0), setTo(&c.first, nil))
		}},
		{"cache listed in place of another", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.spares[0].spareAt, len(a.spares)-1)
		}},
		{"listed slab kept back is not empty", func(a *Allocator, _ *Pool) func() {
			c := a.spares[0]
			for id := range a.slabs {
				if s := a.slabs[id].rec; s != nil && s.owner == c.id && s.used > 0 {
					return setTo(&c.spare, uint32(id))
				}
			}
			panic("the cache has no other slab")
		}},
	},
	"alone: pools": {
		{"generations are a copy", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			if uintptr(p.group.Gens)-uintptr(unsafe.Pointer(e.gen(0))) < uintptr(len(e.gens))*4 {
				for i := range p.dir { // of another slab than the group's
					if o := &p.dir[i]; o.base != nil && o != e {
						e = o
						break
					}
				}
			}
			return setTo(&e.gens, slices.Clone(e.gens))
		}},
		{"free slot counts as retired", func(_ *Allocator, p *Pool) func() {
			for i := range p.dir {
				e := &p.dir[i]
				for slot := uint32(len(e.gens)); slot > 64; {
					if slot--; e.rec.isFree(slot) {
						return setTo(e.gen(slot), deadGen)
					}
				}
			}
			panic("the pool has no free slot behind the first word")
		}},
		{"slot of the group is free", func(a *Allocator, p *Pool) func() {
			i := p.group.Index + uint32(bits.TrailingZeros64(p.group.Slots))
			s, slot := p.dir[i>>slotShift].rec, i%maxSlots
			if s.summary == 0 {
				panic("the slab of the group is full")
			}
			word := s.word(slot >> 6)
			return both(setTo(word, *word|1<<(slot&63)), setTo(&s.summary, s.summary|1<<(slot>>6)), setTo(&s.used, s.used-1),
				setTo(&p.used, p.used-1), setTo(&a.live, a.live-int(p.stride)))
		}},
		{"group reaches beyond its slab", func(a *Allocator, _ *Pool) func() {
			p := a.pools[1]
			if p.group.Slots == 0 || p.names {
				panic("the pool of long slots has no group")
			}
			return setTo(&p.group.Slots, p.group.Slots|1<<63)
		}},
		{"empty group elsewhere", func(a *Allocator, _ *Pool) func() {
			p, at := a.pools[1], new(uint64)
			return both(setTo(&p.group.Slots, 0), setTo(&p.group.Base, unsafe.Pointer(at)))
		}},
		{"generations of an empty group elsewhere", func(a *Allocator, _ *Pool) func() {
			p, at := a.pools[1], new(uint64)
			return both(setTo(&p.group.Slots, 0), setTo(&p.group.Gens, unsafe.Pointer(at)))
		}},
		{"entry of the lookaside table is no place", func(_ *Allocator, p *Pool) func() {
			return setTo(p.lookaside(0), new(place))
		}},
	},
}

// rebin puts a hole in a bin that is so many levels and steps too high.
func rebin(a *Allocator, levels, steps uint32) (undo func()) {
	_, c := pick(a, func(c *chunk) bool {
		_, step := binOf(c.size)
		return innerHole(c) && step+steps < binSteps
	})
	h := &a.user
	n, holeSize := c.size, h.holeSize
	level, step := binOf(n)
	i := a.table.at(c.prev).next
	h.removeHole(c)
	c.size = (binSteps + step + steps) << (level + levels - 1) // the least of that bin
	if level+levels == 0 {
		c.size = step + steps
	}
	wrong := c.size
	h.insertHole(i, c)
	c.size, h.holeSize = n, holeSize
	return func() {
		c.size = wrong
		h.removeHole(c)
		c.size = n
		h.insertHole(i, c)
		h.holeSize = holeSize
	}
}
