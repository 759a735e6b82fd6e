package slab

import (
	"math/bits"
	"unsafe"
)

// The address map answers, for any address at all, what of ours starts or lies
// there. It is what makes every bad free certain to be seen: it never looks at
// the memory that the address points to.
//
// The address space is cut into windows of 1 KiB. A window has one entry: the
// slab that covers it, or else the allocation that starts in it. One entry is
// enough because no allocation outside a slab is smaller than a window, so two
// cannot start in the same, and slabs begin and end on window edges. Where an
// address lies in its window is for the record behind the entry to check.
//
// Entries lie in leaves of 1024, one for each region of 1 MiB, in the record
// heap; regions are found by hashing. A radix over the whole address would need
// as many levels again and a root as large as all the leaves of a small
// program, and the Vita and a fixed buffer give no alignment to mask by.

const (
	windowShift = 10
	window      = 1 << windowShift // bytes
	regionShift = windowShift + 10
	leafBytes   = 1 << (regionShift - windowShift) * 4
)

// An entry is the number of a slab, or that of a chunk with the highest bit set,
// so that it is beyond the slabs; 0 is no entry.
type entry uint32

const chunkBit = 1 << 31

func chunkEntry(i uint32) entry { return entry(i | chunkBit) }
func slabEntry(i uint32) entry  { return entry(i) }

func (e entry) isSlab() bool   { return e-1 < chunkBit-1 }
func (e entry) number() uint32 { return uint32(e &^ chunkBit) }

// region is a place in the hash table.
type region struct {
	_    [regionSize - 2*unsafe.Sizeof(uintptr(0)) - 8]byte // indexing is a shift
	key  uintptr                                            // of the region, noRegion if this place is empty
	leaf unsafe.Pointer                                     // 1024 entries
	at   uint32                                             // the chunk that the leaf lies in
	used int32                                              // entries in the leaf
}

// keyOf returns what stands for the region of addr in the table.
func keyOf(addr uintptr) uintptr { return addr >> regionShift }

const (
	regionSize = 32
	noRegion   = ^uintptr(0) // no address has this key
)

type addrMap struct {
	table  []region       // a power of two, at most a quarter full; see again
	first  unsafe.Pointer // of table, for place
	mask   uintptr        // len(table) - 1
	leaves int
	idle   int // of those, without an entry
}

func (m *addrMap) init() {
	m.resize(16)
	m.leaves, m.idle = 0, 0
}

// resize makes a table of n empty places.
func (m *addrMap) resize(n int) {
	m.table = make([]region, n)
	for i := range m.table {
		m.table[i].key = noRegion
	}
	m.first, m.mask = unsafe.Pointer(unsafe.SliceData(m.table)), uintptr(n-1)
}

// place returns where in the table to look for a key first. What a program has is
// mostly in regions one behind the other, and those do not collide.
func (m *addrMap) place(key uintptr) *region {
	return (*region)(unsafe.Add(m.first, (key&m.mask)*unsafe.Sizeof(region{})))
}

// again returns where to look when the place found by x is another's, and what that is
// found by: x is a key first, then what again made of it. Blocks that lie whole GiB
// apart all have the same first place, and regions one behind the other fill one place
// after the other: neither to look in the next place nor to go on by a step would do,
// they walk along such a row. So x goes through a linear congruence, which comes by
// every place sooner or later (Hull and Dobell, 1962: golden is one more than a
// multiple of 4).
func (m *addrMap) again(x uintptr) (*region, uintptr) {
	x = x*golden + 1
	return m.place(x >> (bits.UintSize / 2)), x
}

const golden uintptr = 0x9e37_79b9_7f4a_7c15 >> (64 - bits.UintSize) // of the golden ratio

// find returns the region of addr, nil if it has none.
func (m *addrMap) find(addr uintptr) *region {
	key := keyOf(addr)
	r := m.place(key)
	touch()
	for x := key; r.key != key; {
		if r.key == noRegion {
			return nil
		}
		r, x = m.again(x)
		touch()
	}
	return r
}

func (r *region) entry(addr uintptr) *entry {
	return (*entry)(unsafe.Add(r.leaf, addr>>(windowShift-2)&(leafBytes-4)))
}

// lookup returns the entry of the window that addr lies in.
func (m *addrMap) lookup(addr uintptr) entry {
	if r := m.place(keyOf(addr)); r.key == keyOf(addr) {
		touch()
		return *r.entry(addr)
	}
	if r := m.find(addr); r != nil {
		return *r.entry(addr)
	}
	return 0
}

// set writes the entries of the windows that [addr, addr+size) touches. Their
// regions exist.
func (m *addrMap) set(addr, size uintptr, e entry) {
	for end, more := addr+size, true; more; {
		r := m.find(addr)
		before := r.used
		for {
			p := r.entry(addr)
			if *p == 0 && e != 0 {
				r.used++
			} else if *p != 0 && e == 0 {
				r.used--
			}
			*p = e
			addr = addr&^(window-1) + window
			// Past the end, which may be that of the address space?
			if more = end-addr-1 < size; !more || addr&(1<<regionShift-1) == 0 {
				break
			}
		}
		if before == 0 {
			m.idle--
		}
		if r.used == 0 {
			m.idle++
		}
	}
}

// insert adds a region with a key that is new.
func (m *addrMap) insert(r region) {
	if m.leaves*4 >= len(m.table) {
		old := m.table
		m.resize(len(old) * 2)
		for _, r := range old {
			if r.key != noRegion {
				m.add(r)
			}
		}
	}
	m.leaves++
	if r.used == 0 {
		m.idle++
	}
	m.add(r)
}

func (m *addrMap) add(r region) {
	to := m.place(r.key)
	for x := r.key; to.key != noRegion; {
		to, x = m.again(x)
	}
	*to = r
}

// mostlyIdle tells whether it pays to prune. Where blocks come at new addresses all
// the time, regions would pile up otherwise.
func (m *addrMap) mostlyIdle() bool { return m.idle > max(idleLeaves, m.leaves/2) }

// idleLeaves is how many regions may be without an entry, however few others there
// are: enough for blocks that come and go at the same addresses.
const idleLeaves = 8

// prune drops the regions that no entry is left in and calls drop with the
// chunks that their leaves lie in.
func (m *addrMap) prune(drop func(at uint32)) {
	old := m.table
	m.init()
	for _, r := range old {
		switch {
		case r.key == noRegion:
		case r.used == 0:
			drop(r.at)
		default:
			m.insert(r)
		}
	}
}
