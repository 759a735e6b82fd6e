//go:build gc && !tinygo

// How the heap of gc rounds sizes; TinyGo has a heap of its own.

package blocksrc_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

// Blocks of usual size take no more of gc's heap than their length. TinyGo aligns large
// objects no better than small ones.
func TestGoHeapWastesNothingOnPages(t *testing.T) {
	var src blocksrc.GoHeap
	taken := func(size, align int) uint64 {
		const n = 8
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			block, err := src.Acquire(size, align)
			require.NoError(t, err)
			require.Len(t, block, size)
			require.Zero(t, blocksrc.Address(block)%uintptr(align))
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / n
	}
	assert.Less(t, taken(1<<16, 64), uint64(1<<16+4<<10))
	assert.Less(t, taken(1<<16, 4<<10), uint64(1<<16+4<<10))
	assert.Less(t, taken(64, 64), uint64(512), "small ones pay for alignment")
	assert.Less(t, taken(1<<16, 1<<15), uint64(1<<16+1<<15+16<<10), "and so do well aligned ones")
}
