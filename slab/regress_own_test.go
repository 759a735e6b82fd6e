package slab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Weaknesses that were this allocator's own.

// The chunk records in the allocator itself describe 127 blocks. Blocks beyond that must not
// be lost or forgotten when a source keeps refusing to take them back.
func TestManyBlocksOfRecordsAreRefused(t *testing.T) {
	meta := &blocksrctest.Failing{Source: &blocksrc.GoHeap{}, On: blocksrctest.Releases, At: 1, Persist: true}
	count := &blocksrctest.Counting{Source: meta}
	a, _ := onCounting(t, slab.Config{MetaSource: count, BlockSize: 4 << 10, MaxBlockSize: 4 << 10})
	a.PauseChecks()
	p, err := slab.NewPool(a, 8, 8)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(300*slab.MaxSlots))
	blocks := a.Stats().MetaBlocks
	require.Greater(t, blocks, 128)
	require.NoError(t, p.Close())
	a.Trim()
	s := a.Stats()
	assert.Equal(t, count.Counts().Held, s.Meta)
	require.NoError(t, a.Check())
	b := granted(t, a, 3000, 0)
	require.NoError(t, a.Check())
	a.Free(b)
	meta.At = 0
	require.NoError(t, a.Close())
	assert.NoError(t, count.Leaks())
}

// A source that hands out memory twice is found out, even if one block is the user's and
// the other is for records.
func TestBlocksOfUserAndRecordsDoNotOverlap(t *testing.T) {
	src := &twice{}
	a, err := slab.New(slab.Config{Source: src})
	require.NoError(t, err)
	a.PauseChecks()
	_, err = a.Alloc(2000, 0)
	require.ErrorIs(t, err, slab.ErrBadSource)
}

// twice returns the same memory whenever it is asked.
type twice struct{ mem []byte }

func (s *twice) Acquire(size, _ int) ([]byte, error) {
	if s.mem == nil {
		s.mem, _ = (&blocksrc.GoHeap{}).Acquire(1<<20, 4<<10)
	}
	if size > len(s.mem) {
		return nil, blocksrc.ErrExhausted
	}
	return s.mem, nil
}

func (s *twice) Release([]byte) error { return nil }

// Shrinking never fails, so it must not count as a failure. What is no longer needed becomes
// free, even if there is no better place for the rest.
func TestShrinkingIsNoFailure(t *testing.T) {
	a := room(t, 64<<10, slab.Config{MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
	b := granted(t, a, 2000, 0)
	rest := append(fillUp(t, a, 4000, 0), fillUp(t, a, 1030, 0)...)
	before := a.Stats()
	for _, size := range []int{500, 8, 1} { // to a slab, for which there is no room
		c, err := a.Realloc(b, size)
		require.NoError(t, err)
		assert.Len(t, c, size)
		b = c
	}
	assert.Equal(t, before.Failures, a.Stats().Failures)
	assert.Equal(t, 1024, cap(b))
	assert.Equal(t, before.Live-2000+1024, a.Stats().Live)
	freeAll(a, append(rest, b))
}

// A request for the whole of the largest hole succeeds though the source has no more,
// however many other holes are in its bin, and even if such a request is large.
func TestLargestHoleCanBeHad(t *testing.T) {
	for _, tt := range []struct {
		name          string
		hole, n       int
		largeSize, up int
	}{
		{"others in its bin", 64 << 10, 40, 4 << 20, 16},
		{"large", 90 << 10, 3, 64 << 10, 4096},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const pin = 2 << 10
			size := tt.n*(tt.hole+pin) + tt.up
			size += -size & 63
			a := room(t, size, slab.Config{BlockSize: size, MaxBlockSize: 4 << 20, LargeSize: tt.largeSize})
			a.Free(granted(t, a, pin, 0)) // now there is a block
			var holes, pins [][]byte
			for i := range tt.n { // what is freed last is the first in its bin
				n := tt.hole
				if i == 0 {
					n += tt.up
				}
				half := n / 2 &^ 15 // which is not large
				holes = append(holes, granted(t, a, half, 0), granted(t, a, n-half, 0))
				pins = append(pins, granted(t, a, pin, 0))
			}
			require.Equal(t, 1, a.Stats().Blocks)
			freeAll(a, holes)
			largest := a.Stats().LargestHole
			require.Equal(t, tt.hole+tt.up, largest)
			b, err := a.Alloc(largest, 16)
			assert.NoError(t, err, "%d bytes, one of %d holes", largest, a.Stats().Holes)
			a.Free(b)
			freeAll(a, pins)
		})
	}
}

// Nobody else can use idle memory, the empty blocks and slabs that are kept back, when the
// budget is fixed. So it must serve before a request fails.
func TestIdleMemoryServesBeforeAFailure(t *testing.T) {
	t.Run("an empty block", func(t *testing.T) {
		a := room(t, 100<<10, slab.Config{MaxBlockSize: 1 << 20})
		a.Free(granted(t, a, 2000, 0))
		require.Equal(t, 64<<10, a.Stats().EmptyBytes)
		b, err := a.Alloc(80<<10, 0)
		assert.NoError(t, err, "80 of 100 KiB, nothing is live")
		a.Free(b)
	})
	t.Run("an empty slab", func(t *testing.T) {
		a := room(t, 64<<10, slab.Config{MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
		freeAll(a, fillUp(t, a, 100, 0))
		require.Zero(t, a.Stats().Live)
		b, err := a.Alloc(63<<10, 0)
		assert.NoError(t, err, "63 of 64 KiB, nothing is live")
		a.Free(b)
	})
	t.Run("a block of records", func(t *testing.T) {
		for live, want := range map[int]int{0: 940 << 10, 2000: 750 << 10} {
			a, _ := onCounting(t, slab.Config{Source: blocksrc.Limit(&blocksrc.GoHeap{}, 1<<20)})
			a.PauseChecks()
			b := granted(t, a, live, 0)
			p, err := slab.NewPool(a, 8, 8)
			require.NoError(t, err)
			for err == nil {
				_, err = p.Alloc()
			}
			require.NoError(t, p.Close())
			c, err := a.Alloc(want, 0)
			assert.NoError(t, err, "%d KiB of 1024, %d bytes are live: %v", want>>10, live, a.Stats())
			freeAll(a, [][]byte{b, c})
		}
	})
	t.Run("a slab of another class", func(t *testing.T) {
		a := room(t, 64<<10, slab.Config{MaxBlockSize: 64 << 10, LargeSize: 64 << 10})
		fresh := fillUp(t, a, 256, 0)
		freeAll(a, fresh)
		for _, size := range []int{16, 40, 100, 200, 600, 1000} {
			freeAll(a, fillUp(t, a, size, 0))
		}
		again := fillUp(t, a, 256, 0)
		assert.Equal(t, len(fresh), len(again), "objects of 256 bytes, nothing else is live")
		freeAll(a, again)
	})
}

// Arithmetic with the last bytes of a region, and of the address space, is in windows: every
// byte of a slab belongs to it, and the next one does not.
func TestWindowsAtTheEdgesOfRegions(t *testing.T) {
	a, _ := onCounting(t, slab.Config{
		Source: blocksrc.NewBuffer(make([]byte, slab.Region+1<<20)), MetaSource: &blocksrc.GoHeap{},
		BlockSize: slab.Region, MaxBlockSize: slab.Region, LargeSize: slab.Region,
	})
	a.PauseChecks()
	p, err := slab.NewPool(a, 100, 4)
	require.NoError(t, err)
	var n int
	for ; a.Stats().HoleBytes > 300<<10 || n == 0; n++ { // by then slabs lie across the edge
		q, err := p.Alloc()
		require.NoError(t, err)
		if !p.Owns(q) {
			t.Fatalf("slot %d at %p", n, q)
		}
	}
	require.NoError(t, a.Check())
	seen := 0
	for s := p.ScanWords(); s.Next(); {
		for m := s.Live; m != 0; m &= m - 1 {
			seen++
		}
	}
	assert.Equal(t, n, seen)
	require.NoError(t, p.Close())
	require.NoError(t, a.Check())
}

// What a pool has reserved is not idle: a request that the budget or the source refuses
// does not take it away.
func TestReservedIsNotGivenBackForOthers(t *testing.T) {
	for _, live := range []int{0, 1, 300} {
		src := &blocksrctest.Failing{Source: blocksrc.Limit(&blocksrc.GoHeap{}, 1<<20), On: blocksrctest.Acquires}
		a, _ := onCounting(t, slab.Config{Source: src})
		p, err := slab.NewPool(a, 100, 4)
		require.NoError(t, err)
		for range live {
			_, err := p.Alloc()
			require.NoError(t, err)
		}
		const n = 1000
		require.NoError(t, p.Reserve(n))
		for _, size := range []int{2 << 20, 900 << 10, 990 << 10} {
			b, err := a.Alloc(size, 0)
			assert.ErrorIs(t, err, blocksrc.ErrExhausted, "%d KiB, with %d live and %d reserved", size>>10, live, n)
			a.Free(b)
		}
		src.At, src.Persist = src.Calls()+1, true
		_, err = a.Alloc(500<<10, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
		for i := range n {
			if _, err := p.Alloc(); err != nil {
				t.Errorf("with %d live, slot %d of %d reserved ones: %v", live, i, n, err)
				break
			}
		}
		require.NoError(t, p.Close())
	}
}
