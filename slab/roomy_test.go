//go:build !tinygo

// Tests that take dozens of megabytes at once. TinyGo's collector keeps such garbage when any
// word looks like an address in it, and has no more memory than the process can address.

package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestMaxBlockSizeFollowsLargeSize: a request that is served from a shared block takes up to a
// quarter of it.
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

// TestHolesWithALeafServe: a pool gets a slab in a hole whose addresses have a leaf of the
// address map, though another hole fits better.
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

// TestSlabBeyondItsLeaf: a slab that would reach into a region without a leaf is refused, even
// if its first region has one.
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

// twoAreas gives blocks of one size. Every other one lies a distance away.
type twoAreas struct {
	mem         []byte
	apart, next int
}

func (s *twoAreas) Acquire(size, _ int) ([]byte, error) {
	at := s.next * size / 2
	if s.next%2 == 1 {
		at = s.next/2*size + s.apart
	}
	s.next++
	return s.mem[at : at+size : at+size], nil
}

func (s *twoAreas) Release([]byte) error { return nil }

// Pages of two areas share entries if the areas lie a multiple of the table's reach apart. Then
// the pool gets a table in which they do not, but a small one where none is large enough.
func TestLookasideOfFarPages(t *testing.T) {
	const page, size = 1 << slab.LookasideShift, 64 << 10
	for _, apart := range []int{512 * page, 1024 * page, 4096 * page, 8192 * page} {
		mem, err := (&blocksrc.GoHeap{}).Acquire(apart+10*size, size)
		require.NoError(t, err)
		a, err := slab.New(slab.Config{
			Source: &twoAreas{mem: mem, apart: apart}, MetaSource: &blocksrc.GoHeap{}, BlockSize: size, MaxBlockSize: size,
		})
		require.NoError(t, err)
		p, err := slab.NewPool(a, 64, 64)
		require.NoError(t, err)
		qs := takeSlots(t, p, 6<<10)
		pages := map[uintptr]bool{}
		for range 400 { // two slots of each page
			for i := 0; i < len(qs); i += page / 64 / 2 {
				require.True(t, p.Owns(qs[i]))
				pages[uintptr(qs[i])/page] = true
			}
		}
		entries, used := p.Lookasides()
		if most := 8192; apart < most*page {
			require.Equal(t, len(pages), used, "%d pages apart", apart/page)
			require.Equal(t, 2*apart/page, entries)
		} else {
			require.Less(t, used, len(pages))
			require.Equal(t, most, entries)
		}
		require.NoError(t, a.Check())
		for _, q := range qs {
			p.Free(q)
		}
		require.NoError(t, a.Close())
	}
}
