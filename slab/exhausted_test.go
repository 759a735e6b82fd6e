package slab_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What happens when there is no memory left, and when there is barely enough.

// TestLargestHole: a request of the size that Stats calls the largest hole is
// served without the source, and so is a much smaller one.
func TestLargestHole(t *testing.T) {
	for _, ask := range []string{"the largest", "little"} {
		t.Run(ask, func(t *testing.T) {
			src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
			m := newModel(t, slab.Config{BlockSize: 1 << 20, MaxBlockSize: 1 << 20}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			// Holes of one bin, the largest of them made first.
			for i := range 30 {
				require.True(t, m.alloc(66_000-i*16, 0, false))
				require.True(t, m.alloc(1025, 0, false))
				if m.a.Stats().Blocks > 1 {
					break
				}
			}
			arm(src.acquires, 1, true)
			for n := m.a.Stats().LargestHole; n > 20_000; n = m.a.Stats().LargestHole {
				require.True(t, m.alloc(n-1024, 0, false))
			}
			for i := 0; i < len(m.live)-2; i++ {
				if len(m.live[i].b) > 60_000 && len(m.live[i].b) < 70_000 {
					m.free(i, false)
				}
			}
			s := m.a.Stats()
			require.Greater(t, s.Holes, 10)
			size := s.LargestHole
			if ask == "little" {
				size = 1000
			}
			require.True(t, m.alloc(size, 16, false))
			m.finish()
		})
	}
}

// TestSmallInSmallHole: a small request is served as long as there is a hole
// that it fits in, if records need no more memory.
func TestSmallInSmallHole(t *testing.T) {
	for _, hole := range []int{8 << 10, 4 << 10, 2 << 10, 1 << 10} {
		for _, size := range []int{8, 100, 500, 1000} {
			mem, err := new(blocksrc.GoHeap).Acquire(64<<10, 1024)
			require.NoError(t, err)
			src := newFaultySource(blocksrc.NewBuffer(mem), len(mem))
			m := newModel(t, slab.Config{BlockSize: 64 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			// The hole is where a slab could start.
			require.True(t, m.alloc(64<<10-hole-2048, 1024, false))
			require.True(t, m.alloc(2048, 1024, false))
			require.Equal(t, hole, m.a.Stats().LargestHole)
			assert.True(t, m.alloc(size, 1, true), "%d bytes in a hole of %d", size, hole)
			m.finish()
		}
	}
}

// TestAllocUpTo: AllocUpTo halves the size until there is room, never goes below least,
// and counts as one request in any case.
func TestAllocUpTo(t *testing.T) {
	for _, room := range []int{0, 4 << 10, 60 << 10, 1 << 20} {
		for _, least := range []int{1, 5000, 16 << 10, 100_000} {
			src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
			a, err := slab.New(slab.Config{Source: blocksrc.Limit(src, room), MetaSource: new(blocksrc.GoHeap), BlockSize: 4 << 10})
			require.NoError(t, err)
			b, err := a.AllocUpTo(64<<10, least, 32)
			if room < least {
				require.ErrorIs(t, err, blocksrc.ErrExhausted)
				require.Equal(t, uint64(1), a.Stats().Failures)
				require.Zero(t, a.Stats().Live)
			} else {
				require.NoError(t, err)
				require.Zero(t, address(b)&31)
				require.GreaterOrEqual(t, len(b), max(least, min(64<<10, room)/2+1))
				require.Zero(t, a.Stats().Failures)
				require.Equal(t, uint64(1), a.Stats().Allocs)
				a.Free(b)
			}
			if room >= least {
				b, err = a.AllocUpTo(math.MaxInt, least, 32)
				require.NoError(t, err, "more than any block has is too much, not wrong")
				require.GreaterOrEqual(t, len(b), least)
				a.Free(b)
			}
			_, err = a.AllocUpTo(10, 5, 3)
			require.ErrorIs(t, err, slab.ErrInvalid)
			require.NoError(t, a.Close())
			_, err = a.AllocUpTo(10, 5, 1)
			require.ErrorIs(t, err, slab.ErrClosed)
		}
	}
}

// TestSmallWhereNoSlabStarts: a small request is served from a hole of more than 1 KiB
// that contains no whole window, and the result is an allocation like any other.
func TestSmallWhereNoSlabStarts(t *testing.T) {
	mem, err := new(blocksrc.GoHeap).Acquire(64<<10, 4096)
	require.NoError(t, err)
	src := newFaultySource(blocksrc.NewBuffer(mem), len(mem))
	m := newModel(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 64 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	for m.alloc(1520, 1, false) {
	}
	for m.alloc(1025, 1, false) {
	}
	for i := range m.live {
		if at := address(m.live[i].b); (at+1023)&^1023+1024 > at+1520 {
			m.free(i, false)
			break
		}
	}
	require.Equal(t, 1520, m.a.Stats().LargestHole)
	for _, size := range []int{1, 4, 100, 1000, 1024} {
		require.True(t, m.alloc(size, 1, true), "%d bytes", size)
		i := len(m.live) - 1
		require.Equal(t, 1024, cap(m.live[i].b))
		require.True(t, m.realloc(i, 700))
		require.True(t, m.realloc(i, 3), "to a class is no way, and it can stay")
		require.True(t, m.realloc(i, 1024))
		require.False(t, m.alloc(1, 1, true))
		m.free(len(m.live)-1, true)
	}
	m.finish()
}

// TestExactFit: a request fills a block to the last byte (B3, B7).
func TestExactFit(t *testing.T) {
	for _, bytes := range []int{4096, 8192, 64 << 10, 65_008, 1 << 20, 1<<20 + 16, 3_000_000 &^ 15} {
		mem := make([]byte, bytes+15)
		mem = mem[-address(mem)&15:][:bytes]
		src := newFaultySource(blocksrc.NewBuffer(mem), bytes)
		m := newModel(t, slab.Config{BlockSize: 4096}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
		for range 3 {
			require.True(t, m.alloc(bytes, 16, true), "%d", bytes)
			require.False(t, m.alloc(1025, 1, true))
			m.free(0, false)
			// The same in pieces, joined again.
			for m.alloc(1025, 1, false) {
			}
			for len(m.live) > 0 {
				m.free(len(m.live)*2/3, false)
			}
			m.trim() // blocks may be many by now
		}
		m.finish()
	}
}

// TestExhausted: a block that is kept for the next need goes back when another one is
// needed and there is no room for both. So do empty slabs. It makes no difference whether
// anything is live.
func TestExhausted(t *testing.T) {
	for _, c := range []struct {
		name             string
		live, freed, ask int
	}{
		{"block", 0, 20_000, 150_000}, {"block for large", 0, 20_000, 200_000}, {"slabs", 0, 100, 200_000},
		{"block, one is live", 100, 20_000, 120_000}, {"block for large, one is live", 100, 20_000, 150_000},
		{"slabs, one is live", 5000, 100, 120_000}, {"a pool's slabs, one is live", 5000, -100, 120_000},
		{"a pool's last slot", 0, -150_000, 150_000}, {"a pool's last slot, one is live", 5000, -150_000, 120_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			const budget = 256 << 10
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
			m := newModel(t, slab.Config{LargeSize: 140_000}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			kept := 0
			if c.live > 0 {
				require.True(t, m.alloc(c.live, 0, false))
				kept = 1
			}
			if c.freed > 0 {
				for m.alloc(c.freed, 0, false) {
				}
			} else {
				require.True(t, m.newPool(-c.freed, 1))
				for m.take(m.pools[0], 0) {
				}
				for p := m.pools[0]; len(p.live) > 0; {
					m.give(p, len(p.live)-1, true)
				}
			}
			for len(m.live) > kept {
				m.free(len(m.live)-1, false)
			}
			require.True(t, m.alloc(c.ask, 0, false), "%v", m.a.Stats())
			m.finish()
		})
	}
}

// TestExhaustedByRecords: once nothing is live, the records of what was live do not
// stand in the way, although they came from the same source.
func TestExhaustedByRecords(t *testing.T) {
	budget := 512 << 10
	if slow() {
		budget = 192 << 10
	}
	src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
	m := newModel(t, slab.Config{BlockSize: 4096, MaxBlockSize: 4096}, src, src)
	require.True(t, m.newPool(1, 1)) // slots that are smaller than their records
	p := m.pools[0]
	for i := 0; m.take(p, 1); i++ {
		if i%200 == 0 && !m.alloc(1025, 0, false) {
			break
		}
	}
	require.GreaterOrEqual(t, m.a.Stats().Meta, budget/5*2)
	for len(p.live) > 0 {
		m.give(p, len(p.live)-1, true)
	}
	for len(m.live) > 0 {
		m.free(len(m.live)-1, false)
	}
	require.True(t, m.alloc(budget-40<<10, 0, false), "%v", m.a.Stats())
	m.finish()
}

// TestPoolExhaustedByRecords: the same for a slot of a pool, and for a reservation.
func TestPoolExhaustedByRecords(t *testing.T) {
	for _, take := range []func(p *slab.Pool) error{
		func(p *slab.Pool) error { _, err := p.Alloc(); return err },
		func(p *slab.Pool) error { return p.Reserve(1) },
	} {
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 8<<20)})
		require.NoError(t, err)
		a.PauseChecks()
		var all [][]byte
		for err == nil {
			var b []byte
			if b, err = a.AllocUninitialized(1025, 0); err == nil {
				all = append(all, b)
			}
		}
		for _, b := range all {
			a.Free(b)
		}
		p, err := slab.NewPool(a, 8<<20-128<<10, 8)
		require.NoError(t, err)
		require.NoError(t, take(p))
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestResetSlabsAreReclaimed: slabs that a Pool.Reset has left empty go when their memory
// is needed elsewhere, except for reserved ones. The records have a source of their own,
// because their number depends on where blocks come to lie.
func TestResetSlabsAreReclaimed(t *testing.T) {
	for _, reserved := range []bool{false, true} {
		heap := new(blocksrc.GoHeap)
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(heap, 1<<20), MetaSource: heap})
		require.NoError(t, err)
		p, err := slab.NewPool(a, 64, 8)
		require.NoError(t, err)
		_, err = a.Alloc(1, 1) // stays
		require.NoError(t, err)
		if reserved {
			require.NoError(t, p.Reserve(12_000))
		}
		for err == nil {
			_, err = p.AllocUninitialized()
		}
		for err = nil; err == nil; {
			_, err = a.AllocUninitialized(1500, 1)
		}
		n := p.Len()
		require.Greater(t, n, 12_000)
		p.Reset()
		q, err := slab.NewPool(a, 20_000, 8)
		require.NoError(t, err)
		_, err = q.Alloc()
		require.NoError(t, err)
		for err == nil {
			_, err = q.Alloc()
		}
		if reserved {
			require.Less(t, q.Len(), (n-12_000)*64/20_000+2)
			for range 12_000 {
				_, err := p.Alloc()
				require.NoError(t, err)
			}
		} else {
			require.Greater(t, q.Len(), (n-1000)*64/20_000-2)
		}
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestAlignedBlock: a block made for an aligned request holds it, even if the source
// gives no byte more than it was asked for and aligns nothing.
func TestAlignedBlock(t *testing.T) {
	step := 1
	if slow() {
		step = 7
	}
	for align := 32; align <= 32<<10; align *= 2 {
		for size := 1030; size < 100_000; size += (size/9 + 1) * step {
			n := size + align + 64
			if blocks := 4096; n < blocks {
				continue
			}
			src := newBufferSource(n)
			m := newModel(t, slab.Config{BlockSize: 4096}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
			if !m.alloc(size, align, false) {
				t.Fatalf("Alloc(%d, %d) from a source of %d bytes", size, align, n)
			}
			m.close()
		}
	}
}

// TestReserveIsThere: reserved slots can be taken without the source, whatever was
// freed before.
func TestReserveIsThere(t *testing.T) {
	for _, size := range []int{64, 3000, 66_000} {
		for _, retain := range []int{-1, 0} {
			for freed := range 12 {
				m := heapModel(t, slab.Config{BlockSize: 4096, MaxBlockSize: 4096, Retain: retain})
				require.True(t, m.newPool(size, 1))
				p := m.pools[0]
				for range 12 {
					require.True(t, m.take(p, 0))
				}
				for range freed {
					m.give(p, 0, true)
				}
				n := p.Stats().Free
				require.True(t, m.reserve(p, n))
				arm(m.src.acquires, 1, true)
				for want := len(p.live) + n; len(p.live) < want; {
					require.True(t, m.takeGroup(p, want-len(p.live)), "slots of %d, %d were freed, %d of %d reserved are left", size, freed, want-len(p.live), n)
				}
				m.finish()
			}
		}
	}
}

// TestReserveSurvivesRefusals: reserved slots are still there after another request was
// refused, before which all that could go back went back.
func TestReserveSurvivesRefusals(t *testing.T) {
	for _, live := range []int{0, 1} {
		for _, size := range []int{24, 3000, 66_000} {
			const budget = 4 << 20
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), budget), budget)
			m := newModel(t, slab.Config{Retain: -1}, src, src)
			require.True(t, m.newPool(size, 1))
			p := m.pools[0]
			for range live {
				require.True(t, m.take(p, 0))
			}
			require.True(t, m.reserve(p, 20))
			require.False(t, m.alloc(budget, 0, true))
			require.False(t, m.alloc(budget-4096, 0, true))
			arm(src.acquires, 1, true)
			for range 20 {
				require.True(t, m.take(p, 0), "%d live slots of %d", live, size)
			}
			m.finish()
		}
	}
}

// TestReserveRefusedKeepsRoom: a refused reservation does not cost an earlier one its
// room, whatever it has given back on its way.
func TestReserveRefusedKeepsRoom(t *testing.T) {
	src := newBufferSource(300 << 10)
	m := newModel(t, slab.Config{BlockSize: 8 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	require.True(t, m.newPool(66_000, 1))
	p := m.pools[0]
	require.True(t, m.take(p, 0))
	m.give(p, 0, true)
	require.True(t, m.reserve(p, 3))
	require.True(t, m.takeGroup(p, 3))
	require.False(t, m.reserve(p, 3))
	m.check() // live and free slots are still three
	m.finish()
}

// TestReserveTooMany: no large number of slots wraps to a small one.
func TestReserveTooMany(t *testing.T) {
	for _, size := range []int{0, 1, 3000} {
		src := newBufferSource(100 << 10)
		m := newModel(t, slab.Config{}, src, src)
		require.True(t, m.newPool(size, 1))
		p := m.pools[0]
		require.True(t, m.take(p, 0))
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt32, math.MaxInt32 - 1, math.MaxInt/2 + 1, 1 << 24} {
			before := m.a.Stats()
			err := p.Reserve(n)
			require.Error(t, err, "%d slots of %d", n, size)
			require.True(t, errors.Is(err, blocksrc.ErrExhausted) || errors.Is(err, slab.ErrTooLarge), err)
			m.sameState(before, "Reserve")
		}
		for _, n := range []int{-1, math.MinInt} {
			require.False(t, m.reserve(p, n))
		}
		require.True(t, m.reserve(p, 0))
		m.finish()
	}
}
