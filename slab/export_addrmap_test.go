package slab

import (
	"errors"
	"slices"
	"unsafe"
)

// Map is an address map alone, for any address at all.
type Map struct {
	m     addrMap
	user  heap
	table chunkTable
}

// NewMap returns a map with the regions of these addresses, without leaves.
func NewMap(addrs ...uintptr) *Map {
	m := &Map{}
	m.table.init()
	m.user = heap{table: &m.table, blocks: make([]block, 1)} // a block that starts at 0
	m.m.user = &m.user
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
func (m *Map) IsFirst(addr uintptr) bool { return m.m.place(keyOf(addr)).key == keyOf(addr) }

// IsReady tells whether there is room for an entry for [addr, addr+size), which lies in one
// region: for a slab or, if size is 1, for the start of an allocation.
func (m *Map) IsReady(addr, size uintptr) bool { return m.m.isReady(addr, size) }

// Grow makes a leaf for a region, or a larger one.
func (m *Map) Grow(addr uintptr) {
	r := m.m.find(addr)
	splits := uint16(splitsMin)
	if r == nil {
		m.m.insert(region{key: keyOf(addr)})
		r = m.m.find(addr)
	} else {
		splits = r.moreSplits()
	}
	r.move(unsafe.Pointer(unsafe.SliceData(make([]entry, leafSize(splits)/4))), 0, splits)
}

// IsUntouched tells whether the leaf of addr is still all zero.
func (m *Map) IsUntouched(addr uintptr) bool {
	r := m.m.find(addr)
	return !slices.ContainsFunc(unsafe.Slice((*entry)(r.leaf), leafSize(r.splits)/4), func(e entry) bool { return e != 0 })
}

// SetSlab enters slab id.
func (m *Map) SetSlab(addr, size uintptr, id uint32) { m.m.set(addr, size, slabEntry(id)) }

// SetStart enters a chunk that starts at addr, and returns its number.
func (m *Map) SetStart(addr uintptr) uint32 {
	for m.table.spare == 0 {
		m.table.addPage(unsafe.Pointer(new([chunkPage]chunk)), uint32(chunkPageBytes), 0)
	}
	i, c := m.table.get()
	c.off = uint32(addr >> granuleShift)
	m.m.set(addr, 1, chunkEntry(i))
	return i
}

// Clear removes the entries of [addr, addr+size).
func (m *Map) Clear(addr, size uintptr) { m.m.set(addr, size, 0) }

// Lookup returns the slab or the chunk that is entered for addr, 0 if none is.
func (m *Map) Lookup(addr uintptr) (id uint32, isSlab bool) {
	v := m.m.lookup(addr)
	return v.number(), v.isSlab()
}

// Splits returns how many rows of a region are split, and how many can be.
func (m *Map) Splits(addr uintptr) (used, all int) {
	r := m.m.find(addr)
	return int(r.splits - r.spare), int(r.splits)
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

// LeafIsLost tells whether the region of addr has no split left and the record heap has no
// hole for a larger leaf.
func LeafIsLost(a *Allocator, addr uintptr) bool {
	r := a.addrs.find(addr)
	return r.spare == 0 && a.meta.largestHole() < leafSize(r.moreSplits())>>granuleShift
}

// LeafSplits returns how many splits the leaf of addr has room for.
func LeafSplits(a *Allocator, addr uintptr) int { return int(a.addrs.find(addr).splits) }

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
