package slab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What an allocator says about itself.

// TestOwns asks about every kind of memory.
func TestOwns(t *testing.T) {
	m := heapModel(t, slab.Config{})
	other := heapModel(t, slab.Config{})
	require.True(t, m.newPool(64, 8))
	require.True(t, m.take(m.pools[0], 0))
	for _, size := range []int{1, 100, 1024, 1025, 10_000, 600_000} {
		require.True(t, m.alloc(size, 0, true))
		b := m.live[len(m.live)-1].b
		assert.True(t, m.a.Owns(b))
		assert.True(t, m.a.Owns(b[:0]))
		assert.False(t, other.a.Owns(b))
		if cap(b) > 1 {
			assert.False(t, m.a.Owns(b[:cap(b)][1:]))
			assert.False(t, m.a.Owns(b[:1:1]))
		}
		other.misuse(slab.Foreign, "another allocator's memory", func() { other.a.Free(b) })
	}
	assert.False(t, m.a.Owns(nil))
	assert.False(t, m.a.Owns([]byte{}))
	assert.False(t, m.a.Owns(make([]byte, 100)))
	assert.False(t, m.a.Owns(m.pools[0].live[0].b), "a pool's slot is the pool's")
	for _, mem := range slab.MetaBlocks(m.a) {
		assert.False(t, m.a.Owns(mem))
		m.misuse(slab.Foreign, "a record", func() { m.a.Free(mem) })
	}
	m.finish()
	other.finish()
}

// TestStats: what the figures say of a known state.
func TestStats(t *testing.T) {
	m := heapModel(t, slab.Config{Name: "level", BlockSize: 64 << 10, LargeSize: 100_000})
	require.Equal(t, slab.Stats{Name: "level"}, m.a.Stats())
	require.True(t, m.alloc(100, 0, true))     // 104
	require.True(t, m.alloc(5000, 0, true))    // 5008
	require.True(t, m.alloc(100_000, 0, true)) // a block of 100 032
	s := m.a.Stats()
	assert.Equal(t, 104+5008+cap(m.live[2].b), s.Live)
	assert.Equal(t, s.Live, s.PeakLive)
	assert.Equal(t, s.Held, s.PeakHeld)
	assert.Equal(t, 2, s.Blocks)
	assert.Equal(t, 1, s.MetaBlocks)
	assert.Equal(t, 1, s.Slabs)
	assert.Equal(t, uint64(3), s.Allocs)
	assert.Zero(t, s.Frees)
	assert.Zero(t, s.EmptyBytes)
	m.free(1, false)
	arm(m.src.acquires, 1, false)
	require.False(t, m.alloc(200_000, 0, true))
	d := m.a.Stats().Sub(s)
	assert.Equal(t, [...]uint64{0, 1, 1, 1}, [...]uint64{d.Allocs, d.Frees, d.Failures, d.Refused})
	assert.Equal(t, d.Live, s.Live-5008)
	assert.Equal(t, s.PeakLive, d.PeakLive)
	assert.Zero(t, slab.Stats{}.Overhead())
	assert.Zero(t, slab.Stats{}.Fragmentation())
	assert.InDelta(t, 0.5, slab.Stats{Held: 3, Live: 2}.Overhead(), 1e-9)
	assert.InDelta(t, 0.75, slab.Stats{HoleBytes: 400, LargestHole: 100}.Fragmentation(), 1e-9)
	assert.Regexp(t, `^level: live `, m.a.Stats().String())
	assert.Regexp(t, `^allocator: live 0 B `, slab.Stats{}.String())
	for n, want := range map[int]string{5: "5 B", 2048: "2.0 KiB", 3 << 20: "3.0 MiB", 1 << 30: "1.0 GiB"} {
		assert.Contains(t, slab.Stats{Live: n}.String(), "live "+want+" ")
	}
	m.finish()
}

// TestStatsOutliveAPool: counts since New do not go down when a pool is closed.
func TestStatsOutliveAPool(t *testing.T) {
	m := heapModel(t, slab.Config{})
	require.True(t, m.newPool(24, 8))
	for i := range 100 {
		require.True(t, m.take(m.pools[0], i))
	}
	m.closePool(0)
	s := m.a.Stats()
	assert.Equal(t, uint64(100), s.Allocs)
	assert.Equal(t, uint64(100), s.Frees)
	m.finish()
}

// TestBlocks: the picture of the blocks leaves nothing out and says what is where.
func TestBlocks(t *testing.T) {
	for range (slab.BlockInfo{}).Chunks() {
		t.Fatal("no block has a chunk")
	}
	m, _ := furnished(t)
	live, slots, free, holes, large := 0, 0, 0, 0, 0
	for b := range m.a.Blocks() {
		at := 0
		for c := range b.Chunks() {
			require.Equal(t, at, c.Offset)
			at += c.Size
			switch c.Kind {
			case slab.ChunkLive:
				live += c.Size
				_, ok := m.find(b.Addr + uintptr(c.Offset))
				require.True(t, ok)
				if b.Large {
					large++
				}
			case slab.ChunkHole:
				holes += c.Size
			case slab.ChunkSlab:
				n := 0
				for slot := range c.Slots {
					_, ok := m.find(b.Addr + uintptr(c.Offset+slot*c.Stride))
					require.Equal(t, ok, c.Bitmap[slot/8]>>(slot%8)&1 != 0)
					if ok {
						n++
					}
				}
				require.Equal(t, n, c.Used)
				require.Len(t, c.Bitmap, (c.Slots+7)/8)
				slots += n * c.Stride
				free += c.Size - n*c.Stride
				require.Equal(t, c.Pool, c.Stride == 24 || c.Stride == 20_000)
			default:
				t.Fatal(c.Kind)
			}
		}
		require.Equal(t, b.Size&^15, at)
		for range b.Chunks() {
			break
		}
	}
	for range m.a.Blocks() {
		break
	}
	s := m.a.Stats()
	assert.Equal(t, 1, large)
	assert.Equal(t, s.Live, live+slots)
	assert.Equal(t, s.SlabFree, free)
	assert.Equal(t, s.HoleBytes, holes)
	m.finish()
}

// TestStatsString: all figures are in it.
func TestStatsString(t *testing.T) {
	s := slab.Stats{
		Name: "level", Live: 1, PeakLive: 2, Held: 3, PeakHeld: 4, Blocks: 5, EmptyBytes: 6, Slabs: 7, SlabFree: 8,
		Holes: 9, HoleBytes: 10, LargestHole: 11, Meta: 12, MetaBlocks: 13, Allocs: 14, Frees: 15, Failures: 16, Refused: 17,
	}
	const want = "level: live 1 B (peak 2 B), held 3 B (peak 4 B), overhead 200.0 %\n" +
		"  5 blocks (6 B empty), 7 slabs with 8 B free, 9 holes, together 10 B, the largest 11 B; records 12 B in 13 blocks\n" +
		"  14 allocations, 15 frees, 16 failures; source refused 17 times"
	assert.Equal(t, want, s.String())
	s.Pools, s.Retired = 18, 19
	assert.Equal(t, want+"; 18 pools, 19 slots retired", s.String())
}

// TestStatsOfRefusedBlocks: blocks that the source did not take back when nothing was live are
// still counted, as Lost until they are needed.
func TestStatsOfRefusedBlocks(t *testing.T) {
	refuse := true
	a, err := slab.New(slab.Config{Source: stubborn(&refuse), MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	a.Free(granted(t, a, 1000, 1))
	a.Trim()
	s := a.Stats()
	assert.Equal(t, 1, s.Blocks)
	assert.Equal(t, 64<<10, s.Lost)
	assert.Equal(t, s.Held, s.Lost+s.Meta)
	granted(t, a, 1000, 1)
	s = a.Stats()
	assert.Equal(t, 1, s.Blocks)
	assert.Zero(t, s.Lost)
	refuse = false
	require.NoError(t, a.Close())
	assert.Zero(t, a.Stats().Blocks)
}

// TestStatsCountRefusedRecords: a refusal by the source of the records counts like one by the
// user's.
func TestStatsCountRefusedRecords(t *testing.T) {
	refuse := true
	a := onGoHeap(t, slab.Config{MetaSource: refusing(new(blocksrc.GoHeap), &refuse)})
	_, err := a.Alloc(100, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Positive(t, a.Stats().Refused)
	refuse = false
	granted(t, a, 100, 1)
}

// TestStatsStringBounds: one pool is enough to be mentioned, and a unit begins where it is 1.
func TestStatsStringBounds(t *testing.T) {
	assert.Contains(t, slab.Stats{Pools: 1, Retired: 3}.String(), "1 pools, 3 slots retired")
	assert.NotContains(t, slab.Stats{}.String(), "pools")
	for n, want := range map[int]string{1<<10 - 1: "1023 B", 1 << 10: "1.0 KiB", 1 << 20: "1.0 MiB", 1 << 30: "1.0 GiB"} {
		assert.Contains(t, slab.Stats{Live: n}.String(), "live "+want+" ")
	}
}

// TestStatsOfPoolsAndDifferences: pools are counted while they are open, and Sub subtracts each
// of the four counts of events.
func TestStatsOfPoolsAndDifferences(t *testing.T) {
	p, _ := newPool(t, 8, 8, slab.Config{})
	require.Equal(t, 1, p.Allocator().Stats().Pools)
	require.NoError(t, p.Close())
	require.Zero(t, p.Allocator().Stats().Pools)
	after := slab.Stats{Allocs: 10, Frees: 9, Failures: 8, Refused: 7, Live: 6}
	require.Equal(t, slab.Stats{Allocs: 9, Frees: 7, Failures: 5, Refused: 3, Live: 6}, after.Sub(slab.Stats{Allocs: 1, Frees: 2, Failures: 3, Refused: 4, Live: 5}))
}
