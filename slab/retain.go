package slab

import "github.com/vita-go/deblockator/blocksrc"

// How much of what is empty is kept for the next need.
//
// A block from the system costs a call, and a page fault for each 4 KiB: a hundred thousand
// objects of 64 bytes, made and freed again and again, take twenty times as long where their
// blocks go back in between, and four times what the collector takes (BenchmarkPeak of package
// arena). But what was needed once, at the start of a program, is to go. So a heap learns. At
// first all that becomes empty goes back, but for one block, without which a program that
// works at a block's edge would ask for it all the time. When blocks are asked for again after
// some went back, those were missed, and so many bytes are kept from then on. What is kept
// and of no use is forgotten by halves, by a low-water mark, as in the caches of TCMalloc.
// Time has no part in it: an allocator that is asked the same does the same.
//
// A large request's block is kept for the next of about that size, if it was missed, as glibc
// maps no requests any more of a size that it had mapped and was given back. A megabyte that
// comes and goes takes microseconds then, and not milliseconds.

// retention is what a heap has learned.
type retention struct {
	gone   int // bytes that went back, and were not missed yet
	most   int // bytes that were ever held: gone is no more than what is not, of those
	missed int // bytes that were missed, and are kept
	low    int // the least bytes that were empty in this turn
	turn   int // how many blocks have yet to become empty in it
}

// settle decides about block i, which has just become empty.
func (h *heap) settle(i uint32) { h.keep(h.surplus(i)) }

// settleLarge is settle for a block that one allocation had for itself. It is never the one
// block that is kept, and stays only if it was missed.
func (h *heap) settleLarge(i uint32) { h.keep(i, h.idle() > h.learned.missed) }

// keep keeps what is empty, but for block i if it is too many. A refusal by the source is
// counted in Stats and is no reason to fail: the block stays in use.
func (h *heap) keep(i uint32, tooMany bool) {
	if tooMany {
		l, n := &h.learned, len(h.blocks[i].mem)
		l.most = max(l.most, h.held)
		if h.discardBlock(i) != nil {
			return
		}
		if h.learns { // what goes again and again and is not missed has gone once
			l.gone = min(l.gone+n, l.most-h.held)
		}
	}
	h.offerStuck()
	if h.learns {
		h.unlearn()
	}
}

// idle returns the bytes of empty blocks beside the one that is kept whatever was missed.
// (In line it would be code in six places, none of which is a short way.)
//
//go:noinline
func (h *heap) idle() int {
	if h.spare == 0 {
		return h.empty
	}
	return h.empty - len(h.blocks[h.spare-1].mem)
}

// surplus tells whether there is a block too many now that block i is empty, and which.
func (h *heap) surplus(i uint32) (uint32, bool) {
	switch {
	case h.retain != 0:
		return i, h.empty > h.retain
	case h.idle() <= h.learned.missed:
		return i, false
	case h.long(&h.blocks[i]):
		return i, true
	case h.spare == 0:
		h.spare = i + 1
		return i, false
	}
	// The larger is kept, or else a program that needs it every now and
	// then would acquire it each time.
	s := h.spare - 1
	if len(h.blocks[s].mem) < len(h.blocks[i].mem) {
		h.spare, i = i+1, s
	}
	return i, true
}

// long tells whether b is longer than blocks are that not one request alone made so long.
func (h *heap) long(b *block) bool { return len(b.mem) > max(h.minSize, h.maxSize) }

// learn notes that a block of n bytes is asked for that is not kept, and would have been.
func (h *heap) learn(n int) {
	n = min(n, h.learned.gone)
	h.learned.gone -= n
	h.learned.missed += n
}

// unlearn notes that a block has become empty. When as many have as there were blocks, half of
// what was empty all the time is not to be kept any more: some goes at once, and more as
// blocks become empty.
func (h *heap) unlearn() {
	l := &h.learned
	if l.turn > 0 {
		l.turn--
		return
	}
	idle := min(l.low, l.missed)
	l.turn = len(h.order)
	if idle > 0 {
		most, keep := l.missed, l.missed-(idle+1)/2
		_ = h.shrinkBy(keep, true, unlearnBlocks)
		l.missed = max(keep, min(most, h.idle())) // what has not gone yet is for later turns
		h.kept = h.empty
	}
	l.low = h.idle()
}

// unlearnBlocks bounds how long a Free may take for that.
const unlearnBlocks = 8

// idleBlock returns the chunk of an empty block for a request of so many granules that is to
// have one for itself, 0 if there is none that is at most an eighth longer, or as much as the
// source rounds up. It looks at no more than binScan holes of each bin, of which there are nine
// for an eighth at most.
func (h *heap) idleBlock(size uint32, align uintptr) uint32 {
	unit := uint64(blocksrc.Granularity(h.src)) >> granuleShift
	most := uint32(min(uint64(size)+max(uint64(size)/8, unit), 1<<32-1))
	level, step := binOf(size)
	for top, end := binOf(most); level < top || level == top && step <= end; {
		i := h.bins.head[level][step]
		for n := 0; i != 0 && n < binScan; n++ {
			touch()
			c := h.table.at(i)
			if c.size >= size && c.size <= most && h.isWhole(c) && h.address(c)&(align-1) == 0 {
				return i
			}
			i = c.link
		}
		if step++; step == binSteps {
			level, step = level+1, 0
		}
	}
	return 0
}
