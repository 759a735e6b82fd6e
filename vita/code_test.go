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
	assert.Equal(t, 22, named)
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
	assert.Equal(t, "type 0x0000beef", vita.MemType(0xBEEF).String())
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
}
