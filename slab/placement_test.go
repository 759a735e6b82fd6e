package slab_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Where requests are served from, and how large the blocks for them are.

// TestSmallIsInSlabs: requests for up to 1 KiB, aligned to up to 1 KiB, are served from slabs.
func TestSmallIsInSlabs(t *testing.T) {
	for _, size := range []int{1, 1000, smallMax - 1, smallMax} {
		for _, align := range []int{1, 8, smallMax / 2, smallMax} {
			a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
			require.NoError(t, err)
			_, err = a.Alloc(size, align)
			require.NoError(t, err)
			require.Equal(t, 1, a.Stats().Slabs, "%d bytes aligned to %d", size, align)
			for b := range a.Blocks() {
				for c := range b.Chunks() {
					require.NotEqual(t, slab.ChunkLive, c.Kind)
				}
			}
			require.NoError(t, a.Close())
		}
	}
}

// TestFirstBlockWithinMax: the first block has 64 KiB, or MaxBlockSize if that is less.
func TestFirstBlockWithinMax(t *testing.T) {
	for _, c := range []struct{ most, want int }{{0, 64 << 10}, {8 << 10, 8 << 10}, {8<<10 + 1, 8 << 10}, {64 << 10, 64 << 10}, {1 << 20, 64 << 10}} {
		src := &asking{Source: new(blocksrc.GoHeap)}
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), MaxBlockSize: c.most})
		require.NoError(t, err)
		_, err = a.Alloc(100, 1)
		require.NoError(t, err)
		assert.Equal(t, []int{c.want}, src.sizes, "MaxBlockSize %d", c.most)
		require.NoError(t, a.Close())
	}
}

// TestLargeAlignment: a small request whose alignment is larger than a block gets a block
// of its own, as large as the request and not as its alignment.
func TestLargeAlignment(t *testing.T) {
	src := &asking{Source: new(blocksrc.GoHeap)}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 16 << 10, MaxBlockSize: 64 << 10})
	require.NoError(t, err)
	b, err := a.Alloc(5008, 1<<20)
	require.NoError(t, err)
	require.Zero(t, address(b)&(1<<20-1))
	assert.Equal(t, []int{5008}, src.sizes)
	for info := range a.Blocks() {
		assert.True(t, info.Large)
	}
	_, err = a.Alloc(5008, 16<<10)
	require.NoError(t, err)
	assert.Len(t, src.sizes, 2)
	assert.Equal(t, 2, a.Stats().Blocks)
	for info := range a.Blocks() {
		assert.Equal(t, info.Addr == address(b), info.Large, "what fits in a block shares one")
	}
	require.NoError(t, a.Close())
}

// TestNumbersAreUsedAgain: blocks, slabs and pools that come and go do not use up numbers,
// each of which costs Go memory.
func TestNumbersAreUsedAgain(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap), Retain: -1})
	require.NoError(t, err)
	_, err = a.Alloc(2000, 1) // else a Trim would begin anew with all numbers
	require.NoError(t, err)
	var blocks, slabs, pools int
	for i := range 20 {
		b, err := a.Alloc(1<<20, 1) // a block of its own
		require.NoError(t, err)
		p, err := slab.NewPool(a, 64, 8)
		require.NoError(t, err)
		q, err := p.Alloc()
		require.NoError(t, err)
		if i == 0 {
			blocks, slabs, pools = slab.Numbers(a)
		}
		p.Free(q)
		require.NoError(t, p.Close())
		a.Free(b)
		a.Trim()
		require.NoError(t, a.Check())
	}
	moreBlocks, moreSlabs, morePools := slab.Numbers(a)
	assert.LessOrEqual(t, moreBlocks, blocks+1) // records come in a block of their own
	assert.Equal(t, slabs, moreSlabs)
	assert.Equal(t, pools, morePools)
	require.NoError(t, a.Close())
}

// Slabs with the most slots that a slab can have do not tile a block if the slot size is not
// a power of two. Where blocks begin anywhere, as those of a buffer do, other slabs do not
// either. The rest of each block must be used before another block is acquired.
func TestSlabsTileBlocks(t *testing.T) {
	var n int
	places := map[string]blocksrc.Source{"plain": plain()}
	if runtime.Compiler == "gc" { // TinyGo's heap has no piece that large, and its blocks begin anywhere
		room := make([]byte, 64<<20)
		places["anywhere"] = &wrapped{Source: new(blocksrc.GoHeap), acquire: func(_ blocksrc.Source, size, align int) ([]byte, error) {
			block := room[64*37:][:size:size] // an odd number of cache lines
			room = room[64*37+(size+63)&^63:]
			return block, nil
		}, release: func(blocksrc.Source, []byte) error { return nil }}
	}
	for where, src := range places {
		for _, size := range []int{24, 40, 48, 56, 100} {
			if n = 100_000; where == "plain" && size == 48 && !testing.Short() {
				n = 1_000_000 // the README says what these hold
			}
			a, err := slab.New(slab.Config{Source: src})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, size, 8)
			require.NoError(t, err)
			for range n {
				_, err := p.AllocUninitialized()
				require.NoError(t, err)
			}
			s := a.Stats()
			t.Logf("%s, %d times %d bytes: held %.3f of what is live, %d slabs in %d blocks, %d bytes in %d holes", where, n, size,
				float64(s.Held)/float64(s.Live), s.Slabs, s.Blocks, s.HoleBytes, s.Holes)
			// One hole may be room for the next slab, an eighth of the pool; what a block has
			// left is less than an eighth of a slab.
			assert.Less(t, s.HoleBytes-s.LargestHole, s.Live/50, "%s, %d bytes", where, size)
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
	}
}
