//go:build !vita

package blocksrc_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

func TestDefault(t *testing.T) {
	if blocksrc.HaveMmap && !blocksrc.RaceDetector {
		assert.Equal(t, blocksrc.Mmap{}, blocksrc.Default())
	} else {
		assert.IsType(t, new(blocksrc.GoHeap), blocksrc.Default())
	}
	block, err := blocksrc.Default().Acquire(1, 0)
	require.NoError(t, err)
	require.NoError(t, blocksrc.Default().Release(block), "one source, however often it is asked for")
}
