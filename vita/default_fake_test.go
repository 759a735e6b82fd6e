//go:build vita && vitafake && cgo

package vita_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// Once main memory is used up, Default takes physically contiguous memory, and then it is
// exhausted.
func TestDefaultFallsBack(t *testing.T) {
	vita.FakeLimits(8*kib, testCDRAM, 2*mib)
	defer vita.FakeLimits(testUser, testCDRAM, testPhycont)
	src := vita.Default()
	for _, want := range []int{4 * kib, 4 * kib, mib, mib} {
		block, err := src.Acquire(1, 0)
		require.NoError(t, err)
		require.Len(t, block, want)
		defer func() { require.NoError(t, src.Release(block)) }()
	}
	_, err := src.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
}
