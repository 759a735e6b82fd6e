package vita_test

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/vita"
)

func budget(s *vita.Sim, p vita.Pool) vita.Budget { return s.Budgets()[p] }

func mustAlloc(t *testing.T, s *vita.Sim, mt vita.MemType, size uint32) vita.UID {
	t.Helper()
	uid, code := s.Alloc("block", mt, size, 0)
	require.Equal(t, vita.OK, code)
	return uid
}

func memory(t *testing.T, s *vita.Sim, uid vita.UID, size int) []byte {
	t.Helper()
	p, code := s.Base(uid)
	require.Equal(t, vita.OK, code)
	return unsafe.Slice((*byte)(p), size)
}

// The memory that a program finds on a console depends on how it was packed.
func TestConsolePresets(t *testing.T) {
	for _, c := range []struct {
		con  vita.Console
		user int32
	}{
		{vita.Console{}, (365 - 128) * mib},
		{vita.Console{User: vita.Plus109}, (365 - 128) * mib},
		{vita.Console{User: vita.Plus77}, (256 + 77 - 128) * mib},
		{vita.Console{User: vita.Plus29}, (256 + 29 - 128) * mib},
		{vita.Console{User: vita.Base256}, 128 * mib},
		{vita.Console{User: vita.Base256, Heap: 32 * mib}, 224 * mib},
		{vita.Console{User: vita.Base256, Heap: -1}, 256 * mib},
		{vita.Console{User: 64 * mib}, 0}, // all of it newlib's
		{vita.Console{User: math.MaxInt, Heap: -1}, math.MaxInt32},
	} {
		sizes, code := vita.NewSim(c.con).FreeSizes()
		require.Equal(t, vita.OK, code)
		assert.Equal(t, vita.FreeSizes{User: c.user, CDRAM: 112 * mib, Phycont: 26 * mib}, sizes)
	}
	s := vita.NewSim(vita.Console{CDRAM: -1, Phycont: -1, CDialog: -1, VM: -1})
	for _, mt := range []vita.MemType{vita.CDRAMRW, vita.PhycontRW, vita.CDialogRW, vita.ToolRW} {
		_, code := s.Alloc("none", mt, uint32(mt.Granule()), 0)
		assert.Equal(t, vita.SysmemAddressSpaceError, code, mt)
	}
	_, code := s.AllocVM("none", mib)
	assert.Equal(t, vita.SysmemAddressSpaceError, code)
}

// Fresh memory is not zero, and freed memory does not keep its contents.
func TestSimPoison(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	uid := mustAlloc(t, s, vita.UserRW, 8*kib)
	mem := memory(t, s, uid, 8*kib)
	for i, b := range mem {
		require.Equal(t, byte(vita.FreshByte), b, i)
	}
	mem[5] = 1
	require.Equal(t, vita.OK, s.Free(uid))
	for i, b := range mem {
		require.Equal(t, byte(vita.FreedByte), b, i)
	}
}

// Free bytes are not enough if they are not contiguous.
func TestSimFragmentation(t *testing.T) {
	for _, c := range []struct {
		mt   vita.MemType
		con  vita.Console
		unit uint32
		n    int
		want vita.Code
	}{
		{vita.UserRW, vita.Console{Heap: -1, Addresses: 8 * mib}, mib, 8, vita.SysmemAddressSpaceError},
		{vita.PhycontRW, vita.Console{Phycont: 8 * mib}, mib, 8, vita.NoFreePhysicalPage},
		{vita.UserNCRW, vita.Console{Heap: -1}, 10 * mib, 20, vita.SysmemAddressSpaceError},
	} {
		s := vita.NewSim(c.con)
		var uids []vita.UID
		for range c.n {
			uids = append(uids, mustAlloc(t, s, c.mt, c.unit))
		}
		_, code := s.Alloc("more", c.mt, c.unit, 0)
		assert.Equal(t, c.want, code, "the window is full")
		for i := 0; i < c.n; i += 2 {
			require.Equal(t, vita.OK, s.Free(uids[i]))
		}
		_, code = s.Alloc("large", c.mt, 2*c.unit, 0)
		assert.Equal(t, c.want, code, "half of it is free, in pieces")
		uid := mustAlloc(t, s, c.mt, c.unit)
		require.Equal(t, vita.OK, s.Free(uid))
		require.Equal(t, vita.OK, s.Free(uids[1]))
		uid, code = s.Alloc("large", c.mt, 3*c.unit, 0)
		assert.Equal(t, vita.OK, code, "gaps that touch are one")
		require.Equal(t, vita.OK, s.Free(uid))
		for i := 3; i < c.n; i += 2 {
			require.Equal(t, vita.OK, s.Free(uids[i]))
		}
		uid = mustAlloc(t, s, c.mt, uint32(c.n)*c.unit)
		require.Equal(t, vita.OK, s.Free(uid))
		require.NoError(t, s.Leaks())
	}
}

// A block for code needs contiguous free bytes, too.
func TestSimVMFragmentation(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	var uids []vita.UID
	for range 16 {
		uid, code := s.AllocVM("code", mib)
		require.Equal(t, vita.OK, code)
		uids = append(uids, uid)
	}
	for i := 0; i < 10; i += 2 {
		require.Equal(t, vita.OK, s.Free(uids[i]))
	}
	_, code := s.AllocVM("code", 2*mib)
	assert.Equal(t, vita.MemBlockOverflow, code, "with 5 MiB free, as has been seen")
	_, code = s.AllocVM("code", mib)
	assert.Equal(t, vita.OK, code)
}

// At most 200 MiB can be mapped uncached, whatever the budget is.
func TestSimUncachedWindow(t *testing.T) {
	s := vita.NewSim(vita.Console{Heap: -1})
	uid := mustAlloc(t, s, vita.UserNCRW, 0xC800000)
	_, code := s.Alloc("more", vita.UserNCRW, 4*kib, 0)
	assert.Equal(t, vita.SysmemAddressSpaceError, code)
	mustAlloc(t, s, vita.UserRW, 4*kib)
	require.Equal(t, vita.OK, s.Free(uid))
	_, code = s.Alloc("more", vita.UserNCRW, 0xC800000+4*kib, 0)
	assert.Equal(t, vita.SysmemAddressSpaceError, code)
}

// The counters are hints: they can be below zero while a page is still available.
func TestSimSkew(t *testing.T) {
	con := testConsole(vita.Hardware)
	con.Skew = testUser + 2*mib
	s := vita.NewSim(con)
	sizes, _ := s.FreeSizes()
	assert.Equal(t, int32(-2*mib), sizes.User)
	mustAlloc(t, s, vita.UserRW, 4*kib)
}

func TestSimMaxBlocks(t *testing.T) {
	s := vita.NewSim(vita.Console{MaxBlocks: 3})
	uids := []vita.UID{mustAlloc(t, s, vita.UserRW, 4*kib), mustAlloc(t, s, vita.CDRAMRW, 256*kib), mustAlloc(t, s, vita.UserRW, 4*kib)}
	_, code := s.Alloc("fourth", vita.UserRW, 4*kib, 0)
	assert.Equal(t, vita.NoMemory, code)
	_, code = s.AllocVM("fourth", mib)
	assert.Equal(t, vita.NoMemory, code)
	require.Equal(t, vita.OK, s.Free(uids[1]))
	mustAlloc(t, s, vita.UserRW, 4*kib)
}

func TestSimUIDs(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	seen := make(map[vita.UID]bool)
	last, inOrder := vita.UID(0), 0
	for range 3000 {
		uid := mustAlloc(t, s, vita.UserRW, 4*kib)
		require.False(t, seen[uid], "none comes back")
		require.Positive(t, uid)
		require.Equal(t, vita.UID(1), uid&1)
		if uid-last == 2 {
			inOrder++
		}
		seen[uid], last = true, uid
		require.Equal(t, vita.OK, s.Free(uid))
	}
	assert.Less(t, inOrder, 10)

	s = vita.NewSim(vita.Console{ReuseUID: true})
	uid := mustAlloc(t, s, vita.UserRW, 4*kib)
	require.Equal(t, vita.OK, s.Free(uid))
	assert.Equal(t, uid, mustAlloc(t, s, vita.CDRAMRW, 256*kib))
	require.Equal(t, vita.OK, s.Free(uid), "a second free of the first block hits the second")

	s = vita.NewSim(vita.Console{Profile: vita.Vita3K})
	for i := range 5 {
		assert.Equal(t, vita.UID(i+1), mustAlloc(t, s, vita.UserRW, 4*kib))
	}
}

func TestSimLenient(t *testing.T) {
	s := vita.NewSim(vita.Console{Lenient: true})
	uid := mustAlloc(t, s, vita.CDRAMRW, 1)
	info, code := s.Info(address(memory(t, s, uid, 1)))
	require.Equal(t, vita.OK, code)
	assert.Equal(t, uint32(256*kib), info.Size)
}

// What the emulator does differently from a console.
func TestSimVita3K(t *testing.T) {
	s := vita.NewSim(vita.Console{Profile: vita.Vita3K, User: 4 * mib, CDRAM: 2 * mib, Phycont: mib, Heap: -1})
	free := func(user, cdram int32) {
		t.Helper()
		sizes, _ := s.FreeSizes()
		assert.Equal(t, vita.FreeSizes{User: user, CDRAM: cdram, Phycont: mib}, sizes)
	}
	free(4*mib, 2*mib)
	uid := mustAlloc(t, s, vita.UserRW, mib)
	free(3*mib, 2*mib)
	require.Equal(t, vita.OK, s.Free(uid))
	free(3*mib+24, 2*mib) // and no more
	uid = mustAlloc(t, s, vita.CDRAMRW, mib+1)
	free(3*mib+24, mib-1) // sizes are not rounded
	info, _ := s.Info(address(memory(t, s, uid, mib+1)))
	assert.Equal(t, uint32(mib+1), info.Size)
	uid = mustAlloc(t, s, vita.UserRW, 8*mib) // no budgets
	free(0, mib-1)
	require.Equal(t, vita.OK, s.Free(uid))
	free(0, mib-1)
	for _, b := range memory(t, s, mustAlloc(t, s, vita.UserRW, 4*kib), 4*kib) {
		require.Zero(t, b, "zeroed")
	}
	long := "a name that is longer than any console allows"
	_, code := s.Alloc(long, vita.UserRW, 4*kib, 0)
	require.Equal(t, vita.OK, code)
	blocks := s.Blocks()
	assert.Equal(t, long[:31], blocks[len(blocks)-1].Name)

	// It knows one type of CDRAM, and takes main memory for every type it does not know.
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, User: 4 * mib, CDRAM: 2 * mib, Phycont: mib, Heap: -1})
	for _, mt := range []vita.MemType{vita.CDialogRW, vita.CDRAMR, vita.UserDeviceRW, 0} {
		mustAlloc(t, s, mt, 256*kib)
		for _, b := range s.Blocks() {
			assert.GreaterOrEqual(t, b.Addr, uint32(0x80000000), mt)
		}
	}
	free(3*mib, 2*mib)
	mustAlloc(t, s, vita.PhycontNCRW, mib)
	assert.Equal(t, uint32(0x70000000), s.Blocks()[0].Addr)
	sizes, _ := s.FreeSizes()
	assert.Equal(t, vita.FreeSizes{User: 3 * mib, CDRAM: 2 * mib}, sizes)

	// Its counters do not go below zero.
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, Skew: vita.Plus109})
	sizes, _ = s.FreeSizes()
	assert.Zero(t, sizes.User)

	// A block of 1 MiB takes 2 MiB of address space. So three blocks of 512 MiB would not
	// fit in 2 GiB even if there were Go memory for them.
	s = vita.NewSim(vita.Console{Profile: vita.Vita3K, Heap: -1})
	mustAlloc(t, s, vita.UserRW, mib)
	mustAlloc(t, s, vita.UserRW, mib)
	blocks = s.Blocks()
	assert.Equal(t, uint32(2*mib), blocks[1].Addr-blocks[0].Addr)
}

// The n-th call of a kind fails, once, and changes nothing.
func TestSimFail(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	s.Fail(vita.CallAlloc, 2, vita.NoFreePhysicalPageUnit)
	s.Fail(vita.CallFree, 1, vita.BlockInUse)
	uid := mustAlloc(t, s, vita.UserRW, 4*kib)
	_, code := s.Alloc("second", vita.UserRW, 4*kib, 0)
	assert.Equal(t, vita.NoFreePhysicalPageUnit, code)
	require.Len(t, s.Blocks(), 1)
	other := mustAlloc(t, s, vita.UserRW, 4*kib)
	assert.Equal(t, vita.BlockInUse, s.Free(uid))
	assert.Equal(t, vita.OK, s.Free(uid))
	assert.Equal(t, 3, s.Calls(vita.CallAlloc))
	assert.Equal(t, 2, s.Calls(vita.CallFree))
	assert.Equal(t, 5, s.Calls(vita.AnyCall))

	mem := memory(t, s, other, 4*kib)
	vm, _ := s.AllocVM("code", mib)
	for call, do := range map[vita.Call]func() vita.Code{
		vita.CallAlloc:     func() vita.Code { _, code := s.Alloc("a", vita.UserRW, 4*kib, 0); return code },
		vita.CallBase:      func() vita.Code { _, code := s.Base(other); return code },
		vita.CallFind:      func() vita.Code { _, code := s.Find(address(mem), 1); return code },
		vita.CallInfo:      func() vita.Code { _, code := s.Info(address(mem)); return code },
		vita.CallFreeSizes: func() vita.Code { _, code := s.FreeSizes(); return code },
		vita.CallAllocVM:   func() vita.Code { _, code := s.AllocVM("a", mib); return code },
		vita.CallOpenVM:    s.OpenVM,
		vita.CallCloseVM:   s.CloseVM,
		vita.CallSyncVM:    func() vita.Code { return s.SyncVM(vm, address(memory(t, s, vm, 1)), 1) },
		vita.CallFree:      func() vita.Code { return s.Free(other) },
	} {
		s.Fail(call, 1, -7)
		assert.Equal(t, vita.Code(-7), do(), call)
	}
	s.Fail(vita.CallFree, 1, -7)
	s.Fail(vita.CallFree, 1, -8)
	s.Fail(vita.AnyCall, 1, -9)
	assert.Equal(t, vita.Code(-7), s.Free(other), "the order that was given first")
	s.Fail(vita.AnyCall, 1, -8)
	s.Fail(vita.AnyCall, 0, -8)
	assert.Equal(t, vita.OK, s.Free(other), "withdrawn")
	assert.Panics(t, func() { s.Fail(vita.AnyCall, 1, vita.OK) })
	assert.Equal(t, vita.OK, s.Free(vm))
	require.NoError(t, s.Leaks())
}

func TestSimReports(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	require.NoError(t, s.Leaks())
	assert.Equal(t, vita.Budget{Pool: vita.UserPool, Limit: 365 * mib, Held: 128 * mib, Peak: 128 * mib, Largest: 237 * mib}, budget(s, vita.UserPool))
	assert.Equal(t, vita.Budget{Pool: vita.ToolPool}, budget(s, vita.ToolPool))
	assert.Equal(t, vita.Budget{Pool: vita.CDialogPool, Limit: 0x8C6000, Largest: 0x8C6000}, budget(s, vita.CDialogPool))
	first := mustAlloc(t, s, vita.PhycontRW, 10*mib)
	second := mustAlloc(t, s, vita.PhycontRW, 2*mib)
	require.Equal(t, vita.OK, s.Free(first))
	assert.Equal(t, vita.Budget{Pool: vita.PhycontPool, Limit: 26 * mib, Held: 2 * mib, Peak: 12 * mib, Largest: 14 * mib, Blocks: 1, Total: 2}, budget(s, vita.PhycontPool))
	err := s.Leaks()
	require.ErrorContains(t, err, `1 blocks were not freed`)
	require.ErrorContains(t, err, `"block", 2097152 bytes of USER_MAIN_PHYCONT_RW at 0x50a00000`)
	require.Equal(t, vita.OK, s.Free(second))
	require.NoError(t, s.Leaks())
	for _, b := range s.Budgets() {
		if b.Pool != vita.UserPool {
			assert.Zero(t, b.Held, b.Pool)
		}
	}
}

func TestSimVMDomain(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	assert.False(t, s.VMOpen())
	assert.Equal(t, vita.OK, s.OpenVM())
	assert.True(t, s.VMOpen())
	assert.Equal(t, vita.OK, s.CloseVM())
	assert.False(t, s.VMOpen())
	uid, code := s.AllocVM("code", 2*mib)
	require.Equal(t, vita.OK, code)
	info, code := s.Info(address(memory(t, s, uid, 1)))
	require.Equal(t, vita.OK, code)
	assert.Equal(t, "USER_RX", info.Type.String())
	assert.Equal(t, uint32(5), info.Access)
	assert.Equal(t, int64(2*mib), budget(s, vita.VMPool).Held)
}

// Counters are clamped to 32 bits at both ends.
func TestSimClampsFreeSizes(t *testing.T) {
	s := vita.NewSim(vita.Console{User: math.MaxInt, CDRAM: math.MaxInt, Heap: -1})
	sizes, _ := s.FreeSizes()
	assert.Equal(t, vita.FreeSizes{User: math.MaxInt32, CDRAM: math.MaxInt32, Phycont: 26 * mib}, sizes)
	s = vita.NewSim(vita.Console{User: -1, Skew: math.MaxInt})
	sizes, _ = s.FreeSizes()
	var lowest int32 = max(math.MinInt32, -math.MaxInt)
	assert.Equal(t, lowest, sizes.User)
}

// Of several free UIDs the one freed last is reused first.
func TestSimReusesTheLastUID(t *testing.T) {
	s := vita.NewSim(vita.Console{ReuseUID: true})
	a, b, c := mustAlloc(t, s, vita.UserRW, 4*kib), mustAlloc(t, s, vita.UserRW, 4*kib), mustAlloc(t, s, vita.UserRW, 4*kib)
	for _, uid := range []vita.UID{a, c, b} {
		require.Equal(t, vita.OK, s.Free(uid))
	}
	for _, want := range []vita.UID{b, c, a} {
		assert.Equal(t, want, mustAlloc(t, s, vita.UserRW, 4*kib))
	}
	assert.NotContains(t, []vita.UID{a, b, c}, mustAlloc(t, s, vita.UserRW, 4*kib))
}

// The kernel sees a name up to its zero byte.
func TestSimNamesEndAtZero(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	long := "name\x00 and what is behind it, more than 31 bytes"
	_, code := s.Alloc(long, vita.UserRW, 4*kib, 0)
	require.Equal(t, vita.OK, code)
	_, code = s.AllocVM(long, mib)
	require.Equal(t, vita.OK, code)
	for _, b := range s.Blocks() {
		assert.Equal(t, "name", b.Name)
	}
}

// Withdrawing orders affects the named kind and no other.
func TestSimFailWithdrawn(t *testing.T) {
	s := vita.NewSim(vita.Console{})
	s.Fail(vita.CallOpenVM, 1, -7)
	s.Fail(vita.AnyCall, 3, -8)
	s.Fail(vita.CallCloseVM, 1, -9)
	s.Fail(vita.CallCloseVM, 0, -9)
	assert.Equal(t, vita.OK, s.CloseVM())
	s.Fail(vita.AnyCall, 0, -1)
	assert.Equal(t, vita.Code(-7), s.OpenVM(), "the order for that kind stands")
	assert.Equal(t, vita.OK, s.OpenVM(), "the one for any kind does not")
}
