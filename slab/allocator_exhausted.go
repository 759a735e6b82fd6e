package slab

import (
	"errors"

	"github.com/vita-go/deblockator/blocksrc"
)

// What still serves a request when the source has no block for it, tried in turn:
//
//   - half a block, and so on down to what the request needs (heap.grow)
//   - any hole at all, whatever its bin and its alignment (searchAll)
//   - what is kept for the next need: it goes back, and the source is asked again for
//     no more than is needed (reclaim)
//   - for a record, a hole in the user's memory (allocator_lodger.go)
//   - half a block, if there is no leaf of the address map for a whole one (allocMapped)
//   - half a slab, and so on, or if it is known that the source has not even room for the least,
//     the largest of these that there is a hole for (cache.grow), and for a class a hole without
//     a slab
//   - a hole that needs no new record and no new leaf (atOnce)
//   - leaves of the address map without an entry or, if nothing is live, everything:
//     they go back likewise (startAnew)
//   - a free slot of a larger class (larger)
//
// A request that the source has a block for takes none of these steps, except that a large one
// looks for a hole first while the source refuses to take a block back.

// canHelp tells whether giving something back may make room. It cannot if the source says
// that there never will be room, or if the source lies.
func canHelp(err error) bool {
	return err != nil && errors.Is(err, blocksrc.ErrExhausted) && !errors.Is(err, blocksrc.ErrInvalid) && !errors.Is(err, ErrBadSource)
}

// reclaim gives back what is kept for the next need, if err says that the need has
// come. It tells whether anything went back.
func (a *Allocator) reclaim(err error) bool {
	if !canHelp(err) {
		return false
	}
	vacant, held := len(a.vacantSlabs), a.user.held+a.meta.held
	a.dropEmpty()
	_, _ = a.user.shrink(0, false), a.meta.shrink(0, false)
	return a.scarce(len(a.vacantSlabs) > vacant || a.user.held+a.meta.held < held)
}

// startAnew is reclaim for leaves of the address map without an entry or, if nothing is live,
// for everything. It is called only between attempts: during one, a leaf may have no entry
// because it is about to get one.
func (a *Allocator) startAnew(err error) bool {
	if !canHelp(err) {
		return false
	}
	if a.live == 0 {
		return a.scarce(a.trimmed() > 0)
	}
	idle := a.addrs.idle > 0
	if idle {
		a.addrs.prune(a.freeRecord)
	}
	return a.scarce(idle)
}

// scarce makes the next block of memory and the next of records no larger than needed, if
// there will be another attempt: in the attempt before, a generous first block may have taken
// the room for the second.
func (a *Allocator) scarce(again bool) bool {
	if again {
		a.user.askMost, a.meta.askMost = 1, 1
	}
	return again
}

// tight tells whether a source may have no more: it has refused grow since it last gave it a
// block or took one back. (That a large request is refused says nothing about smaller ones.)
func (a *Allocator) tight() bool { return a.user.askMost > 0 || a.meta.askMost > 0 }

// atOnce makes a chunk of a hole that serves a request as things are, with no new block, page
// of records, or leaf of the address map for its first mapped bytes. It returns 0 if there is
// no such hole. So what was freed can be had again, whatever has become of the source, if it takes
// a walk past all holes that would need more.
func (a *Allocator) atOnce(size uint32, align, mapped uintptr, kind chunkKind) uint32 {
	i, pad := a.user.searchAll(size, align, func(i, pad uint32) bool {
		c := a.table.at(i)
		records := chunkStep // must be left, to make the next page of them
		if pad > 0 {
			records++
		}
		if c.size-pad > size {
			records++
		}
		return records <= a.table.unusedLen && a.addrs.mapped(a.user.address(c)+uintptr(pad)<<granuleShift, mapped, a.entryOf(i, kind)) == mapped
	})
	if i != 0 {
		a.user.take(i, pad, size, kind)
	}
	return i
}

// larger returns a class that has a free slot for a request that was refused otherwise, or nil
// if there is none. It is the last resort: a program that frees to stay within a fixed budget
// must not be refused because the objects it freed had other sizes.
func (a *Allocator) larger(size, align int) *class {
	k, ok := smallClass(size, align)
	if !ok {
		return nil
	}
	for _, c := range a.classes[k:numClasses] {
		if int(c.stride)&(align-1) == 0 && c.hasFree() {
			return c
		}
	}
	return nil
}
