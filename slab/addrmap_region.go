package slab

import (
	"math/bits"
	"unsafe"
)

// The address map keeps the regions that have a leaf in a hash table, by address. A radix tree
// over the whole address would need as many levels again, and a root as large as all the
// leaves of a small program.

// region is a place in the hash table.
type region struct {
	_    [0]func()                                          // no two can be compared, which spares the code for it
	key  uintptr                                            // of the region, noRegion if this place is empty
	leaf unsafe.Pointer                                     // the entries of its windows
	at   uint32                                             // the chunk that the leaf lies in
	used uint16                                             // windows with an entry
	wide bool                                               // entries have 32 bits, not 16
	_    [regionSize - 2*unsafe.Sizeof(uintptr(0)) - 7]byte // makes indexing a shift
}

// keyOf returns the table's key for the region of addr.
func keyOf(addr uintptr) uintptr { return addr >> regionShift }

const (
	regionSize = 32
	noRegion   = ^uintptr(0) // no address has this key
)

type addrMap struct {
	table  []region       // a power of two, at most a quarter full; see insert
	first  unsafe.Pointer // of table, for home
	mask   uintptr        // len(table) - 1
	leaves int
	idle   int // leaves without an entry
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

// home returns where in the table to look for a key first. A program's regions are mostly
// consecutive, and those do not collide.
func (m *addrMap) home(key uintptr) *region {
	return (*region)(unsafe.Add(m.first, (key&m.mask)*unsafe.Sizeof(region{})))
}

// again returns where to look when another region has the place found by x, and the x of the
// new place. The first x is the key. Blocks that lie whole GiB apart all have the same first
// place, and consecutive regions fill consecutive places: linear probing, or any fixed step,
// would walk along such a row. So x goes through a linear congruential generator, which
// reaches every place sooner or later (Hull and Dobell, 1962: golden is one more than a
// multiple of 4).
func (m *addrMap) again(x uintptr) (*region, uintptr) {
	x = x*golden + 1
	return m.home(x >> (bits.UintSize / 2)), x
}

const golden uintptr = 0x9e37_79b9_7f4a_7c15 >> (64 - bits.UintSize) // of the golden ratio

// find returns the region of addr, nil if it has none.
func (m *addrMap) find(addr uintptr) *region {
	key := keyOf(addr)
	r := m.home(key)
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

// insert adds a region whose key is new, and returns its place. The table doubles when a quarter
// of it is taken, and sooner if the region's first place is taken. Otherwise a program with most
// of its objects in the displaced region would wait half as long again for each Free; of the
// processes whose blocks are in two areas, that would be one in 16.
func (m *addrMap) insert(r region) *region {
	for n := len(m.table); m.leaves*4 >= n || n < m.roomy() && m.home(r.key).key != noRegion; n *= 2 {
		old := m.table
		m.resize(2 * n)
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
	return m.add(r)
}

// roomy is the size from which the table no longer doubles for a taken first place.
func (m *addrMap) roomy() int { return max(256, 16*m.leaves) }

func (m *addrMap) add(r region) *region {
	to := m.home(r.key)
	for x := r.key; to.key != noRegion; {
		to, x = m.again(x)
	}
	*to = r
	return to
}

// mostlyIdle tells whether it pays to prune. Without pruning, regions would pile up where
// blocks keep coming at new addresses.
func (m *addrMap) mostlyIdle() bool { return m.idle > max(idleLeaves, m.leaves/2) }

// idleLeaves is how many regions may be without an entry, however few others there
// are: enough for blocks that come and go at the same addresses.
const idleLeaves = 8

// prune drops the regions without an entry and calls drop with the chunks that their leaves
// lie in.
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
