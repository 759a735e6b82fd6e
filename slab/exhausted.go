package slab

import (
	"errors"

	"github.com/vita-go/deblockator/blocksrc"
)

// What still serves a request when the source has no block for it, one after the
// other:
//
//   - half a block, and so on down to what the request needs (heap.grow)
//   - any hole at all, whatever its bin and its alignment (searchAll)
//   - what is kept for the next need, given back for the source to try again (reclaim),
//     with no more than is needed
//   - a hole of the user's, for a record (lodger.go)
//   - half of a block that there is no leaf of the address map for (allocMapped)
//   - half a slab, and so on (grow), and for a class a hole that is no slab
//   - a hole that takes no new record or leaf either (atOnce)
//   - leaves of the address map without an entry and, if nothing is live, all there
//     is, given back likewise (startAnew)
//   - a free slot of a larger class (larger)
//
// None of it is on the way of a request that the source has a block for.

// canHelp tells whether there may be room after something was given back: not if a source
// says that there will never be, or lies.
func canHelp(err error) bool {
	return err != nil && errors.Is(err, blocksrc.ErrExhausted) && !errors.Is(err, blocksrc.ErrInvalid) && !errors.Is(err, ErrBadSource)
}

// reclaim gives back what is kept for the next need, if err says that this is
// the need, and tells whether that was anything.
func (a *Allocator) reclaim(err error) bool {
	if !canHelp(err) {
		return false
	}
	vacant, held := len(a.vacantSlabs), a.user.held+a.meta.held
	a.dropEmpty()
	_, _ = a.user.shrink(0, false), a.meta.shrink(0, false)
	return a.scarce(len(a.vacantSlabs) > vacant || a.user.held+a.meta.held < held)
}

// startAnew gives records of what was back, if err says that there is need of it, and if
// nothing is live everything. It tells whether that was anything. It is for the end of a
// try: while one is under way, a leaf may be without an entry for it is to have one.
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

// scarce has the next block of memory, and of records, be no larger than it has to be, if
// there is to be another try: the first of them may have taken what the other needed.
func (a *Allocator) scarce(again bool) bool {
	if again {
		a.user.most, a.meta.most = 1, 1
	}
	return again
}

// tight tells whether there may be no more to be had: a source has refused since it gave a
// block, or took one back, the last time.
func (a *Allocator) tight() bool { return a.user.most > 0 || a.meta.most > 0 }

// atOnce makes a chunk of a hole that serves a request as things are, with no new block,
// record or leaf of the address map for its first mapped bytes; 0 if there is none. What was
// freed can be had again that way, whatever has become of the source.
func (a *Allocator) atOnce(size uint32, align, mapped uintptr, kind chunkKind) uint32 {
	i, pad := a.user.searchAll(size, align, func(c *chunk, pad uint32) bool {
		records := chunkStep // that are to be left, for the next page of them
		if pad > 0 {
			records++
		}
		if c.size-pad > size {
			records++
		}
		return records <= a.table.spare && a.addrs.mapped(a.user.address(c)+uintptr(pad)<<granuleShift, mapped) == mapped
	})
	if i != 0 {
		a.user.take(i, pad, size, kind)
	}
	return i
}

// larger returns a class that has a slot for what was refused otherwise, nil if there
// is none. It is the last resort of all: a program that has a fixed budget, and frees,
// must not be refused for having freed objects of other sizes.
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
