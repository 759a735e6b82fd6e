//go:build !tinygo

// What takes dozens of megabytes at once: some of TinyGo's garbage is never collected.

package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What takes dozens of megabytes at once: TinyGo's collector keeps such garbage when any word
// looks like an address in it, and has no more than the process can address.

// TestMaxBlockSizeFollowsLargeSize: what is served from blocks that are shared is up to a
// quarter of them.
func TestMaxBlockSizeFollowsLargeSize(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 1 << 20, LargeSize: 1 << 20})
	for range 60 {
		_, err := a.AllocUninitialized(1<<20-100, 1)
		require.NoError(t, err)
	}
	most := 0
	for b := range a.Blocks() {
		most = max(most, b.Size)
	}
	require.Equal(t, 4<<20, most)
}

// TestHolesWithALeafServe: a pool gets a slab in the hole that there is a leaf of the address
// map for, though another fits better.
func TestHolesWithALeafServe(t *testing.T) {
	for _, size := range []int{8, 1000, 5000} {
		mem, err := new(blocksrc.GoHeap).Acquire(16<<20, 8<<20) // two regions
		require.NoError(t, err)
		a, err := slab.New(slab.Config{
			Source: blocksrc.NewBuffer(mem), MetaSource: blocksrc.Limit(new(blocksrc.GoHeap), 6<<10), // for one leaf
			BlockSize: len(mem), MaxBlockSize: len(mem), LargeSize: len(mem),
		})
		require.NoError(t, err)
		first := granted(t, a, 64<<10, 1)
		_, err = a.AllocUninitialized(len(mem)-64<<10-16<<10, 1) // its start has the same leaf
		require.NoError(t, err)
		a.Free(first) // a hole in the first region; the one at the end has no leaf
		p, err := slab.NewPool(a, size, 8)
		require.NoError(t, err)
		n := 0
		for err == nil {
			if _, err = p.Alloc(); err == nil {
				n++
			}
		}
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.Positive(t, n, "%d bytes", size)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestSlabBeyondItsLeaf: a slab that would reach into a region without a leaf is refused, if
// its first region has one.
func TestSlabBeyondItsLeaf(t *testing.T) {
	mem, err := new(blocksrc.GoHeap).Acquire(16<<20, 8<<20)
	require.NoError(t, err)
	a, err := slab.New(slab.Config{
		Source: blocksrc.NewBuffer(mem), MetaSource: blocksrc.Limit(new(blocksrc.GoHeap), 6<<10),
		BlockSize: len(mem), MaxBlockSize: len(mem), LargeSize: len(mem),
	})
	require.NoError(t, err)
	_, err = a.AllocUninitialized(8<<20-8<<10, 1) // to 8 KiB before the next region
	require.NoError(t, err)
	p, err := slab.NewPool(a, 10_000, 8)
	require.NoError(t, err)
	_, err = p.Alloc()
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.NoError(t, a.Check())
	small, err := slab.NewPool(a, 4000, 8)
	require.NoError(t, err)
	_, err = small.Alloc()
	require.NoError(t, err)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}
