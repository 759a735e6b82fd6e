package slab

import "unsafe"

// A chunk is a range of a block: live, free (a hole), a slab, or a record of
// the allocator's own. Chunks tile their block. Their records are kept apart
// from the memory they describe, so that no overrun of a user's bytes can reach
// them, and they hold no pointer, so that they can live off the Go heap too.
//
// See doc.go for an overview.

const (
	granule      = 16 // bytes; every chunk starts and ends on one
	granuleShift = 4
)

// chunkKind says what a chunk is used for. chunkUnused marks a record that
// describes no chunk and is on the table's free list.
type chunkKind uint16

const (
	chunkUnused chunkKind = iota
	chunkHole
	chunkLive   // one allocation among others in its block
	chunkLarge  // one allocation that has the block for itself
	chunkSlab   // a run of equal slots; link is the slab's number
	chunkRecord // memory of the allocator's own
	chunkLodger // likewise, among the user's
)

// chunk is the record of one chunk. Offsets and sizes are in granules: 32 bits
// of them reach 64 GiB into a block.
//
//	block.first.off == 0
//	c.off + c.size == c.next.off, or the block's end if c.next == 0
type chunk struct {
	off, size  uint32
	block      uint32
	kind       chunkKind
	align      uint16 // log2 of the alignment that was asked for
	prev, next uint32 // neighbours by address, 0 at the block's edge
	binPrev    uint32 // holes: neighbours in the bin
	link       uint32 // holes: next in the bin; slabs: slab number; unused: next unused
}

// isWhole tells whether c is all of its block.
func (c *chunk) isWhole() bool { return c.prev == 0 && c.next == 0 }

const (
	chunkPageShift = 7
	chunkPage      = 1 << chunkPageShift // records on one page of the table
	chunkPageBytes = chunkPage * int(unsafe.Sizeof(chunk{}))

	// chunkPageLeast is the bytes of a page that lodges, and so has fewer records. A hole
	// that can serve a request is at least that long.
	chunkPageLeast = window

	// chunkStep is how many records one step may take: a new block, padding in front,
	// the rest behind.
	chunkStep = 3

	// chunkReserve is how many unused records there must be before a step. The greediest
	// request makes a slab, with a step each for its memory, its record, two leaves of the
	// address map, and a page for the table.
	chunkReserve = 5*chunkStep + 1

	// chunkPages is how many pages there may be. It bounds the number of a record, which
	// shares an entry of the address map with the bit that says what the entry is.
	chunkPages = maxNumber >> chunkPageShift
)

// chunkTable numbers the chunk records. Record i does not move while it is in use. Page 0
// is part of the Allocator, because the first chunks must be described before any memory
// is acquired. Further pages are records themselves, and may have fewer chunk records than
// they have numbers. Number 0 is no chunk. Its record stays unused, so where there is no
// neighbour there is no hole either.
type chunkTable struct {
	pages     []unsafe.Pointer // each points at up to chunkPage records
	owner     []uint32         // the chunk that page i lies in; 0 for page 0
	unused    uint32           // list through link
	unusedLen int              // its length
	boot      [chunkPage]chunk
}

func (t *chunkTable) init() {
	clear(t.pages) // the collector must not find pointers to memory that is gone
	t.pages = append(t.pages[:0], unsafe.Pointer(&t.boot))
	t.owner = append(t.owner[:0], 0)
	t.unused, t.unusedLen = 0, 0
	t.thread(0, 1, chunkPage)
}

// thread puts records [from, to) of a page on the free list, lowest number first.
func (t *chunkTable) thread(page, from, to uint32) {
	for i := to; i > from; {
		i--
		t.put(page<<chunkPageShift | i)
	}
}

func (t *chunkTable) at(i uint32) *chunk {
	return (*chunk)(unsafe.Add(t.pages[i>>chunkPageShift], uintptr(i&(chunkPage-1))*unsafe.Sizeof(chunk{})))
}

// get takes an unused record, which the caller overwrites. There must be one; see ready.
func (t *chunkTable) get() (uint32, *chunk) {
	i := t.unused
	c := t.at(i)
	t.unused = c.link
	t.unusedLen--
	return i, c
}

func (t *chunkTable) put(i uint32) {
	*t.at(i) = chunk{link: t.unused}
	t.unused = i
	t.unusedLen++
}

// addPage adds the records of the page at p, which has that many bytes and lies in chunk owner.
func (t *chunkTable) addPage(p unsafe.Pointer, bytes, owner uint32) {
	n := uint32(len(t.pages))
	t.pages = append(t.pages, p)
	t.owner = append(t.owner, owner)
	t.thread(n, 0, bytes/uint32(unsafe.Sizeof(chunk{})))
}
