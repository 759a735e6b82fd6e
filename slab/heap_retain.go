package slab

import "github.com/vita-go/deblockator/blocksrc"

// How many bytes of empty blocks a heap keeps for its next need.
//
// A block from the system costs a system call, and a page fault for each 4 KiB. A hundred
// thousand objects of 64 bytes, made and freed again and again, take twenty times as long if
// their blocks go back in between, and four times as long as on the collector's heap
// (BenchmarkPeak of package arena). But memory that was needed once, at the start of a
// program, should go back. So a heap learns. At first all empty blocks go back except one,
// because a program that works at a block's edge would acquire that one again and again. If
// blocks are acquired after others went back, those were missed, and from then on the heap
// keeps that many bytes. A low-water mark tells what it keeps in vain, and half of that is
// forgotten at a time, as in the caches of TCMalloc. Time plays no part: given the same
// requests, an allocator does the same.
//
// The block of a large request is kept for the next request of about that size, if it was
// missed. (Likewise glibc stops mapping requests of a size once such a mapping was freed.) A
// megabyte that comes and goes then takes microseconds instead of milliseconds.

// retention is what a heap has learned.
type retention struct {
	gone   int // bytes that went back and were not missed yet, at most the peak less held
	most   int // that peak: the most bytes that were held
	missed int // bytes that were missed, and are kept
	low    int // low-water mark of idle in this turn
	turn   int // how many blocks have yet to become empty in this turn
}

// keep keeps all empty blocks or, if there are too many, all but block i. If the source
// refuses to take it, nothing fails: Stats counts the refusal, and the block stays usable.
func (h *heap) keep(i uint32, tooMany bool) {
	if tooMany {
		l, n := &h.learned, len(h.blocks[i].mem)
		l.most = max(l.most, h.held)
		if h.releaseBlock(i) != nil {
			return
		}
		if h.learns { // bytes that go again and again without being missed count once
			l.gone = min(l.gone+n, l.most-h.held)
		}
	}
	h.offerStuck()
	if h.learns {
		h.unlearn()
	}
}

// idle returns the bytes of empty blocks without the spare, which is kept whatever was missed.
// (Inlined, it would be code in nine places, none of them on a fast path.)
//
//go:noinline
func (h *heap) idle() int {
	if h.spare == 0 {
		return h.empty
	}
	return h.empty - len(h.blocks[h.spare-1].mem)
}

// surplus returns the block that is to go, if there is one too many now that i is empty.
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
	// The larger one is kept. Otherwise a program that needs it every now and
	// then would acquire it each time.
	s := h.spare - 1
	if len(h.blocks[s].mem) < len(h.blocks[i].mem) {
		h.spare, i = i+1, s
	}
	return i, true
}

// long tells whether b is longer than grow makes blocks unless a single request needs more.
func (h *heap) long(b *block) bool { return len(b.mem) > max(h.minSize, h.maxSize) }

// learn notes that a block of n bytes was acquired: up to n of the bytes gone were missed.
func (h *heap) learn(n int) {
	n = min(n, h.learned.gone)
	h.learned.gone -= n
	h.learned.missed += n
}

// unlearn notes that a block has become empty. A turn ends when as many have as there were
// blocks at its start. Half of the bytes that were empty throughout are then no longer kept:
// a few blocks go at once, and the others in later turns.
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
		_ = h.shrinkBy(keep, true, unlearnBlocks, false)
		l.missed = max(keep, min(most, h.idle())) // what has not gone yet is left to later turns
		h.kept = h.empty
	}
	l.low = h.idle()
}

// unlearnBlocks is how many go at once, at most, to bound the time of a Free.
const unlearnBlocks = 8

// idleBlock returns the chunk of an empty block for a large request of size granules, or 0 if
// there is none. The block may be longer by up to an eighth, or as far as the source rounds up.
// idleBlock looks at no more than binScan holes in each bin. An eighth is nine bins at most; with
// a LargeSize far below the source's granularity there are up to 32 for each doubling between.
func (h *heap) idleBlock(size uint32, align uintptr) uint32 {
	unit := max(uint64(blocksrc.Granularity(h.src))>>granuleShift, 1)
	most := uint32(min(max(uint64(size)+uint64(size)/8, (uint64(size)+unit-1)&^(unit-1)), 1<<32-1))
	level, step := binOf(size)
	for top, end := binOf(most); level < top || level == top && step <= end; {
		i := h.bins.head[level][step]
		for n := 0; i != 0 && n < binScan; n++ {
			touch()
			c := h.table.at(i)
			if c.size >= size && c.size <= most && c.isWhole() && h.address(c)&(align-1) == 0 {
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
