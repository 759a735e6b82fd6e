package slab_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// The ancestor kept every block for good: 10 at the peak, 10 after all 10 000
// objects were freed.
func TestS01_BlocksAreReleased(t *testing.T) {
	for name, size := range map[string]int{"slots": 256, "chunks": 1500, "large": 20_000} {
		t.Run(name, func(t *testing.T) {
			a, src := onCounting(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10})
			var got [][]byte
			for a.Stats().Blocks < 10 {
				got = append(got, granted(t, a, size, 0))
			}
			freeAll(a, got)
			s := a.Stats()
			assert.LessOrEqual(t, s.Blocks, 2, "one is kept back, and a slab may be")
			assert.Zero(t, s.Live)
			released := a.Trim()
			assert.Equal(t, s.Held, released)
			assert.Zero(t, src.Counts().Live, "blocks after Trim")
		})
	}
}

// The ancestor rounded a size up when it allocated but not when it freed, so each free leaked
// the difference: of 255 objects of 256 bytes none fitted afterwards.
func TestS02_RoundingComesBack(t *testing.T) {
	for _, size := range []int{1, 9, 17, 20, 25, 100, 1000, 1025, 1041, 3000, 9999} {
		a := room(t, 64<<10, slab.Config{MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
		fresh := fillUp(t, a, 256, 0)
		require.GreaterOrEqual(t, len(fresh), 248)
		freeAll(a, fresh)
		a.Trim()
		for round := range 3 {
			got := fillUp(t, a, size, 0)
			rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
			freeAll(a, got)
			require.Zero(t, a.Stats().Live)
			a.Trim() // empty slabs are kept for another size
			again := fillUp(t, a, 256, 0)
			assert.Equal(t, len(fresh), len(again), "objects of 256 bytes after objects of %d, round %d", size, round)
			freeAll(a, again)
			a.Trim()
		}
	}
}

// The check that would have caught S02 was commented out. Here checks are no debug feature:
// they are on in every build.
func TestS03_ChecksAreAlwaysOn(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	for _, size := range []int{8, 500, 5000, 1 << 20} {
		b := granted(t, a, size, 0)
		a.Free(b)
		require.NotNil(t, caught(t, func() { a.Free(b) }), "%d bytes", size)
	}
}

// With blocks beyond 64 KiB, the ancestor took a free deep in a block for a double free: it
// searched with the default block size.
func TestS04_AnyBlockSize(t *testing.T) {
	for _, size := range []int{4 << 10, 12_345, 64 << 10, 128 << 10, 1 << 20, 8 << 20} {
		a, _ := onCounting(t, slab.Config{BlockSize: size, MaxBlockSize: size, LargeSize: size})
		var got [][]byte
		for a.Stats().Blocks < 3 {
			got = append(got, granted(t, a, min(1100+len(got)*7, size/3), 0))
		}
		for _, b := range got {
			require.True(t, a.Owns(b))
			a.Free(b)
		}
		assert.Zero(t, a.Stats().Live)
		require.NoError(t, a.Check())
	}
}

// The ancestor gave a chunk back to the wrong block, the one before, and took a chunk past
// the end of a block for part of it. The blocks of a buffer touch.
func TestS05_ChunksGoBackToTheirBlock(t *testing.T) {
	a, _ := onCounting(t, slab.Config{
		Source: blocksrc.NewBuffer(make([]byte, 64<<10)), MetaSource: &blocksrc.GoHeap{},
		BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10, Retain: 64 << 10,
	})
	first, second := granted(t, a, 2048, 0), granted(t, a, 2048, 0) // block 0, full
	third := granted(t, a, 2048, 0)                                 // block 1
	require.Equal(t, 2, a.Stats().Blocks)
	if endOf(second) != startOf(third) {
		first, second, third = third, first, second // the buffer may hand out from its end
	}
	holes := a.Stats().Holes
	at := startOf(third)
	a.Free(third)
	assert.Equal(t, holes, a.Stats().Holes, "it merged with the hole behind it")
	third = granted(t, a, 2048, 0)
	assert.Equal(t, at, startOf(third), "its place is free again")
	a.Free(second)
	a.Free(third)
	for b := range a.Blocks() {
		assert.Equal(t, 4<<10, b.Size)
		for c := range b.Chunks() {
			assert.LessOrEqual(t, c.Offset+c.Size, b.Size, "no chunk reaches into the next block")
		}
	}
	a.Free(first)
}

// For large requests the ancestor ignored alignments beyond its own: 48 of 64 pointers were
// wrong.
func TestS06_LargeIsAligned(t *testing.T) {
	a, _ := onCounting(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10})
	for align := 1; align <= 4<<20; align *= 2 {
		var got [][]byte
		for range 64 / max(1, align>>18) {
			b, err := a.AllocUninitialized(20_000, align)
			require.NoError(t, err)
			require.Zero(t, startOf(b)%uintptr(align), "alignment %d", align)
			got = append(got, b)
		}
		freeAll(a, got)
	}
}

// The ancestor lost a new block for good if the request did not fit in it after all: 1000
// requests for 16 bytes aligned to 8192 lost 1000 blocks of 4 KiB.
func TestS07_BlockThatDoesNotServeIsNotLost(t *testing.T) {
	for _, align := range []int{2048, 8192, 64 << 10} {
		a, src := onCounting(t, slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10})
		var got [][]byte
		for range 1000 {
			b := granted(t, a, 16, align)
			require.Zero(t, startOf(b)%uintptr(align))
			got = append(got, b)
			if len(got) == 50 {
				freeAll(a, got)
				got = got[:0]
			}
		}
		freeAll(a, got)
		a.Trim()
		assert.Zero(t, src.Counts().Live)
	}
	// Where the block cannot be had, nothing stays behind either.
	mem := make([]byte, 128<<10)
	if at := startOf(mem); (at+64<<10)>>20 != at>>20 {
		mem = mem[64<<10:] // no multiple of 1 MiB in what is left
	}
	a, _ := onCounting(t, slab.Config{
		Source: blocksrc.NewBuffer(mem[16 : 64<<10]), MetaSource: &blocksrc.GoHeap{},
		BlockSize: 4 << 10, MaxBlockSize: 4 << 10,
	})
	for range 1000 {
		_, err := a.Alloc(16, 1<<20)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
		_, err = a.Alloc(80<<10, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
	}
	assert.Zero(t, a.Stats().Blocks)
}

// The ancestor accepted a free inside an allocation and one around it, and then two live
// allocations overlapped.
func TestS08_NoFreeMakesAllocationsOverlap(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	for _, size := range []int{64, 4096} {
		b := granted(t, a, size, 0)
		stamp(b, 1)
		for _, bad := range [][]byte{b[16:], b[16:32:32], b[: size/2 : size/2], b[size/2:]} {
			require.NotNil(t, caught(t, func() { a.Free(bad) }))
		}
		for range 100 {
			c := granted(t, a, size, 0)
			require.True(t, endOf(c) <= startOf(b) || endOf(b) <= startOf(c))
			stamp(c, 2)
		}
		require.True(t, stamped(b, 1))
		a.Free(b)
	}
	a.Reset()
}

// The ancestor used a hole of size 0 as the head of its list, so nothing was checked at the
// start of a block.
func TestS09_DoubleFreeAtTheStartOfABlock(t *testing.T) {
	for _, size := range []int{16, 1040} {
		a, _ := onCounting(t, slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10, BlockAlign: 4 << 10})
		b := granted(t, a, size, 1024)
		for blk := range a.Blocks() {
			require.Equal(t, blk.Addr, startOf(b))
		}
		other := granted(t, a, size, 0)
		a.Free(b)
		for range 3 {
			require.NotNil(t, caught(t, func() { a.Free(b) }))
		}
		a.Free(other)
		require.NotNil(t, caught(t, func() { a.Free(b) }))
	}
}

// The ancestor passed over a hole that was larger than the request by less than 16 bytes.
func TestS10_SlackIsNotRefused(t *testing.T) {
	a := room(t, 8<<10, slab.Config{BlockSize: 8 << 10, MaxBlockSize: 8 << 10, LargeSize: 8 << 10})
	lower := granted(t, a, 2000, 0)
	b := granted(t, a, 2000, 0)
	upper := granted(t, a, 4192, 0)
	require.Zero(t, a.Stats().HoleBytes)
	for size := 1985; size <= 2000; size++ {
		at := startOf(b)
		a.Free(b)
		b = granted(t, a, size, 0)
		require.Equal(t, at, startOf(b), "%d bytes", size)
		require.Zero(t, a.Stats().HoleBytes)
	}
	freeAll(a, [][]byte{lower, b, upper})
}

// The ancestor left 16 bytes more padding in front than an alignment needs.
func TestS11_PaddingIsNoMoreThanNeeded(t *testing.T) {
	a, _ := onCounting(t, slab.Config{BlockSize: 1 << 20, MaxBlockSize: 1 << 20})
	for align := 1; align <= 64<<10; align *= 2 {
		front := granted(t, a, 2048+16, 0)
		b := granted(t, a, 5000, align)
		assert.Zero(t, startOf(b)%uintptr(align))
		assert.Less(t, startOf(b)-endOf(front), uintptr(max(align, slab.Granule)), "alignment %d", align)
		a.Free(front)
		a.Free(b)
	}
}
