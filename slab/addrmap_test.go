package slab_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// distantRegions calls f with addresses that are each a power of two apart, and with
// those of consecutive regions at a few such addresses. Blocks may lie at any distance:
// those of a source that aligns to 1 GiB lie whole GiB apart.
func distantRegions(f func(apart uint64, addrs []uintptr)) {
	const rows = 4
	n, most := 2000, 36
	if bits.UintSize == 32 {
		n, most = 60, 26
	}
	for shift := bits.Len(slab.Region) - 1; shift < most; shift++ {
		addrs := make([]uintptr, n)
		for i := range addrs {
			addrs[i] = uintptr(i+1) << shift
		}
		f(1<<shift, addrs)
		for i := range addrs {
			row := uintptr(i % rows)
			addrs[i] = (row+1)<<shift + uintptr(i/rows)*slab.Region
		}
		if len(addrs)/rows < 1<<shift/slab.Region { // else the rows run into each other
			f(1<<shift, addrs)
		}
	}
}

// Every region that was inserted is found, and no other.
func TestDistantRegions(t *testing.T) {
	distantRegions(func(apart uint64, addrs []uintptr) {
		m := slab.NewMap(addrs...)
		sorted := slices.Sorted(slices.Values(addrs))
		for _, addr := range addrs {
			require.True(t, m.Has(addr), "%#x of those %d bytes apart", addr, apart)
			_, there := slices.BinarySearch(sorted, addr+slab.Region)
			require.Equal(t, there, m.Has(addr+slab.Region), "behind %#x of those %d bytes apart", addr, apart)
		}
	})
}

// TestFirstPlaces: the regions of two areas are all at their first places, unless the areas
// lie close to a multiple of 256 regions apart, or of 1024 if there are many regions. The table
// stays small in either case.
func TestFirstPlaces(t *testing.T) {
	end := uintptr(1100)
	if bits.UintSize == 32 {
		end = 300
	}
	for _, c := range []struct{ each, most uintptr }{{4, 256}, {24, 1024}} {
		for apart := 2 * c.each; apart < end; apart++ {
			var addrs []uintptr
			for i := range c.each {
				addrs = append(addrs, (10+i)*slab.Region, (10+apart+i)*slab.Region)
			}
			m := slab.NewMap(addrs...)
			firsts := 0
			for _, addr := range addrs {
				require.True(t, m.Has(addr))
				if m.IsFirst(addr) {
					firsts++
				}
			}
			if (apart+c.each)%c.most < 2*c.each { // one is in the way of another
				require.GreaterOrEqual(t, firsts, int(c.each))
			} else {
				require.Equal(t, len(addrs), firsts, "%d of %d regions, %d apart", c.each, len(addrs), apart)
			}
			require.LessOrEqual(t, m.Places(), int(c.most))
		}
	}
}

// extentOf is a slab, or a chunk, of which only the start counts.
type extentOf struct {
	addr, size uintptr
	id         uint32
	slab       bool
}

// mapModel is an address map, and what it should know.
type mapModel struct {
	t       *testing.T
	m       *slab.Map
	windows map[uintptr]extentOf // by window number
	all     []extentOf
	ids     uint32
	checks  int
}

func newMapModel(t *testing.T) *mapModel {
	return &mapModel{t: t, m: slab.NewMap(), windows: make(map[uintptr]extentOf)}
}

// windowsOf returns the numbers of the windows that [addr, addr+size) touches.
func windowsOf(addr, size uintptr) (ws []uintptr) {
	for w := addr / window; ; w++ {
		if ws = append(ws, w); w == (addr+size-1)/window {
			return ws
		}
	}
}

// ready grows the leaves of [addr, addr+size) as far as needed, and returns how often.
func (m *mapModel) ready(addr, size uintptr) (grown int) {
	for left := size; ; {
		n := min(left, slab.Region-addr%slab.Region)
		for ; !m.m.IsReady(addr, n); grown++ {
			m.m.Grow(addr)
		}
		if n == left {
			return grown
		}
		addr, left = addr+n, left-n
	}
}

// add enters a slab, or a chunk if size is 1, unless something is there.
func (m *mapModel) add(addr, size uintptr) bool {
	for _, w := range windowsOf(addr, size) {
		if m.windows[w] != (extentOf{}) {
			return false
		}
	}
	m.ready(addr, size)
	x := extentOf{addr: addr, size: size, slab: size > 1}
	if x.slab {
		m.ids++
		x.id = m.ids
		m.m.SetSlab(addr, size, x.id)
	} else {
		x.id = m.m.SetStart(addr)
	}
	for _, w := range windowsOf(addr, size) {
		m.windows[w] = x
	}
	m.all = append(m.all, x)
	return true
}

// remove removes the i-th extent.
func (m *mapModel) remove(i int) {
	x := m.all[i]
	m.m.Clear(x.addr, x.size)
	for _, w := range windowsOf(x.addr, x.size) {
		delete(m.windows, w)
	}
	m.all = slices.Delete(m.all, i, i+1)
}

// check looks up three bytes of each window in the rows that [from, to) touches.
func (m *mapModel) check(from, to uintptr) {
	m.t.Helper()
	if m.checks++; m.checks%8 == 0 || len(m.all) < 10 {
		require.NoError(m.t, m.m.Check(len(m.windows)))
	}
	for w := from / slab.Row * (slab.Row / window); w*window < to; w++ {
		x := m.windows[w]
		for _, addr := range []uintptr{w * window, w*window + 1, w*window + window - 1} {
			id, isSlab := m.m.Lookup(addr)
			switch {
			case x.slab:
				require.True(m.t, isSlab && id == x.id, "%#x is in slab %d, not %d", addr, x.id, id)
			case x.id != 0:
				require.True(m.t, !isSlab && id == x.id, "chunk %d starts in the window of %#x, not %d", x.id, addr, id)
			case isSlab:
				m.t.Fatalf("%#x is in no slab, not in %d", addr, id)
			}
		}
	}
}

// TestAddressMap: whatever is added and removed, the map knows for each address the slab that
// it lies in, or the chunk that starts in its window. Most extents lie at the edges of rows
// and regions, and some at the end of the address space.
func TestAddressMap(t *testing.T) {
	top := ^uintptr(0) - 2*slab.Region + 1
	seeds, steps := uint64(5), 4000
	if slow() {
		seeds, steps = 1, 3000
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 36))
		m := newMapModel(t)
		for n := range steps {
			if r.IntN(200) == 0 {
				for range len(m.all) / 2 {
					m.remove(r.IntN(len(m.all)))
				}
				m.check(7*slab.Region, 10*slab.Region)
			}
			edge := uintptr(8+r.IntN(2))*slab.Region + uintptr(r.IntN(12))*slab.Row
			addr := edge - uintptr(r.IntN(20))*window
			size := uintptr(1+r.IntN(1<<r.IntN(6))) * window
			switch {
			case n%5 == 4 && len(m.all) > 0:
				i := r.IntN(len(m.all))
				addr, size = m.all[i].addr, m.all[i].size
				m.remove(i)
			case r.IntN(2) == 0:
				addr, size = addr+uintptr(r.IntN(window/16))*16, 1
				m.add(addr, size)
			case r.IntN(50) == 0: // across several regions
				addr, size = 7*slab.Region+5*window, 3*slab.Region
				m.add(addr, size)
			case bits.UintSize == 32 && r.IntN(10) == 0:
				addr = ^uintptr(0) - size + 1 // to the last byte
				m.add(addr, size)
			default:
				m.add(addr, size)
			}
			if addr < top {
				m.check(addr, addr+size)
			}
		}
		for len(m.all) > 0 {
			m.remove(len(m.all) - 1)
		}
		m.check(7*slab.Region, 10*slab.Region)
		for _, addr := range []uintptr{8 * slab.Region, 9 * slab.Region} {
			used, _ := m.m.Splits(addr)
			assert.Zero(t, used)
		}
	}
}

// The last byte of the address space can be in a slab like any other.
func TestAddressMapTop(t *testing.T) {
	m := newMapModel(t)
	for _, size := range []uintptr{window, slab.Row, 3 * window, slab.Region + window} {
		addr := ^uintptr(0) - size + 1
		require.True(t, m.add(addr, size))
		for _, at := range []uintptr{addr, ^uintptr(0)} {
			id, isSlab := m.m.Lookup(at)
			require.True(t, isSlab && id == m.all[0].id)
		}
		id, _ := m.m.Lookup(addr - 1)
		require.Zero(t, id)
		require.NoError(t, m.m.Check(len(m.windows)))
		m.remove(0)
		require.NoError(t, m.m.Check(0))
	}
}

// TestRowsAreSplit: a row has an entry for each window only if it needs them.
func TestRowsAreSplit(t *testing.T) {
	const row, base = slab.Row, 5 * slab.Region
	for _, c := range []struct {
		name   string
		add    [][2]uintptr // offset from base, and size; 1 is a chunk
		splits int
		remove int // index of the one that is then removed
		left   int // splits after that
	}{
		{"a chunk alone", [][2]uintptr{{row - 16, 1}}, 0, 0, 0},
		{"two chunks", [][2]uintptr{{0, 1}, {row - 16, 1}}, 1, 0, 0},
		{"two chunks, the other goes", [][2]uintptr{{0, 1}, {row - 16, 1}}, 1, 1, 0},
		{"three chunks", [][2]uintptr{{0, 1}, {2048, 1}, {row - 16, 1}}, 1, 1, 1},
		{"two rows with a chunk", [][2]uintptr{{0, 1}, {row, 1}}, 0, 1, 0},
		{"a slab of whole rows", [][2]uintptr{{row, 3 * row}}, 0, 0, 0},
		{"a slab of a window", [][2]uintptr{{row, window}}, 1, 0, 0},
		{"a slab within a row", [][2]uintptr{{window, row - 2*window}}, 1, 0, 0},
		{"a slab of two rows' edges", [][2]uintptr{{row - window, 2 * window}}, 2, 0, 0},
		{"a slab that ends in a row", [][2]uintptr{{0, row + window}}, 1, 0, 0},
		{"a slab that starts in a row", [][2]uintptr{{window, 2*row - window}}, 1, 0, 0},
		{"a slab over rows and edges", [][2]uintptr{{row - window, 2*row + 2*window}}, 2, 0, 0},
		{"a chunk beside a slab", [][2]uintptr{{0, window}, {row - 16, 1}}, 1, 0, 0},
		{"a slab beside a chunk", [][2]uintptr{{row - 16, 1}, {0, window}}, 1, 0, 1},
		{"two slabs", [][2]uintptr{{0, window}, {window, row - window}}, 1, 1, 1},
	} {
		m := newMapModel(t)
		for _, x := range c.add {
			require.True(t, m.add(base+x[0], x[1]), c.name)
			m.check(base, base+4*row)
		}
		used, _ := m.m.Splits(base)
		assert.Equal(t, c.splits, used, c.name)
		m.remove(c.remove)
		m.check(base, base+4*row)
		used, _ = m.m.Splits(base)
		assert.Equal(t, c.left, used, c.name)
	}
}

// TestLeavesGrow: with no split left, a region is ready for what needs no split, and once
// its leaf is larger, for everything else. A split for each row is always enough.
func TestLeavesGrow(t *testing.T) {
	const rows, row, base = slab.Region / slab.Row, slab.Row, 5 * slab.Region
	m := newMapModel(t)
	require.False(t, m.m.IsReady(base, 1))
	m.m.Grow(base)
	assert.True(t, m.m.IsUntouched(base), "memory from the system is no page before it is written to")
	_, all := m.m.Splits(base)
	for i := range uintptr(all) {
		at := base + i*row
		if i == 5 {
			at += row - window // there is room in front of it
		}
		require.True(t, m.m.IsReady(at, window))
		require.True(t, m.add(at, window))
	}
	end := base + uintptr(all)*row
	for _, c := range []struct {
		addr, size uintptr
		ready      bool
	}{
		{base + window, window, true}, // in a row that is split
		{base + window, 1, true},
		{base + 4*row + window, row, true}, // in two such rows
		{end, 1, true},                     // a chunk alone
		{end, row, true},                   // a slab of whole rows
		{end, 2 * row, true},
		{end - window, row + window, true},
		{end, window, false},
		{end - window, window + window, false},
		{end + window, row - window, false},
		{end + window, 1, true},
	} {
		assert.Equal(t, c.ready, m.m.IsReady(c.addr, c.size), fmt.Sprintf("%#x, %d bytes", c.addr-base, c.size))
	}
	require.True(t, m.add(end, 1))
	assert.False(t, m.m.IsReady(end+window, 1), "a second one")
	m.m.Grow(base)
	assert.True(t, m.m.IsReady(end+window, 1))
	grown := 0
	for i := range uintptr(rows) {
		for w := range uintptr(row / window) {
			grown += m.ready(base+i*row+w*window, 1)
			m.add(base+i*row+w*window, 1)
		}
	}
	used, all := m.m.Splits(base)
	assert.Equal(t, [2]int{rows, rows}, [2]int{used, all})
	assert.Less(t, grown, 16, "by half each time")
	m.check(base, base+slab.Region)
}

// TestIdleRegions: it pays to prune when more than half of the regions, and more than a few,
// have no entry. The table then has the size for those that are left.
func TestIdleRegions(t *testing.T) {
	for _, c := range []struct {
		live, idle int
		most       bool
	}{{1, 6, false}, {1, 9, true}, {30, 12, false}, {12, 13, true}, {13, 12, false}, {1, 200, true}} {
		m := slab.NewMap()
		for i := range c.live + c.idle {
			addr := uintptr(i+1) * slab.Region
			m.Grow(addr)
			if i < c.live {
				m.SetStart(addr)
			}
		}
		assert.Equal(t, c.most, m.IsMostlyIdle(), c)
		assert.Equal(t, c.idle, m.Prune())
		assert.False(t, m.IsMostlyIdle())
		assert.LessOrEqual(t, m.Places(), max(16, 8*c.live))
		assert.NoError(t, m.Check(c.live))
		for i := range c.live + c.idle {
			assert.Equal(t, i < c.live, m.Has(uintptr(i+1)*slab.Region), i)
		}
	}
}
