package slab

import (
	"errors"

	"github.com/vita-go/deblockator/blocksrc"
)

// How a heap gives blocks back to the source, and what becomes of those that the source
// refuses to take. (For pages of blocks that stay, see allocator_discard.go.)

// releaseBlock gives an empty block back to the source. If the source refuses,
// the block stays usable and is offered again later.
func (h *heap) releaseBlock(i uint32) error {
	b := &h.blocks[i]
	gone, err := h.giveBack(b.mem)
	if !gone {
		h.wait(i)
		return err
	}
	c := h.table.at(b.first)
	h.removeHole(c)
	h.table.put(b.first)
	h.lessEmpty(i)
	h.forget(i)
	return err
}

// wait notes that empty block i is to be offered again.
func (h *heap) wait(i uint32) {
	if b := &h.blocks[i]; !b.stuck {
		b.stuck = true
		h.stuck++
	}
}

// offerStuck offers the source the smallest block that it refused to take. If the source
// takes it now, others are offered too, except for what is to be kept, until it refuses again.
// (A system that has no mapping left has one again each time that a block between two gaps goes:
// with thousands of blocks waiting, one call for each would be thousands of calls for each Free.)
func (h *heap) offerStuck() {
	if h.stuck == 0 {
		return
	}
	least, size := uint32(0), maxInt
	for _, i := range h.order {
		if b := &h.blocks[i]; b.stuck && len(b.mem) < size {
			least, size = i, len(b.mem)
		}
	}
	if h.releaseBlock(least) == nil {
		for i := range h.blocks { // those that are kept are not waiting any more
			h.blocks[i].stuck = false
		}
		h.stuck = 0
		kept := h.kept
		_ = h.shrinkBy(max(h.retain, h.learned.missed, kept), h.retain == 0, maxInt, false)
		h.kept = min(kept, h.empty)
	}
}

// giveBack gives the memory of a block to the source and tells whether it is gone. With
// blocksrc.ErrNotHeld it is gone too: somebody else has taken it from the source, and
// nobody knows whose it is now.
func (h *heap) giveBack(mem []byte) (gone bool, err error) {
	h.asking = true
	err = h.src.Release(mem)
	h.asking = false
	if err == nil {
		h.askMost, h.denied = 0, 0 // there is room again
		return true, nil
	}
	h.refusals++
	return errors.Is(err, blocksrc.ErrNotHeld), &refusal{format: "slab: releasing a block of %d bytes%s: %v", n: len(mem), name: h.a.cfg.Name, err: err}
}

// forget drops block i, which has gone back, from the books.
func (h *heap) forget(i uint32) {
	b := &h.blocks[i]
	at, _ := h.search(b.addr(), 0)
	h.order = append(h.order[:at-1], h.order[at:]...) // slices.Delete would be half a KiB of code
	if b.stuck {
		h.stuck--
	}
	h.held -= len(b.mem)
	*b = block{}
	h.vacant = append(h.vacant, i)
}

// shrink gives empty blocks back until no more than keep bytes of them are left, besides a
// spare if one is set. Long blocks, which are never the spare, go first, and then the smallest.
// Blocks that were refused before are offered again. (The sort goes only as far as needed.)
func (h *heap) shrink(keep int, one bool) error { return h.shrinkBy(keep, one, maxInt, true) }

// shrinkBy is shrink for no more than most blocks. Unless all are to be offered, those behind one
// that the source refuses wait.
func (h *heap) shrinkBy(keep int, one bool, most int, all bool) error {
	err := h.offer(all)
	h.kept = 0
	if keep <= 0 && !one {
		h.learned = retention{}
	}
	if h.empty == 0 {
		return err
	}
	var idle []uint32
	stuck := h.stuck
	h.spare = 0
	for n := len(h.order) - 1; n >= 0; n-- { // downward: the last leaves without a copy
		i := h.order[n]
		b := &h.blocks[i]
		if c := h.table.at(b.first); c.kind == chunkHole && c.isWhole() {
			idle = append(idle, i)
			if one && !h.long(b) && (h.spare == 0 || len(b.mem) > len(h.blocks[h.spare-1].mem)) {
				h.spare = i + 1
			}
		}
	}
	for n := range idle {
		if h.idle() <= keep || n == most {
			break
		}
		if keep > 0 {
			for i := n + 1; i < len(idle); i++ {
				if b, first := &h.blocks[idle[i]], &h.blocks[idle[n]]; h.long(b) && !h.long(first) ||
					h.long(b) == h.long(first) && len(b.mem) < len(first.mem) {
					idle[i], idle[n] = idle[n], idle[i]
				}
			}
		}
		switch i := idle[n]; {
		case i+1 == h.spare:
		case h.stuck > stuck && !all:
			h.wait(i)
		default:
			err = join(err, h.releaseBlock(i))
		}
	}
	h.learned.low = min(h.learned.low, h.idle())
	return err
}

// join is errors.Join for two errors, of which the first may be the result of other joins. After
// eight it leaves the second out: a source that takes nothing back has an error for each of
// thousands of blocks. (Inlined, each call would make a slice.)
//
//go:noinline
func join(a, b error) error {
	in := a
	for range 8 {
		l, ok := in.(interface{ Unwrap() []error })
		if !ok {
			return errors.Join(a, b)
		}
		in = l.Unwrap()[0]
	}
	return a
}

// restart takes all blocks out of use, whatever is in them, and empties the books. The caller
// empties the chunk table and offers the blocks to the source (offer). Those that it refuses to
// take are still held and are offered again later. They come into use only when a block is needed
// (reuse), because there may be more of them than the empty table has records for. (Inlined, it
// would be half a KiB of code, twice.)
//
//go:noinline
func (h *heap) restart() {
	for _, i := range h.order {
		h.refused = append(h.refused, h.blocks[i])
	}
	h.blocks, h.vacant, h.order = nil, nil, nil
	h.bins, h.found = bins{}, found{}
	h.holes, h.holeSize, h.empty, h.spare, h.stuck, h.kept = 0, 0, 0, 0, 0, 0
	h.learned = retention{}
}

// idleRefused returns the number of the shortest block in h.refused that holds size granules at
// a multiple of align bytes, or -1 if there is none. A source that takes nothing back must not
// be asked for more and more. A block may be less aligned than h.align: that of a large request
// is. Bad blocks (see ask) have no granules.
func (h *heap) idleRefused(size uint32, align uintptr) int {
	at := -1
	for n := range h.refused {
		b := &h.refused[n]
		pad := uint64(-b.addr()&(align-1)) >> granuleShift
		if pad+uint64(size) <= uint64(b.size) && (at < 0 || b.size < h.refused[at].size) {
			at = n
		}
	}
	return at
}

// reuse takes such a block into use and returns it as a hole, or 0 if there is none.
func (h *heap) reuse(size uint32, align uintptr) uint32 {
	n := h.idleRefused(size, align)
	if n < 0 {
		return 0
	}
	b, last := h.refused[n], len(h.refused)-1
	h.refused[n], h.refused[last], h.refused = h.refused[last], block{}, h.refused[:last]
	b.stuck = false // it is about to be used
	return h.open(h.enter(b))
}

// overlaps tells whether n bytes at addr overlap a block, in use or refused.
func (h *heap) overlaps(addr uintptr, n int) bool {
	_, taken := h.search(addr, n)
	for i := range h.refused {
		b := &h.refused[i]
		taken = taken || addr-b.addr() < uintptr(len(b.mem)) || b.addr()-addr < uintptr(n)
	}
	return taken
}

// offer offers the refused blocks again: those from before a restart, and bad ones. Unless all
// are to be offered it stops at the first that is refused, and says nothing of that. The last
// come first, because a system that has no mapping left takes only what borders on a gap.
func (h *heap) offer(all bool) (err error) {
	kept := len(h.refused)
	for n := kept - 1; n >= 0; n-- {
		gone, e := h.giveBack(h.refused[n].mem)
		if gone || all {
			err = join(err, e)
		}
		if gone {
			h.held -= len(h.refused[n].mem)
			kept--
			h.refused[n], h.refused[kept] = h.refused[kept], block{}
		} else if !all {
			break
		}
	}
	h.refused = h.refused[:kept]
	return err
}
