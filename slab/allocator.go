package slab

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// Allocator hands out pieces of blocks that it takes from a source; the package comment
// says how. [New] makes one. The zero value is not usable: most of its methods panic.
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
	spares      []*cache              // the caches that keep an empty slab

	live, peakLive, peakHeld int
	allocs, frees            uint64 // of chunks, large blocks, and pools that were closed
	retired                  int    // slots of pools that were closed
	failures                 uint64 // requests that were refused
	epoch                    uint64 // counts Reset and Close
	dependents               []*dependent
	dropping                 bool // dropSpares is under way
	lodging                  bool // see allocator_lodger.go
	lodged                   int  // bytes of records in the user's blocks
	closed                   bool
	unchecked                int // see invariants_on.go

	// Large fields are last: the compiler adds a nil check to each access of a field that is
	// not in the first page of the Allocator.
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
	a.table.init()
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

// Alloc returns size bytes, all zero, at a multiple of align, a power of two. An align of 0
// means 1, not the source's granularity as in a Config. Bytes that will hold a struct need
// its alignment; 8 is enough for every Go type. The capacity of the slice is the room that
// the allocation really has: all of it is zero, and the caller's. Size 0 gives an empty slice
// that is not nil and needs no Free.
//
// Apart from the clearing, Alloc takes constant time unless the source must be asked.
// The error wraps ErrInvalid, ErrTooLarge, ErrClosed, or what the source said,
// such as blocksrc.ErrExhausted; nothing that is live has changed then. Refusing for want
// of memory takes some microseconds, because every way out is tried first; see the package comment.
// If blocksrc.Never says that the source can never serve the request, freeing something will not
// help.
//
// Appending beyond the capacity makes a slice on Go's heap, which must not be passed to
// Free, and leaves this one allocated. Use Realloc to make it longer.
//
// The slice is a Go pointer to memory that Go does not manage. Keep it on Go's heap, where the
// collector scans it, and not in an arena or in other such memory. Records that are to refer to
// bytes without a pointer have them in pieces of one size, in an arena, linked by handles.
func (a *Allocator) Alloc(size, align int) ([]byte, error) {
	if n := classBits(size, align); n < smallMax && align&(align-1) == 0 {
		if c := a.classes[classOf[n+1]&classMask]; c.count != 0 {
			h, bit := c.take()
			b := sliceOf(a.revive(c, h, bit), size, c.stride)
			if !bit.fresh() {
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
			h, bit := c.take()
			b := sliceOf(a.revive(c, h, bit), size, c.stride)
			a.after()
			return b, nil
		}
	}
	b, _, err := a.alloc(size, align)
	return b, err
}

// AllocUpTo is Alloc of most bytes or, where there is no room for that many, of half as
// many, and so on down to least. If most is below least, it is Alloc of least. Neither may be
// negative. The length says how many there are, and the capacity may be more, as with Alloc. It
// counts as one request, refused for want of memory only if least is.
func (a *Allocator) AllocUpTo(most, least, align int) ([]byte, error) {
	if n := min(most, least); n < 0 {
		most, least = n, n // and so invalid
	}
	for n := max(most, least); ; n = max(n/2, least) {
		b, err := a.Alloc(n, align)
		if err == nil || n == least || !errors.Is(err, ErrExhausted) && !errors.Is(err, ErrTooLarge) {
			return b, err
		}
		a.failures--
	}
}

// classBits returns a request's size, rounded up to a multiple of align, less one; for a
// size of 0 or less, a huge number. It does what smallClass does, and is small enough to be
// inlined. Two Allocs have the same code around it, instead of sharing a function, so that
// the fast path has no call.
func classBits(size, align int) uint {
	n := uint(align - 1)
	n += n >> (bits.UintSize - 1) // an align of 0 counts as 1
	return uint(size-1) | n
}

// sliceOf returns the n bytes at p as a slice with the capacity size. It is
// unsafe.Slice(p, size)[:n] without the checks, which are a sixth of the instructions of an
// allocation. The callers know that both numbers are good.
func sliceOf(p unsafe.Pointer, n int, size uintptr) []byte {
	s := struct {
		at        unsafe.Pointer
		len, room int
	}{p, n, int(size)}
	return *(*[]byte)(unsafe.Pointer(&s))
}

// revive makes a slot that was at hand live.
func (a *Allocator) revive(c *class, h *atHand, bit slotBit) unsafe.Pointer {
	setBit(h.live, bit.position())
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

// alloc serves any request. It also returns how many bytes, from the start, may not be zero.
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

// begin is called at the start of each attempt to serve a request. (Inlined it would be more
// code than a call, because it writes pointers, and it is on no fast path.)
//
//go:noinline
func (a *Allocator) begin() { a.user.fault, a.meta.fault = nil, nil }

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
		if c.bytes > slabSoft {
			c.lulls = 0 // what a large class keeps at hand may hold many blocks
		}
	}
	b, dirty = a.allocSlot(c, size)
	return b, dirty, nil
}

// class returns class k, and makes it when it is first needed.
func (a *Allocator) class(k int) *class {
	c := a.classes[k]
	if c == &noClass {
		c = new(class)
		c.init(a, uint32(k), uintptr(classSize[k]), 1)
		a.classes[k] = c
	}
	return c
}

// allocSlot takes a slot of a class that has one.
func (a *Allocator) allocSlot(c *class, size int) (b []byte, dirty uintptr) {
	if c.count == 0 {
		c.load()
	}
	h, bit := c.take()
	if !bit.fresh() {
		dirty = c.stride
	}
	return unsafe.Slice((*byte)(a.revive(c, h, bit)), c.stride)[:size], dirty
}

// allocRange serves requests that no slab serves. A large one takes a hole only if it can get
// no block of its own; all others do.
func (a *Allocator) allocRange(size, align int) (b []byte, dirty uintptr, err error) {
	if uint64(size) > maxBlockBytes || uint64(align) > maxBlockBytes {
		return nil, 0, because(ErrTooLarge, "%d bytes aligned to %d", size, align)
	}
	n := granules(size)
	large := size >= a.cfg.LargeSize || a.user.blockFor(n, uintptr(align)) > uint64(a.cfg.MaxBlockSize)
	if large {
		// A source that takes nothing back must not be asked for more and more.
		large = a.user.idleRefused(n, uintptr(align)) < 0 && (a.user.stuck == 0 || a.user.anyHole(n, uintptr(align)) == 0)
	}
	var i uint32
	for at := max(align, blockAlign(a.cfg.Source, a.cfg.LargeAlign)); large; {
		if i, err = a.allocBlock(int(n)<<granuleShift, at); err == nil {
			break
		}
		// A hole will do as well. It is tried before what is kept for the next need
		// goes, because that may be the hole. So will a block aligned like any other.
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
		if err = a.mapRegions(i, 1, chunkLarge); err != nil {
			a.user.freeBlock(i, a.table.at(i))
		}
	}
	if err != nil {
		if i = a.atOnce(n, uintptr(align), 1, chunkLive); i == 0 {
			return nil, 0, err
		}
	}
	c := a.table.at(i)
	c.align = uint16(bits.TrailingZeros(uint(align)))
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
