package vita_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/vita"
)

// The addresses and the memory that a simulated console has for blocks.

// newlib's heap is as large as it can be and lies where the program's blocks do not.
func TestSimHeapAndAddresses(t *testing.T) {
	s := vita.NewSim(vita.Console{Addresses: 64 * mib})
	assert.Equal(t, vita.Budget{Pool: vita.UserPool, Limit: 365 * mib, Held: 64 * mib, Peak: 64 * mib}, budget(s, vita.UserPool))
	_, code := s.Alloc("none", vita.UserRW, 4*kib, 0)
	assert.Equal(t, vita.SysmemAddressSpaceError, code, "newlib has all addresses")
	mustAlloc(t, s, vita.UserNCRW, 4*kib)
}

// An alignment below the granule does not move a block off it.
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

// The largest block to be had is a whole number of granules: one for code of MiB.
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

// Video memory has more addresses than there is of it: pieces are no loss.
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
