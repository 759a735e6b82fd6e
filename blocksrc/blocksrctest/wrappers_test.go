package blocksrctest_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

func TestWrappersKeepTheContract(t *testing.T) {
	for _, src := range []blocksrc.Source{
		&blocksrctest.Counting{Source: heap()},
		&blocksrctest.Counting{Source: blocksrc.Limit(buffer(), 150_000)},
		&blocksrctest.Failing{Source: heap()},
		&blocksrctest.Failing{Source: &blocksrctest.Counting{Source: buffer()}},
		&blocksrctest.Lying{Source: heap(), From: 1 << 30},
	} {
		assert.NoError(t, blocksrctest.Test(src), "%T", src)
	}
}

func TestWrappersForward(t *testing.T) {
	dropped, populated := 0, 0
	inner := &broken{
		src:         heap(),
		granularity: func() int { return 32 },
		discard:     func(blocksrc.Source, []byte) error { dropped++; return nil },
		populate:    func(_ blocksrc.Source, part []byte) error { populated += len(part); return nil },
	}
	counting := &blocksrctest.Counting{Source: inner}
	for i, src := range []interface {
		blocksrc.Granular
		blocksrc.Zeroer
		blocksrc.Discarder
		blocksrc.Populator
	}{
		counting,
		&blocksrctest.Failing{Source: inner},
		&blocksrctest.Lying{Source: inner},
	} {
		assert.Equal(t, 32, src.Granularity())
		assert.True(t, src.Zeroed())
		assert.NoError(t, src.Discard(make([]byte, 1)))
		assert.Equal(t, i+1, dropped)
		assert.NoError(t, src.Populate(make([]byte, 10)))
		assert.Equal(t, 10*(i+1), populated)
	}
	assert.Equal(t, blocksrctest.Counts{Discards: 1, Populated: 10}, counting.Counts())
	plain := &blocksrctest.Counting{Source: struct{ blocksrc.Source }{heap()}}
	assert.Equal(t, 1, plain.Granularity())
	assert.False(t, plain.Zeroed())
	assert.ErrorIs(t, plain.Discard(nil), errors.ErrUnsupported)
	assert.ErrorIs(t, plain.Populate(nil), errors.ErrUnsupported)
	assert.Zero(t, plain.Counts())
}

func TestCounting(t *testing.T) {
	src := &blocksrctest.Counting{Source: blocksrc.NewBuffer(make([]byte, 1000))}
	a, err := src.Acquire(100, 0)
	require.NoError(t, err)
	b, err := src.Acquire(200, 0)
	require.NoError(t, err)
	_, err = src.Acquire(5000, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.NoError(t, src.Release(a))
	assert.Equal(t, blocksrctest.Counts{Acquires: 2, Releases: 1, Refused: 1, Live: 1, Held: 208, Peak: 320}, src.Counts())

	assert.EqualError(t, src.Leaks(), fmt.Sprintf("blocksrctest: 1 blocks, 208 bytes, not released: 208 at %p", b))
	require.NoError(t, src.Misuse())

	require.ErrorIs(t, src.Release(a), blocksrc.ErrNotHeld)
	require.ErrorContains(t, src.Misuse(), "112 bytes at "+fmt.Sprintf("%p", a)+": released before")
	require.ErrorIs(t, src.Release(b[:10]), blocksrc.ErrNotHeld)
	require.ErrorContains(t, src.Misuse(), "resliced, it has 208")
	require.ErrorIs(t, src.Release(make([]byte, 10)), blocksrc.ErrNotHeld)
	require.ErrorContains(t, src.Misuse(), "foreign")

	require.NoError(t, src.Release(b))
	assert.NoError(t, src.Leaks())
	assert.Error(t, src.Misuse(), "what was wrong stays wrong")
}

func TestCountingABlockThatCannotGo(t *testing.T) {
	failing := &blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases, At: 1}
	src := &blocksrctest.Counting{Source: failing}
	block, err := src.Acquire(1, 0)
	require.NoError(t, err)
	require.ErrorIs(t, src.Release(block), blocksrctest.ErrInjected)
	assert.Equal(t, blocksrctest.Counts{Acquires: 1, Stuck: 1, Live: 1, Held: 64, Peak: 64}, src.Counts())
	assert.Error(t, src.Leaks())
	require.NoError(t, src.Release(block))
	assert.NoError(t, src.Leaks())
	assert.NoError(t, src.Misuse())
}

// Two blocks at one address, as a lying source hands out, count as two.
func TestCountingALie(t *testing.T) {
	src := &blocksrctest.Counting{Source: &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Overlapping}}
	a, err := src.Acquire(1, 0)
	require.NoError(t, err)
	b, err := src.Acquire(1, 0)
	require.NoError(t, err)
	require.Equal(t, blocksrctest.Address(a), blocksrctest.Address(b))
	require.Equal(t, 2, strings.Count(src.Leaks().Error(), "64 at 0x"))
	require.NoError(t, src.Release(a))
	require.ErrorContains(t, src.Leaks(), "1 blocks, 64 bytes")
	require.NoError(t, src.Release(b))
	require.NoError(t, src.Leaks())
	require.NoError(t, src.Misuse())
	require.ErrorIs(t, src.Release(b), blocksrc.ErrNotHeld)
}

func TestCountingManyLeaks(t *testing.T) {
	src := &blocksrctest.Counting{Source: heap()}
	for range 9 {
		_, err := src.Acquire(64, 0)
		require.NoError(t, err)
	}
	assert.ErrorContains(t, src.Leaks(), "9 blocks, 576 bytes, not released: 64 at ")
	assert.ErrorContains(t, src.Leaks(), ", …")
}

func TestFailing(t *testing.T) {
	own := errors.New("own")
	for _, tt := range []struct {
		src  *blocksrctest.Failing
		want string // of acquire, release, acquire, release: . passes, x fails
	}{
		{&blocksrctest.Failing{}, "...."},
		{&blocksrctest.Failing{At: 1}, "x..."},
		{&blocksrctest.Failing{At: 2}, ".x.."},
		{&blocksrctest.Failing{At: 3}, "..x."},
		{&blocksrctest.Failing{At: 9}, "...."},
		{&blocksrctest.Failing{At: 2, Persist: true}, ".xxx"},
		{&blocksrctest.Failing{At: 2, On: blocksrctest.Acquires}, "..x."},
		{&blocksrctest.Failing{At: 1, On: blocksrctest.Acquires, Persist: true}, "x.x."},
		{&blocksrctest.Failing{At: 2, On: blocksrctest.Releases}, "...x"},
		{&blocksrctest.Failing{At: 2, On: blocksrctest.Releases | blocksrctest.Acquires}, ".x.."},
		{&blocksrctest.Failing{At: 2, Err: own}, ".x.."},
	} {
		tt.src.Source = heap()
		got, failed := "", 0
		check := func(err, kind error) {
			if err == nil {
				got += "."
				return
			}
			failed++
			got += "x"
			if tt.src.Err != nil {
				assert.Equal(t, own, err)
				return
			}
			assert.ErrorIs(t, err, blocksrctest.ErrInjected)
			assert.Equal(t, kind != nil, errors.Is(err, blocksrc.ErrExhausted))
		}
		spare, err := tt.src.Source.Acquire(1, 0) // to release where acquiring failed
		require.NoError(t, err)
		for range 2 {
			block, err := tt.src.Acquire(1, 0)
			check(err, blocksrc.ErrExhausted)
			if err != nil {
				block = spare
			}
			check(tt.src.Release(block), nil)
			if err != nil {
				spare, _ = tt.src.Source.Acquire(1, 0)
			}
		}
		assert.Equal(t, tt.want, got, "%+v", tt.src)
		assert.Equal(t, failed, tt.src.Failed())
	}
}

func TestFailingArmedLater(t *testing.T) {
	src := &blocksrctest.Failing{Source: heap(), On: blocksrctest.Acquires}
	try := func() error { _, err := src.Acquire(1, 0); return err }
	for range 3 {
		require.NoError(t, try())
	}
	src.Arm(2)
	require.NoError(t, try())
	require.ErrorIs(t, try(), blocksrctest.ErrInjected)
	require.NoError(t, try())
	assert.Equal(t, 3, src.Calls())
	assert.Equal(t, 1, src.Failed())
	src.Arm(0)
	require.NoError(t, try())
	assert.Zero(t, src.Failed())
}

// The loop of the package comment, with a user that takes three blocks and cleans up.
func TestFailingLoop(t *testing.T) {
	use := func(src blocksrc.Source) {
		var blocks [][]byte
		for range 3 {
			if block, err := src.Acquire(100, 0); err == nil {
				blocks = append(blocks, block)
			}
		}
		for _, block := range blocks {
			if src.Release(block) != nil {
				_ = src.Release(block)
			}
		}
	}
	k := 1
	for ; ; k++ {
		counting := &blocksrctest.Counting{Source: heap()}
		failing := &blocksrctest.Failing{Source: counting, At: k}
		use(failing)
		require.NoError(t, counting.Leaks(), "call %d failing", k)
		require.NoError(t, counting.Misuse(), "call %d failing", k)
		if failing.Failed() == 0 {
			break
		}
	}
	assert.Equal(t, 7, k, "three acquires and three releases have failed")
}

func TestLying(t *testing.T) {
	lying := func(lie blocksrctest.Lie) (*blocksrctest.Lying, *blocksrctest.Counting) {
		truth := &blocksrctest.Counting{Source: heap()}
		return &blocksrctest.Lying{Source: truth, Lie: lie}, truth
	}
	acquire := func(src blocksrc.Source, size, align int) []byte {
		block, err := src.Acquire(size, align)
		require.NoError(t, err)
		return block
	}

	src, truth := lying(blocksrctest.TooShort)
	block := acquire(src, 100, 0)
	assert.Len(t, block, 99)
	require.NoError(t, src.Release(block))
	require.NoError(t, truth.Leaks())

	src, truth = lying(blocksrctest.Misaligned)
	for _, align := range []int{0, 2, 16, 4096} {
		block = acquire(src, 100, align)
		assert.GreaterOrEqual(t, len(block), 100)
		asked := max(align, 1)
		if align == 0 {
			asked = 64
		}
		assert.Equal(t, uintptr(asked/2), blocksrctest.Address(block)%uintptr(asked))
		require.NoError(t, src.Release(block))
	}
	require.NoError(t, truth.Leaks())

	src, truth = lying(blocksrctest.Overlapping)
	for _, size := range []int{1, 64, 65, 1000, 1 << 16} {
		first, second := acquire(src, size, 0), acquire(src, size, 0)
		lo, hi := blocksrctest.Address(first), blocksrctest.Address(second)
		assert.GreaterOrEqual(t, len(first), size)
		assert.GreaterOrEqual(t, len(second), size)
		assert.Less(t, hi-lo, uintptr(len(first)), "size %d", size)
		assert.Zero(t, hi%64)
		require.NoError(t, src.Release(first))
		require.Error(t, truth.Leaks(), "the second still needs it")
		require.NoError(t, src.Release(second))
		require.NoError(t, truth.Leaks())
	}
	require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
	// A block that is not aligned would be another lie.
	buf := &blocksrctest.Lying{Source: blocksrc.NewBuffer(make([]byte, 1<<20)[64:]), Lie: blocksrctest.Overlapping}
	for range 8 {
		acquire(buf, 20_000, 64)
		require.Zero(t, blocksrctest.Address(acquire(buf, 8_000, 4096))%4096)
	}

	src, truth = lying(blocksrctest.Dirty)
	assert.True(t, src.Zeroed())
	block = acquire(src, 100, 0)
	assert.Equal(t, byte(0xA5), block[99])
	require.NoError(t, src.Release(block))
	require.NoError(t, truth.Leaks())

	assert.Equal(t, "Overlapping", blocksrctest.Overlapping.String())
	assert.Equal(t, "Lie(9)", blocksrctest.Lie(9).String())
}

// Counting tells wrong releases apart, and its peak stays.
func TestCountingTellsMisusesApart(t *testing.T) {
	src := &blocksrctest.Counting{Source: blocksrc.NewBuffer(make([]byte, 1000))}
	a, err := src.Acquire(512, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	b, err := src.Acquire(16, 0)
	require.NoError(t, err)
	assert.Equal(t, 512, src.Counts().Peak)
	require.NoError(t, src.Release(b))
	for _, tt := range []struct {
		mem  []byte
		want string
	}{
		{b, ": released before"},
		{b[:10], ": foreign"}, // it had 16
		{nil, "0 bytes at 0x0: foreign"},
	} {
		was := src.Misuse()
		require.ErrorIs(t, src.Release(tt.mem), blocksrc.ErrNotHeld)
		said := src.Misuse().Error()
		if was != nil {
			said = strings.TrimPrefix(said, was.Error())
		}
		assert.Contains(t, said, tt.want)
	}
}

// If Source no longer holds a block that is out, somebody has misused Source behind
// Counting, and the block is gone.
func TestCountingBehindItsBack(t *testing.T) {
	inner := heap()
	src := &blocksrctest.Counting{Source: inner}
	block, err := src.Acquire(1, 0)
	require.NoError(t, err)
	require.NoError(t, inner.Release(block))
	require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
	assert.Error(t, src.Misuse())
	assert.NoError(t, src.Leaks())
	assert.Equal(t, blocksrctest.Counts{Acquires: 1, Peak: 64}, src.Counts())
}

// An At of 0 or less fails no call, whatever else is set.
func TestFailingNone(t *testing.T) {
	for _, at := range []int{0, -1} {
		src := &blocksrctest.Failing{Source: heap(), At: at, Persist: true}
		for range 3 {
			block, err := src.Acquire(1, 0)
			require.NoError(t, err)
			require.NoError(t, src.Release(block))
		}
		assert.Zero(t, src.Failed())
		src.Arm(1)
		_, err := src.Acquire(1, 0)
		require.ErrorIs(t, err, blocksrctest.ErrInjected)
		src.Arm(0)
		_, err = src.Acquire(1, 0)
		require.NoError(t, err)
	}
}

// Lies begin with call number From.
func TestLyingFrom(t *testing.T) {
	for from := range 4 {
		src := &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.TooShort, From: from}
		for call := 1; call <= 4; call++ {
			block, err := src.Acquire(100, 0)
			require.NoError(t, err)
			assert.Equal(t, call >= from, len(block) < 100, "call %d, from %d", call, from)
			assert.Equal(t, len(block), cap(block))
			require.NoError(t, src.Release(block))
		}
	}
}

// Apart from its lie a Lying is sound: it refuses invalid and enormous requests as its
// source does, keeps what it cannot release, and lies about a block only where that fits.
func TestLyingIsSoundOtherwise(t *testing.T) {
	for lie := blocksrctest.TooShort; lie <= blocksrctest.Dirty; lie++ {
		failing := &blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases}
		src := &blocksrctest.Lying{Source: failing, Lie: lie}
		a, err := src.Acquire(100, 0)
		require.NoError(t, err)
		for _, bad := range [][2]int{{0, 0}, {-1, 0}, {1, 3}, {1, -8}} {
			block, err := src.Acquire(bad[0], bad[1])
			require.ErrorIs(t, err, blocksrc.ErrInvalid, "%v %v", lie, bad)
			require.Nil(t, block)
		}
		for _, align := range []int{0, 64, 1 << 20} {
			_, err := src.Acquire(math.MaxInt, align)
			require.ErrorIs(t, err, blocksrc.ErrExhausted, "%v %d", lie, align)
		}
		b, err := src.Acquire(10_000, 0) // has no room where the first one is
		require.NoError(t, err)
		if lie != blocksrctest.TooShort {
			require.GreaterOrEqual(t, len(b), 10_000, lie)
		}

		failing.Arm(1)
		require.ErrorIs(t, src.Release(a), blocksrctest.ErrInjected, lie)
		require.NoError(t, src.Release(b), lie)
		require.NoError(t, src.Release(a), lie)
		require.ErrorIs(t, src.Release(a), blocksrc.ErrNotHeld, lie)
		require.ErrorIs(t, src.Release(b), blocksrc.ErrNotHeld, lie)
	}
	assert.True(t, (&blocksrctest.Lying{Source: buffer(), Lie: blocksrctest.Dirty}).Zeroed())
	assert.False(t, (&blocksrctest.Lying{Source: buffer()}).Zeroed())
}
