package vita_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/vita"
)

// The addresses and the memory that a simulated console has for blocks.

// newlib's heap is cut to the addresses that there are, and blocks cannot have those.
func TestSimHeapAndAddresses(t *testing.T) {
	s := vita.NewSim(vita.Console{Addresses: 64 * mib})
	assert.Equal(t, vita.Budget{Pool: vita.UserPool, Limit: 365 * mib, Held: 64 * mib, Peak: 64 * mib}, budget(s, vita.UserPool))
	_, code := s.Alloc("none", vita.UserRW, 4*kib, 0)
	assert.Equal(t, vita.SysmemAddressSpaceError, code, "newlib has all addresses")
	mustAlloc(t, s, vita.UserNCRW, 4*kib)
}

// A block with an alignment below the granule is aligned to the granule.
func TestSimSmallAlignments(t *testing.T) {
	eachKernel(t, func(t *testing.T, k testKernel) {
		c := &calls{t: t, k: k}
		defer c.drop()
		for _, mt := range []vita.MemType{vita.UserRW, vita.CDRAMRW} {
			for _, align := range []uint32{1, 64, 2 * kib} {
				uid, code := k.Alloc("block", mt, uint32(mt.Granule()), align)
				if assert.Equal(t, vita.OK, code) {
					c.out = append(c.out, uid)
					assert.Zero(t, c.base(uid)&uintptr(mt.Granule()-1), "%v at %d", mt, align)
				}
			}
		}
	})
}

// The largest available block is a whole number of granules; for code, of MiB.
func TestSimLargest(t *testing.T) {
	s := vita.NewSim(vita.Console{VM: 3*mib + 5*kib, CDRAM: 512*kib + 4*kib, Phycont: 2*mib - 1, Tool: 512 * mib})
	for p, want := range map[vita.Pool]int64{
		vita.VMPool: 3 * mib, vita.CDRAMPool: 512 * kib, vita.PhycontPool: mib,
		vita.ToolPool: 128 * mib, // there are no more addresses
	} {
		assert.Equal(t, want, budget(s, p).Largest, p)
	}
	_, code := s.AllocVM("code", 3*mib)
	assert.Equal(t, vita.OK, code)
}

// A block of size Largest can be allocated and a larger one cannot, whatever the limit is.
func TestSimLargestIsTrue(t *testing.T) {
	nearly := func(n int) vita.Console { // newlib takes all addresses but a few MiB
		return vita.Console{Profile: vita.Vita3K, User: n, Heap: n, Addresses: n}
	}
	for name, c := range map[string]vita.Console{
		"hardware":         {User: 8 * mib, CDRAM: 4 * mib, Phycont: 4 * mib, Tool: mib, VM: 2 * mib, Heap: -1},
		"addresses":        {User: 8 * mib, Heap: -1, Addresses: 3 * mib},
		"odd addresses":    {User: 8 * mib, Heap: 1, Addresses: 3*4*kib - 1},
		"blocks":           {User: 8 * mib, Heap: -1, MaxBlocks: 3},
		"no blocks":        {User: 8 * mib, Heap: -1, MaxBlocks: -1},
		"as Vita3K":        nearly(2040 * mib),
		"odd, Vita3K":      nearly(2041*mib + 4*kib),
		"full, Vita3K":     nearly(2047 * mib),
		"too full, Vita3K": nearly(2048*mib - 4*kib),
	} {
		t.Run(name, func(t *testing.T) {
			s := vita.NewSim(c)
			for i := range 5 {
				most := budget(s, vita.UserPool).Largest
				if most > 0 {
					uid, code := s.Alloc("all", vita.UserRW, uint32(most), 0)
					require.Equal(t, vita.OK, code, "%d: %d", i, most)
					require.Equal(t, vita.OK, s.Free(uid))
				}
				_, code := s.Alloc("more", vita.UserRW, uint32(most)+4*kib, 0)
				require.NotEqual(t, vita.OK, code, "%d: %d", i, most)
				if _, code = s.Alloc("some", vita.UserRW, uint32(i+1)*100*kib, 0); code != vita.OK {
					break
				}
			}
		})
	}
	// VM blocks of Vita3K have granules of 4 KiB.
	s := vita.NewSim(vita.Console{Profile: vita.Vita3K})
	most := budget(s, vita.VMPool).Largest
	_, code := s.AllocVM("more", uint32(most)+4*kib)
	require.Equal(t, vita.NoMemory, code)
	_, code = s.AllocVM("all", uint32(most))
	require.Equal(t, vita.OK, code)
	// A block below a window takes nothing of it.
	s = vita.NewSim(vita.Console{Heap: -1, Addresses: 32 * mib})
	mustAlloc(t, s, vita.CDRAMRW, 256*kib)
	require.Equal(t, int64(32*mib), budget(s, vita.UserPool).Largest)
	// The simulation's own limit.
	s = vita.NewSim(vita.Console{User: 1 << 30, Heap: -1, Addresses: 1 << 30})
	most = budget(s, vita.UserPool).Largest
	assert.Equal(t, int64(640*mib-2*4*kib), most)
	_, code = s.Alloc("more", vita.UserRW, uint32(most)+4*kib, 0)
	assert.Equal(t, vita.NoFreePhysicalPage, code)
}

// The Go memory that an alignment takes counts too, until the block is freed.
func TestSimAlignmentsCount(t *testing.T) {
	const heap = 1 << 30
	for _, profile := range []vita.Profile{vita.Hardware, vita.Vita3K} {
		s := vita.NewSim(vita.Console{Profile: profile, User: heap, Heap: -1, Addresses: heap})
		most := budget(s, vita.UserPool).Largest
		require.Equal(t, int64(640*mib-2*4*kib), most, "%v", profile)
		uid, code := s.Alloc("far", vita.UserRW, 256*kib, 16*mib)
		require.Equal(t, vita.OK, code)
		left := most - 256*kib - 2*16*mib
		assert.Equal(t, left, budget(s, vita.UserPool).Largest, "%v", profile)
		_, code = s.Alloc("another", vita.UserRW, uint32(left)+2*4*kib-2*16*mib+4*kib, 16*mib)
		assert.NotEqual(t, vita.OK, code, "%v", profile)
		require.Equal(t, vita.OK, s.Free(uid))
		assert.Equal(t, most, budget(s, vita.UserPool).Largest, "%v: all of it is back", profile)
	}
}

// CDRAM has more addresses than memory, so free pieces need not be adjacent.
func TestSimCDRAMPiecesAreNoLoss(t *testing.T) {
	s := vita.NewSim(vita.Console{CDRAM: 4 * mib})
	var uids []vita.UID
	for range 4 {
		uids = append(uids, mustAlloc(t, s, vita.CDRAMRW, mib))
	}
	require.Equal(t, vita.OK, s.Free(uids[0]))
	require.Equal(t, vita.OK, s.Free(uids[2]))
	assert.Equal(t, int64(2*mib), budget(s, vita.CDRAMPool).Largest)
	mustAlloc(t, s, vita.CDRAMRW, 2*mib)
}
