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
	// free slot.
	Interior
	// Foreign: the memory is not the allocator's, or not the pool's. A second free is
	// Foreign too once a pool's slab has gone back to the allocator or a block to the
	// source, or if the allocator has records there now.
	Foreign
	// WrongSize: the allocation that starts there has another capacity.
	WrongSize
	// UseAfterClose: the allocator, pool or region was closed before.
	UseAfterClose
	// BadMark: a region was to be rewound to a point that is not in its past.
	BadMark
	// Moved: an arena or pool is not where it was when it was first used: it is a copy, or
	// part of something that was copied, such as an element of a slice that grew.
	Moved
)

// String names the misuse in words.
func (m Misuse) String() string {
	switch m {
	case DoubleFree:
		return "double free"
	case Interior:
		return "address inside an allocation"
	case Foreign:
		return "not allocated here, or no longer"
	case WrongSize:
		return "wrong size"
	case UseAfterClose:
		return "use after Close"
	case BadMark:
		return "mark is not in the region's past"
	case Moved:
		return "copied, or moved by a copy, after its first use"
	}
	return fmt.Sprintf("Misuse(%d)", uint8(m))
}

// MisuseError is what an allocator panics with when a program frees what it must not, or uses an
// arena or pool that it has copied. The panic leaves everything as it was. A pointer cannot tell
// whether its memory was reused meanwhile: a late free of memory that has a new owner frees the new
// owner's object, and the free that is reported is then the new owner's. Handles have a generation,
// which closes that gap.
type MisuseError struct {
	Misuse Misuse
	Op     string // the method that found it: "Pool.Free", or "Arena[main.Ship].Free" of an arena that was used; without method if Moved
	Name   string // of the allocator, from Config
	Addr   uintptr
	Size   int // what the caller passed: its slice's capacity, or a pool's slot with its padding
	Want   int // the right size, if that is known
}

// Error describes the misuse in one line.
func (e *MisuseError) Error() string {
	s := "slab: " + e.Op
	switch {
	case e.Addr != 0:
		s += fmt.Sprintf(" of %d bytes at %#x", e.Size, e.Addr)
	case e.Size != 0: // a region's has neither
		s += " of nil"
	}
	s += by(e.Name)
	if e.Misuse == DoubleFree && !strings.HasSuffix(e.Op, "Free") {
		return s + ": free already"
	}
	s += ": " + e.Misuse.String()
	if e.Misuse == WrongSize {
		s += fmt.Sprintf(": it has %d", e.Want)
	}
	return s
}

// by names an allocator in an error, if it has a name.
func by(name string) string {
	if name == "" {
		return ""
	}
	return " (allocator " + name + ")"
}

// anyClass is the owner that stands for all size classes; any other is a pool's id.
const anyClass = ^uint32(0)

// misuse panics with the reason why [addr, addr+size) cannot be freed. It need not be fast.
func (a *Allocator) misuse(op string, addr uintptr, size int, owner uint32) {
	e := &MisuseError{Op: op, Name: a.cfg.Name, Addr: addr, Size: size, Misuse: Foreign}
	a.explain(e, owner)
	panic(e)
}

// explain sets what the misuse is, which is Foreign so far.
func (a *Allocator) explain(e *MisuseError, owner uint32) {
	addr := e.Addr
	if a.closed {
		e.Misuse = UseAfterClose
		return
	}
	if v := a.addrs.lookup(addr); v.isSlab() {
		ref := &a.slabs[v.number()]
		s := ref.rec
		if s.owner != owner && (owner != anyClass || s.owner >= numClasses) {
			return
		}
		c := a.cacheOf(s.owner)
		off := addr - uintptr(ref.base)
		switch {
		case off/c.stride >= uintptr(s.slots):
		case off%c.stride != 0:
			e.Misuse = Interior
		case uintptr(e.Size) != c.stride && ref.isLive(uint32(off/c.stride)): // only of a class
			e.Misuse, e.Want = WrongSize, int(c.stride)
		default:
			e.Misuse = DoubleFree
		}
		return
	}
	b, ok := a.user.blockAt(addr)
	if !ok || owner != anyClass {
		return
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
			return
		}
		i = c.next
	}
}
