package slab

import (
	"math/bits"
	"unsafe"
)

// A pool has to find the place that an address lies at. The address map knows, but by way
// of a region, an entry, a slab and its record. So a pool sets aside each place that it has
// looked up, in a table by page of the address. An entry does not say which address it is
// for: the place itself tells whether an address lies there.
//
// The table has at least two entries for each page of the pool's slabs, so that
// consecutive pages do not collide, and few others do: among a million objects a lookup
// costs the same, apart from cache misses. (With one for each page, a fifth of the pages
// of ten thousand small objects collided.) The table is made when the first slot is looked
// up by its address, made anew when the pool has doubled since, and dropped by a Trim. It
// takes two to four pointers for 4 KiB, and 512 at least, on Go's heap.
//
// The slabs of a small pool may lie in several areas, where the system had room for a
// block of 64 KiB. How far apart is chance: in one process of six, pages of two areas
// shared an entry, and a pair of operations took up to half as long again. A table with
// many such collisions doubles, up to 8192 entries; in a larger pool few pages lie apart.

const (
	asideShift = 12
	asideMin   = 512
	asideRoomy = 8192
	asideMax   = 1 << 20 // for 2 GiB of slabs
)

// noPlace is a place that no address lies at. Entries of pages that were not looked up point
// at it, so that a lookup need not check for nil.
var noPlace place

// asideOf points at the entry for addr. There must be a table.
func (p *Pool) asideOf(addr uintptr) **place {
	return (**place)(unsafe.Add(p.aside, (addr>>asideShift&p.asideMask)*unsafe.Sizeof(uintptr(0))))
}

// asides returns the table.
func (p *Pool) asides() []*place {
	if p.aside == nil {
		return nil
	}
	return unsafe.Slice((**place)(p.aside), p.asideMask+1)
}

// setAside remembers that addr lies at place e.
func (p *Pool) setAside(addr uintptr, e *place) {
	had := len(p.asides())
	n := had
	if want := min(max(2*(p.bytes>>asideShift), asideMin), asideMax); n < want {
		n = 1 << bits.Len(uint(want-1))
	} else if n < asideRoomy && p.collides(addr) {
		if p.collisions++; p.collisions > n {
			n *= 2
		}
	}
	if n != had {
		table := make([]*place, n)
		for i := range table {
			table[i] = &noPlace
		}
		p.aside, p.asideMask, p.collisions = unsafe.Pointer(unsafe.SliceData(table)), uintptr(n-1), 0
	}
	*p.asideOf(addr) = e
}

// collides tells whether the entry for addr is in use for another page.
func (p *Pool) collides(addr uintptr) bool {
	e := *p.asideOf(addr)
	page, first := addr>>asideShift, uintptr(e.base)>>asideShift
	other := first + (page-first)&p.asideMask
	return other != page && other<<asideShift < uintptr(e.base)+e.bytes
}

// look returns the place whose slab addr lies in, nil if that is none of p's, and
// sets it aside for the next time.
func (p *Pool) look(addr uintptr) *place {
	if p.a == nil || p.closed {
		return nil
	}
	if p.aside != nil {
		if e := *p.asideOf(addr); addr-uintptr(e.base) < e.bytes {
			return e
		}
	}
	v := p.a.addrs.lookup(addr)
	if !v.isSlab() {
		return nil
	}
	s := p.a.slabs[v.number()].rec
	if s.owner != p.id {
		return nil
	}
	e := &p.dir[s.seq]
	p.setAside(addr, e)
	return e
}
