//go:build gc && !tinygo

// How the heap of gc rounds sizes; TinyGo has a heap of its own.

package blocksrc_test

import (
	"cmp"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

// Nothing keeps the memory of blocks that were released, however many there were at a time.
func TestGoHeapForgetsBlocks(t *testing.T) {
	var src blocksrc.GoHeap
	const n = 3*blocksrc.MaxRun/2 + 1
	var blocks [][]byte
	for range n {
		block, err := src.Acquire(1<<12, 0)
		require.NoError(t, err)
		blocks = append(blocks, block)
	}
	slices.SortFunc(blocks, func(a, b []byte) int { return cmp.Compare(blocksrc.Address(a), blocksrc.Address(b)) })
	kept := blocks[0] // and with it the records that were its neighbours
	var gone []weak.Pointer[byte]
	for _, block := range blocks[1:] {
		gone = append(gone, weak.Make(&block[0]))
		require.NoError(t, src.Release(block))
	}
	clear(blocks)
	runtime.GC()
	for i := range gone {
		require.Nil(t, gone[i].Value(), i)
	}
	require.NoError(t, src.Release(kept))
}

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
