package slab_test

import (
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
	number     uint32
	slab       bool
}

// mapModel is an address map, and what it should know.
type mapModel struct {
	t       *testing.T
	m       *slab.Map
	windows map[uintptr]extentOf // by window number
	all     []extentOf
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

// add enters x, with leaves as they are needed, unless something is there.
func (m *mapModel) add(x extentOf) bool {
	for _, w := range windowsOf(x.addr, x.size) {
		if m.windows[w] != (extentOf{}) {
			return false
		}
	}
	for n := uintptr(0); ; {
		n += m.m.Mapped(x.addr+n, x.size-n, x.number, x.slab)
		if n == x.size {
			break
		}
		m.m.Grow(x.addr+n, x.number > slab.NarrowMost)
	}
	m.m.Set(x.addr, x.size, x.number, x.slab)
	for _, w := range windowsOf(x.addr, x.size) {
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

// check looks up three bytes of each window that is not far from [from, to).
func (m *mapModel) check(from, to uintptr) {
	m.t.Helper()
	if m.checks++; m.checks%8 == 0 || len(m.all) < 10 {
		require.NoError(m.t, m.m.Check(len(m.windows)))
	}
	for w := from/window - 4; w*window < to+4*window; w++ {
		x := m.windows[w]
		for _, addr := range []uintptr{w * window, w*window + 1, w*window + window - 1} {
			number, isSlab := m.m.Lookup(addr)
			if number != x.number || isSlab != x.slab {
				m.t.Fatalf("%#x has number %d, slab %t, not %v", addr, number, isSlab, x)
			}
		}
	}
}

// TestAddressMap: whatever is added and removed, the map knows for each address the slab that
// it lies in, or the chunk that starts in its window. Most extents lie at the edge of regions,
// and some at the end of the address space. Some numbers need wide leaves.
func TestAddressMap(t *testing.T) {
	top := ^uintptr(0) - 2*slab.Region + 1
	seeds, steps := uint64(5), 4000
	if slow() {
		seeds, steps = 1, 3000
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 36))
		m := newMapModel(t)
		numbers := []uint32{1, slab.NarrowMost, slab.NarrowMost - 1}
		for n := range steps {
			if n == steps/2 {
				numbers = append(numbers, slab.NarrowMost+1, slab.NarrowMost+2, slab.MaxNumber-1, slab.MaxNumber/2)
			}
			if r.IntN(200) == 0 {
				for range len(m.all) / 2 {
					m.remove(r.IntN(len(m.all)))
				}
				m.check(7*slab.Region, 10*slab.Region)
			}
			addr := uintptr(8+r.IntN(2))*slab.Region + uintptr(r.IntN(100)-50)*window
			x := extentOf{addr: addr, size: uintptr(1+r.IntN(1<<r.IntN(6))) * window, slab: true, number: numbers[r.IntN(len(numbers))]}
			if r.IntN(2) == 0 {
				x.number = r.Uint32N(100) + 1
			}
			switch {
			case n%5 == 4 && len(m.all) > 0:
				i := r.IntN(len(m.all))
				x = m.all[i]
				m.remove(i)
			case r.IntN(2) == 0:
				x.addr, x.size, x.slab = addr+uintptr(r.IntN(window/16))*16, 1, false
				m.add(x)
			case r.IntN(50) == 0: // across several regions
				x.addr, x.size = 7*slab.Region+5*window, 3*slab.Region
				m.add(x)
			case bits.UintSize == 32 && r.IntN(10) == 0:
				x.addr = ^uintptr(0) - x.size + 1 // to the last byte
				m.add(x)
			default:
				m.add(x)
			}
			if x.addr < top {
				m.check(x.addr, x.addr+x.size)
			}
		}
		for len(m.all) > 0 {
			m.remove(len(m.all) - 1)
		}
		m.check(7*slab.Region, 10*slab.Region)
	}
}

// The last byte of the address space can be in a slab like any other.
func TestAddressMapTop(t *testing.T) {
	m := newMapModel(t)
	for _, size := range []uintptr{window, 3 * window, slab.Region, slab.Region + window} {
		addr := ^uintptr(0) - size + 1
		require.True(t, m.add(extentOf{addr, size, 7, true}))
		for _, at := range []uintptr{addr, ^uintptr(0)} {
			number, isSlab := m.m.Lookup(at)
			require.True(t, isSlab && number == 7)
		}
		number, _ := m.m.Lookup(addr - 1)
		require.Zero(t, number)
		require.NoError(t, m.m.Check(len(m.windows)))
		m.remove(0)
		require.NoError(t, m.m.Check(0))
	}
}

// TestLeavesAreWideIfNeeded: the first leaf of a region has room for numbers of 15 bits, or of
// fewer under slabcheck, and a wide one for all. Each region is ready, or not, for itself.
func TestLeavesAreWideIfNeeded(t *testing.T) {
	const first, second = 5 * slab.Region, 6 * slab.Region
	m := newMapModel(t)
	mapped := func(number uint32) (all [2]uintptr) {
		for i, isSlab := range []bool{true, false} {
			all[i] = m.m.Mapped(first+window, slab.Region, number, isSlab)
		}
		return all
	}
	const none, one, both = 0, slab.Region - window, slab.Region
	assert.Equal(t, [2]uintptr{none, none}, mapped(1))
	m.m.Grow(first, false)
	assert.Equal(t, [2]uintptr{one, one}, mapped(1))
	assert.Equal(t, [2]uintptr{one, one}, mapped(slab.NarrowMost))
	assert.Equal(t, [2]uintptr{none, none}, mapped(slab.NarrowMost+1))
	m.m.Grow(second, true)
	assert.Equal(t, [2]uintptr{both, both}, mapped(slab.NarrowMost))
	assert.Equal(t, [2]uintptr{none, none}, mapped(slab.NarrowMost+1))
	require.True(t, m.add(extentOf{first, window, slab.NarrowMost, true}))
	require.True(t, m.add(extentOf{second - 16, 1, slab.NarrowMost, false}))
	m.m.Grow(first, true)
	assert.Equal(t, [2]uintptr{both, both}, mapped(slab.MaxNumber-1))
	m.check(first, second)
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
			m.Grow(addr, i%2 == 0)
			if i < c.live {
				m.Set(addr, 1, 1, false)
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

// TestMapIsAtMostAQuarterFull, whatever regions it has.
func TestMapIsAtMostAQuarterFull(t *testing.T) {
	var addrs []uintptr
	for n := range uintptr(100) {
		addrs = append(addrs, n<<20)
		require.GreaterOrEqual(t, slab.NewMap(addrs...).Places(), 4*len(addrs))
	}
}
