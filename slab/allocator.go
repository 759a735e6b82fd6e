package slab

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// Allocator hands out pieces of blocks that it takes from a source. See the
// package comment for how. [New] makes one; the zero value is of no use: its methods
// panic, or return an error.
//
// An Allocator must not be copied, and is not goroutine-safe: one goroutine at a
// time may call its methods and those of the pools, arenas and regions on it.
type Allocator struct {
	_ noCopy

	addrs       addrMap
	slabs       []slabRef // number 0 is none
	vacantSlabs []uint32
	classes     [classMask + 1]*class // noClass until they are needed
	pools       []*Pool               // by id - numClasses; nil if closed
	vacantPools []uint32              // numbers of closed ones
	spares      []*cache              // that keep an empty slab

	live, peakLive, peakHeld int
	allocs, frees            uint64 // of chunks, blocks of their own, and pools that were closed
	retired                  int    // slots of pools that were closed
	failures                 uint64 // requests that were refused
	epoch                    uint64 // counts Reset
	dependents               []*dependent
	dropping                 bool // spares, see dropSpares
	lodging                  bool // see lodger.go
	lodged                   int  // bytes of records in the user's blocks
	closed                   bool
	unchecked                int // see invariants_on.go

	// What is large is last: who calls a method pays for a look whether there is an
	// allocator at all where a field is not in its first page.
	cfg   Config
	table chunkTable
	user  heap
	meta  heap // the allocator's own records
}

// New returns an allocator. It acquires nothing yet. The error wraps ErrInvalid
// if cfg contradicts itself.
func New(cfg Config) (*Allocator, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &Allocator{cfg: cfg.withDefaults(), lodging: cfg.MetaSource == nil}
	cfg = a.cfg
	a.user.init(a, cfg.Source, cfg.BlockAlign, cfg.BlockSize, cfg.Retain)
	a.meta.init(a, cfg.MetaSource, 0, metaBlockSize, max(cfg.Retain, 0))
	a.user.other, a.meta.other = &a.meta, &a.user
	a.table.init()
	a.addrs.user = &a.user
	a.addrs.init()
	a.slabs = append(make([]slabRef, 0, 16), noSlab)
	for k := range a.classes {
		a.classes[k] = &noClass
	}
	return a, nil
}

// metaBlockSize is the size of the first block of records.
const metaBlockSize = 32 << 10

func (a *Allocator) noteHeld() { a.peakHeld = max(a.peakHeld, a.user.held+a.meta.held) }

// gain counts n more bytes as live.
func (a *Allocator) gain(n uintptr) {
	if a.live += int(n); a.live > a.peakLive {
		a.peakLive = a.live
	}
}

// Alloc returns size bytes, all zero, at a multiple of align, which is a power
// of two; 0 means 1, and not the source's granularity as in a Config. Bytes that are to be
// seen as a struct need the alignment of that: 8 does for all of Go's. The capacity of the slice is the room that the allocation
// really has, and all of it is the caller's. Size 0 gives an empty slice that is
// not nil and needs no Free.
//
// It takes constant time, besides the clearing, unless the source must be asked.
// The error wraps ErrInvalid, ErrTooLarge, ErrClosed, or what the source said,
// such as blocksrc.ErrExhausted; nothing that is live has changed then. A refusal for want
// of memory takes ten microseconds and more, for every way out is tried before. If it is
// blocksrc.ErrInvalid too, the source can never serve it: to free something will not help.
//
// Append to the slice beyond its capacity makes another on Go's heap, which is not for
// Free, and leaves this one allocated: Realloc is what makes it longer.
func (a *Allocator) Alloc(size, align int) ([]byte, error) {
	if n := classBits(size, align); n < smallMax && align&(align-1) == 0 {
		if c := a.classes[classOf[n+1]&classMask]; c.count != 0 {
			h := c.take()
			b := sliceOf(a.revive(c, h), size, c.stride)
			if !h.id.fresh() {
				clear(b[:cap(b)])
			}
			a.after()
			return b, nil
		}
	}
	b, dirty, err := a.alloc(size, align)
	if err != nil {
		return nil, err
	}
	clear(b[:cap(b)][:dirty])
	return b, nil
}

// AllocUninitialized is Alloc without the clearing: the bytes are whatever was
// there before.
func (a *Allocator) AllocUninitialized(size, align int) ([]byte, error) {
	if n := classBits(size, align); n < smallMax && align&(align-1) == 0 {
		if c := a.classes[classOf[n+1]&classMask]; c.count != 0 {
			b := sliceOf(a.revive(c, c.take()), size, c.stride)
			a.after()
			return b, nil
		}
	}
	b, _, err := a.alloc(size, align)
	return b, err
}

// AllocUpTo is Alloc of most bytes or, where there is no room for so many, of half as
// many, and so on, but not of less than least (not even if most is). The capacity tells
// how many they are. It is one request: if it is refused, least was.
func (a *Allocator) AllocUpTo(most, least, align int) ([]byte, error) {
	for n := max(most, least); ; n = max(n/2, least) {
		b, err := a.Alloc(n, align)
		if err == nil || n == least || !errors.Is(err, ErrExhausted) && !errors.Is(err, ErrTooLarge) {
			return b, err
		}
		a.failures--
	}
}

// classBits returns a request's size, rounded up to a multiple of align, less one;
// much for a size that is 0 or less. It is what smallClass does, small enough to be
// put in line: the two Allocs that use it are alike, and not one function that
// both call, to have no call on the way that most programs go.
func classBits(size, align int) uint {
	n := uint(align - 1)
	n += n >> (bits.UintSize - 1) // an align of 0 is as good as 1
	return uint(size-1) | n
}

// sliceOf returns the slice of the n bytes at p that has room for size. It is what
// unsafe.Slice(p, size)[:n] is without the checks, a sixth of the instructions of an
// allocation; both numbers are known to be good there.
func sliceOf(p unsafe.Pointer, n int, size uintptr) []byte {
	s := struct {
		at        unsafe.Pointer
		len, room int
	}{p, n, int(size)}
	return *(*[]byte)(unsafe.Pointer(&s))
}

// revive makes a slot live that was at hand.
func (a *Allocator) revive(c *class, h *atHand) unsafe.Pointer {
	setBit(h.live, uint32(h.id)&63)
	a.gain(c.stride)
	touch()
	return h.at
}

var errNotMade = fmt.Errorf("%w: allocator that New has not made", ErrInvalid)

// state returns why nothing can be allocated from a.
func (a *Allocator) state() error {
	switch {
	case a.closed:
		return ErrClosed
	case a.cfg.Source == nil:
		return errNotMade
	}
	return nil
}

// alloc returns how many bytes from the start may not be zero as well.
func (a *Allocator) alloc(size, align int) (b []byte, dirty uintptr, err error) {
	if align == 0 {
		align = 1
	}
	if err := a.state(); err != nil {
		return nil, 0, err
	}
	switch {
	case size < 0 || align < 0 || align&(align-1) != 0:
		return nil, 0, because(ErrInvalid, "size %d, align %d", size, align)
	case size == 0:
		return []byte{}, 0, nil
	}
	b, dirty, err = a.allocAny(size, align)
	if a.startAnew(err) {
		b, dirty, err = a.allocAny(size, align)
	}
	if err != nil {
		c := a.larger(size, align)
		if c == nil {
			a.failures++
			return nil, 0, err
		}
		b, dirty = a.allocSlot(c, size)
	}
	a.after()
	return b, dirty, nil
}

// begin is called where a try to serve a request begins. (In line it would be more code than
// a call, for it writes pointers, and is on no way that is short.)
//
//go:noinline
func (a *Allocator) begin() { a.user.odd, a.meta.odd = nil, nil }

func (a *Allocator) allocAny(size, align int) (b []byte, dirty uintptr, err error) {
	a.begin()
	k, ok := smallClass(size, align)
	if !ok {
		return a.allocRange(size, align)
	}
	c := a.class(k)
	if !c.hasFree() {
		if _, err := c.grow(1); err != nil {
			return a.allocRange(size, align) // from a hole that no slab can start in
		}
	}
	b, dirty = a.allocSlot(c, size)
	return b, dirty, nil
}

// class returns class k, which is made when it is needed.
func (a *Allocator) class(k int) *class {
	c := a.classes[k]
	if c == &noClass {
		c = new(class)
		c.init(a, uint32(k), uintptr(classSize[k]), 1, false)
		a.classes[k] = c
	}
	return c
}

// allocSlot takes a slot of a class that has one.
func (a *Allocator) allocSlot(c *class, size int) (b []byte, dirty uintptr) {
	if c.count == 0 {
		c.load()
	}
	h := c.take()
	if !h.id.fresh() {
		dirty = c.stride
	}
	return unsafe.Slice((*byte)(a.revive(c, h)), c.stride)[:size], dirty
}

// allocRange serves what no slab does: from the holes if it is not large or if
// there is no block to be had for it alone.
func (a *Allocator) allocRange(size, align int) (b []byte, dirty uintptr, err error) {
	if uint64(size) > maxBlockBytes || uint64(align) > maxBlockBytes {
		return nil, 0, because(ErrTooLarge, "%d bytes aligned to %d", size, align)
	}
	n := granules(size)
	large := size >= a.cfg.LargeSize || a.user.blockFor(n, uintptr(align)) > uint64(a.cfg.MaxBlockSize)
	if large && a.user.stuck+len(a.user.refused) > 0 {
		// A source that takes nothing back must not be asked for more and more.
		large = a.user.anyHole(n, uintptr(align)) == 0 && a.user.idleRefused(a.user.blockFor(n, uintptr(align))) < 0
	}
	var i uint32
	for at := max(align, blockAlign(a.cfg.Source, a.cfg.LargeAlign)); large; {
		if i, err = a.allocBlock(int(n)<<granuleShift, at); err == nil {
			break
		}
		// A hole will do as well, before what is kept for the next need goes, for
		// it may be the hole; and so will a block that is aligned like any other.
		if a.user.anyHole(n, uintptr(align)) != 0 {
			large = false
		} else if !a.reclaim(err) {
			large = at <= a.user.align
			break
		}
	}
	if !large {
		i, err = a.allocMapped(n, uintptr(align), 1, chunkLive)
	} else if err == nil {
		if err = a.mapRegions(a.user.address(a.table.at(i)), 1); err != nil {
			a.freeChunk(i, a.table.at(i))
		}
	}
	if err != nil {
		if i = a.atOnce(n, uintptr(align), 1, chunkLive); i == 0 {
			return nil, 0, err
		}
	}
	c := a.table.at(i)
	c.align = log2(align)
	a.addrs.set(a.user.address(c), 1, chunkEntry(i))
	a.gain(uintptr(c.size) << granuleShift)
	a.allocs++
	dirty = a.user.use(c)
	return unsafe.Slice((*byte)(a.user.pointer(c)), uint64(c.size)<<granuleShift)[:size], dirty, nil
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
