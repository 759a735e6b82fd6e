//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows) && !tinygo && !vita

package blocksrc_test

import (
	"errors"
	"math"
	"math/bits"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

func TestMmapOfEveryKindIsOneSource(t *testing.T) {
	block, err := blocksrc.Mmap{Name: "one"}.Acquire(1, 0)
	require.NoError(t, err)
	assert.Len(t, block, blocksrc.Granularity(blocksrc.Mmap{}))
	require.NoError(t, (&blocksrc.Mmap{HugePages: true}).Release(block))
	require.ErrorIs(t, blocksrc.Mmap{}.Release(block), blocksrc.ErrNotHeld)
}

// Larger than any address space, smaller than what overflows.
func TestMmapBeyondTheAddressSpace(t *testing.T) {
	for _, r := range [][2]int{
		{math.MaxInt - 1<<20, 0},
		{math.MaxInt - 1<<20, 1 << 16},
		{1, math.MaxInt/2 + 1},
		{math.MaxInt / 2, math.MaxInt/4 + 1},
	} {
		block, err := blocksrc.Mmap{}.Acquire(r[0], r[1])
		if err == nil { // on 32 bits there is room for the smaller ones
			require.Equal(t, 32, bits.UintSize, "%v", r)
			require.NoError(t, blocksrc.Mmap{}.Release(block))
			continue
		}
		assert.ErrorIs(t, err, blocksrc.ErrExhausted, "%v", r)
		if bits.UintSize == 64 {
			assert.ErrorIs(t, err, blocksrc.ErrInvalid, "%v: now and for ever", r)
		}
	}
}

// What a process can never have is refused for ever, on the systems where that is known.
func TestMmapNever(t *testing.T) {
	if bits.UintSize == 64 && (runtime.GOOS == "linux" || runtime.GOOS == "windows") {
		for shift := map[string]int{"amd64": 47, "arm64": 48}[runtime.GOARCH]; shift != 0 && shift < 63; shift++ {
			_, err := blocksrc.Mmap{}.Acquire(1<<shift, 0)
			assert.True(t, blocksrc.Never(err), "2^%d", shift)
			_, err = blocksrc.Mmap{}.Acquire(1, 1<<shift)
			assert.True(t, blocksrc.Never(err), "2^%d", shift)
		}
	}
}

// Discard takes whole pages only: nothing of the first and the last page if part has only
// some of it, and nothing at all if part has no whole page.
func TestMmapDiscardKeepsTheEnds(t *testing.T) {
	src, page := blocksrc.Mmap{}, blocksrc.Page()
	block, err := src.Acquire(8*page, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	for i := range block {
		block[i] = 7
	}
	require.NoError(t, src.Discard(block[1:2*page-1]))
	require.NoError(t, src.Discard(block[5*page-1:5*page+1]))
	for i := range block {
		require.Equal(t, byte(7), block[i])
	}
	err = src.Discard(block[page-1 : 3*page+1])
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	require.NoError(t, err)
	for i := range block {
		if i < page || i >= 3*page {
			require.Equal(t, byte(7), block[i], "byte %d", i)
		}
	}
	block[page], block[3*page-1] = 1, 2
	assert.Equal(t, []byte{1, 2}, []byte{block[page], block[3*page-1]})
}
