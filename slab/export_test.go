package slab

import (
	"encoding/binary"
	"hash/fnv"
	"unsafe"
)

// Access for external tests: constants, counters, and ways to bring about what a
// program cannot in reasonable time, or not at all.

// Invariants says that operations end with a Check, so that tests do less.
const Invariants = invariants

// NumClasses is how many sizes of slots there are for small requests.
const NumClasses = numClasses

// ClassSize returns the slot size of class c.
func ClassSize(c int) int { return int(classSize[c]) }

// SlabShape returns the shape of a slab of class c of about target bytes.
func SlabShape(c, target int) (slots, size int) {
	n, size := (&cache{stride: uintptr(classSize[c])}).shape(target, maxInt)
	return int(n), size
}

// FreeRuns returns the runs of free slots of a slab with this bitmap of free slots.
func FreeRuns(words []uint64, fresh int) (runs [][2]int) {
	s := &struct {
		slab
		words [8]uint64
	}{slab: slab{slots: uint32(len(words) * 64), freshFrom: uint32(fresh)}}
	for i, m := range words {
		*s.word(uint32(i)) = m
	}
	for first, end := s.freeRun(0, s.freshFrom); first < end; first, end = s.freeRun(end, s.freshFrom) {
		runs = append(runs, [2]int{int(first), int(end)})
	}
	return runs
}

// MetaBlocks returns the blocks of the allocator's own records.
func MetaBlocks(a *Allocator) [][]byte {
	var all [][]byte
	for _, i := range a.meta.order {
		all = append(all, a.meta.blocks[i].mem)
	}
	return all
}

// ChunkStep is how many records a step may take.
const ChunkStep = chunkStep

// SpareRecords returns how many chunk records are unused.
func SpareRecords(a *Allocator) int { return a.table.unusedLen }

// Stuck returns how many blocks the sources refused to take back.
func Stuck(a *Allocator) int { return a.user.stuck + a.meta.stuck }

// Regions returns how many regions have a leaf in the address map.
func Regions(a *Allocator) int { return a.addrs.leaves }

// Fingerprint returns a hash of everything that can affect what an allocator does
// next, apart from counts of events. Two allocators with the same fingerprint behave
// the same from then on. Addresses of blocks count; chunks count by their offset.
func Fingerprint(a *Allocator) uint64 {
	f := fnv.New64a()
	put := func(ns ...uint64) {
		var b [8]byte
		for _, n := range ns {
			binary.LittleEndian.PutUint64(b[:], n)
			f.Write(b[:])
		}
	}
	flag := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	// Record numbers depend on history; what counts is which chunk each one is.
	name := make(map[uint32]uint64)
	for _, h := range []*heap{&a.user, &a.meta} {
		for _, bi := range h.order {
			for i := h.blocks[bi].first; i != 0; i = a.table.at(i).next {
				name[i] = uint64(len(name) + 1)
			}
		}
	}
	for _, h := range []*heap{&a.user, &a.meta} {
		rank := make(map[uint32]uint64)
		for n, bi := range h.order {
			rank[bi+1] = uint64(n + 1)
		}
		put(uint64(len(h.order)), uint64(h.held), uint64(h.empty), rank[h.spare], uint64(h.stuck), uint64(h.askMost), uint64(h.denied),
			uint64(h.learned.gone), uint64(h.learned.missed), uint64(h.learned.low), uint64(h.learned.turn))
		for _, bi := range h.order {
			b := &h.blocks[bi]
			put(uint64(len(b.mem)), uint64(b.addr()), uint64(b.freshFrom), flag(b.stuck))
			for i := b.first; i != 0; i = a.table.at(i).next {
				c := a.table.at(i)
				put(uint64(c.off), uint64(c.size), uint64(c.kind), uint64(c.align))
			}
		}
		for level, steps := range h.bins.head {
			for step, i := range steps {
				for ; i != 0; i = a.table.at(i).link {
					put(uint64(level), uint64(step), name[i])
				}
			}
		}
	}
	fresh := func(c *cache) {
		put(uint64(c.id))
		for id := c.head; id != 0; id = c.a.slabs[id].rec.next {
			put(name[c.a.slabs[id].rec.chunk])
		}
		if c.spare != 0 {
			put(1, name[c.a.slabs[c.spare].rec.chunk])
		}
	}
	for _, c := range a.classes {
		fresh(&c.cache)
		for i := range c.magazine[:c.count] {
			id, slot := a.atHand(c, i)
			put(name[a.slabs[id].rec.chunk], uint64(slot), uint64(c.bits[i]))
		}
	}
	for _, p := range a.pools {
		if p != nil {
			fresh(&p.cache)
			if g := p.group; g.Slots != 0 {
				p.locateGroup()
				put(g.Slots, uint64(p.group.Index), p.unused())
				p.group = g // looking changes nothing
			}
		}
	}
	for id := range a.slabs {
		if s := a.slabs[id].rec; s != nil {
			put(name[s.chunk], uint64(s.owner), uint64(s.freshFrom), uint64(s.retired))
			for w := range s.words() {
				put(*s.word(w))
			}
		}
	}
	wide, narrow := Leaves(a)
	put(uint64(a.table.unusedLen), uint64(wide), uint64(narrow), flag(a.closed))
	return f.Sum64()
}

// Pretend makes a look as if another less bytes were all that an int can count. It
// returns what undoes that.
func Pretend(a *Allocator, less int) (undo func()) {
	held := a.meta.held
	a.meta.held = maxInt - a.user.held - less
	return func() { a.meta.held = held }
}

// PretendChunks makes a look as if it had as many pages of chunk records as there may be,
// and one unused record too few to be ready. It returns what undoes that.
func PretendChunks(a *Allocator) (undo func()) {
	pages, spare := a.table.pages, a.table.unusedLen
	a.table.pages = make([]unsafe.Pointer, chunkPages)
	copy(a.table.pages, pages)
	a.table.unusedLen = chunkReserve - 1
	return func() { a.table.pages, a.table.unusedLen = pages, a.table.unusedLen-(chunkReserve-1)+spare }
}

// Grown tells whether a would count as grown with held bytes in use.
func (a *Allocator) Grown(held int) bool {
	defer func(held int) { a.user.held = held }(a.user.held)
	a.user.held = a.user.empty + held
	return a.grown()
}

// Kept returns how many bytes of empty blocks Check lets pass since a Reset or an unlearn.
func (a *Allocator) Kept() int { return a.user.kept }

// atHand returns the slab and the slot of what class c has at hand at i.
func (a *Allocator) atHand(c *class, i int) (id, slot uint32) {
	at := uintptr(c.magazine[i].at)
	id = a.addrs.lookup(at).number()
	slot, _ = a.slabs[id].slotAt(at)
	return id, slot
}

// ClassLines returns the cache lines in which the fields of a class begin and end that each
// allocation and free needs, its magazine apart.
func ClassLines() (first, last uintptr) {
	c := new(class)
	escape = c
	return uintptr(unsafe.Pointer(&c.frees)) / 64, (uintptr(unsafe.Pointer(&c.bits)) + unsafe.Sizeof(c.bits) - 1) / 64
}

var escape *class // to Go's heap, where an object of that size has eight bytes before it
