package slab

import "unsafe"

// chunkCorruptions break chunks, holes, and their counts.
var chunkCorruptions = map[string][]Corruption{
	"I1 tiling": {
		{"offset", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.kind == chunkSlab && c.off > 0 })
			return setTo(&c.off, c.off-1)
		}},
		{"gap behind a chunk", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return both(setTo(&c.size, c.size-1), setTo(&a.live, a.live-granule))
		}},
		{"chunks overlap", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return both(setTo(&c.size, c.size+1), setTo(&a.live, a.live+granule), setTo(&a.peakLive, a.peakLive+granule))
		}},
		{"size 0", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.size, 0)
		}},
		{"block does not start with its first chunk", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			b := &a.user.blocks[c.block]
			return setTo(&b.first, a.table.at(b.first).next)
		}},
		{"chunk of another block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.block, c.block+1)
		}},
		{"chunk of no block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.block, ^uint32(0))
		}},
		{"block without chunks", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&a.user.blocks[c.block].first, 0)
		}},
		{"block has other granules", func(a *Allocator, _ *Pool) func() {
			b := &a.user.blocks[a.user.order[0]]
			return setTo(&b.size, b.size+1)
		}},
		{"block starts elsewhere", func(a *Allocator, _ *Pool) func() {
			b := &a.user.blocks[a.user.order[0]]
			return setTo(&b.base, unsafe.Add(b.base, granule))
		}},
		{"unused block number in use", func(a *Allocator, _ *Pool) func() {
			h := &a.user
			return both(setTo(&h.blocks, append(h.blocks[:len(h.blocks):len(h.blocks)], block{})),
				setTo(&h.vacant, append(h.vacant[:len(h.vacant):len(h.vacant)], h.order[0])))
		}},
		{"unused block number twice", func(a *Allocator, _ *Pool) func() {
			h, n := &a.user, uint32(len(a.user.blocks))
			return both(setTo(&h.blocks, append(h.blocks[:n:n], block{}, block{})),
				setTo(&h.vacant, append(h.vacant[:len(h.vacant):len(h.vacant)], n, n)))
		}},
		{"records do not tile", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.meta.blocks[a.meta.order[0]].first)
			return setTo(&c.size, c.size+1)
		}},
	},
	"I2 holes touch": {
		{"a hole in two", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool { return innerHole(c) && c.size > 4 })
			a.user.removeHole(c)
			j, d := a.table.get()
			*d = chunk{off: c.off + 2, size: c.size - 2, block: c.block, prev: i, next: c.next}
			a.table.at(c.next).prev = j
			c.size, c.next = 2, j
			a.user.insertHole(i, c)
			a.user.insertHole(j, d)
			return func() {
				a.user.removeHole(c)
				a.user.removeHole(d)
				a.user.absorb(i, c, j, d)
				a.user.insertHole(i, c)
			}
		}},
		{"a chunk that is free and was not merged", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, func(c *chunk) bool {
				return c.kind == chunkLive && c.next != 0 && a.table.at(c.next).kind == chunkHole
			})
			old, live, align := a.user.address(c), a.live, c.align
			a.addrs.set(old, 1, 0)
			a.live -= int(c.size) << granuleShift
			a.user.insertHole(i, c)
			return func() {
				a.user.removeHole(c)
				a.addrs.set(old, 1, chunkEntry(i))
				c.kind, c.align, a.live = chunkLive, align, live
			}
		}},
	},
	"I3 bins": {
		{"hole in no bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			a.user.removeHole(c)
			a.user.holes++
			a.user.holeSize += uint64(c.size)
			return func() {
				a.user.holes--
				a.user.holeSize -= uint64(c.size)
				a.user.insertHole(i, c)
			}
		}},
		{"hole in the bin of another size", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			a.user.removeHole(c)
			n := c.size
			c.size = 31
			if n == 31 {
				c.size = 30
			}
			a.user.insertHole(i, c)
			bin := c.size
			a.user.holeSize += uint64(n) - uint64(bin)
			c.size = n
			return func() {
				c.size = bin
				a.user.removeHole(c)
				a.user.holeSize -= uint64(n) - uint64(bin)
				c.size = n
				a.user.insertHole(i, c)
			}
		}},
		{"hole twice in its bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.link, i)
		}},
		{"live chunk in a bin", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, ofKind(chunkLive))
			head, level, step := a.user.listed(c)
			return both(setTo(head, i), setTo(&a.user.bins.steps[level], a.user.bins.steps[level]|1<<step),
				setTo(&a.user.bins.levels, a.user.bins.levels|1<<level))
		}},
		{"room for what is lacking", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.lack, need{1, 1}) }},
		{"link back to another", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.binPrev, i)
		}},
		{"unused record in a bin", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.link, a.table.unused)
		}},
		{"hole marked live", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.kind, chunkLive)
		}},
		{"kind that there is not", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.kind, 77)
		}},
		{"record among the user's chunks", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&c.kind, chunkRecord)
		}},
		{"chunk of records as if it lay among the user's", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.meta.blocks[a.meta.order[0]].first)
			return both(setTo(&c.kind, chunkLodger), setTo(&a.lodged, int(c.size)<<granuleShift))
		}},
		{"user's chunk among the records", func(a *Allocator, _ *Pool) func() {
			c := a.table.at(a.meta.blocks[a.meta.order[0]].first)
			return setTo(&c.kind, chunkLive)
		}},
	},
	"I4 bitmaps": {
		{"bit of an empty bin", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.bins.steps[binLevels-1], 1), setTo(&a.user.bins.levels, a.user.bins.levels|1<<(binLevels-1)))
		}},
		{"no bit of a bin", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			_, level, step := a.user.listed(c)
			return setTo(&a.user.bins.steps[level], a.user.bins.steps[level]&^(1<<step))
		}},
		{"bit of an empty level", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.bins.levels, a.user.bins.levels|1<<(binLevels-1))
		}},
		{"no bit of a level", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			_, level, _ := a.user.listed(c)
			return setTo(&a.user.bins.levels, a.user.bins.levels&^(1<<level))
		}},
		{"records: bit of an empty level", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.meta.bins.levels, a.meta.bins.levels|1<<(binLevels-1))
		}},
	},
	"I5 neighbors": {
		{"previous is another", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.prev, c.next)
		}},
		{"previous is none", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.prev, 0)
		}},
		{"next is the one after", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next != 0 && a.table.at(c.next).next != 0 })
			return setTo(&c.next, a.table.at(c.next).next)
		}},
		{"next is none", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next != 0 })
			return setTo(&c.next, 0)
		}},
		{"next is itself", func(a *Allocator, _ *Pool) func() {
			i, c := pick(a, innerHole)
			return setTo(&c.next, i)
		}},
		{"next is the first", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, innerHole)
			return setTo(&c.next, a.user.blocks[c.block].first)
		}},
		{"next is in another block", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, func(c *chunk) bool { return c.next == 0 })
			_, d := pick(a, func(d *chunk) bool { return d.block != c.block })
			return setTo(&c.next, a.user.blocks[d.block].first)
		}},
	},
	"I6 totals": {
		{"holes", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.holes, a.user.holes+1) }},
		{"hole bytes", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.holeSize, a.user.holeSize-1) }},
		{"held", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.held, a.user.held-16) }},
		{"records that lodge", func(a *Allocator, _ *Pool) func() { return setTo(&a.lodged, 16) }},
		{"held by records", func(a *Allocator, _ *Pool) func() { return setTo(&a.meta.held, a.meta.held-16) }},
		{"peak held", func(a *Allocator, _ *Pool) func() { return setTo(&a.peakHeld, a.user.held) }},
		{"live", func(a *Allocator, _ *Pool) func() { return setTo(&a.live, a.live-8) }},
		{"peak live", func(a *Allocator, _ *Pool) func() { return setTo(&a.peakLive, a.live-1) }},
		{"empty", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.empty, a.user.empty-1) }},
		{"slots of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].slots, a.classes[s.owner].slots+1)
		}},
		{"used slots of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			c := a.classes[s.owner]
			return both(setTo(&c.used, c.used-1), setTo(&a.live, a.live-int(c.stride)))
		}},
		{"bytes of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].bytes, a.classes[s.owner].bytes-1)
		}},
		{"slabs of a class", func(a *Allocator, _ *Pool) func() {
			_, s := partial(a)
			return setTo(&a.classes[s.owner].slabs, a.classes[s.owner].slabs+1)
		}},
		{"used slots of a pool", func(a *Allocator, p *Pool) func() {
			return both(setTo(&p.used, p.used-1), setTo(&a.live, a.live-int(p.stride)))
		}},
		{"slots of a pool", func(_ *Allocator, p *Pool) func() { return setTo(&p.slots, p.slots-1) }},
	},
	"I7 counts": {
		{"allocations", func(a *Allocator, _ *Pool) func() { return setTo(&a.allocs, a.allocs+1) }},
		{"frees", func(a *Allocator, _ *Pool) func() { return setTo(&a.frees, a.frees+1) }},
	},
	"I12 blocks kept back": {
		{"block kept back is in use", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			return setTo(&a.user.spare, c.block+1)
		}},
		{"block kept back is none", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.spare, uint32(len(a.user.blocks))+1)
		}},
		{"empty block kept that should not be", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.retain, -1), setTo(&a.user.spare, 0), setTo(&a.user.learned.missed, 0))
		}},
		{"more kept back than Retain", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.retain, 1), setTo(&a.user.spare, 0), setTo(&a.user.learned.missed, 0))
		}},
		{"empty block forgotten", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.spare, 0), setTo(&a.user.learned.missed, 0))
		}},
		{"more kept back than was missed", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.spare, 0), setTo(&a.user.learned.missed, a.user.empty-1))
		}},
		{"less empty than at the least", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.learned.low, a.user.empty+1)
		}},
		{"stuck blocks", func(a *Allocator, _ *Pool) func() { return setTo(&a.user.stuck, 1) }},
		{"stuck block in use", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			b := &a.user.blocks[c.block]
			return both(setTo(&b.stuck, true), setTo(&a.user.stuck, a.user.stuck+1))
		}},
		{"more kept back than Reset has left", func(a *Allocator, _ *Pool) func() {
			return both(setTo(&a.user.spare, 0), setTo(&a.user.learned.missed, 0), setTo(&a.user.kept, a.user.empty-1))
		}},
		{"blocks out of order", func(a *Allocator, _ *Pool) func() {
			o := a.user.order
			o[0], o[1] = o[1], o[0]
			return func() { o[0], o[1] = o[1], o[0] }
		}},
		{"block twice", func(a *Allocator, _ *Pool) func() {
			o := a.user.order
			return setTo(&o[1], o[0])
		}},
		{"block number lost", func(a *Allocator, _ *Pool) func() {
			return setTo(&a.user.blocks, append(a.user.blocks[:len(a.user.blocks):len(a.user.blocks)], block{}))
		}},
		{"fresh beyond a chunk in use", func(a *Allocator, _ *Pool) func() {
			_, c := pick(a, ofKind(chunkLive))
			b := &a.user.blocks[c.block]
			return setTo(&b.freshFrom, 0)
		}},
		{"fresh beyond the block", func(a *Allocator, _ *Pool) func() {
			b := &a.user.blocks[a.user.order[0]]
			return setTo(&b.freshFrom, b.size+1)
		}},
	},
}
