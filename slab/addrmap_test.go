package slab_test

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// distantRegions calls f with addresses that are so many bytes apart. Blocks may lie
// at any distance: those of a source that aligns to 1 GiB lie whole GiB apart.
func distantRegions(f func(apart uint64, addrs []uintptr)) {
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
	}
}

// All regions are found, and none that is not there.
func TestDistantRegions(t *testing.T) {
	distantRegions(func(apart uint64, addrs []uintptr) {
		m := slab.NewRegionMap(addrs)
		for _, addr := range addrs {
			require.True(t, m.Has(addr), "%#x of those %d bytes apart", addr, apart)
			require.False(t, m.Has(addr+1<<20) && apart > 1<<20, "%#x of those %d bytes apart", addr, apart)
		}
	})
}
