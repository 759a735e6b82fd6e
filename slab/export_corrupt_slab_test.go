package slab

import (
	"math/bits"
	"unsafe"
)

// slabCorruptions break slabs, classes and pools.
var slabCorruptions = map[string][]Corruption{
	"I10 slabs": {
		{"used slot free", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			i := usedSlot(s)
			return setTo(s.word(i>>6), *s.word(i >> 6)|1<<(i&63))
		}},
		{"free slot used", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			w := uint32(bits.TrailingZeros64(s.summary))
			return setTo(s.word(w), *s.word(w)&(*s.word(w)-1))
		}},
		{"summary bit of a full word", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.summary, s.summary|1<<63)
		}},
		{"no summary bit", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.summary, s.summary&(s.summary-1))
		}},
		{"bits beyond the slots", func(a *Allocator, _ *Pool) func() {
			for id := 1; id < len(a.slabs); id++ {
				if s := a.slabs[id].rec; s != nil && s.slots&63 != 0 {
					w := s.words() - 1
					return both(setTo(s.word(w), *s.word(w)|1<<63), setTo(&s.summary, s.summary|1<<w))
				}
			}
			panic("every slab is of whole words")
		}},
		{"bits beyond the slots that the counts agree with", func(a *Allocator, p *Pool) func() {
			for i := range p.dir {
				if s := p.dir[i].rec; s != nil && s.slots&63 != 0 {
					w := s.words() - 1
					return both(setTo(s.word(w), *s.word(w)|1<<63), setTo(&s.summary, s.summary|1<<w),
						setTo(&s.used, s.used-1), setTo(&p.used, p.used-1), setTo(&a.live, a.live-int(p.stride)))
				}
			}
			panic("every slab of the pool is of whole words")
		}},
		{"used", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.used, s.used-1)
		}},
		{"slots", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return both(setTo(&s.slots, s.slots-1), setTo(&a.classes[s.owner].slots, a.classes[s.owner].slots-1))
		}},
		{"retired slots in a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return both(setTo(&s.retired, 1), setTo(&s.used, s.used-1))
		}},
		{"owner that there is not", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.owner, numClasses+1000)
		}},
		{"another owner", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.owner, s.owner-1)
		}},
		{"fresh beyond the slots", func(a *Allocator, _ *Pool) func() {
			_, s := fullSlab(a)
			return setTo(&s.freshFrom, s.slots+1)
		}},
		{"first slab of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			_, full := fullSlab(a)
			return setTo(&a.classes[s.owner].first, full)
		}},
		{"first slab of a pool", func(a *Allocator, p *Pool) func() {
			_, full := fullSlab(a)
			return setTo(&p.first, full)
		}},
		{"reciprocal", func(_ *Allocator, p *Pool) func() { return setTo(&p.recip, p.recip+1) }},
		{"place of a pool lost", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.dir, append(p.dir[:len(p.dir):len(p.dir)], place{floor: 2}))
		}},
		{"base", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].base, unsafe.Add(a.slabs[id].base, 8))
		}},
		{"chunk", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			i, _ := pick(a, ofKind(chunkLive))
			return setTo(&s.chunk, i)
		}},
		{"record", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.record, s.chunk)
		}},
		{"chunk names another", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.table.at(s.chunk)
			return setTo(&c.link, c.link+1)
		}},
		{"chunk names none", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.table.at(s.chunk).link, 0)
		}},
		{"slab not on its list", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return both(setTo(&c.head, 0), setTo(&c.tail, 0))
		}},
		{"full slab on the list", func(a *Allocator, _ *Pool) func() {
			id, s := fullSlab(a)
			c := a.cacheOf(s.owner)
			return both(setTo(&s.next, c.head), setTo(&c.head, id))
		}},
		{"slab of another cache on the list", func(a *Allocator, p *Pool) func() {
			id, _ := partial(a)
			return setTo(&p.head, id)
		}},
		{"link back", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&s.prev, id)
		}},
		{"loop on the list", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&s.next, id)
		}},
		{"end of the list", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return setTo(&c.tail, c.tail+1)
		}},
		{"slab kept back is not empty", func(a *Allocator, _ *Pool) func() {
			id, s := partial(a)
			return setTo(&a.classes[s.owner].spare, id)
		}},
		{"slab kept back is none", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].spare, a.vacantSlabs[0])
		}},
		{"slab kept back is another's", func(a *Allocator, p *Pool) func() {
			for _, c := range a.classes {
				if c.spare != 0 {
					return setTo(&p.spare, c.spare)
				}
			}
			panic("no class keeps a slab back")
		}},
		{"cache that keeps a slab back is not listed", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.spares, a.spares[1:])
		}},
		{"cache that keeps none back is listed", func(a *Allocator, _ *Pool) func() {
			c := a.spares[len(a.spares)-1]
			return setTo(&c.spare, 0)
		}},
		{"count of empty slabs", func(_ *Allocator, p *Pool) func() { return setTo(&p.vacant, p.vacant+1) }},
		{"empty slab that no trim would see", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.spares[0].settled, true)
		}},
		{"cache listed elsewhere", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.spares[0].spareAt, len(a.spares))
		}},
		{"pool's number is unused", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.vacantPools, append(a.vacantPools[:len(a.vacantPools):len(a.vacantPools)], 0))
		}},
		{"closed pool's number lost", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.pools, append(a.pools[:len(a.pools):len(a.pools)], nil))
		}},
		{"closed pool's number twice", func(a *Allocator, _ *Pool) func() {
			n := uint32(len(a.pools))
			return both(setTo(&a.pools, append(a.pools[:n:n], nil)), setTo(&a.vacantPools, append(a.vacantPools[:len(a.vacantPools):len(a.vacantPools)], n, n)))
		}},
		{"unused slab number lost", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.vacantSlabs, a.vacantSlabs[1:])
		}},
		{"unused slab number in use", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.vacantSlabs[0], id)
		}},
		{"live slot that is not", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			word, bit := liveBit(a, id, true)
			return setTo(word, *word&^bit)
		}},
		{"dead slot that is live", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			word, bit := liveBit(a, id, false)
			return setTo(word, *word|bit)
		}},
		{"live bits beyond the slots", func(a *Allocator, _ *Pool) func() {
			for id := range a.slabs {
				if ref := &a.slabs[id]; ref.live != nil && ref.rec.slots&63 != 0 {
					word := ref.liveWord(ref.rec.slots)
					return setTo(word, *word|1<<63)
				}
			}
			panic("every slab is of whole words")
		}},
		{"live bits are elsewhere", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].live, word(a.slabs[id].live, 64))
		}},
		{"class as Free sees it", func(a *Allocator, _ *Pool) func() {
			id, _ := partial(a)
			return setTo(&a.slabs[id].class, &noClass)
		}},
		{"a pool's slab with a class", func(a *Allocator, p *Pool) func() {
			return setTo(&a.slabs[p.head].class, stocked(a))
		}},
		{"slot at hand is live", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			word := c.magazine[0].live
			return setTo(word, *word|1<<c.bits[0].position())
		}},
		{"slot at hand is free", func(a *Allocator, _ *Pool) func() {
			id, slot := a.atHand(stocked(a), 0)
			s := a.slabs[id].rec
			word := s.word(slot >> 6)
			return both(setTo(word, *word|1<<(slot&63)), setTo(&s.summary, s.summary|1<<(slot>>6)), setTo(&s.used, s.used-1))
		}},
		{"slot at hand at another address", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[0].at, unsafe.Add(c.magazine[0].at, c.stride))
		}},
		{"slot at hand at no slot's start", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[0].at, unsafe.Add(c.magazine[0].at, 1))
		}},
		{"slot at hand with its bit in another word", func(a *Allocator, _ *Pool) func() {
			h := &stocked(a).magazine[0]
			return setTo(&h.live, (*uint64)(unsafe.Add(unsafe.Pointer(h.live), 8)))
		}},
		{"slot at hand with another's bit", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.bits[0], c.bits[0]^1)
		}},
		{"slot that was at hand, of a slab that is gone", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[c.count].at, unsafe.Pointer(c))
		}},
		{"slot at hand twice", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return both(setTo(&c.magazine[0], c.magazine[1]), setTo(&c.bits[0], c.bits[1]))
		}},
		{"slot at hand twice, once fresh", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return both(setTo(&c.magazine[0], c.magazine[1]), setTo(&c.bits[0], c.bits[1]^freshBit))
		}},
		{"slot at hand of no slab", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.magazine[0].at, unsafe.Pointer(c))
		}},
		{"slot at hand where the map has a number that no slab has", func(a *Allocator, _ *Pool) func() {
			return setEntry(a, uintptr(stocked(a).magazine[0].at), slabEntry(uint32(len(a.slabs))))
		}},
		{"slot at hand in what is no slab", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&stocked(a).magazine[0].at, a.user.pointer(c))
		}},
		{"slot at hand beyond its slab", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			id, _ := a.atHand(c, 0)
			return setTo(&c.magazine[0].at, unsafe.Add(a.slabs[id].base, uintptr(a.slabs[id].rec.slots)*c.stride))
		}},
		{"slot at hand of another class", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			for id := range a.slabs {
				if ref := &a.slabs[id]; ref.live != nil && ref.class != c {
					return both(setTo(&c.magazine[0], atHand{ref.base, ref.liveWord(0)}), setTo(&c.bits[0], 0))
				}
			}
			panic("there is no other class")
		}},
		{"slot at hand lost", func(a *Allocator, _ *Pool) func() {
			c := stocked(a)
			return setTo(&c.count, c.count-1)
		}},
		{"more at hand than there are", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).count, magazineSize+1)
		}},
		{"limit beyond the magazine", func(a *Allocator, _ *Pool) func() {
			return setTo(&stocked(a).limit, magazineSize+1)
		}},
		{"limit beyond what is live", func(a *Allocator, _ *Pool) func() {
			for _, c := range a.classes {
				if c.slabs > 1 && c.used > 0 && c.used <= magazineSize {
					return setTo(&c.limit, uint32(c.used))
				}
			}
			panic("no class has little that is live, in several slabs")
		}},
		{"fresh before a slot in use", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&s.freshFrom, usedSlot(s))
		}},
		{"fresh before the last slot, in use", func(a *Allocator, _ *Pool) func() {
			_, s := fullSlab(a)
			return setTo(&s.freshFrom, s.slots-1)
		}},
	},
	"I10 generations": {
		{"slot with the generation of a retired one", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(e.gen(slot), deadGen)
		}},
		{"live slot without a name", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(e.gen(slot), *e.gen(slot)+1)
		}},
		{"names in a pool without", func(_ *Allocator, p *Pool) func() { return setTo(&p.names, false) }},
		{"free slot with the generation of a live one", func(_ *Allocator, p *Pool) func() {
			for i := range p.dir {
				e := &p.dir[i]
				for slot := uint32(len(e.gens)); slot > 64; {
					if slot--; e.rec.isFree(slot) {
						return setTo(e.gen(slot), *e.gen(slot)+1)
					}
				}
			}
			panic("the pool has no free slot behind the first word")
		}},
		{"slot of the group with the generation of a live one", func(_ *Allocator, p *Pool) func() {
			g := (*uint32)(unsafe.Add(p.group.Gens, 4*bits.TrailingZeros64(p.group.Slots)))
			return setTo(g, *g+1)
		}},
		{"slot in the group that is not", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Slots, p.group.Slots|(p.group.Slots+1)) // the lowest that is not in it
		}},
		{"group nowhere", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Index, uint32(len(p.dir))<<slotShift)
		}},
		{"group of others", func(_ *Allocator, p *Pool) func() { return setTo(&p.group.Index, p.group.Index+1) }},
		{"slot of the group that counts as never handed out", func(_ *Allocator, p *Pool) func() {
			return both(setTo(&p.fresh, p.group.Slots), setTo(&p.freshAt, p.frees))
		}},
		{"group at another address", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Base, unsafe.Add(p.group.Base, p.stride))
		}},
		{"group with the generations of others", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.group.Gens, unsafe.Add(p.group.Gens, 4))
		}},
		{"generation below the place's", func(_ *Allocator, p *Pool) func() {
			e, slot := livePlace(p)
			return setTo(&e.floor, *e.gen(slot)+1)
		}},
		{"retired slots of a slab", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			s := a.slabs[e.id].rec
			return both(setTo(&s.retired, s.retired+1), setTo(&s.used, s.used-1), setTo(&p.used, p.used-1),
				setTo(&p.slots, p.slots-1), setTo(&a.live, a.live-int(p.stride)))
		}},
		{"slab in another place", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&a.slabs[e.id].rec.seq, uint32(len(p.dir)))
		}},
		{"place of another slab", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.id, e.id+1)
		}},
		{"place at another address", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.base, unsafe.Add(e.base, p.stride))
		}},
		{"place with other generations", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.gens, e.gens[1:])
		}},
		{"place with fewer slots", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.gens, e.gens[:len(e.gens)-1])
		}},
		{"place with other numbers", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.index, e.index+1)
		}},
		{"place with the record of another slab", func(a *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			_, s := partial(a)
			return setTo(&e.rec, s)
		}},
		{"place with more bytes", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&e.bytes, e.bytes+1)
		}},
		{"place in use counts as vacant", func(_ *Allocator, p *Pool) func() {
			e, _ := livePlace(p)
			return setTo(&p.vacantSeqs, append(p.vacantSeqs, e.index>>slotShift))
		}},
		{"vacant place twice", func(_ *Allocator, p *Pool) func() {
			return setTo(&p.vacantSeqs, append(p.vacantSeqs, p.vacantSeqs[0]))
		}},
		{"closed pool has slabs", func(a *Allocator, p *Pool) func() { return setTo(&a.pools[p.id-numClasses], nil) }},
	},
}
