package slab_test

import (
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// distantRegions calls f with addresses that are so many bytes apart, and with those
// of so many regions in a row at each of a few such addresses. Blocks may lie at any
// distance: those of a source that aligns to 1 GiB lie whole GiB apart.
func distantRegions(f func(apart uint64, addrs []uintptr)) {
	const rows = 4
	n, most := 2000, 36
	if bits.UintSize == 32 {
		n, most = 60, 26
	}
	for shift := 20; shift < most; shift++ {
		addrs := make([]uintptr, n)
		for i := range addrs {
			addrs[i] = uintptr(i+1) << shift
		}
		f(1<<shift, addrs)
		for i := range addrs {
			row := uintptr(i % rows)
			addrs[i] = (row+1)<<shift + uintptr(i/rows)<<20
		}
		if len(addrs)/rows < 1<<(shift-20) { // else the rows run into each other
			f(1<<shift, addrs)
		}
	}
}

// All regions are found, and none that is not there.
func TestDistantRegions(t *testing.T) {
	distantRegions(func(apart uint64, addrs []uintptr) {
		m := slab.NewRegionMap(addrs)
		sorted := slices.Sorted(slices.Values(addrs))
		for _, addr := range addrs {
			require.True(t, m.Has(addr), "%#x of those %d bytes apart", addr, apart)
			_, there := slices.BinarySearch(sorted, addr+1<<20)
			require.Equal(t, there, m.Has(addr+1<<20), "behind %#x of those %d bytes apart", addr, apart)
		}
	})
}
