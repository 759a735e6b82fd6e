package slab

import (
	"errors"
	"unsafe"
)

// Map is an address map alone, for any address at all.
type Map struct{ m addrMap }

// NewMap returns a map with the regions of these addresses, without leaves.
func NewMap(addrs ...uintptr) *Map {
	m := &Map{}
	m.m.init()
	for _, addr := range addrs {
		m.m.insert(region{key: keyOf(addr)})
	}
	return m
}

// Has tells whether the map has the region of addr.
func (m *Map) Has(addr uintptr) bool {
	r := m.m.find(addr)
	return r != nil && r.key == keyOf(addr)
}

// IsFirst tells whether the region of addr is in its first place in the table.
func (m *Map) IsFirst(addr uintptr) bool { return m.m.home(keyOf(addr)).key == keyOf(addr) }

// entryFor returns the entry of a slab or a chunk.
func entryFor(number uint32, isSlab bool) entry {
	if isSlab {
		return slabEntry(number)
	}
	return chunkEntry(number)
}

// Mapped returns how many of size bytes at addr the map has leaves for that the number of a
// slab or a chunk fits in.
func (m *Map) Mapped(addr, size uintptr, number uint32, isSlab bool) uintptr {
	return m.m.mapped(addr, size, entryFor(number, isSlab))
}

// Grow makes a leaf for a region.
func (m *Map) Grow(addr uintptr, wide bool) {
	r := m.m.find(addr)
	if r == nil {
		m.m.insert(region{key: keyOf(addr)})
		r = m.m.find(addr)
	}
	r.move(unsafe.Pointer(unsafe.SliceData(make([]entry, leafSize(wide)/4))), 0, wide)
}

// Set enters a slab or a chunk for the windows that [addr, addr+size) touches.
func (m *Map) Set(addr, size uintptr, number uint32, isSlab bool) {
	m.m.set(addr, size, entryFor(number, isSlab))
}

// Clear removes the entries of [addr, addr+size).
func (m *Map) Clear(addr, size uintptr) { m.m.set(addr, size, 0) }

// Lookup returns the slab or the chunk that is entered for addr, 0 if none is.
func (m *Map) Lookup(addr uintptr) (number uint32, isSlab bool) {
	v := m.m.lookup(addr)
	return v.number(), v.isSlab()
}

// IsMostlyIdle tells whether it pays to prune.
func (m *Map) IsMostlyIdle() bool { return m.m.mostlyIdle() }

// Prune drops the regions without an entry and returns their number.
func (m *Map) Prune() (dropped int) {
	m.m.prune(func(uint32) { dropped++ })
	return dropped
}

// Places returns how many places the table has.
func (m *Map) Places() int { return len(m.m.table) }

// Check verifies the leaves, and that they have entries for that many windows.
func (m *Map) Check(windows int) error {
	k := &checker{}
	leaves, idle := 0, 0
	for i := range m.m.table {
		if r := &m.m.table[i]; r.key != noRegion {
			leaves++
			if windows -= k.leaf(r); r.used == 0 {
				idle++
			}
		}
	}
	if windows != 0 || leaves != m.m.leaves || idle != m.m.idle {
		k.fail("entries of %d windows too few, %d leaves, %d idle", windows, leaves, idle)
	}
	return errors.Join(k.errs...)
}

// Leaves returns how many regions have a leaf that is wide, and one that is not.
func Leaves(a *Allocator) (wide, narrow int) {
	for _, r := range a.addrs.table {
		switch {
		case r.key == noRegion:
		case r.wide:
			wide++
		default:
			narrow++
		}
	}
	return wide, narrow
}

// NumberSlabs makes n the number of the next slab, as if as many had been there at once.
func NumberSlabs(a *Allocator, n uint32) {
	for uint32(len(a.slabs)) <= n {
		a.vacantSlabs = append(a.vacantSlabs, uint32(len(a.slabs)))
		a.slabs = append(a.slabs, noSlab)
	}
}

// NumberChunks makes the numbers of the next chunks n or more.
func NumberChunks(a *Allocator, n int) error {
	for (len(a.table.pages)-1)<<chunkPageShift < n {
		i, err := a.allocMeta(uint32(chunkPageBytes), uint32(chunkPageBytes))
		if err != nil {
			return err
		}
		p, _ := a.useRecord(i)
		a.table.addPage(p, uint32(chunkPageBytes), i)
	}
	return nil
}

// HoardRecords takes all memory for leaves that there is, until the result is called.
func HoardRecords(a *Allocator) (undo func()) {
	var all []uint32
	for {
		i, _, _, err := a.allocRecord(leafSize(false))
		if err != nil {
			return func() {
				for _, i := range all {
					a.freeRecord(i)
				}
			}
		}
		all = append(all, i)
	}
}
