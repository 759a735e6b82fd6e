//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows) && !tinygo && !vita

package blocksrc_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

var errRefused = errors.New("refused")

// refuse makes the system unmap nothing until allow is called.
func refuse(t *testing.T) (allow func()) {
	allow = blocksrc.SetUnmap(func([]byte, func([]byte) error) error { return errRefused })
	t.Cleanup(allow)
	return allow
}

// A block whose unmapping fails, as munmap does with ENOMEM, stays until it succeeds.
func TestMmapKeepsWhatCannotBeUnmapped(t *testing.T) {
	var src blocksrc.Mmap
	block, err := src.Acquire(100_000, 1<<20)
	require.NoError(t, err)
	block[99_999] = 42
	allow := refuse(t)
	for range 3 {
		err = src.Release(block)
		require.ErrorIs(t, err, errRefused)
		require.NotErrorIs(t, err, blocksrc.ErrNotHeld)
		assert.Equal(t, byte(42), block[99_999])
	}
	allow()
	require.NoError(t, src.Release(block))
	require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
}

// The same through every layer.
func TestLayersKeepWhatCannotBeUnmapped(t *testing.T) {
	counting := &blocksrctest.Counting{Source: blocksrc.Mmap{}}
	src := blocksrc.Limit(blocksrc.Fallback(counting), 1<<20)
	block, err := src.Acquire(1<<20, 0)
	require.NoError(t, err)
	allow := refuse(t)
	require.ErrorIs(t, src.Release(block), errRefused)
	assert.Error(t, counting.Leaks())
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	allow()
	require.NoError(t, src.Release(block))
	assert.NoError(t, counting.Leaks())
	assert.NoError(t, counting.Misuse())
}

// What goes with a block is its whole mapping, no more and no less.
func TestMmapAccountsForItsTrimmings(t *testing.T) {
	var src blocksrc.Mmap
	unit := src.Granularity()
	for align := unit; align <= 16<<20; align <<= 1 {
		for _, size := range []int{1, unit + 1, 3 * unit, align + 1} {
			block, err := src.Acquire(size, align)
			require.NoError(t, err)
			require.Zero(t, blocksrc.Address(block)%uintptr(align))
			whole, err := blocksrc.MappedWhole(block)
			require.NoError(t, err)
			if canTrim {
				require.Equal(t, blocksrc.Address(block), blocksrc.Address(whole))
				require.Len(t, whole, len(block))
			} else {
				require.Len(t, whole, len(block)+align-unit)
			}
			require.NoError(t, src.Release(block))
		}
	}
}
