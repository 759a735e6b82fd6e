package slab_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// How memory goes back: Reset, Trim, Close.

// TestFreeAfterClose: that is a misuse of its own, but freeing nothing is still allowed.
func TestFreeAfterClose(t *testing.T) {
	m := heapModel(t, slab.Config{Name: "level"})
	require.True(t, m.alloc(100, 0, true))
	require.True(t, m.newPool(8, 8))
	require.True(t, m.take(m.pools[0], 0))
	b, q := m.live[0].b, m.pools[0].live[0].start
	p := m.pools[0]
	require.NoError(t, m.a.Close())
	m.misuse(slab.UseAfterClose, "Free", func() { m.a.Free(b) })
	m.misuse(slab.UseAfterClose, "Realloc", func() { _, _ = m.a.Realloc(b, 5) })
	m.misuse(slab.UseAfterClose, "Pool.Free", func() { p.Free(q) })
	failures := m.a.Stats().Failures
	_, err := p.AllocUninitialized()
	require.ErrorIs(t, err, slab.ErrClosed)
	require.Equal(t, failures, m.a.Stats().Failures, "there is no lack of memory")
	m.misuse(slab.UseAfterClose, "Pool.Handle", func() { p.Pool.Handle(q) })
	m.a.Free(nil)
	m.a.Free([]byte{})
	require.False(t, m.a.Owns(b))
	require.False(t, p.Owns(q))
	require.Zero(t, p.Len())
	_, err = m.a.Realloc(nil, 10)
	require.ErrorIs(t, err, slab.ErrClosed)
	_, err = m.a.AllocUninitialized(0, 0)
	require.ErrorIs(t, err, slab.ErrClosed)
	m.a.Reset()
	require.Zero(t, m.a.Trim())
	for range m.a.Blocks() {
		t.Error("a block")
	}
	require.NoError(t, p.Close())
	m.closed()
}

// TestReset: everything live is gone, and the blocks stay. Those of records, which come from
// another source here, may go: it depends on how far apart the blocks lie.
func TestReset(t *testing.T) {
	records := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{Retain: -1, LargeSize: 50_000}, newFaultySource(plain(), math.MaxInt), records)
	require.True(t, m.newPool(48, 16))
	var acquired, held int
	for round := range 5 {
		require.Equal(t, uint64(round), m.a.Epoch())
		for i := range 100 {
			require.True(t, m.alloc(1+i*i*3, 0, true))
			require.True(t, m.take(m.pools[0], i))
		}
		if round == 1 {
			acquired, held = m.src.acquires.Calls(), m.src.held()
		}
		m.check()
		m.reset()
		m.check()
		s := m.a.Stats()
		require.Zero(t, s.Live)
		require.Zero(t, s.Slabs)
		require.Equal(t, s.Allocs, s.Frees)
		require.Equal(t, s.Blocks, s.Holes, "each block is one hole")
	}
	require.Equal(t, acquired, m.src.acquires.Calls(), "blocks are kept")
	require.Equal(t, held, m.src.held())
	m.finish()
}

// TestResetLarge: blocks that had one allocation go back, since they have no other use.
func TestResetLarge(t *testing.T) {
	m := heapModel(t, slab.Config{LargeSize: 20_000})
	for range 5 {
		require.True(t, m.alloc(100_000, 0, true))
	}
	m.reset()
	require.Zero(t, m.a.Stats().Blocks)
	m.check()
	m.finish()
}

// TestTrim: empty blocks go, whatever Retain says, and others stay.
func TestTrim(t *testing.T) {
	m := heapModel(t, slab.Config{Retain: math.MaxInt, BlockSize: 16 << 10, MaxBlockSize: 16 << 10})
	for i := range 200 {
		require.True(t, m.alloc(1+i*17%3000, 0, true))
	}
	keep := m.live[100]
	for len(m.live) > 1 {
		i := 0
		if m.live[0] == keep {
			i = 1
		}
		m.free(i, false)
	}
	m.trim()
	s := m.a.Stats()
	require.Equal(t, 1, s.Blocks)
	require.Equal(t, cap(keep.b), s.Live)
	m.trim()
	require.Equal(t, s, m.a.Stats(), "nothing is left for a second time")
	m.free(0, false)
	m.trim()
	require.Zero(t, m.held())
	require.Zero(t, slab.Regions(m.a))
	m.finish()
}

// TestOnReset: a function registered with OnReset is called once, before anything is gone,
// and not if it was cancelled.
func TestOnReset(t *testing.T) {
	nobody, _ := onCounting(t, slab.Config{})
	require.Panics(t, func() { nobody.OnReset(nil) }, "at once, not at the next Reset")
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	var told []int
	var cancels []func()
	ask := func(i int) {
		cancels = append(cancels, m.a.OnReset(func() {
			require.NotZero(t, src.held())
			told = append(told, i)
		}))
	}
	for i := range 5 {
		ask(i)
	}
	require.True(t, m.alloc(100, 0, true))
	cancels[1]()
	cancels[4]()
	cancels[1]()
	m.reset()
	require.ElementsMatch(t, []int{0, 2, 3}, told)
	for _, cancel := range cancels {
		cancel()
	}
	m.reset()
	require.Len(t, told, 3)
	require.True(t, m.alloc(100, 0, true))
	ask(5)
	cancels[0]() // of an earlier registration
	require.NoError(t, m.a.Close())
	require.Equal(t, 5, told[3])
	cancels[5]()
	require.NoError(t, m.a.Close())
	require.Len(t, told, 4)
}

// TestOnResetOneByOne: a call may cancel another, and one that panics does not keep the next
// Reset from making the others: whoever is not told has memory that is somebody else's.
func TestOnResetOneByOne(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	told := 0
	var cancels [2]func()
	for i := range cancels {
		cancels[i] = a.OnReset(func() {
			told++
			cancels[1-i]()
		})
	}
	a.Reset()
	require.Equal(t, 1, told)

	told = 0
	for i := range 5 {
		a.OnReset(func() {
			if told++; i == 2 {
				panic("told")
			}
		})
	}
	require.PanicsWithValue(t, "told", a.Reset)
	a.Reset()
	require.Equal(t, 5, told)
}

// TestRetain: a program that works in levels acquires blocks in the first level. With a large
// Retain it acquires none later; with a negative one, some in each level; by default, some in
// the second level too, and then none. It may acquire one or two more blocks of records: those
// of the address map stay, and where they lie depends on where blocks do.
func TestRetain(t *testing.T) {
	const levels = 8
	for _, retain := range []int{1 << 30, 0, -1} {
		src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		m := newModel(t, slab.Config{BlockSize: 128 << 10, MaxBlockSize: 128 << 10, LargeSize: 128 << 10, Retain: retain}, src, meta)
		m.a.PauseChecks()
		var user, records, second int
		for level := range levels {
			for range 24 {
				require.True(t, m.alloc(120<<10, 0, false))
			}
			p, err := slab.NewPool(m.a, 8, 8) // its slabs have larger records
			require.NoError(t, err)
			require.NoError(t, p.Reserve(40_000))
			require.NoError(t, p.Close())
			for len(m.live) > 0 {
				m.free(0, false)
			}
			if level == 0 {
				user, records = src.acquires.Calls(), meta.acquires.Calls()
			}
			if level == 1 {
				second = src.acquires.Calls() - user
			}
		}
		user, records = src.acquires.Calls()-user, meta.acquires.Calls()-records
		switch retain {
		case 0:
			require.Greater(t, second, 20)
			require.Equal(t, second, user)
			require.LessOrEqual(t, records, levels+levels/2) // by where blocks lie
		case -1:
			require.Greater(t, user, (levels-1)*20)
			require.Greater(t, records, (levels-1)*2)
		default:
			require.Zero(t, user)
			require.LessOrEqual(t, records, 2)
		}
		require.NoError(t, m.a.Close())
		m.closed()
	}
}

// TestClose: everything goes back with all live, and a second Close does nothing.
func TestClose(t *testing.T) {
	for _, apart := range []bool{false, true} {
		src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		meta := src
		if apart {
			meta = newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		}
		m := newModel(t, slab.Config{}, src, meta)
		require.True(t, m.newPool(20, 4))
		for i := range 300 {
			require.True(t, m.alloc(1+i*i, 0, false))
			require.True(t, m.take(m.pools[0], i))
		}
		m.close()
		require.Equal(t, uint64(1), m.a.Epoch())
	}
	a, err := slab.New(slab.Config{})
	require.NoError(t, err)
	require.NoError(t, a.Close(), "of one that was never used")
	require.NoError(t, a.Close())
}
