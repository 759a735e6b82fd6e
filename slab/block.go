package slab

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
)

// A heap is a set of blocks of one source, tiled by chunks, with an index of
// the holes among them. An allocator has two: one for the user's memory and one
// for its own records, so that no record keeps a block of the user's from going
// back to the source, unless it lodges there (lodger.go).

// block is a range from the source. The slice is the anchor: it keeps a Go
// slice alive, and every pointer into the block is derived from it.
type block struct {
	mem   []byte         // as Acquire returned it; nil if this number is unused
	base  unsafe.Pointer // of mem
	first uint32         // chunk at offset 0
	size  uint32         // granules of mem; a rest of less than one is left out
	clean uint32         // granules from here on were never handed out
	stuck bool           // empty, but the source refused to take it back
}

type heap struct {
	a       *Allocator
	table   *chunkTable // a's
	src     blocksrc.Source
	zeroed  bool // fresh blocks read as zero
	align   int  // of blocks, as asked from the source
	minSize int  // bytes of the first block
	maxSize int  // blocks double up to this
	retain  int  // see Config.Retain
	learns  bool // how much to retain, see retain.go
	most    int  // bytes to ask for, unless a request needs more; 0 = no bound, see grow

	blocks []block
	vacant []uint32 // unused numbers of blocks
	order  []uint32 // numbers of blocks in use, by address
	bins   bins

	held     int     // bytes of all blocks
	holes    int     // number of holes
	holeSize uint64  // their granules
	empty    int     // bytes of blocks that are one hole
	spare    uint32  // the empty block that is kept back, plus 1; 0 = none
	stuck    int     // empty blocks that the source refused to take back
	failures uint64  // refusals by the source
	refused  []block // blocks not in use that the source did not take back

	asking  bool  // a call of the source is under way
	odd     error // its error, other than exhaustion: it is not asked again, see acquire
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

// isWhole tells whether chunk c is all of its block.
func (h *heap) isWhole(c *chunk) bool { return c.prev == 0 && c.next == 0 }

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
	if c := h.table.at(i); h.isWhole(c) {
		b := &h.blocks[c.block]
		if b.stuck {
			b.stuck = false
			h.stuck--
		}
		if s := h.spare; s != 0 && len(h.blocks[s-1].mem) == len(b.mem) && h.idle() <= h.learned.missed {
			h.spare = 0 // the block taken counts as the spare, and that one is like all others
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
		dirty = min(c.size, max(b.clean, c.off)-c.off)
	}
	b.clean = max(b.clean, c.off+c.size)
	return uintptr(dirty) << granuleShift
}

// populate has the source get the pages of slab c behind its first dirty bytes, if it can. The
// slots will be handed out in order, and soon, because slabs are made in proportion to what
// there is. A system call for all pages takes half the time of a page fault for each, or less
// (BenchmarkFresh). It is not done for a whole block at once, which could keep an Alloc waiting
// for 2 MiB, nor for a chunk, which a program may never write to. (Of a source that is no
// Zeroer all bytes count as dirty: somebody has written to them.)
func (h *heap) populate(c *chunk, dirty uintptr) {
	p, ok := h.src.(blocksrc.Populator)
	if n := uintptr(c.size) << granuleShift; ok && n >= dirty+populateSize {
		off := uintptr(c.off) << granuleShift
		_ = p.Populate(h.blocks[c.block].mem[off+dirty : off+n : off+n])
	}
}

// populateSize is the shortest part that is worth a system call: eight pages of 4 KiB.
const populateSize = 32 << 10

// free gives chunk i back. If that empties its block, the block goes back to
// the source or is kept for the next need. Giving it back at once would cost a
// system call for each operation of a program that works at a block's edge.
func (h *heap) free(i uint32) {
	c := h.table.at(h.release(i))
	if !h.isWhole(c) {
		return
	}
	h.empty += len(h.blocks[c.block].mem)
	if !h.keepAll {
		h.settle(c.block)
	}
}

// grow acquires a block and returns it as a hole, which holds size granules at a
// multiple of align bytes. A block is a tenth of what is held, within bounds and rounded
// down to a power of two, so that unused memory stays in proportion. If the source refuses,
// grow tries half of that, and so on down to what is needed, and last what is needed if the
// source aligns it. Until a block is had or goes back, later calls start at half of what was
// refused last, or at what they need: before a request is refused, it may come here for a slab
// of each size, and in a program that lives on a budget many are refused.
func (h *heap) grow(size uint32, align uintptr) (uint32, error) {
	need := h.blockFor(size, align)
	if need > maxBlockBytes {
		return 0, fmt.Errorf("%w: %d bytes aligned to %d", ErrTooLarge, uint64(size)<<granuleShift, align)
	}
	if n := h.idleRefused(size, align); n >= 0 {
		return h.reuse(n), nil
	}
	want := max(h.minSize, min(1<<bits.Len(uint(h.held/10))>>1, h.maxSize))
	if h.most > 0 {
		want = min(want, h.most)
	}
	want = max(want, int(need))
	var first error
	for at := h.align; ; {
		i, err := h.acquire(want, at)
		if err == nil {
			h.most = 0
			b := &h.blocks[i]
			if h.empty == 0 { // else more empty blocks would not have helped either
				h.learn(len(b.mem))
			}
			return h.open(i), nil
		}
		h.most = max(want/2&^(granule-1), 1)
		switch {
		case h.odd != nil:
			return 0, err
		case want > int(need):
			want = max(h.most, int(need))
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
	if h.keepAll {
		_ = h.discardBlock(c.block) // see Reset
	} else {
		h.settleLarge(c.block)
	}
}

var errTooMuch = fmt.Errorf("%w: all that an allocator can count is held", ErrExhausted)

// acquire returns a block. If the source fails for another reason than want of memory, it is
// not asked again for the same request, whatever else is tried: a source that lies may lose a
// block each time.
func (h *heap) acquire(size, align int) (uint32, error) {
	if h.odd != nil {
		return 0, h.odd
	}
	i, err := h.ask(size, align)
	if err != nil && (!errors.Is(err, blocksrc.ErrExhausted) || errors.Is(err, ErrBadSource)) {
		h.odd = err
	}
	return i, err
}

// ask takes a block from the source and checks that it is what was asked
// for, so that a source that lies is caught before anything is built on it.
func (h *heap) ask(size, align int) (uint32, error) {
	room := maxInt - h.a.user.held - h.a.meta.held // the sum must fit in an int, with 32 bits too
	mem, err := []byte(nil), errTooMuch
	if size <= room {
		h.asking = true
		mem, err = h.src.Acquire(size, align)
		h.asking = false
	}
	if err != nil {
		h.failures++
		return 0, &refusal{format: "slab: acquiring a block of %d bytes: %v", n: size, err: err}
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	if h.a.user.overlaps(uintptr(base), len(mem)) || h.a.meta.overlaps(uintptr(base), len(mem)) {
		// It is not given back: that could take away the block it lies on.
		h.failures++
		return 0, because(ErrBadSource, "returned memory that it has not been given back")
	}
	if off := int(uintptr(base) & uintptr(align-1)); len(mem) < size || off != 0 || len(mem) > room || uint64(len(mem)) > maxBlockBytes {
		h.failures++
		err := because(ErrBadSource, "returned %d bytes, %d beyond a multiple of %d, for a block of %d", len(mem), off, align, size)
		if gone, e := h.giveBack(mem); e != nil {
			err = fmt.Errorf("%w; and did not take it back: %w", err, e)
			if !gone && len(mem) > 0 && len(mem) <= room {
				h.refused = append(h.refused, block{mem: mem, base: base})
				h.held += len(mem)
				h.a.noteHeld()
			}
		}
		return 0, err
	}
	h.held += len(mem)
	h.a.noteHeld()
	return h.enter(block{mem: mem, base: base, size: uint32(uint64(len(mem)) >> granuleShift)}), nil
}

// refusal is an error that makes its text only when it is read: the source may refuse a dozen
// times before a request is served or refused.
type refusal struct {
	_      [0]func() // not comparable, which spares the code for it
	format string    // of n and err
	n      int
	err    error
}

func (r *refusal) Error() string { return fmt.Sprintf(r.format, r.n, r.err) }
func (r *refusal) Unwrap() error { return r.err }

// enter gives a block a number and its place in the order of addresses.
func (h *heap) enter(b block) (i uint32) {
	at, _ := h.search(b.addr(), len(b.mem))
	if n := len(h.vacant); n > 0 {
		i, h.vacant = h.vacant[n-1], h.vacant[:n-1]
	} else {
		i = uint32(len(h.blocks))
		h.blocks = append(h.blocks, block{})
	}
	h.blocks[i] = b
	h.order = append(h.order, 0) // slices.Insert would be 2 KiB of code
	copy(h.order[at+1:], h.order[at:])
	h.order[at] = i
	return i
}

// search returns where in h.order a range of n bytes at addr belongs, and
// whether it overlaps a block.
func (h *heap) search(addr uintptr, n int) (at int, overlaps bool) {
	at, _ = slices.BinarySearchFunc(h.order, addr, func(i uint32, addr uintptr) int {
		if h.blocks[i].addr() <= addr {
			return -1
		}
		return 1
	})
	if at > 0 {
		b := &h.blocks[h.order[at-1]]
		overlaps = addr-b.addr() < uintptr(len(b.mem))
	}
	if at < len(h.order) {
		overlaps = overlaps || h.blocks[h.order[at]].addr()-addr < uintptr(n)
	}
	return at, overlaps
}

// blockAt returns the block that addr lies in.
func (h *heap) blockAt(addr uintptr) (uint32, bool) {
	at, ok := h.search(addr, 1)
	if !ok {
		return 0, false
	}
	return h.order[at-1], true
}
