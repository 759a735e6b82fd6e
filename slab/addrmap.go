package slab

import "unsafe"

// The address map leads from any address at all to the slab or allocation that may lie there.
// Every bad free is sure to be detected, because the map never looks at the memory that the
// address points to.
//
// The address space is divided into windows of 1 KiB. A window is part of a slab, or at most
// one allocation starts in it: slabs begin and end on window edges, and no allocation outside
// a slab is smaller than a window, so two cannot start in the same one. Where in its window
// an address lies is for the record behind the entry to check.
//
// Most windows are like their neighbours, or empty. So a row of eight windows shares
// one entry: the slab that all of them are part of, or the one allocation that starts in the
// row. A row with more than that is split, and has an entry for each window:
//
//	rows     │ slab 7 │ slab 7 │ split           │ split           │ 0 │ chunk 6 │ …
//	windows                      7 7 7 8 8 8 8 8   8 8 chunk 5 0 …
//
// With an entry for each window, the map of a million small objects does not fit in a
// processor's second-level cache. Where that has half a MiB, replacing an object takes a tenth
// to a third more time. A full heap of 16 MiB has 0.3 % less in use (W15).
//
// A leaf has the rows of a region of 8 MiB, and room for splits behind them. Regions are
// found by hashing (region.go), and leaves lie in the record heap. Masking an address would
// not find a record: the Vita and a fixed buffer do not align enough for that.

const (
	windowShift = 10
	window      = 1 << windowShift // bytes

	rowWindows = 8
	rowShift   = windowShift + 3

	leafRows    = 1024
	regionShift = rowShift + 10

	rowsBytes  = leafRows * 4
	splitBytes = rowWindows * 4
)

// An entry is the number of a slab, or that of a chunk with chunkBit, which puts it above all
// slabs; 0 is no entry. A row's entry may also be splitBit with the split's offset in bytes
// from the start of the leaf, which fits in 16 bits.
type entry uint32

const (
	splitBit = 1 << 31
	chunkBit = 1 << 30
)

func chunkEntry(i uint32) entry { return entry(i | chunkBit) }
func slabEntry(i uint32) entry  { return entry(i) }

func (e entry) isSlab() bool   { return e-1 < chunkBit-1 }
func (e entry) isSplit() bool  { return e >= splitBit }
func (e entry) number() uint32 { return uint32(e &^ chunkBit) }

// row points at the entry of the row that addr lies in.
func (r *region) row(addr uintptr) *entry {
	return (*entry)(unsafe.Add(r.leaf, addr>>(rowShift-2)&(rowsBytes-4)))
}

// window points at the entry of addr's window; e is the entry of its row, which is split.
func (r *region) window(e entry, addr uintptr) *entry {
	return (*entry)(unsafe.Add(r.leaf, uintptr(uint16(e))+addr>>(windowShift-2)&(splitBytes-4)))
}

// lookup returns the entry for addr.
func (m *addrMap) lookup(addr uintptr) entry {
	r := m.place(keyOf(addr))
	touch()
	if r.key != keyOf(addr) {
		if r = m.find(addr); r == nil {
			return 0
		}
	}
	e := *r.row(addr)
	if e.isSplit() {
		e = *r.window(e, addr)
	}
	return e
}

// set writes e for the windows that [addr, addr+size) touches. They have no entry yet, or e is
// 0. Their regions must be ready.
func (m *addrMap) set(addr, size uintptr, e entry) {
	for w, last, more := addr>>windowShift, (addr+size-1)>>windowShift, true; more; {
		r := m.find(w << windowShift)
		before := r.used
		for {
			n := min(last-w, rowWindows-1-w%rowWindows) + 1
			m.setRow(r, w<<windowShift, n, e)
			w += n
			if more = w <= last; !more || w%(leafRows*rowWindows) == 0 {
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

// setRow writes e for n windows of a row of r, starting with addr's.
func (m *addrMap) setRow(r *region, addr, n uintptr, e entry) {
	row := r.row(addr)
	if *row != 0 {
		r.used--
	}
	if !row.isSplit() && (e == 0 || n == rowWindows || *row == 0 && !e.isSlab()) {
		*row = e
	} else {
		if alone := *row; !alone.isSplit() {
			*row = r.split()
			if alone != 0 {
				*r.window(*row, m.user.address(m.user.table.at(alone.number()))) = alone
			}
		}
		r.fill(*row, addr, n, e)
		if e == 0 {
			*row = r.join(*row)
		}
	}
	if *row != 0 {
		r.used++
	}
}

// fill writes e for n windows of a split row, starting with addr's.
func (r *region) fill(row entry, addr, n uintptr, e entry) {
	for ; n > 0; n-- {
		*r.window(row, addr) = e
		addr += window
	}
}

// Unused splits are a list: each has the distance from the split right behind it to the next
// unused one. So zero memory is already a list, in address order up to the end of the leaf,
// and goes on in a larger leaf: a new leaf's pages are not touched before they are needed.
// The list ends where the leaf does.

// afterSplit returns the offset of the unused split after the one at offset at.
func (r *region) afterSplit(at uint16) uint16 {
	return at + splitBytes + uint16(*r.window(splitBit|entry(at), 0))
}

// split empties an unused split, which there must be, and returns a row's entry for it.
func (r *region) split() entry {
	e := splitBit | entry(r.unused)
	r.unused = r.afterSplit(r.unused)
	*r.window(e, 0) = 0
	r.spare--
	return e
}

// join frees a row's split if it is not needed any more, and returns the row's new entry.
func (r *region) join(row entry) entry {
	alone := entry(0)
	for w := range uintptr(rowWindows) {
		if e := *r.window(row, w<<windowShift); e != 0 {
			if alone != 0 || e.isSlab() {
				return row
			}
			alone = e
		}
	}
	r.fill(row, 0, rowWindows, 0)
	r.giveSplit(uint16(row))
	return alone
}

// giveSplit puts a split, which is all zero, on the list of unused ones.
func (r *region) giveSplit(at uint16) {
	*r.window(splitBit|entry(at), 0) = entry(r.unused - at - splitBytes)
	r.unused = at
	r.spare++
}

// isReady tells whether there is room for an entry for [addr, addr+size), which lies in one
// region: for a slab or, if size is 1, for the start of an allocation.
func (m *addrMap) isReady(addr, size uintptr) bool {
	r := m.find(addr)
	if r == nil {
		return false
	}
	first, last := r.row(addr), r.row(addr+size-1)
	need := uint16(0)
	switch {
	case size == 1:
		if *first != 0 && !first.isSplit() {
			need = 1
		}
	case first == last:
		if size < 1<<rowShift && !first.isSplit() {
			need = 1
		}
	default:
		if addr&(1<<rowShift-1) != 0 && !first.isSplit() {
			need++
		}
		if (addr+size)&(1<<rowShift-1) != 0 && !last.isSplit() {
			need++
		}
	}
	return r.spare >= need
}

// leafSize returns the bytes of a leaf with room for that many splits.
func leafSize(splits uint16) uint32 { return rowsBytes + uint32(splits)*splitBytes }

// moreSplits returns how many splits the next leaf of r has room for. One for each row is
// always enough.
func (r *region) moreSplits() uint16 { return min(r.splits+r.splits/2, leafRows) }

// splitsMin is how many splits the first leaf of a region has room for.
const splitsMin = 16

// move moves r to leaf, which is zero and has room for that many splits.
func (r *region) move(leaf unsafe.Pointer, at uint32, splits uint16) {
	if r.leaf == nil {
		r.unused = rowsBytes
	} else {
		for off := uintptr(0); off < uintptr(leafSize(r.splits)); off += 4 {
			*(*entry)(unsafe.Add(leaf, off)) = *(*entry)(unsafe.Add(r.leaf, off))
		}
	}
	r.spare += splits - r.splits
	r.leaf, r.at, r.splits = leaf, at, splits
}
