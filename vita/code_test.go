package vita_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

func TestCode(t *testing.T) {
	exhausted := map[vita.Code]bool{}
	for _, n := range []uint32{0x80024302, 0x80024303, 0x80024309, 0x80024A00, 0x80024B0B, 0x8002710B} {
		exhausted[vita.Code(n)] = true
	}
	named := 0
	for n := uint32(0x80020000); n < 0x80029000; n++ {
		code := vita.Code(n)
		assert.Equal(t, exhausted[code], code.Exhausted(), code)
		if code.Name() != "" {
			named++
		}
	}
	assert.Equal(t, 24, named)
	assert.Equal(t, "0x80024309 NO_FREE_PHYSICAL_PAGE_CDRAM", vita.NoFreePhysicalPageCDRAM.Error())
	assert.Equal(t, "0x80FFFFFF", vita.Code(0x80FFFFFF-1<<32).Error())
	assert.False(t, vita.OK.Exhausted())
	assert.Negative(t, vita.NoMemory)
}

func TestError(t *testing.T) {
	err := fmt.Errorf("level 3: %w", &vita.Error{
		Call: vita.CallAlloc, Type: vita.CDRAMRW, Size: 4096, Code: vita.NoFreePhysicalPageCDRAM, Err: blocksrc.ErrExhausted,
	})
	assert.EqualError(t, err, "level 3: vita: sceKernelAllocMemBlock: 4096 bytes of USER_CDRAM_RW: "+
		"0x80024309 NO_FREE_PHYSICAL_PAGE_CDRAM: source exhausted")
	require.ErrorIs(t, err, vita.NoFreePhysicalPageCDRAM)
	require.NotErrorIs(t, err, vita.NoFreePhysicalPage)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	var code vita.Code
	require.True(t, errors.As(err, &code))

	bare := &vita.Error{Call: vita.CallBase, Type: 7}
	assert.EqualError(t, bare, "vita: sceKernelGetMemBlockBase: 0 bytes of type 0x00000007")
	assert.Empty(t, bare.Unwrap(), "a status that is no failure is no error")
}

func TestMemType(t *testing.T) {
	seen := map[string]bool{}
	for _, mt := range types {
		assert.True(t, mt.Known())
		seen[mt.String()] = true
	}
	assert.Len(t, seen, 18)
	assert.Equal(t, "USER_CDRAM_RW", vita.CDRAMRW.String())
	assert.Equal(t, "type 0x0000BEEF", vita.MemType(0xBEEF).String())
	assert.False(t, vita.MemType(0xBEEF).Known())
	assert.Equal(t, 4*kib, vita.MemType(0xBEEF).Granule())
	for mt, cached := range map[vita.MemType]bool{
		vita.UserRW: true, vita.UserNCRW: false, vita.UserDeviceRW: false, vita.PhycontRW: true, vita.PhycontNCRW: false,
		vita.CDRAMRW: false, vita.CDRAML1RW: false, vita.CDialogNCR: false,
	} {
		assert.Equal(t, cached, mt.Cached(), mt)
	}
	assert.Equal(t, "CDRAM", vita.CDRAMPool.String())
	assert.Equal(t, "pool 9", vita.Pool(9).String())
	assert.Equal(t, "pool 6", vita.Pool(6).String())
}

// The types have the SDK's numbers and names.
func TestMemTypeValues(t *testing.T) {
	const name, pages, large, huge = "USER_", 4 * kib, 256 * kib, mib
	for _, want := range []struct {
		t       vita.MemType
		value   uint32
		name    string
		granule int
	}{
		{vita.UserRW, 0x0C20D060, "RW", pages},
		{vita.UserNCRW, 0x0C208060, "RW_UNCACHE", pages},
		{vita.UserR, 0x0C20D040, "MAIN_R", pages},
		{vita.UserDeviceRW, 0x0C200860, "MAIN_DEVICE_RW", pages},
		{vita.GameRW, 0x0C50D060, "MAIN_GAME_RW", pages},
		{vita.PhycontRW, 0x0C80D060, "MAIN_PHYCONT_RW", huge},
		{vita.PhycontNCRW, 0x0D808060, "MAIN_PHYCONT_NC_RW", huge},
		{vita.CDRAMRW, 0x09408060, "CDRAM_RW", large},
		{vita.CDRAMR, 0x09408040, "CDRAM_R", large},
		{vita.CDRAML1RW, 0x09404060, "CDRAM_L1WBWA_RW", large},
		{vita.MainCDialogRW, 0x0CA0D060, "MAIN_CDIALOG_RW", pages},
		{vita.MainCDialogNCRW, 0x0CA08060, "MAIN_CDIALOG_NC_RW", pages},
		{vita.CDialogRW, 0x0E20D060, "CDIALOG_RW", pages},
		{vita.CDialogR, 0x0E20D040, "CDIALOG_R", pages},
		{vita.CDialogNCRW, 0x0E208060, "CDIALOG_NC_RW", pages},
		{vita.CDialogNCR, 0x0E208040, "CDIALOG_NC_R", pages},
		{vita.ToolRW, 0x0CF0D060, "MAIN_TOOL_RW", pages},
		{vita.ToolNCRW, 0x0CF08060, "MAIN_TOOL_NC_RW", pages},
	} {
		assert.Equal(t, want.value, uint32(want.t), want.name)
		assert.Equal(t, name+want.name, want.t.String())
		assert.Equal(t, want.granule, want.t.Granule(), want.name)
	}
}

// Each type is taken from its own pool.
func TestMemTypePools(t *testing.T) {
	for mt, want := range map[vita.MemType]vita.Pool{
		0x0C20D060: vita.UserPool, 0x0C208060: vita.UserPool, 0x0C20D040: vita.UserPool, 0x0C200860: vita.UserPool,
		0x0C50D060: vita.UserPool, 0x0C80D060: vita.PhycontPool, 0x0D808060: vita.PhycontPool,
		0x09408060: vita.CDRAMPool, 0x09408040: vita.CDRAMPool, 0x09404060: vita.CDRAMPool,
		0x0CA0D060: vita.CDialogPool, 0x0CA08060: vita.CDialogPool, 0x0E20D060: vita.CDialogPool,
		0x0E20D040: vita.CDialogPool, 0x0E208060: vita.CDialogPool, 0x0E208040: vita.CDialogPool,
		0x0CF0D060: vita.ToolPool, 0x0CF08060: vita.ToolPool, 0xBEEF: vita.UserPool,
	} {
		assert.Equal(t, want, mt.Pool(), mt)
	}
	for _, mt := range types {
		s := vita.NewSim(testConsole(vita.Hardware))
		mustAlloc(t, s, mt, uint32(mt.Granule()))
		for _, b := range s.Budgets() {
			assert.Equal(t, b.Pool == mt.Pool(), b.Blocks == 1, "%v of %v", mt, b.Pool)
		}
	}
}

// The codes have the SDK's names.
func TestCodeNames(t *testing.T) {
	for n, want := range map[uint32]string{
		0x80020005: "INVALID_ARGUMENT", 0x80020006: "ILLEGAL_ADDR", 0x80020007: "ILLEGAL_ALIGNMENT",
		0x80020009: "INVALID_ARGUMENT_SIZE", 0x8002000B: "ILLEGAL_SIZE", 0x80024002: "UID_NAME_TOO_LONG",
		0x80024302: "NO_FREE_PHYSICAL_PAGE", 0x80024303: "NO_FREE_PHYSICAL_PAGE_UNIT", 0x80024309: "NO_FREE_PHYSICAL_PAGE_CDRAM",
		0x80024501: "INVALID_UID", 0x8002450A: "UID_CANNOT_FIND_BY_NAME", 0x8002450C: "UID_MAX_OPEN",
		0x80024700: "BLOCK_ERROR", 0x80024701: "ILLEGAL_BLOCK_ID", 0x80024703: "BLOCK_IN_USE",
		0x80024A00: "SYSMEM_ADDRESS_SPACE_ERROR", 0x80024B01: "ILLEGAL_MEMBLOCK_TYPE", 0x80024B05: "ILLEGAL_MEMBLOCK_SIZE",
		0x80024B09: "MEMBLOCK_RANGE_ERROR", 0x80024B0B: "MEMBLOCK_OVERFLOW", 0x8002710B: "NO_MEMORY", 0x80028001: "UNKNOWN_UID",
	} {
		assert.Equal(t, want, vita.Code(n).Name())
	}
}
