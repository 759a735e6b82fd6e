//go:build !tinygo && !wasm

// These tests take hundreds of MiB, which TinyGo and wasm do not have.

package vita_test

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/vita"
)

// The Go memory that the simulation takes is limited, for all blocks together.
func TestSimMemoryHasAnEnd(t *testing.T) {
	s := vita.NewSim(vita.Console{Profile: vita.Vita3K})
	mustAlloc(t, s, vita.UserRW, 321*mib) // zeroed, so the system has not committed it yet
	_, code := s.Alloc("more", vita.UserRW, 320*mib, 0)
	assert.Equal(t, vita.NoMemory, code)
	assert.Len(t, s.Blocks(), 1)
	if bits.UintSize == 64 {
		s = vita.NewSim(vita.Console{Profile: vita.Vita3K})
		mustAlloc(t, s, vita.UserRW, 640*mib-2*4*kib)
	}
}

// The limit counts granules, of which each block takes two more: of 256 KiB as well as of 4.
func TestSimGranulesCount(t *testing.T) {
	if testing.Short() {
		t.Skip("fills more than half a GiB")
	}
	for _, mt := range []vita.MemType{vita.CDRAMRW, vita.UserRW} {
		s := vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
		size := uint32(256 * kib)
		blocks := 0
		for ; blocks < 10_000; blocks++ {
			if _, code := s.Alloc("x", mt, size, 0); code != vita.OK {
				break
			}
		}
		assert.Equal(t, 640*mib/int(size+2*uint32(mt.Granule())), blocks, mt)
	}
}

// Vita3K aligns a block to the lowest bit of its size, and takes as many addresses more.
func TestSimVita3KAddresses(t *testing.T) {
	s := vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
	for _, size := range []uint32{2 * mib, 4 * kib, 12 * kib, 4 * kib} {
		mustAlloc(t, s, vita.UserRW, size)
	}
	mustAlloc(t, s, vita.UserNCRW, 4*kib)
	mustAlloc(t, s, vita.CDRAMRW, 256*kib)
	var at []uint32
	for _, b := range s.Blocks() {
		at = append(at, b.Addr)
	}
	assert.Equal(t, []uint32{
		0x60000000, 0x70000000,
		0x80000000, 0x80000000 + 4*mib, 0x80000000 + 4*mib + 8*kib, 0x80000000 + 4*mib + 24*kib,
	}, at)

	// There is one code for all exhaustion, also of addresses.
	const heap = 2040 * mib
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, User: heap, Heap: heap, Addresses: heap})
	_, code := s.Alloc("large", vita.UserRW, 8*mib, 0)
	assert.Equal(t, vita.NoMemory, code)

	// A block may reach from one window into the next.
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
	for range 2 {
		_, code = s.AllocVM("code", 4*kib)
		require.Equal(t, vita.OK, code)
	}
	require.Equal(t, uint32(8*kib), s.Blocks()[1].Addr-s.Blocks()[0].Addr)
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
	mustAlloc(t, s, vita.UserNCRW, 257*mib)
	assert.Equal(t, int64((640-257)*mib-4*4*kib), budget(s, vita.UserPool).Largest, "what a Sim has")
}

// In Vita3K a block whose size is even needs more than its size, also where it is Go's memory that
// bounds it.
func TestSimLargestIsTrueInVita3K(t *testing.T) {
	if testing.Short() {
		t.Skip("fills more than half a GiB")
	}
	for _, mt := range []vita.MemType{vita.UserRW, vita.CDRAMRW} {
		for _, first := range []uint32{128*mib - 16*kib, 128*mib - 12*kib} {
			s := vita.NewSim(vita.Console{Profile: vita.Vita3K, User: 2<<30 - 1, CDRAM: 1 << 30, Heap: 1 << 30, Addresses: 1 << 30})
			mustAlloc(t, s, vita.UserRW, first)
			most := uint32(budget(s, mt.Pool()).Largest)
			_, code := s.Alloc("more", mt, most+uint32(mt.Granule()), 0)
			assert.NotEqual(t, vita.OK, code, "%v: %d behind %d", mt, most, first)
			uid, code := s.Alloc("all", mt, most, 0)
			require.Equal(t, vita.OK, code, "%v: %d behind %d", mt, most, first)
			require.Equal(t, vita.OK, s.Free(uid))
		}
	}
}

// A freed block no longer counts towards the Go memory taken.
func TestSimMemoryComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("fills more than half a GiB")
	}
	s := vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
	for range 11 {
		require.Equal(t, vita.OK, s.Free(mustAlloc(t, s, vita.UserRW, 64*mib)))
	}
}
