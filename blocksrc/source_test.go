package blocksrc_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// plain hides everything that a source can do beyond Acquire and Release.
type plain struct{ blocksrc.Source }

func heap() blocksrc.Source { return new(blocksrc.GoHeap) }

// buffer returns an aligned buffer, all of which is usable. TinyGo's make may not align.
func buffer(size int) *blocksrc.Buffer {
	mem, err := new(blocksrc.GoHeap).Acquire(max(size, 1), 0)
	if err != nil {
		panic(err)
	}
	return blocksrc.NewBuffer(mem[:size:size])
}

func TestEverySource(t *testing.T) {
	sources := map[string]blocksrc.Source{
		"heap":                     heap(),
		"buffer":                   buffer(1 << 20),
		"small buffer":             buffer(5000),
		"tiny buffer":              buffer(32),
		"unaligned buffer":         blocksrc.NewBuffer(make([]byte, 200_000)[13:199_990]),
		"limit of heap":            blocksrc.Limit(heap(), 100_000),
		"limit of buffer":          blocksrc.Limit(buffer(150_000), 100_000),
		"limit beyond buffer":      blocksrc.Limit(buffer(150_000), math.MaxInt),
		"limit of limit":           blocksrc.Limit(blocksrc.Limit(heap(), 100_000), 90_000),
		"limit of plain":           blocksrc.Limit(plain{buffer(100_000)}, 80_000),
		"fallback to heap":         blocksrc.Fallback(buffer(50_000), heap()),
		"fallback to buffer":       blocksrc.Fallback(buffer(50_000), buffer(70_000)),
		"fallback in front":        blocksrc.Fallback(blocksrc.Limit(heap(), 30_000), plain{buffer(30_000)}, buffer(1000)),
		"fallback past nothing":    blocksrc.Fallback(blocksrc.NewBuffer(nil), blocksrc.Fallback(), buffer(60_000)),
		"limit of fallback":        blocksrc.Limit(blocksrc.Fallback(buffer(40_000), buffer(60_000)), 90_000),
		"counting limit of buffer": &blocksrctest.Counting{Source: blocksrc.Limit(buffer(40_000), 30_000)},
	}
	if blocksrc.HaveMmap {
		sources["default"] = blocksrc.Default()
		sources["mmap"] = blocksrc.Mmap{}
		sources["mmap by pointer"] = &blocksrc.Mmap{}
		sources["mmap, huge"] = blocksrc.Mmap{HugePages: true}
		sources["mmap, named"] = blocksrc.Mmap{Name: "deblockator"}
		sources["limit of mmap"] = blocksrc.Limit(blocksrc.Mmap{}, 8<<20)
		sources["tight limit of mmap"] = blocksrc.Limit(blocksrc.Mmap{}, 200_000)
		sources["fallback to mmap"] = blocksrc.Fallback(buffer(100_000), blocksrc.Mmap{})
		sources["fallback from mmap"] = blocksrc.Fallback(blocksrc.Limit(blocksrc.Mmap{}, 1<<20), heap())
	}
	for name, src := range sources {
		t.Run(name, func(t *testing.T) { assert.NoError(t, blocksrctest.Test(src)) })
	}
}

func TestCheckRequest(t *testing.T) {
	for _, ok := range [][2]int{{1, 0}, {1, 1}, {1, 2}, {math.MaxInt, 1 << 30}, {7, math.MaxInt/2 + 1}} {
		assert.NoError(t, blocksrc.CheckRequest(ok[0], ok[1]), "%v", ok)
	}
	for _, bad := range [][2]int{{0, 0}, {0, 8}, {-1, 8}, {math.MinInt, 8}, {1, -1}, {1, -2}, {1, math.MinInt}, {1, 3}, {1, math.MaxInt}} {
		assert.ErrorIs(t, blocksrc.CheckRequest(bad[0], bad[1]), blocksrc.ErrInvalid, "%v", bad)
	}
	assert.EqualError(t, blocksrc.CheckRequest(-5, 8), "blocksrc: size -5: invalid request")
	assert.EqualError(t, blocksrc.CheckRequest(5, 12), "blocksrc: alignment 12 is no power of two: invalid request")
}

type grain struct {
	plain
	n int
}

func (g grain) Granularity() int { return g.n }

func TestHelpersOnSourcesThatOfferNothing(t *testing.T) {
	src := plain{heap()}
	assert.Equal(t, 1, blocksrc.Granularity(src))
	assert.False(t, blocksrc.Zeroed(src))
	assert.ErrorIs(t, blocksrc.Discard(src, []byte{1}), errors.ErrUnsupported)
	assert.ErrorIs(t, blocksrc.Populate(src, []byte{1}), errors.ErrUnsupported)
	for g, want := range map[int]int{8: 8, 1: 1, 0: 1, -8: 1, 24: 1, math.MinInt: 1} {
		assert.Equal(t, want, blocksrc.Granularity(grain{src, g}), "granularity %d", g)
	}
}

// An enormous request is both invalid and exhausted, whatever source is in front.
func TestBeyondIsBoth(t *testing.T) {
	sources := []blocksrc.Source{heap(), blocksrc.Limit(heap(), math.MaxInt)}
	if blocksrc.HaveMmap {
		sources = append(sources, blocksrc.Mmap{}, blocksrc.Limit(blocksrc.Mmap{}, math.MaxInt), blocksrc.Fallback(blocksrc.Mmap{}, heap()))
	}
	beyond := func(src blocksrc.Source, size, align int) {
		_, err := src.Acquire(size, align)
		assert.ErrorIs(t, err, blocksrc.ErrInvalid, "%T %d %d", src, size, align)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted, "%T %d %d", src, size, align)
	}
	for _, size := range []int{0, 1000} {
		beyond(buffer(size), size+1, 0)
		beyond(buffer(size), 1, 1<<30)
		beyond(buffer(size), 500, 1<<30)
		beyond(blocksrc.Limit(heap(), size), size+1, 0)
	}
	full := buffer(1024)
	_, err := full.Acquire(1, 0)
	require.NoError(t, err)
	for _, src := range []blocksrc.Source{full, blocksrc.Limit(full, 2000)} {
		_, err = src.Acquire(1024, 0) // there was room before
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
		assert.NotErrorIs(t, err, blocksrc.ErrInvalid)
	}
	for _, src := range sources {
		for _, r := range [][2]int{{math.MaxInt, 0}, {math.MaxInt, 1 << 12}, {math.MaxInt - 1, 1 << 20}, {math.MaxInt/2 + 1, math.MaxInt/2 + 1}} {
			block, err := src.Acquire(r[0], r[1])
			assert.Nil(t, block)
			assert.ErrorIs(t, err, blocksrc.ErrInvalid, "%T %v", src, r)
			assert.ErrorIs(t, err, blocksrc.ErrExhausted, "%T %v", src, r)
		}
	}
}

// TestNever: of the errors of a source, those that wrap both.
func TestNever(t *testing.T) {
	assert.False(t, blocksrc.Never(nil))
	assert.False(t, blocksrc.Never(blocksrc.ErrExhausted))
	assert.False(t, blocksrc.Never(blocksrc.ErrInvalid))
	src := blocksrc.Limit(heap(), 1000)
	_, err := src.Acquire(1001, 0)
	assert.True(t, blocksrc.Never(err), err)
	_, err = src.Acquire(900, 0)
	require.NoError(t, err)
	_, err = src.Acquire(900, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.False(t, blocksrc.Never(err), err)
}
