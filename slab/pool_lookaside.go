package slab

import (
	"math/bits"
	"unsafe"
)

// A pool has to find the place that an address lies at. The address map knows, but by way
// of a region, an entry, a slab and its record. So a pool has a lookaside table, by page of the
// address, of the places that it has looked up. An entry does not say which address it is for:
// the place itself tells whether an address lies there.
//
// The table has at least two entries for each page of the pool's slabs, up to 2 GiB, so that
// consecutive pages do not collide, and few others do: among a million objects a lookup
// costs the same, apart from cache misses. (With one for each page, a fifth of the pages
// of ten thousand small objects collided.) The table is made when the first slot is looked
// up by its address, and made anew when the pool has doubled since. It is dropped by a Trim, and
// when the places move, which happens ever less often as their list grows. It takes two to four
// pointers for 4 KiB, and 512 at least, on Go's heap.
//
// The slabs of a small pool may lie in several areas, where the system had room for a
// block of 64 KiB. How far apart is chance: in one process of six, pages of two areas
// shared an entry, and a pair of operations took up to half as long again. A table with
// many such collisions doubles, up to 8192 entries; in a larger pool few pages lie apart.

const (
	lookasideShift = 12
	lookasideMin   = 512
	lookasideRoomy = 8192
	lookasideMax   = 1 << 20 // for 2 GiB of slabs
)

// noPlace is a place that no address lies at. Entries of pages that were not looked up point
// at it, so that a lookup need not check for nil.
var noPlace place

// lookaside points at the entry for addr. There must be a table.
func (p *Pool) lookaside(addr uintptr) **place {
	return (**place)(unsafe.Add(p.lookasides, (addr>>lookasideShift&p.lookasideMask)*unsafe.Sizeof(uintptr(0))))
}

// lookasideTable returns the table.
func (p *Pool) lookasideTable() []*place {
	if p.lookasides == nil {
		return nil
	}
	return unsafe.Slice((**place)(p.lookasides), p.lookasideMask+1)
}

// remember notes that addr lies at place e.
func (p *Pool) remember(addr uintptr, e *place) {
	had := len(p.lookasideTable())
	n := had
	if want := min(max(2*(p.bytes>>lookasideShift), lookasideMin), lookasideMax); n < want {
		n = 1 << bits.Len(uint(want-1))
	} else if n < lookasideRoomy && p.collides(addr) {
		if p.collisions++; p.collisions > n {
			n *= 2
		}
	}
	if n != had {
		table := make([]*place, n)
		for i := range table {
			table[i] = &noPlace
		}
		p.lookasides, p.lookasideMask, p.collisions = unsafe.Pointer(unsafe.SliceData(table)), uintptr(n-1), 0
	}
	*p.lookaside(addr) = e
}

// collides tells whether the entry for addr is in use for another page.
func (p *Pool) collides(addr uintptr) bool {
	e := *p.lookaside(addr)
	page, first := addr>>lookasideShift, uintptr(e.base)>>lookasideShift
	other := first + (page-first)&p.lookasideMask
	return other != page && other<<lookasideShift < uintptr(e.base)+e.bytes
}

// look returns the place whose slab addr lies in, nil if that is none of p's, and
// remembers it for the next time.
func (p *Pool) look(addr uintptr) *place {
	if p.a == nil || p.closed {
		return nil
	}
	if p.lookasides != nil {
		if e := *p.lookaside(addr); addr-uintptr(e.base) < e.bytes {
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
	p.remember(addr, e)
	return e
}
