package slab

import "unsafe"

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

// An entry is the number of a chunk or of a slab, with the kind in its lowest
// bit; 0 is no entry.
type entry uint32

func chunkEntry(i uint32) entry { return entry(i << 1) }
func slabEntry(i uint32) entry  { return entry(i<<1 | 1) }

func (e entry) isSlab() bool   { return e&1 != 0 }
func (e entry) number() uint32 { return uint32(e >> 1) }

// region is a place in the hash table.
type region struct {
	key  uintptr        // of the region, 0 if this place is empty
	leaf unsafe.Pointer // 1024 entries
	at   uint32         // the chunk that the leaf lies in
	used int32          // entries in the leaf
}

// keyOf returns what stands for the region of addr in the table: never 0, for
// there may be memory of ours at the bottom of the address space.
func keyOf(addr uintptr) uintptr { return addr>>regionShift + 1 }

type addrMap struct {
	table  []region // a power of two, at most half full; linear probing
	shift  uint8    // 32 - log2(len(table))
	leaves int
}

func (m *addrMap) init() {
	m.table = make([]region, 4)
	m.shift = 32 - 2
	m.leaves = 0
}

// place returns where in the table to look for a key first. Fibonacci hashing:
// neighbouring regions land far apart.
func (m *addrMap) place(key uintptr) uint32 { return uint32(key) * 0x9E3779B9 >> (m.shift & 31) }

// find returns the region of addr, nil if it has none.
func (m *addrMap) find(addr uintptr) *region {
	key := keyOf(addr)
	mask := uint32(len(m.table) - 1)
	for i := m.place(key); ; i++ {
		touch()
		switch r := &m.table[i&mask]; r.key {
		case key:
			return r
		case 0:
			return nil
		}
	}
}

func (r *region) entry(addr uintptr) *entry {
	return (*entry)(unsafe.Add(r.leaf, addr>>windowShift<<2&(leafBytes-1)))
}

// lookup returns the entry of the window that addr lies in.
func (m *addrMap) lookup(addr uintptr) entry {
	if r := &m.table[m.place(keyOf(addr))]; r.key == keyOf(addr) {
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
	for end := addr + size; ; {
		r := m.find(addr)
		for {
			p := r.entry(addr)
			if *p == 0 && e != 0 {
				r.used++
			} else if *p != 0 && e == 0 {
				r.used--
			}
			*p = e
			addr = addr&^(window-1) + window
			if end-addr-1 >= size { // past the end, which may be that of the address space
				return
			}
			if addr&(1<<regionShift-1) == 0 {
				break
			}
		}
	}
}

// insert adds a region with a key that is new.
func (m *addrMap) insert(r region) {
	if m.leaves*2 >= len(m.table) {
		old := m.table
		m.table = make([]region, len(old)*2)
		m.shift--
		for _, r := range old {
			if r.key != 0 {
				m.add(r)
			}
		}
	}
	m.leaves++
	m.add(r)
}

func (m *addrMap) add(r region) {
	i := m.place(r.key)
	for m.table[i&uint32(len(m.table)-1)].key != 0 {
		i++
	}
	m.table[i&uint32(len(m.table)-1)] = r
}

// prune drops the regions that no entry is left in and calls drop with the
// chunks that their leaves lie in.
func (m *addrMap) prune(drop func(at uint32)) {
	old := m.table
	m.init()
	for _, r := range old {
		switch {
		case r.key == 0:
		case r.used == 0:
			drop(r.at)
		default:
			m.insert(r)
		}
	}
}
