package slab

import "math/bits"

// The holes of a heap are found by size in constant time, with two-level segregated fit
// (Masmano, Ripoll, Crespo and Real, 2004). The first level splits sizes by powers of two,
// and the second splits each of those into 32 bins. A bitmap for each level says which bins
// have holes, so that a search is two bit scans.
//
//	size in granules     0..31     32..63    64..127    128..255  …
//	first level             0         1          2          3
//	second level        exact     exact    steps of 2  steps of 4
//
// From first-level index 2 on, a bin has holes of different sizes. A plain search goes to the
// next bin up, where all holes are large enough, and so misses a hole in the request's own
// bin that would do. findHole looks at the first few of those before it goes up. That takes a
// bounded number of steps and raises the share of a full heap that is in use by about a
// percent; rounding requests up to their bin instead would lower it.

const (
	binSteps  = 32 // second-level bins: one 32-bit word of bitmap
	binShift  = 5
	binLevels = 32 - binShift + 1
	binScan   = 8 // holes searched in the request's own bin
)

// bins is the index. The zero value is empty.
type bins struct {
	levels uint32 // bit f: steps[f] != 0
	steps  [binLevels]uint32
	head   [binLevels][binSteps]uint32
}

// binOf returns the bin of a hole of size granules.
func binOf(size uint32) (level, step uint32) {
	if size < binSteps {
		return 0, size
	}
	f := uint32(bits.Len32(size)) - 1
	return f - binShift + 1, (size >> (f - binShift)) & (binSteps - 1)
}

// binAbove returns the lowest bin in which every hole has at least size granules, and false
// if 32 bits cannot represent sizes that large.
func binAbove(size uint32) (level, step uint32, ok bool) {
	if size >= binSteps {
		up := uint32(1)<<(uint32(bits.Len32(size))-1-binShift) - 1
		if size+up < size {
			return 0, 0, false
		}
		size += up
	}
	level, step = binOf(size)
	return level, step, true
}

func (h *heap) insertHole(i uint32, c *chunk) {
	level, step := binOf(c.size)
	head := &h.bins.head[level][step]
	c.kind, c.align = chunkHole, 0
	c.binPrev, c.link = 0, *head
	if *head != 0 {
		h.table.at(*head).binPrev = i
	}
	*head = i
	h.bins.steps[level] |= 1 << step
	h.bins.levels |= 1 << level
	h.holes++
	h.holeSize += uint64(c.size)
	if h.lack.size != 0 && h.endsLack(c) {
		h.lack.size = 0
	}
}

func (h *heap) removeHole(c *chunk) {
	if c.link != 0 {
		h.table.at(c.link).binPrev = c.binPrev
	}
	if c.binPrev != 0 {
		h.table.at(c.binPrev).link = c.link
	} else {
		level, step := binOf(c.size)
		h.bins.head[level][step] = c.link
		if c.link == 0 {
			h.bins.steps[level] &^= 1 << step
			if h.bins.steps[level] == 0 {
				h.bins.levels &^= 1 << level
			}
		}
	}
	c.binPrev, c.link = 0, 0
	h.holes--
	h.holeSize -= uint64(c.size)
}

// findHole returns a hole that holds size granules at a multiple of align bytes,
// or 0. It looks at no more than binScan holes and three bitmap words.
func (h *heap) findHole(size uint32, align uintptr) uint32 {
	level, step := binOf(size)
	i := h.bins.head[level][step]
	for n := 0; i != 0 && n < binScan; n++ {
		touch()
		c := h.table.at(i)
		if h.fits(c, size, align) {
			return i
		}
		i = c.link
	}
	want := size
	if align > granule {
		// Wherever the hole starts, this much in front is enough.
		slack := uint64(align)/granule - 1
		if uint64(want)+slack > 1<<32-1 {
			return 0
		}
		want += uint32(slack)
	}
	level, step, ok := binAbove(want)
	if !ok || level >= binLevels { // the latter is never true: it spares bounds checks
		return 0
	}
	if m := h.bins.steps[level] >> step << step; m != 0 {
		touch()
		return h.bins.head[level][bits.TrailingZeros32(m)]
	}
	m := h.bins.levels >> level >> 1 << 1 << level
	if m == 0 {
		return 0
	}
	touch()
	level = uint32(bits.TrailingZeros32(m))
	return h.bins.head[level][bits.TrailingZeros32(h.bins.steps[level])]
}

// fits tells whether hole c holds size granules at a multiple of align bytes.
func (h *heap) fits(c *chunk, size uint32, align uintptr) bool {
	pad := h.padding(c, align)
	return c.size >= pad && c.size-pad >= size
}

// need is so many granules at a multiple of align bytes.
type need struct {
	size  uint32 // 0: nothing is known
	align uintptr
}

// endsLack tells whether hole c has room for what is lacking. (It is rare, and not worth its code
// in two places.)
//
//go:noinline
func (h *heap) endsLack(c *chunk) bool { return h.fits(c, h.lack.size, h.lack.align) }

// searchAll looks at every hole that may be large enough and returns the first place that accept
// allows: hole i, behind pad granules. A nil accept allows all. In a hole it tries the first aligned
// place, and then the first in each further region: to the address map, all others are like these.
//
// It is the last search before a request is refused. But each small request whose class has no
// slot left comes here too, before it makes do with less than a slab. So what was found nowhere is
// remembered until there is a hole for it. (With 125 000 holes, none of which had room for a slab,
// an Alloc and a Free took two milliseconds.) Where few holes have room, a search for the same goes
// on where the last one found some, and not past all the others again. (With 16 MiB of which
// every second piece of 1100 bytes is free, a hundred objects of 500 bytes took 2 ms.)
func (h *heap) searchAll(size uint32, align uintptr, accept func(i, pad uint32) bool) (i, pad uint32) {
	n := need{size, align}
	if l := &h.lack; l.size != 0 && size >= l.size && align >= l.align {
		return 0, 0
	}
	if r := &h.found; accept == nil && r.need == n {
		i = h.bins.head[r.level][r.step]
		if c := h.table.at(r.behind); c.kind == chunkHole {
			if level, step := binOf(c.size); level == r.level && step == r.step {
				i = c.link
			}
		}
		if i, pad = h.searchFrom(r.level, r.step, i, n, nil); i != 0 {
			return i, pad
		}
	}
	level, step := binOf(size)
	if i, pad = h.searchFrom(level, step, h.bins.head[level][step], n, accept); i == 0 && accept == nil {
		h.lack = n
	}
	return i, pad
}

// found is where a search found a hole: which it was looking for, and in which bin, behind which
// hole, or at the head if that is 0.
type found struct {
	need
	level, step, behind uint32
}

// searchFrom is searchAll from hole i of a bin on, or from the next bin if i is 0.
func (h *heap) searchFrom(level, step, i uint32, n need, accept func(i, pad uint32) bool) (at, pad uint32) {
	to := max(1<<regionShift, n.align)
	for {
		for i != 0 {
			touch()
			c := h.table.at(i)
			for pad := h.padding(c, n.align); c.size >= pad && c.size-pad >= n.size; {
				if accept == nil {
					h.found = found{n, level, step, c.binPrev}
				}
				if accept == nil || accept(i, pad) {
					return i, pad
				}
				more := uint32((to - (h.address(c)+uintptr(pad)<<granuleShift)&(to-1)) >> granuleShift)
				if pad += more; pad < more {
					break
				}
			}
			i = c.link
		}
		m := h.bins.steps[level] >> step >> 1 << 1 << step
		for m == 0 {
			if level++; level == binLevels {
				return 0, 0
			}
			m = h.bins.steps[level]
		}
		step = uint32(bits.TrailingZeros32(m))
		i = h.bins.head[level][step]
	}
}

// anyHole returns a hole that holds size granules at a multiple of align bytes, or 0 if none
// of all holes does.
func (h *heap) anyHole(size uint32, align uintptr) uint32 {
	i := h.findHole(size, align)
	if i == 0 {
		i, _ = h.searchAll(size, align, nil)
	}
	return i
}

// padding returns how many granules of c to skip to reach a multiple of align bytes.
func (h *heap) padding(c *chunk, align uintptr) uint32 {
	if align <= granule {
		return 0
	}
	return uint32((-h.address(c) & (align - 1)) >> granuleShift)
}

// carve makes size granules of hole i, behind pad granules, a chunk of that kind. What is
// left in front and behind stays free. It takes at most two unused records.
func (h *heap) carve(i, pad, size uint32, kind chunkKind) {
	c := h.table.at(i)
	h.removeHole(c)
	if pad > 0 {
		j, front := h.table.get()
		*front = chunk{off: c.off, size: pad, block: c.block, prev: c.prev, next: i}
		if c.prev != 0 {
			h.table.at(c.prev).next = j
		} else {
			h.blocks[c.block].first = j
		}
		c.prev = j
		c.off += pad
		c.size -= pad
		h.insertHole(j, front)
	}
	c.kind = kind
	h.cut(i, c, size)
}

// cut shortens chunk c to size granules and frees the rest, which it merges with a hole
// behind it. If there is no such hole, it takes one unused record.
//
//	before: LLLLLLLLLLLLxxxx      before: LLLLLLLL____xxxx
//	after:  LLLLLLLL____xxxx      after:  LLLL________xxxx
func (h *heap) cut(i uint32, c *chunk, size uint32) {
	rest := c.size - size
	if rest == 0 {
		return
	}
	touch()
	c.size = size
	if n := h.table.at(c.next); n.kind == chunkHole {
		h.removeHole(n)
		n.off -= rest
		n.size += rest
		h.insertHole(c.next, n)
		return
	}
	j, tail := h.table.get()
	*tail = chunk{off: c.off + size, size: rest, block: c.block, prev: i, next: c.next}
	if c.next != 0 {
		h.table.at(c.next).prev = j
	}
	c.next = j
	h.insertHole(j, tail)
}

// coalesce frees chunk i and coalesces it with neighbouring holes at once, so that no two
// holes ever touch. It needs no record, so it cannot fail. It returns the hole that i is
// now part of.
//
// With F for the chunk and _ for holes, the four cases:
//
//	            neither        before         behind         both
//	before: xxxxFFFFxxxx   ____FFFFxxxx   xxxxFFFF____   ____FFFF____
//	after:  xxxx____xxxx   ________xxxx   xxxx________   ____________
func (h *heap) coalesce(i uint32) uint32 {
	c := h.table.at(i)
	touch()
	if next := h.table.at(c.next); next.kind == chunkHole {
		h.removeHole(next)
		h.absorb(i, c, c.next, next)
	}
	touch()
	if p, prev := c.prev, h.table.at(c.prev); prev.kind == chunkHole {
		h.removeHole(prev)
		h.absorb(p, prev, i, c)
		i, c = p, prev
	}
	h.insertHole(i, c)
	return i
}

// absorb merges chunk j into chunk i, right in front of it, and frees j's record.
func (h *heap) absorb(i uint32, c *chunk, j uint32, d *chunk) {
	c.size += d.size
	c.next = d.next
	if d.next != 0 {
		h.table.at(d.next).prev = i
	}
	h.table.put(j)
}

// extend grows chunk c to size granules into the hole behind it, if that is
// large enough. It needs no record.
//
//	before: LLLL________xxxx
//	after:  LLLLLLLL____xxxx
func (h *heap) extend(i uint32, c *chunk, size uint32) bool {
	n, more := h.table.at(c.next), size-c.size
	if n.kind != chunkHole || n.size < more {
		return false
	}
	h.removeHole(n)
	if n.size == more {
		h.absorb(i, c, c.next, n)
		return true
	}
	c.size = size
	n.off += more
	n.size -= more
	h.insertHole(c.next, n)
	return true
}

// tighter tells whether chunk c, if it shrinks to size granules, fits a hole elsewhere more
// tightly: one that is smaller than c and its neighbouring holes together.
func (h *heap) tighter(c *chunk, size uint32) bool {
	room := c.size
	for _, i := range [...]uint32{c.prev, c.next} {
		if n := h.table.at(i); n.kind == chunkHole {
			room += n.size
		}
	}
	i := h.findHole(size, 1<<c.align)
	return i != 0 && i != c.prev && i != c.next && h.table.at(i).size < room
}

// topmost returns the first hole of the topmost bin, whose holes differ in size by less than
// one part in 32; 0 if there is none.
func (h *heap) topmost() uint32 {
	if h.bins.levels == 0 {
		return 0
	}
	level := bits.Len32(h.bins.levels) - 1
	return h.bins.head[level][bits.Len32(h.bins.steps[level])-1]
}

// roomAt returns how many bytes hole i has from a multiple of align on, 0 if i is 0.
func (h *heap) roomAt(i uint32, align uintptr) int {
	if i == 0 {
		return 0
	}
	c := h.table.at(i)
	return int(c.size-min(c.size, h.padding(c, align))) << granuleShift
}

// largestHole returns the size of the largest hole in granules. It walks the
// topmost bin.
func (h *heap) largestHole() uint32 {
	var most uint32
	for i := h.topmost(); i != 0; {
		c := h.table.at(i)
		most = max(most, c.size)
		i = c.link
	}
	return most
}
