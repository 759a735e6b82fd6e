package slab_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// An alignment beyond that of blocks can be had in two ways: in a block that is longer by
// the alignment, and in one that the source aligns. Sometimes only one of them is possible.

// TestSourceAligns: a request is not refused if the source has an aligned block for it, and
// no refusal says that there never will be room when there may be.
func TestSourceAligns(t *testing.T) {
	for _, align := range []int{4 << 10, 32 << 10} {
		src := blocksrc.Limit(new(blocksrc.GoHeap), 64<<10)
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		b := granted(t, a, 60<<10, 1)
		_, err = a.Alloc(61<<10, align)
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.NotErrorIs(t, err, blocksrc.ErrInvalid, "to free something helps")
		require.NoError(t, a.Check())
		a.Free(b)
		a.Trim()
		c := granted(t, a, 61<<10, align)
		assert.Zero(t, startOf(c)%uintptr(align))
		a.Free(c)
		a.Trim()

		p, err := slab.NewPool(a, 64<<10, align)
		require.NoError(t, err)
		q, err := p.Alloc()
		require.NoError(t, err)
		assert.Zero(t, uintptr(q)%uintptr(align))
		require.NoError(t, a.Check())
		_, err = p.Alloc()
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.NotErrorIs(t, err, blocksrc.ErrInvalid)
		require.NoError(t, a.Close())
	}
}

// TestSourceDoesNotAlign: if the source cannot align that far, the block is longer by the
// alignment, for large requests too. If that is refused, the error does not say that the
// source cannot align.
func TestSourceDoesNotAlign(t *testing.T) {
	for _, c := range []struct {
		name        string
		cfg         slab.Config
		size, align int
	}{
		{"chunk", slab.Config{LargeSize: 64 << 10}, 60 << 10, 4096},
		{"large", slab.Config{LargeSize: 64 << 10}, 100 << 10, 4096},
		{"larger than any block", slab.Config{LargeSize: 64 << 10, MaxBlockSize: 128 << 10}, 126 << 10, 4096},
		{"LargeAlign", slab.Config{LargeSize: 64 << 10, LargeAlign: 4096}, 100 << 10, 1},
	} {
		full := false
		src := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			switch {
			case align > 64:
				return nil, errors.Join(blocksrc.ErrExhausted, blocksrc.ErrInvalid)
			case full:
				return nil, blocksrc.ErrExhausted
			}
			return src.Acquire(size, align)
		}}
		c.cfg.Source, c.cfg.MetaSource = src, new(blocksrc.GoHeap)
		a, err := slab.New(c.cfg)
		require.NoError(t, err, c.name)
		b := granted(t, a, c.size, c.align)
		assert.Zero(t, startOf(b)%uintptr(c.align), c.name)
		full = true
		_, err = a.Alloc(c.size, c.align)
		require.ErrorIs(t, err, slab.ErrExhausted, c.name)
		require.NotErrorIs(t, err, blocksrc.ErrInvalid, c.name)
		require.NoError(t, a.Check())
		a.Free(b)
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
		assert.Zero(t, a.Stats().Held)
	}
}

// TestLongBlocksGoBack: a block that is longer than MaxBlockSize because a single request
// needed it is not kept for the next need.
func TestLongBlocksGoBack(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 64 << 10, LargeSize: 32 << 10})
	b := granted(t, a, 10<<20, 1)
	b, err := a.Realloc(b, 4<<20) // its block is now one like any other
	require.NoError(t, err)
	small := granted(t, a, 2000, 1)
	a.Free(b)
	a.Free(small)
	require.NoError(t, a.Check())
	assert.LessOrEqual(t, a.Stats().EmptyBytes, 64<<10)

	p, err := slab.NewPool(a, 1<<20, 8)
	require.NoError(t, err)
	q, err := p.Alloc()
	require.NoError(t, err)
	p.Free(q)
	require.NoError(t, p.Close())
	require.NoError(t, a.Check())
	assert.LessOrEqual(t, a.Stats().EmptyBytes, 64<<10)
}
