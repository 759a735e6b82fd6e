package slab

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
)

// A heap is a set of blocks of one source, tiled by chunks, with an index of
// the holes among them. An allocator has two: one for the user's memory and one
// for its own records, so that no record keeps a block of the user's from going
// back to the source, unless it lodges there (allocator_lodger.go).

// block is a range from the source. The slice is the anchor: it keeps a Go
// slice alive, and every pointer into the block is derived from it.
type block struct {
	mem       []byte         // as Acquire returned it; nil if this number is unused
	base      unsafe.Pointer // of mem
	first     uint32         // chunk at offset 0
	size      uint32         // granules of mem; a rest of less than one is left out
	freshFrom uint32         // granules from here on were never handed out
	stuck     bool           // empty, but the source refused to take it back
	discarded bool           // pages of it were given back, and others may have none yet
}

type heap struct {
	a       *Allocator
	table   *chunkTable // a's
	src     blocksrc.Source
	zeroed  bool // fresh blocks read as zero
	align   int  // of blocks, as asked from the source
	minSize int  // bytes of a block at least; see grow
	maxSize int  // bytes of a block at most, unless a request needs more
	retain  int  // see Config.Retain
	learns  bool // how much to retain, see heap_retain.go
	askMost int  // bytes to ask for, unless a request needs more; 0 = no bound, see grow
	denied  int  // the least that the source has refused lately, 0 if it has not; see hasRefused

	blocks []block
	vacant []uint32 // unused numbers of blocks
	order  []uint32 // numbers of blocks in use, by address
	bins   bins

	held     int     // bytes of all blocks
	holes    int     // number of holes
	holeSize uint64  // their granules
	lack     need    // what no hole has room for, see searchAll
	found    found   // where it found a hole last
	empty    int     // bytes of blocks that are one hole
	spare    uint32  // the empty block that is kept back, plus 1; 0 = none
	stuck    int     // empty blocks that the source refused to take back
	refusals uint64  // refusals by the source
	refused  []block // blocks not in use that the source did not take back

	asking  bool  // a call of the source is under way
	fault   error // its error, other than exhaustion: it is not asked again, see acquire
	keepAll bool  // empty blocks stay, whatever retain says
	kept    int   // empty bytes that may stay since a Reset or an unlearn, see offerStuck
	learned retention
}

func (h *heap) init(a *Allocator, src blocksrc.Source, align, size, retain int) {
	h.a, h.table, h.src, h.zeroed, h.align = a, &a.table, src, blocksrc.Zeroed(src), blockAlign(src, align)
	h.minSize, h.maxSize, h.retain, h.learns = size, a.cfg.MaxBlockSize, retain, a.cfg.Retain == 0
}

// addr is the address of the block as a number, for comparison only.
func (b *block) addr() uintptr { return uintptr(b.base) }

func (h *heap) address(c *chunk) uintptr {
	return h.blocks[c.block].addr() + uintptr(c.off)<<granuleShift
}

func (h *heap) pointer(c *chunk) unsafe.Pointer {
	return unsafe.Add(h.blocks[c.block].base, uintptr(c.off)<<granuleShift)
}

// alloc returns a chunk of size granules at a multiple of align bytes, from a
// hole or else from a new block. The caller has ensured that there are unused records.
func (h *heap) alloc(size uint32, align uintptr, kind chunkKind) (uint32, error) {
	i := h.findHole(size, align)
	if i == 0 {
		// The new hole is used as it is: findHole may miss it for its alignment,
		// though it is large enough.
		var err error
		if i, err = h.grow(size, align); err != nil {
			if i, _ = h.searchAll(size, align, nil); i == 0 {
				return 0, err
			}
		}
	}
	h.take(i, h.padding(h.table.at(i), align), size, kind)
	return i, nil
}

// take makes size granules of hole i, behind pad granules, a chunk.
func (h *heap) take(i, pad, size uint32, kind chunkKind) {
	if c := h.table.at(i); c.isWhole() {
		b := &h.blocks[c.block]
		if b.stuck {
			b.stuck = false
			h.stuck--
		}
		if s := h.spare; s != 0 && len(h.blocks[s-1].mem) == len(b.mem) && h.idle() <= h.learned.missed {
			h.spare = 0 // of two blocks of one length, the one taken counts as the spare
		}
		h.lessEmpty(c.block)
	}
	h.carve(i, pad, size, kind)
}

// use marks chunk c as handed out and returns how many of its bytes, from its
// start, may not be zero.
func (h *heap) use(c *chunk) uintptr {
	b := &h.blocks[c.block]
	dirty := c.size
	if h.zeroed {
		dirty = min(c.size, max(b.freshFrom, c.off)-c.off)
	}
	b.freshFrom = max(b.freshFrom, c.off+c.size)
	return uintptr(dirty) << granuleShift
}

// populate has the source get the pages of slab c behind its first dirty bytes, if it can. The
// slots will be handed out in order, and soon, because slabs are made in proportion to what
// there is. A system call for all pages takes half the time of a page fault for each, or less
// (BenchmarkFresh). It is not done for a whole block at once, which could keep an Alloc waiting
// for 2 MiB, nor for what a program may never write all of: a chunk, or a slot that is longer
// than slabs are. (Of a source that is no Zeroer all bytes count as dirty, as if they had been
// written to: nothing is populated until Trim has given pages of the block back. From then on
// all slabs in the block are, even if they have their pages.)
func (h *heap) populate(c *chunk, dirty uintptr) {
	p, ok := h.src.(blocksrc.Populator)
	b := &h.blocks[c.block]
	if b.discarded {
		dirty = 0 // these may have no pages any more
	}
	if n := uintptr(c.size) << granuleShift; ok && n >= dirty+populateSize && n <= slabMax {
		off := uintptr(c.off) << granuleShift
		_ = p.Populate(b.mem[off+dirty : off+n : off+n])
	}
}

// populateSize is the shortest part that is worth a system call: eight pages of 4 KiB.
const populateSize = 32 << 10

// free gives chunk i back. If that empties its block, the block goes back to
// the source or is kept for the next need. Giving it back at once would cost a
// system call for each operation of a program that works at a block's edge.
func (h *heap) free(i uint32) {
	c := h.table.at(h.coalesce(i))
	if !c.isWhole() {
		return
	}
	h.empty += len(h.blocks[c.block].mem)
	if !h.keepAll {
		h.keep(h.surplus(c.block))
	}
}

// grow acquires a block and returns it as a hole that holds size granules at a multiple of
// align bytes. It asks for a tenth of what is held, rounded down to a power of two, within
// minSize and maxSize, so that unused memory stays in proportion. If the source refuses, it
// halves that, down to the need, and last asks for the need at that alignment, which the source
// may know how to have without padding. Until a block is had or goes back, askMost keeps half of
// what was refused last, because a program that lives on a budget is refused all the time.
func (h *heap) grow(size uint32, align uintptr) (uint32, error) {
	need := h.blockFor(size, align)
	if need > maxBlockBytes {
		return 0, fmt.Errorf("%w: %d bytes aligned to %d", ErrTooLarge, uint64(size)<<granuleShift, align)
	}
	if i := h.reuse(size, align); i != 0 {
		return i, nil
	}
	want := max(h.minSize, min(1<<bits.Len(uint(h.held/10))>>1, h.maxSize))
	if h.askMost > 0 {
		want = min(want, h.askMost)
	}
	want = max(want, int(need))
	var first error
	for at := h.align; ; {
		i, err := h.acquire(want, at)
		if err == nil {
			h.askMost, h.denied = 0, 0
			b := &h.blocks[i]
			if h.empty == 0 { // else more empty blocks would not have helped either
				h.learn(len(b.mem))
			}
			return h.open(i), nil
		}
		h.askMost = max(want/2&^(granule-1), 1)
		if !h.hasRefused(want) {
			h.denied = want
		}
		switch {
		case h.fault != nil:
			return 0, err
		case want > int(need):
			want = max(h.askMost, int(need))
		case align > uintptr(at):
			// A block that the source aligns need not be longer, and may be all there is.
			first, need = err, uint64(size)<<granuleShift
			want, at = int(need), int(align)
		case first != nil && errors.Is(err, blocksrc.ErrInvalid):
			return 0, first // the source cannot align that far
		default:
			return 0, err
		}
	}
}

// hasRefused tells whether the source has refused n bytes, or less, since it last gave grow a
// block or took one back.
func (h *heap) hasRefused(n int) bool { return h.denied > 0 && h.denied <= n }

// open makes all of block i, which is new, a hole and returns the hole.
func (h *heap) open(i uint32) uint32 {
	b := &h.blocks[i]
	j, c := h.table.get()
	*c = chunk{size: b.size, block: i}
	b.first = j
	h.insertHole(j, c)
	h.empty += len(b.mem)
	return j
}

// lessEmpty stops counting block i as empty.
func (h *heap) lessEmpty(i uint32) {
	if h.spare == i+1 {
		h.spare = 0
	}
	h.empty -= len(h.blocks[i].mem)
	h.learned.low = min(h.learned.low, h.idle())
	h.kept = min(h.kept, h.empty)
}

// blockFor returns how many bytes a block has to have for size granules at a multiple of align
// bytes, wherever the source puts it.
func (h *heap) blockFor(size uint32, align uintptr) uint64 {
	need := uint64(size) << granuleShift
	if align > uintptr(h.align) {
		need += uint64(align)
	}
	return need
}

// allocBlock returns a chunk that has a block of size bytes for itself: one that was kept, or
// a new one.
func (h *heap) allocBlock(size, align int) (uint32, error) {
	if h.learns {
		if i := h.idleBlock(uint32(uint64(size)>>granuleShift), uintptr(align)); i != 0 {
			h.take(i, 0, h.table.at(i).size, chunkLarge)
			return i, nil
		}
	}
	i, err := h.acquire(size, align)
	if err != nil {
		return 0, err
	}
	b := &h.blocks[i]
	if h.idle() < len(b.mem) {
		h.learn(len(b.mem))
	}
	j, c := h.table.get()
	*c = chunk{size: b.size, block: i, kind: chunkLarge}
	b.first = j
	return j, nil
}

// freeBlock frees chunk i, which has its block for itself. The block goes back to the source or
// is kept as an empty one.
func (h *heap) freeBlock(i uint32, c *chunk) {
	h.insertHole(i, c)
	h.empty += len(h.blocks[c.block].mem)
	if !h.keepAll {
		// It does not become the spare (a later unlearn may make it that), and is kept only if
		// the empty bytes are then no more than were missed.
		h.keep(c.block, h.idle() > h.learned.missed)
	}
}
