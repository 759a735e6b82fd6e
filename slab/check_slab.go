package slab

import (
	"math/bits"
	"unsafe"
)

// The part of Check for slabs, their caches, and pools.

func (k *checker) slabs() {
	a := k.a
	sums := make(map[uint32]sum)
	for id := 1; id < len(a.slabs); id++ {
		s := a.slabs[id].rec
		if s == nil {
			continue
		}
		if s.owner >= numClasses && (int(s.owner) >= numClasses+len(a.pools) || a.pool(s.owner) == nil) {
			k.fail("slab %d belongs to %d, which there is not", id, s.owner)
			continue
		}
		c := a.cacheOf(s.owner)
		m := sums[s.owner]
		ch := a.table.at(s.chunk)
		m.slabs++
		m.slots += s.usable()
		m.used += int(s.used)
		m.bytes += int(ch.size) << granuleShift
		if s.summary != 0 {
			m.listed++
		}
		if s.used == 0 {
			m.vacant++
		}
		sums[s.owner] = m
		ref, class, live := &a.slabs[id], &noClass, (*uint64)(nil)
		if s.owner < numClasses {
			class, live = a.classes[s.owner], s.behindFree()
		}
		told := ref.class == class && ref.live == live
		k.record("slab", id, s.record, unsafe.Pointer(s), recordBytes(s.slots, c.pool() != nil))
		if !told || !k.seen[s.chunk] || ch.kind != chunkSlab || int(ch.link) != id ||
			uintptr(ref.base) != a.user.address(ch) || uintptr(ref.base)&(c.align-1) != 0 ||
			uintptr(s.slots)*c.stride > uintptr(ch.size)<<granuleShift {
			k.fail("slab %d: %+v does not fit its chunk %+v, or is not what %+v says", id, s, ch, ref)
		}
		if !told {
			continue
		}
		free := 0
		for w, v := range unsafe.Slice(s.free(), s.words()) {
			free += ones(v)
			if v != 0 != (s.summary>>w&1 != 0) {
				k.fail("slab %d: word %d is %#x, but its bit is %d", id, w, v, s.summary>>w&1)
			}
			first := uint32(w) << 6
			all := ^uint64(0) >> (64 - min(s.slots-first, 64))
			if v&^all != 0 {
				k.fail("slab %d: bits beyond slot %d are set", id, s.slots)
			}
			if fresh := max(s.freshFrom, first); fresh < first+64 {
				if taken := all &^ v >> (fresh - first); taken != 0 {
					k.fail("slab %d: slot %d is taken, but counts as never handed out", id, int(fresh)+bits.TrailingZeros64(taken))
				}
			}
		}
		if s.words() < 64 && s.summary>>s.words() != 0 || s.freshFrom > s.slots || s.used != s.slots-s.retired-uint32(free) {
			k.fail("slab %d: %d slots are free, but %+v", id, free, s)
		}
		if c.pool() != nil {
			k.generations(uint32(id), s)
		} else {
			k.liveBits(uint32(id), s)
		}
	}
	k.unused("slab", a.vacantSlabs, len(a.slabs), func(i uint32) bool { return i != 0 && a.slabs[i].rec == nil })
	for i, c := range a.classes[:numClasses] {
		if c != &noClass || c.count != 0 || c.limit != 0 || sums[uint32(i)] != (sum{}) {
			k.magazine(c)
			k.cache(&c.cache, sums[uint32(i)])
		}
	}
	for id, n := range k.ready {
		if n != 0 {
			k.fail("slab %d: %d more used than are live or at hand", id, n)
		}
	}
	k.unused("pool", a.vacantPools, len(a.pools), func(i uint32) bool { return a.pools[i] == nil })
	for _, p := range a.pools {
		if p != nil {
			k.cache(&p.cache, sums[p.id])
			k.pool(p)
		}
	}
	if k.spares != len(a.spares) {
		k.fail("%d caches keep a slab back, not %d", k.spares, len(a.spares))
	}
	if a.allocs-a.frees != k.chunks {
		k.fail("%d allocations outside of slabs, %d frees, but %d are there", a.allocs, a.frees, k.chunks)
	}
	if k.live != a.live || a.live > a.peakLive || a.user.held+a.meta.held > a.peakHeld {
		k.fail("live, held: %d, peaks %d, but %d are live", [...]int{a.live, a.user.held + a.meta.held}, [...]int{a.peakLive, a.peakHeld}, k.live)
	}
}

// liveBits checks a slab of a class.
func (k *checker) liveBits(id uint32, s *slab) {
	if s.retired != 0 {
		k.fail("slab %d: %d slots retired in a class", id, s.retired)
	}
	ref, live := &k.a.slabs[id], 0
	for w := range s.words() {
		v := *ref.liveWord(w << 6)
		live += ones(v)
		if both := v & *s.word(w); both != 0 {
			k.fail("slab %d: word %d has slots %#x that are live and free", id, w, both)
		}
		if n := s.slots - w<<6; n < 64 && v>>n != 0 {
			k.fail("slab %d: live bits beyond slot %d are set", id, s.slots)
		}
	}
	k.ready[id] = int(s.used) - live // in the magazine
}

// magazine checks what a class has at hand.
func (k *checker) magazine(c *class) {
	if c.count > magazineSize || c.limit > magazineSize || c.slabs > 1 && c.count < c.limit && int(c.limit) >= c.used {
		k.fail("class %d: %d slots at hand, %d used, limit %d", c.id, c.count, c.used, c.limit)
		return
	}
	seen := make(map[unsafe.Pointer]bool)
	for i := range c.magazine {
		h := &c.magazine[i]
		if i >= int(c.count) && h.at == nil {
			continue // never used
		}
		v := k.a.addrs.lookup(uintptr(h.at))
		id, slot, ok := v.number(), uint32(0), false
		if v.isSlab() && int(id) < len(k.a.slabs) && k.a.slabs[id].class == c {
			slot, ok = k.a.slabs[id].slotAt(uintptr(h.at))
		}
		if !ok || slot >= k.a.slabs[id].rec.slots {
			k.fail("class %d: what is at hand at %p is not a slot of its own", c.id, h.at)
			return
		}
		ref := &k.a.slabs[id]
		if h.live != ref.liveWord(slot) || c.bits[i].position() != slot&63 {
			k.fail("class %d: slot %d of slab %d has not bit %d at %p", c.id, slot, id, c.bits[i].position(), h.live)
		}
		if i >= int(c.count) {
			continue
		}
		if seen[h.at] || ref.isLive(slot) || ref.rec.isFree(slot) || ref.rec.freshFrom <= slot {
			k.fail("class %d: slot %d of slab %d is at hand, but twice, live, free, or never handed out", c.id, slot, id)
		}
		seen[h.at] = true
		k.ready[id]--
	}
	k.live -= int(c.count) * int(c.stride)
}

// generations checks a slab of a pool.
func (k *checker) generations(id uint32, s *slab) {
	p := k.a.pool(s.owner)
	if int(s.seq) >= len(p.dir) {
		k.fail("slab %d: place %d of %d", id, s.seq, len(p.dir))
		return
	}
	e := &p.dir[s.seq]
	if e.id != id || e.rec != s || e.base != k.a.slabs[id].base || unsafe.Pointer(e.gen(0)) != s.generations() || len(e.gens) != int(s.slots) ||
		e.index != s.seq<<slotShift || e.bytes != uintptr(s.slots)*p.stride {
		k.fail("slab %d: place %d is %+v", id, s.seq, e)
		return
	}
	retired, idle := uint32(0), 0
	var frees, group, fresh uint64 // of the word that slot i is in
	for i, g := range e.gens {
		bit := uint32(i) & 63
		if bit == 0 {
			base := p.at(e, uint32(i))
			frees, group, fresh = *s.word(uint32(i) >> 6), p.groupOf(base, p.group.Slots), p.groupOf(base, p.unused())
		}
		free, grouped := hasBit(&frees, bit), hasBit(&group, bit)
		wrong := ""
		switch {
		case grouped && (free || g&1 != 0):
			wrong = "in the group, which has no free or named ones"
		case grouped:
			if idle++; hasBit(&fresh, bit) && g != e.floor {
				wrong = "counts as never handed out"
			}
		case !free && g == deadGen:
			retired++
		case free && g&1 != 0:
			wrong = "has a name"
		case g >= deadGen || g < e.floor:
			wrong = "out of bounds"
		case !free && g&1 == 0 && s.named == 1:
			wrong = "has no name"
		}
		if !p.names && g != e.floor {
			wrong = "has had a name, in a pool without names"
		}
		if wrong != "" {
			k.fail("slab %d: slot %d has generation %d, from %d, and is free: %t: %s", id, i, g, e.floor, free, wrong)
		}
	}
	k.idle[s.owner] += idle
	if retired != s.retired {
		k.fail("slab %d: %d slots are retired, not %d", id, retired, s.retired)
	}
}

// sum has the totals of a cache's slabs.
type sum struct{ slabs, vacant, slots, used, bytes, listed int }

func (k *checker) cache(c *cache, m sum) {
	k.live += c.used * int(c.stride)
	if got := (sum{c.slabs, int(c.vacant), c.slots, c.used, c.bytes, m.listed}); got != m {
		k.fail("cache %d: %+v, not %+v", c.id, got, m)
	}
	if c.stride == 0 || c.recip != reciprocal(c.stride) || c.first != k.a.slabs[c.head].rec {
		k.fail("cache %d: %d for strides of %d, and its first slab is not %d", c.id, c.recip, c.stride, c.head)
	}
	n, prev := 0, uint32(0)
	for id := c.head; id != 0; n++ {
		s := k.a.slabs[id].rec
		if s == nil || s.owner != c.id || s.summary == 0 || s.prev != prev || n > m.listed {
			k.fail("cache %d: slab %d does not belong on its list", c.id, id)
			return
		}
		if c.settled && s.used == 0 && c.canSpare(s) {
			k.fail("cache %d: slab %d is empty and not reserved, but no trim would see it", c.id, id)
		}
		id, prev = s.next, id
	}
	if n != m.listed || c.tail != prev {
		k.fail("cache %d: %d slabs are listed, %d have free slots; the last is %d, not %d", c.id, n, m.listed, prev, c.tail)
	}
	if c.spare != 0 {
		if k.spares++; c.spareAt >= len(k.a.spares) || k.a.spares[c.spareAt] != c {
			k.fail("cache %d keeps a slab back, but is not among those that do", c.id)
		}
		if s := k.a.slabs[c.spare].rec; s == nil || s.owner != c.id || s.used != 0 {
			k.fail("cache %d: slab %d is kept back but is not its own, empty", c.id, c.spare)
		}
	}
}

func (k *checker) pool(p *Pool) {
	n, g := 0, &p.group
	base, gens := g.Base == nil, g.Gens == nil // they point into a slab, if anywhere
	for i := range p.dir {
		e := &p.dir[i]
		if e.base != nil {
			n++
		}
		base = base || uintptr(g.Base)-uintptr(e.base) < e.bytes
		gens = gens || uintptr(g.Gens)-uintptr(unsafe.Pointer(unsafe.SliceData(e.gens))) < uintptr(len(e.gens))*4
	}
	if !base || !gens {
		k.fail("pool %d: the group %+v is of a slab that is gone", p.id, g)
	}
	if g.Slots != 0 {
		if k.idle[p.id] != ones(g.Slots) {
			k.fail("pool %d: of the %d slots of the group, %d are there", p.id, ones(g.Slots), k.idle[p.id])
		}
		if i := g.Index >> slotShift; p.names && (int(i) >= len(p.dir) || g.Slots<<(g.Index&63)>>(g.Index&63) != g.Slots ||
			g.Base != p.at(&p.dir[i], g.Index%maxSlots) || g.Gens != unsafe.Pointer(p.dir[i].gen(g.Index%maxSlots))) {
			k.fail("pool %d: the group %+v is not at its place", p.id, g)
		}
	}
	if n != p.slabs {
		k.fail("pool %d: %d places have slabs, of %d", p.id, n, p.slabs)
	}
	k.unused("place", p.vacantSeqs, len(p.dir), func(i uint32) bool { return p.dir[i].base == nil && p.dir[i].floor < deadGen })
	for i, e := range p.lookasideTable() {
		if e != &noPlace && (uintptr(unsafe.Pointer(e))-uintptr(unsafe.Pointer(unsafe.SliceData(p.dir))))/unsafe.Sizeof(*e) >= uintptr(len(p.dir)) {
			k.fail("pool %d: entry %d of the lookaside table is no place", p.id, i)
		}
	}
}
