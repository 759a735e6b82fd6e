package slab_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// TestConfigInvalid: a field that makes no sense, by itself or beside another, is an
// error that names the field. (S17 of the ancestor, where it was undefined.)
func TestConfigInvalid(t *testing.T) {
	type Config = slab.Config
	beyond := func(n int) int { return min(maxBlockBytes, math.MaxInt-n) + n } // n more than a block can have
	for i, c := range []struct {
		field string
		cfg   Config
	}{
		{"BlockSize", Config{BlockSize: -1}},
		{"BlockSize", Config{BlockSize: math.MinInt}},
		{"BlockSize", Config{BlockSize: 1}},
		{"BlockSize", Config{BlockSize: 16}},
		{"BlockSize", Config{BlockSize: 4095}},
		{"BlockSize", Config{BlockSize: math.MaxInt}},
		{"BlockSize", Config{BlockSize: beyond(1)}},
		{"BlockSize", Config{BlockSize: 8192, MaxBlockSize: 8191}},
		{"BlockSize", Config{BlockSize: 1 << 20, MaxBlockSize: 64 << 10}},
		{"MaxBlockSize", Config{MaxBlockSize: -1}},
		{"MaxBlockSize", Config{MaxBlockSize: math.MinInt}},
		{"MaxBlockSize", Config{MaxBlockSize: math.MaxInt}},
		{"MaxBlockSize", Config{MaxBlockSize: 1}},
		{"MaxBlockSize", Config{MaxBlockSize: 4095}},
		{"BlockAlign", Config{BlockAlign: -1}},
		{"BlockAlign", Config{BlockAlign: -4096}},
		{"BlockAlign", Config{BlockAlign: math.MinInt}},
		{"BlockAlign", Config{BlockAlign: 3}},
		{"BlockAlign", Config{BlockAlign: 4095}},
		{"BlockAlign", Config{BlockAlign: 4097}},
		{"BlockAlign", Config{BlockAlign: 48}},
		{"LargeSize", Config{LargeSize: -1}},
		{"LargeSize", Config{LargeSize: 1}},
		{"LargeSize", Config{LargeSize: smallMax}},
		{"LargeSize", Config{LargeSize: math.MaxInt}},
		{"LargeSize", Config{LargeSize: 64<<10 + 1, MaxBlockSize: 64 << 10}},
		{"LargeAlign", Config{LargeAlign: -1}},
		{"LargeAlign", Config{LargeAlign: math.MinInt}},
		{"LargeAlign", Config{LargeAlign: 6}},
		{"LargeAlign", Config{LargeAlign: 4097}},
		{"LargeAlign", Config{LargeAlign: math.MaxInt}},
		{"BlockAlign", Config{BlockAlign: math.MaxInt}},
	} {
		t.Run(fmt.Sprintf("%s %d", c.field, i), func(t *testing.T) {
			a, err := slab.New(c.cfg)
			require.ErrorIs(t, err, slab.ErrInvalid, "%+v", c.cfg)
			assert.Nil(t, a)
			assert.Contains(t, err.Error(), "Config."+c.field)
			assert.True(t, strings.HasPrefix(err.Error(), "slab: "), err.Error())
		})
	}
}

// TestConfigValid: a Config that does not contradict itself works, at the limits too.
func TestConfigValid(t *testing.T) {
	type Config = slab.Config
	for i, cfg := range []Config{
		{},
		{BlockSize: 4096},
		{BlockSize: 4096, MaxBlockSize: 4096},
		{BlockSize: 5001, MaxBlockSize: 5001},
		{BlockSize: 4097, MaxBlockSize: 1 << 20},
		{MaxBlockSize: 4096},
		{MaxBlockSize: 5000},
		{BlockSize: 4 << 20},
		{BlockSize: 4096, LargeSize: smallMax + 1},
		{BlockSize: 4096, MaxBlockSize: 4096, LargeSize: 4096},
		{LargeSize: 1 << 20},
		{LargeSize: 4 << 20},
		{LargeSize: maxBlockBytes},
		{MaxBlockSize: maxBlockBytes},
		{MaxBlockSize: maxBlockBytes, LargeSize: maxBlockBytes},
		{BlockAlign: 1}, {BlockAlign: 2}, {BlockAlign: 16}, {BlockAlign: 1 << 16},
		{LargeAlign: 1}, {LargeAlign: 8}, {LargeAlign: 1 << 16},
		{Retain: -1}, {Retain: math.MinInt}, {Retain: 1}, {Retain: math.MaxInt},
		{Name: "a name\nof two lines"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), 32<<20), 32<<20)
			m := newModel(t, cfg, src, src)
			for _, size := range []int{1, 8, 100, smallMax, smallMax + 1, 4096, 5000, 70_000, 600_000} {
				for _, align := range []int{0, 1, 8, 4096, 1 << 16} {
					require.True(t, m.alloc(size, align, true), "Alloc(%d, %d)", size, align)
				}
			}
			require.True(t, m.realloc(5, 30_000))
			require.True(t, m.newPool(24, 8))
			require.True(t, m.take(m.pools[0], 2))
			m.check()
			assert.Equal(t, cfg.Name, m.a.Stats().Name)
			m.finish()
		})
	}
}

// TestConfigBlockSizes: blocks start at BlockSize, double while that is no more than a
// tenth of what is held, and stop at MaxBlockSize. Each is aligned to BlockAlign.
func TestConfigBlockSizes(t *testing.T) {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 128 << 10, BlockAlign: 32 << 10, LargeSize: 32 << 10}, src, src)
	var sizes []int
	seen := make(map[uintptr]bool)
	for len(sizes) < 45 {
		require.True(t, m.alloc(3000, 0, false))
		for b := range m.a.Blocks() {
			if !seen[b.Addr] {
				seen[b.Addr] = true
				sizes = append(sizes, b.Size)
				assert.Zero(t, b.Addr%(32<<10))
				assert.False(t, b.Large)
			}
		}
	}
	want, held := []int{}, 0
	for range sizes {
		n := 16 << 10
		for n*2 <= held/10 && n < 128<<10 {
			n *= 2
		}
		want = append(want, n)
		held += n
	}
	assert.Equal(t, want, sizes)
	assert.Equal(t, 128<<10, sizes[44])
	m.finish()
}

// asking is a source that records the sizes it is asked for.
type asking struct {
	blocksrc.Source
	sizes []int
}

func (s *asking) Acquire(size, align int) ([]byte, error) {
	s.sizes = append(s.sizes, size)
	return s.Source.Acquire(size, align)
}

// If the source has no room for a block of full size, half of it is tried, and so on down
// to what is needed and no further.
func TestConfigBlockSizesRetreat(t *testing.T) {
	const block = 1 << 20
	src := &asking{Source: blocksrc.Limit(new(blocksrc.GoHeap), block*11/8)} // room for one and three eighths
	a, err := slab.New(slab.Config{
		Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: block, MaxBlockSize: block, LargeSize: block,
	})
	require.NoError(t, err)
	alloc := func(size int) error {
		src.sizes = nil
		_, err := a.AllocUninitialized(size, 0)
		return err
	}
	require.NoError(t, alloc(block-1))
	assert.Equal(t, []int{block}, src.sizes)
	require.NoError(t, alloc(2000))
	assert.Equal(t, []int{block, block / 2, block / 4}, src.sizes)
	require.ErrorIs(t, alloc(block*3/8), blocksrc.ErrExhausted)
	assert.Equal(t, []int{block, block / 2, block * 3 / 8}, src.sizes[:3])
	require.NoError(t, alloc(block/8))
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestConfigLarge: a request of LargeSize or more gets a block of its own, aligned to
// LargeAlign, which goes back when it is freed. A smaller one does not.
func TestConfigLarge(t *testing.T) {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 10_000, LargeAlign: 8192, Retain: -1}, src, src)
	large := func() (n int) {
		for b := range m.a.Blocks() {
			if b.Large {
				n++
				assert.Zero(t, b.Addr%8192)
			}
		}
		return n
	}
	require.True(t, m.alloc(9999, 0, true))
	require.Zero(t, large())
	held := m.held()
	for i := 1; i <= 5; i++ {
		require.True(t, m.alloc(10_000, 0, true))
		require.Equal(t, i, large())
	}
	for range 5 {
		m.free(1, false)
	}
	require.Equal(t, held, m.held())
	m.finish()
}

// TestConfigRetain: what stays after everything was freed.
func TestConfigRetain(t *testing.T) {
	const block, n = 16 << 10, 10
	for _, c := range []struct{ retain, empty int }{
		{-1, 0}, {0, block}, {1, 0}, {block - 1, 0}, {block, block}, {3*block + 5, 3 * block}, {math.MaxInt, n * block},
	} {
		src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		m := newModel(t, slab.Config{BlockSize: block, MaxBlockSize: block, LargeSize: block, Retain: c.retain}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
		for range n {
			require.True(t, m.alloc(block-window, 0, true))
		}
		require.Equal(t, n*block, m.src.held())
		for range n {
			m.free(0, false)
		}
		assert.Equal(t, c.empty, m.src.held(), "Retain %d", c.retain)
		assert.Equal(t, c.empty, m.a.Stats().EmptyBytes, "Retain %d", c.retain)
		m.finish()
	}
}

// TestConfigRetainLarger: of two empty blocks the larger one is kept, whichever
// was emptied first.
func TestConfigRetainLarger(t *testing.T) {
	for _, first := range []int{0, 1} {
		src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
		m := newModel(t, slab.Config{BlockSize: 8 << 10, LargeSize: 100_000}, src, meta)
		require.True(t, m.alloc(6000, 0, true))
		require.True(t, m.alloc(60_000, 0, true))
		require.Equal(t, 2, m.a.Stats().Blocks)
		m.free(first, false)
		m.free(0, false)
		require.Equal(t, 1, m.a.Stats().Blocks)
		require.GreaterOrEqual(t, m.a.Stats().EmptyBytes, 60_000)
		m.finish()
	}
}

// TestConfigName: who has several allocators can tell from an error whose source refused.
func TestConfigName(t *testing.T) {
	for name, says := range map[string]string{"": "bytes: ", "entities": "bytes (allocator entities): "} {
		failing := &blocksrctest.Failing{Source: new(blocksrc.GoHeap)}
		a, err := slab.New(slab.Config{Source: failing, Name: name})
		require.NoError(t, err)
		failing.Persist = true
		failing.Arm(1)
		_, err = a.Alloc(100, 0)
		assert.ErrorContains(t, err, says)
		_, err = a.Alloc(1<<20, 0)
		assert.ErrorContains(t, err, "slab: acquiring a block of 1048576 "+says+"blocksrctest: ")
		failing.Arm(0)
		_, err = a.Alloc(1<<20, 0)
		require.NoError(t, err)
		failing.On = blocksrctest.Releases
		failing.Arm(1)
		assert.ErrorContains(t, a.Close(), "slab: releasing a block of 1048576 "+says+"blocksrctest: ")
		failing.Arm(0)
		assert.NoError(t, a.Close())

		short := &wrapped{Source: new(blocksrc.GoHeap)}
		short.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) { return src.Acquire(size/2, align) }
		a, err = slab.New(slab.Config{Source: short, Name: name})
		require.NoError(t, err)
		_, err = a.Alloc(1<<20, 0)
		assert.ErrorIs(t, err, slab.ErrBadSource)
		assert.ErrorContains(t, err, ", for a block of ")
		assert.Equal(t, name != "", strings.HasSuffix(err.Error(), " (allocator "+name+")"), "%v", err)
		assert.NoError(t, a.Close())
	}
}

// TestConfigMetaSource: only the user's memory comes from Source, and only records
// come from MetaSource.
func TestConfigMetaSource(t *testing.T) {
	src, meta := newBufferSource(1<<20), newBufferSource(1<<20)
	m := newModel(t, slab.Config{}, src, meta)
	for i := range 200 {
		require.True(t, m.alloc(i*7%2000+1, 0, true))
	}
	s := m.a.Stats()
	assert.Equal(t, s.Held-s.Meta, src.held())
	assert.Equal(t, s.Meta, meta.held())
	assert.Positive(t, s.Meta)
	assert.Equal(t, s.Blocks, src.counting.Counts().Live)
	assert.Equal(t, s.MetaBlocks, meta.counting.Counts().Live)
	m.finish()
}

// TestLargeSizeIsTheEdge: with LargeSize as large as a block, a request below it is not
// large if a block has room for it.
func TestLargeSizeIsTheEdge(t *testing.T) {
	const most = 64 << 10
	a := onGoHeap(t, slab.Config{BlockSize: most, MaxBlockSize: most, LargeSize: most, Retain: most})
	for size := most - 40; size <= most; size++ {
		for _, align := range []int{1, 16, 64, 128} {
			b := granted(t, a, size, align)
			a.Free(b)
			large := size == most || align == 128 // more than GoHeap aligns to by default
			require.Equal(t, !large, a.Stats().EmptyBytes > 0, "%d bytes aligned to %d", size, align)
			a.Trim()
		}
	}
}

// TestGrown: grown is right for any BlockSize, also with 32 bits.
func TestGrown(t *testing.T) {
	for size := 4 << 10; size > 0 && size <= 1<<30; size *= 2 {
		a := onGoHeap(t, slab.Config{BlockSize: size, MaxBlockSize: size})
		require.False(t, a.Grown(size), "%d", size)
		if size <= math.MaxInt/18 {
			require.False(t, a.Grown(16*size), "%d", size)
			require.True(t, a.Grown(17*size), "%d", size)
		}
	}
}
