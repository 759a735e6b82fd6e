package slab

import (
	"math/bits"
	"unsafe"
)

// The regions of the address map that have a leaf, in a hash table by address. A radix
// over the whole address would need as many levels again, and a root as large as all the
// leaves of a small program.

// region is a place in the hash table.
type region struct {
	key    uintptr                                             // of the region, noRegion if this place is empty
	leaf   unsafe.Pointer                                      // leafRows entries, and behind them the splits
	at     uint32                                              // the chunk that the leaf lies in
	used   uint16                                              // rows with an entry
	splits uint16                                              // that the leaf has room for
	unused uint16                                              // where in the leaf the first of those in no use is
	spare  uint16                                              // how many those are
	_      [regionSize - 2*unsafe.Sizeof(uintptr(0)) - 12]byte // indexing is a shift
}

// keyOf returns what stands for the region of addr in the table.
func keyOf(addr uintptr) uintptr { return addr >> regionShift }

const (
	regionSize = 32
	noRegion   = ^uintptr(0) // no address has this key
)

type addrMap struct {
	user   *heap          // whose addresses these are
	table  []region       // a power of two, at most a quarter full; see insert
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

// insert adds a region with a key that is new. The table doubles when a quarter of it is
// taken, and sooner where that parts regions that have one first place: who has most
// objects in the one that is elsewhere waits half as long again for each Free, and of the
// processes whose blocks are in two areas, one in 16 would be such a one.
func (m *addrMap) insert(r region) {
	for n := len(m.table); m.leaves*4 >= n || n < m.roomy() && m.place(r.key).key != noRegion; n *= 2 {
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
	m.add(r)
}

// roomy is the size of the table from which it does not double for that.
func (m *addrMap) roomy() int { return max(256, 16*m.leaves) }

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
