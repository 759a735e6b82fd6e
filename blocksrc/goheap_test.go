package blocksrc_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

func TestGoHeapKeepsBlocksAlive(t *testing.T) {
	var src blocksrc.GoHeap
	block, err := src.Acquire(1000, 4096)
	require.NoError(t, err)
	block[999] = 42
	at := blocksrc.Address(block)
	runtime.GC() // nothing uses block any more
	runtime.GC()
	for range 100 {
		other, err := src.Acquire(1000, 0)
		require.NoError(t, err)
		require.NotEqual(t, at, blocksrc.Address(other))
	}
}

func TestGoHeapBounds(t *testing.T) {
	var src blocksrc.GoHeap
	for _, r := range [][2]int{{blocksrc.MaxGoBlock(), 0}, {1, blocksrc.MaxGoBlock()}, {blocksrc.MaxGoBlock() - 4096 + 1, 4096}} {
		_, err := src.Acquire(r[0], r[1])
		assert.ErrorIs(t, err, blocksrc.ErrExhausted, "%v", r)
		assert.ErrorIs(t, err, blocksrc.ErrInvalid, "%v", r)
	}
}
