//go:build !(aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows) || tinygo || vita

package blocksrc_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

func TestMmapWhereThereIsNone(t *testing.T) {
	src := blocksrc.Mmap{Name: "x", HugePages: true}
	_, err := src.Acquire(1, 0)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "blocksrc: mapping 1 bytes at a multiple of 1: unsupported operation")
	_, err = src.Acquire(0, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)
	assert.ErrorIs(t, src.Release([]byte{1}), blocksrc.ErrNotHeld)
	assert.ErrorIs(t, src.Discard([]byte{1}), blocksrc.ErrNotHeld)
	assert.Equal(t, 1, src.Granularity())
	assert.ErrorIs(t, blocksrctest.Test(src), errors.ErrUnsupported)
	block, err := blocksrc.Fallback(src, heap()).Acquire(1, 0)
	require.NoError(t, err)
	assert.Len(t, block, 64)
}
