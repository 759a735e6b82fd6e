package slab

import (
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
)

// SlabCheck is set in the slabcheck build, where tests do less.
const SlabCheck = invariants

// PauseChecks stops the checks that the slabcheck build does by itself.
func (a *Allocator) PauseChecks() { a.unchecked = maxInt }

// Internals that a test cannot do without.
const (
	Granule    = granule
	Window     = window
	Region     = 1 << regionShift
	MaxNumber  = maxNumber
	NarrowMost = uint32(narrowMost) >> 1 // a number
	SmallMax   = smallMax
	MaxSlots   = maxSlots
	BinLevels  = binLevels
	BinSteps   = binSteps
	BinScan    = binScan

	PopulateSize = populateSize
)

// MaxBlockBytes is the largest size of a block.
func MaxBlockBytes() uint64 { return maxBlockBytes }

// BinOf is the bin of a hole.
func BinOf(size uint32) (level, step uint32) { return binOf(size) }

// BinAbove is the lowest bin all of whose holes are large enough.
func BinAbove(size uint32) (level, step uint32, ok bool) { return binAbove(size) }

// Index is a heap of one block with no allocator around it. Its chunks may be as small
// as one granule; an allocator puts such requests into slabs.
type Index struct {
	table chunkTable
	heap  heap
}

// NewIndex returns an index of one block with that many granules.
func NewIndex(granules uint32) *Index {
	x := &Index{}
	x.table.init()
	size := int(granules) * granule
	x.heap = heap{
		a: new(Allocator), table: &x.table, src: blocksrc.Limit(&blocksrc.GoHeap{}, size), align: granule,
		minSize: size, maxSize: size,
	}
	return x
}

// Alloc returns the number of a new chunk, or 0 if no hole was found for it.
func (x *Index) Alloc(granules uint32, align uintptr) uint32 {
	for x.table.unusedLen < chunkReserve {
		x.table.addPage(unsafe.Pointer(new([chunkPage]chunk)), uint32(chunkPageBytes), 0)
	}
	i, err := x.heap.alloc(granules, align, chunkLive)
	if err != nil {
		return 0
	}
	return i
}

// Places returns the places that the last resort looks at.
func (x *Index) Places(granules uint32, align uintptr) (all []uintptr) {
	_, _ = x.heap.searchAll(granules, align, func(i, pad uint32) bool {
		all = append(all, x.Address(i)+uintptr(pad)<<granuleShift)
		return false
	})
	return all
}

// Address is where a chunk is.
func (x *Index) Address(i uint32) uintptr { return x.heap.address(x.table.at(i)) }

// Free gives a chunk back.
func (x *Index) Free(i uint32) { x.heap.free(i) }

// Extent returns where a chunk is, in granules.
func (x *Index) Extent(i uint32) (off, size uint32) {
	c := x.table.at(i)
	return c.off, c.size
}

// Holes returns the number of holes.
func (x *Index) Holes() int { return x.heap.holes }
