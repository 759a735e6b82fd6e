package slab

import (
	"fmt"
	"strings"
)

// A Misuse says what a program did wrong with memory of an allocator.
type Misuse uint8

const (
	// DoubleFree: the memory is the allocator's and is free already.
	DoubleFree Misuse = iota + 1
	// Interior: the address lies inside an allocation, not at its start, or inside a
	// slot that is free.
	Interior
	// Foreign: the allocator, or the pool, has no such memory. This is also what a
	// second free gets after the slab has gone back to the allocator, or the block to
	// the source, or where the allocator has records now.
	Foreign
	// WrongSize: the allocation starts there and has another capacity.
	WrongSize
	// UseAfterClose: the allocator, pool or region was closed before.
	UseAfterClose
	// BadMark: a region is to be rewound to a point that is not in its past.
	BadMark
)

// String names the misuse in words.
func (m Misuse) String() string {
	switch m {
	case DoubleFree:
		return "double free"
	case Interior:
		return "address inside an allocation"
	case Foreign:
		return "not allocated here"
	case WrongSize:
		return "wrong size"
	case UseAfterClose:
		return "use after Close"
	case BadMark:
		return "mark is not in the region's past"
	}
	return fmt.Sprintf("Misuse(%d)", uint8(m))
}

// MisuseError is what an allocator panics with when a program frees what it
// must not. Nothing has changed when it does. Whether the memory was reused
// meanwhile cannot be told from a pointer: a late free of memory that has a new
// owner frees the new owner's, and the owner's own free is then the one that is
// reported. Handles have a generation and do not have that gap.
type MisuseError struct {
	Misuse Misuse
	Op     string // what was called of package slab: "Pool.Free" for Arena.Free
	Name   string // of the allocator, from Config
	Addr   uintptr
	Size   int // what the caller passed: the capacity of its slice, a pool's slot with its padding
	Want   int // what is right, if that is known
}

// Error describes the misuse in one line.
func (e *MisuseError) Error() string {
	s := "slab: " + e.Op
	if e.Addr != 0 || e.Size != 0 { // a region's has neither
		s += fmt.Sprintf(" of %d bytes at %#x", e.Size, e.Addr)
	}
	if e.Name != "" {
		s += " (allocator " + e.Name + ")"
	}
	if e.Misuse == DoubleFree && !strings.HasSuffix(e.Op, "Free") {
		return s + ": free already"
	}
	s += ": " + e.Misuse.String()
	if e.Misuse == WrongSize {
		s += fmt.Sprintf(": it has %d", e.Want)
	}
	return s
}

// anyClass stands for all caches of the allocator's own, beside one pool's id.
const anyClass = ^uint32(0)

// misuse panics with the reason why [addr, addr+size) cannot be freed. It may
// take its time.
func (a *Allocator) misuse(op string, addr uintptr, size int, owner uint32) {
	e := &MisuseError{Op: op, Name: a.cfg.Name, Addr: addr, Size: size, Misuse: Foreign}
	if a.closed {
		e.Misuse = UseAfterClose
		panic(e)
	}
	if v := a.addrs.lookup(addr); v.isSlab() {
		s := a.slabs[v.number()].rec
		if s.owner != owner && (owner != anyClass || s.owner >= numClasses) {
			panic(e)
		}
		c := a.cacheOf(s.owner)
		off := addr - s.addr
		switch {
		case off/c.stride >= uintptr(s.slots):
		case off%c.stride != 0:
			e.Misuse = Interior
		case uintptr(size) != c.stride:
			e.Misuse, e.Want = WrongSize, int(c.stride)
		default:
			e.Misuse = DoubleFree
		}
		panic(e)
	}
	if owner != anyClass {
		panic(e)
	}
	b, ok := a.user.blockAt(addr)
	if !ok {
		panic(e)
	}
	for i := a.user.blocks[b].first; i != 0; {
		c := a.table.at(i)
		if at, n := a.user.address(c), uintptr(c.size)<<granuleShift; addr-at < n {
			switch {
			case c.kind == chunkHole:
				e.Misuse = DoubleFree
			case c.kind == chunkLodger: // Foreign
			case addr != at:
				e.Misuse = Interior
			default:
				e.Misuse, e.Want = WrongSize, int(n)
			}
			break
		}
		i = c.next
	}
	panic(e)
}
