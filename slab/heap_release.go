package slab

import (
	"errors"
	"slices"

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
		if !b.stuck {
			b.stuck = true
			h.stuck++
		}
		return err
	}
	c := h.table.at(b.first)
	h.removeHole(c)
	h.table.put(b.first)
	h.lessEmpty(i)
	h.forget(i)
	return err
}

// offerStuck offers the source the smallest block that it refused to take. If the source
// takes it now, all others are offered too, except for what is to be kept.
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
		_ = h.shrink(max(h.retain, h.learned.missed, kept), h.retain == 0)
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
	return errors.Is(err, blocksrc.ErrNotHeld), &refusal{format: "slab: releasing a block of %d bytes: %v", n: len(mem), err: err}
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
func (h *heap) shrink(keep int, one bool) error { return h.shrinkBy(keep, one, maxInt) }

// shrinkBy is shrink for no more than most blocks.
func (h *heap) shrinkBy(keep int, one bool, most int) error {
	err := h.offer()
	h.kept = 0
	if keep <= 0 && !one {
		h.learned = retention{}
	}
	if h.empty == 0 {
		return err
	}
	var idle []uint32
	h.spare = 0
	for _, i := range slices.Backward(h.order) { // backward: the last leaves without a copy
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
		if i := idle[n]; i+1 != h.spare {
			err = join(err, h.releaseBlock(i))
		}
	}
	h.learned.low = min(h.learned.low, h.idle())
	return err
}

// join is errors.Join for two errors. (Inlined, each call would make a slice.)
//
//go:noinline
func join(a, b error) error { return errors.Join(a, b) }

// restart gives all blocks back, whatever is in them, and empties the books. The caller
// empties the chunk table. Blocks that the source refuses to take are still held and are
// offered again later. They come into use only when a block is needed (reuse), because
// there may be more of them than the empty table has records for.
func (h *heap) restart() error {
	for _, i := range h.order {
		h.refused = append(h.refused, h.blocks[i])
	}
	h.blocks, h.vacant, h.order = nil, nil, nil
	h.bins, h.found = bins{}, found{}
	h.holes, h.holeSize, h.empty, h.spare, h.stuck, h.kept = 0, 0, 0, 0, 0, 0
	h.learned = retention{}
	return h.offer()
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

// offer offers the refused blocks again: those from before a restart, and bad ones.
func (h *heap) offer() (err error) {
	kept := h.refused[:0]
	for _, b := range h.refused {
		gone, e := h.giveBack(b.mem)
		err = join(err, e)
		if gone {
			h.held -= len(b.mem)
		} else {
			kept = append(kept, b)
		}
	}
	clear(h.refused[len(kept):])
	h.refused = kept
	return err
}
