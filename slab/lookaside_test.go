package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// If the slabs of a pool are contiguous, each of their pages gets an entry of its own in
// the lookaside table, however large the pool grows. The table has not many
// more entries than that.
func TestLookasideHasEveryPage(t *testing.T) {
	mem, err := (&blocksrc.GoHeap{}).Acquire(1<<20, 64<<10)
	require.NoError(t, err)
	a, err := slab.New(slab.Config{
		Source: blocksrc.NewBuffer(mem), MetaSource: &blocksrc.GoHeap{}, BlockSize: 1 << 20, MaxBlockSize: 1 << 20,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	p, err := slab.NewPool(a, 64, 64)
	require.NoError(t, err)
	var qs []unsafe.Pointer
	for _, n := range []int{1, 10, 1_000, 3_000, 12_000} {
		qs = append(qs, takeSlots(t, p, n-len(qs))...)
		for range 2 { // in the first round, an empty table may replace the old one
			for _, q := range qs {
				require.True(t, p.Owns(q))
			}
		}
		pages := n*64>>slab.LookasideShift + 1
		entries, used := p.Lookasides()
		require.GreaterOrEqual(t, used, n*64>>slab.LookasideShift, "%d slots", n)
		require.GreaterOrEqual(t, entries+16, 2*used, "%d slots", n)
		require.LessOrEqual(t, entries, max(512, 6*pages), "%d slots", n)
		require.Equal(t, entries&-entries, entries)
	}
	require.NoError(t, a.Check())
	// The table does not outlive the slabs that it tells of.
	for _, q := range qs[1:] {
		p.Free(q)
	}
	a.Trim()
	entries, _ := p.Lookasides()
	require.Zero(t, entries)
	require.False(t, p.Owns(qs[len(qs)-1]))
	require.True(t, p.Owns(qs[0]))
	require.NoError(t, p.Close())
	require.False(t, p.Owns(qs[0]))
}

// A page with the end of one slab and the start of another has one entry in any table, so
// the table does not grow for it.
func TestLookasideSharesPages(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 256<<10)), MetaSource: &blocksrc.GoHeap{}})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 1500, 4)
	require.NoError(t, err)
	qs := takeSlots(t, p, 100)
	for range 600 {
		for _, q := range qs {
			require.True(t, p.Owns(q))
		}
	}
	entries, _ := p.Lookasides()
	require.Equal(t, 512, entries)
	require.Greater(t, p.Stats().Slabs, 3)
	require.NoError(t, a.Close())
}

// moving hands out each block behind the one before, and starts over at the end.
type moving struct {
	mem []byte
	at  int
}

func (s *moving) Acquire(size, _ int) ([]byte, error) {
	if s.at+size > len(s.mem) {
		s.at = 0
	}
	s.at += size
	return s.mem[s.at-size : s.at : s.at], nil
}

func (s *moving) Release([]byte) error { return nil }

// Entries of slabs that are gone do not make the table grow.
func TestLookasideIsMadeAnew(t *testing.T) {
	mem, err := (&blocksrc.GoHeap{}).Acquire(3<<20, 64<<10)
	require.NoError(t, err)
	a, err := slab.New(slab.Config{
		Source: &moving{mem: mem}, MetaSource: &blocksrc.GoHeap{}, BlockSize: 16 << 10, MaxBlockSize: 16 << 10, Retain: -1,
	})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 2000, 8)
	require.NoError(t, err)
	_, err = p.AllocUninitialized() // so that no two rounds through the memory are alike
	require.NoError(t, err)
	for range 400 {
		var qs []unsafe.Pointer
		for range 30 {
			q, err := p.AllocUninitialized()
			require.NoError(t, err)
			require.True(t, p.Owns(q))
			qs = append(qs, q)
		}
		for _, q := range qs {
			p.Free(q)
		}
	}
	entries, _ := p.Lookasides()
	require.Equal(t, 512, entries)
	require.NoError(t, a.Close())
}

// TestNoSlotBehindTheLast: behind the last slot of a slab there may be room for less than a
// slot, and no slot begins there. (Strides of more than 8 KiB are divided by.)
func TestNoSlotBehindTheLast(t *testing.T) {
	for _, size := range []int{1000, 8200, 9000} {
		p, _ := newPool(t, size, 8, slab.Config{})
		seen := make(map[unsafe.Pointer]bool)
		for range 2 {
			q, err := p.Alloc()
			require.NoError(t, err)
			seen[q] = true
		}
		for p.AtHand() > 0 {
			q, err := p.Alloc()
			require.NoError(t, err)
			seen[q] = true
		}
		for q := range seen {
			if next := unsafe.Add(q, size); !seen[next] {
				assert.False(t, p.Owns(next), "%d bytes", size)
				poolMisuse(t, p, slab.Foreign, func() { p.Free(next) })
			}
		}
		p.Reset()
	}
}

// TestLookasideHasTwoEntriesForAPage of the pool's slabs, at least.
func TestLookasideHasTwoEntriesForAPage(t *testing.T) {
	p, _ := newPool(t, 4096, 8, slab.Config{})
	takeSlots(t, p, 1500)
	q, err := p.AllocUninitialized()
	require.NoError(t, err)
	require.True(t, p.Owns(q))
	entries, _ := p.Lookasides()
	require.GreaterOrEqual(t, entries, 2*p.Stats().Bytes>>slab.LookasideShift)
}
