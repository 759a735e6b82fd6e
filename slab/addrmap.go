package slab

import "unsafe"

// The address map leads from any address at all to the slab or allocation that may lie there.
// Every bad free is sure to be detected, because the map never looks at the memory that the
// address points to.
//
// The address space is divided into windows of 1 KiB, and the map has an entry for each. A
// window is part of a slab, or at most one allocation starts in it: slabs begin and end on
// window edges, and no allocation outside a slab is smaller than a window, so two cannot start
// in the same one. Where in its window an address lies is for the record behind the entry to
// check.
//
//	windows  │ 7 │ 7 │ 7 │ 8 │ 8 │ chunk 5 │ 0 │ 0 │ chunk 6 │ 0 │ …
//	memory   │  slab 7   │ slab 8│   ████████████  │     ██████  │
//
// A leaf has the entries of a region of 1 MiB. Regions are found by hashing (addrmap_region.go),
// and leaves lie in the record heap. Masking an address would not find a record: the Vita and a
// fixed buffer do not align enough for that.
//
// Entries have 16 bits, which is enough for the numbers of 32 767 slabs and as many chunks. A
// region gets a wide leaf, with entries of 32 bits, when something with a larger number comes
// to lie there. Most regions of a program are alike in this, so a processor guesses right. (It
// does not where neighbouring windows share an entry if they can: such a map has a quarter of
// the size, but replacing one of a thousand objects takes a sixth more time.)

const (
	windowShift = 10
	window      = 1 << windowShift // bytes

	leafWindows = 1024
	regionShift = windowShift + 10
)

// An entry is twice the number of a slab, or twice that of a chunk and one more; 0 is no entry.
type entry uint32

// narrowMost is the largest entry of a leaf that is not wide. It fits in 16 bits, and in the
// slabcheck build in less, so that leaves become wide in all kinds of tests.
const narrowMost entry = 1<<narrowBits - 1

// maxNumber bounds the numbers of chunks and slabs.
const maxNumber = 1 << 31

func chunkEntry(i uint32) entry { return entry(i<<1 | 1) }
func slabEntry(i uint32) entry  { return entry(i << 1) }

func (e entry) isSlab() bool   { return e&1 == 0 && e != 0 }
func (e entry) notChunk() bool { return e&1 == 0 }
func (e entry) number() uint32 { return uint32(e >> 1) }

// entry returns the entry of the window that addr lies in.
func (r *region) entry(addr uintptr) entry {
	w := addr >> windowShift % leafWindows
	if r.wide {
		return *(*entry)(unsafe.Add(r.leaf, w*4))
	}
	return entry(*(*uint16)(unsafe.Add(r.leaf, w*2))) // narrowEntries would be checked for nil
}

// lookup returns the entry for addr.
func (m *addrMap) lookup(addr uintptr) entry {
	r := m.home(keyOf(addr))
	touch()
	if r.key != keyOf(addr) {
		if r = m.find(addr); r == nil {
			return 0
		}
	}
	return r.entry(addr)
}

// set writes e for the windows that [addr, addr+size) touches. They have no entry yet, or all
// have one and e is 0. Their regions must be ready for e.
func (m *addrMap) set(addr, size uintptr, e entry) {
	for w, last := addr>>windowShift, (addr+size-1)>>windowShift; w <= last; {
		r := m.find(w << windowShift)
		n := min(last-w, leafWindows-1-w%leafWindows) + 1
		r.fill(w%leafWindows, n, e)
		if r.used == 0 {
			m.idle--
		}
		if e != 0 {
			r.used += uint16(n)
		} else if r.used -= uint16(n); r.used == 0 {
			m.idle++
		}
		w += n
	}
}

// fill writes e for n windows, the first of which is the w-th of the region.
func (r *region) fill(w, n uintptr, e entry) {
	if r.wide {
		set(r.wideEntries()[w:w+n], e)
	} else {
		set(r.narrowEntries()[w:w+n], uint16(e))
	}
}

func set[E any](entries []E, e E) {
	for i := range entries {
		entries[i] = e
	}
}

func (r *region) wideEntries() *[leafWindows]entry    { return (*[leafWindows]entry)(r.leaf) }
func (r *region) narrowEntries() *[leafWindows]uint16 { return (*[leafWindows]uint16)(r.leaf) }

// isReady tells whether e can be entered for addr.
func (m *addrMap) isReady(addr uintptr, e entry) bool {
	r := m.find(addr)
	return r != nil && (e <= narrowMost || r.wide)
}

// leafSize returns the bytes of a leaf.
func leafSize(wide bool) uint32 {
	if wide {
		return leafWindows * 4
	}
	return leafWindows * 2
}

// move moves r to leaf, which is zero and lies in chunk at. It is r's first leaf, or a wide one
// in place of one that is not.
func (r *region) move(leaf unsafe.Pointer, at uint32, wide bool) {
	old := *r
	r.leaf, r.at, r.wide = leaf, at, wide
	if old.leaf != nil {
		for w, e := range old.narrowEntries() {
			r.wideEntries()[w] = entry(e)
		}
	}
}
