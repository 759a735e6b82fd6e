package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Where the slabs of a pool are one behind the other, every page of them comes to
// have an entry of its own in what is set aside, however large the pool grows; and
// there are not many more entries than that.
func TestPoolSetsEveryPageAside(t *testing.T) {
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
		for len(qs) < n {
			q, err := p.AllocUninitialized()
			require.NoError(t, err)
			qs = append(qs, q)
		}
		for range 2 { // the table may be made anew, and empty, in the first round
			for _, q := range qs {
				require.True(t, p.Owns(q))
			}
		}
		pages := n*64>>slab.AsideShift + 1
		entries, used := p.Aside()
		require.GreaterOrEqual(t, used, n*64>>slab.AsideShift, "%d slots", n)
		require.GreaterOrEqual(t, entries+16, 2*used, "%d slots", n)
		require.LessOrEqual(t, entries, max(512, 6*pages), "%d slots", n)
		require.Equal(t, entries&-entries, entries)
	}
	require.NoError(t, a.Check())
	// It does not outlive what it tells of.
	for _, q := range qs[1:] {
		p.Free(q)
	}
	a.Trim()
	entries, _ := p.Aside()
	require.Zero(t, entries)
	require.False(t, p.Owns(qs[len(qs)-1]))
	require.True(t, p.Owns(qs[0]))
	require.NoError(t, p.Close())
	require.False(t, p.Owns(qs[0]))
}

// A page that has the end of one slab and the start of another has one entry in any table.
func TestPoolSharesPagesAside(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 256<<10)), MetaSource: &blocksrc.GoHeap{}})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 1500, 4)
	require.NoError(t, err)
	var qs []unsafe.Pointer
	for range 100 {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		qs = append(qs, q)
	}
	for range 600 {
		for _, q := range qs {
			require.True(t, p.Owns(q))
		}
	}
	entries, _ := p.Aside()
	require.Equal(t, 512, entries)
	require.Greater(t, p.Stats().Slabs, 3)
	require.NoError(t, a.Close())
}

// moving gives each block behind the one before, and starts again at the end.
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

// What is set aside for slabs that went is in nobody's way.
func TestPoolSetsAsideAnew(t *testing.T) {
	mem, err := (&blocksrc.GoHeap{}).Acquire(3<<20, 64<<10)
	require.NoError(t, err)
	a, err := slab.New(slab.Config{
		Source: &moving{mem: mem}, MetaSource: &blocksrc.GoHeap{}, BlockSize: 16 << 10, MaxBlockSize: 16 << 10, Retain: -1,
	})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 2000, 8)
	require.NoError(t, err)
	_, err = p.AllocUninitialized() // for one round through the memory not to be like another
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
	entries, _ := p.Aside()
	require.Equal(t, 512, entries)
	require.NoError(t, a.Close())
}
