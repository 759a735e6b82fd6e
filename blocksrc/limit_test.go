package blocksrc_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

func TestLimitCountsWhatBlocksHave(t *testing.T) {
	src := blocksrc.Limit(heap(), 1000) // 15 granules of 64 and some
	a, err := src.Acquire(65, 0)
	require.NoError(t, err)
	require.Len(t, a, 128)
	b, err := src.Acquire(832, 0)
	require.NoError(t, err)
	_, err = src.Acquire(1, 0)
	assert.EqualError(t, err, "blocksrc: limit of 1000 bytes, 960 held, asked for 1, which take 64: source exhausted")
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.NoError(t, src.Release(a))
	_, err = src.Acquire(129, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	a, err = src.Acquire(128, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	require.NoError(t, src.Release(b))
	_, held := blocksrc.Stuck(src)
	assert.Zero(t, held)
}

func TestLimitOfNothing(t *testing.T) {
	for _, limit := range []int{0, -1, math.MinInt} {
		_, err := blocksrc.Limit(heap(), limit).Acquire(1, 0)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	}
	assert.PanicsWithValue(t, "blocksrc: Limit of a nil Source", func() { blocksrc.Limit(nil, 1) })
}

// The source is not even asked for what cannot fit.
func TestLimitRefusesBeforeAsking(t *testing.T) {
	counting := &blocksrctest.Counting{Source: heap()}
	src := blocksrc.Limit(counting, 1000)
	_, err := src.Acquire(961, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Zero(t, counting.Counts())

	_, err = src.Acquire(64, 0)
	require.NoError(t, err)
	_, err = src.Acquire(math.MaxInt-63, 0) // plus what is held, more than an int
	require.ErrorContains(t, err, "limit of 1000 bytes, 64 held")
	assert.Zero(t, counting.Counts().Refused)
}

// generous returns more than it says it would.
type generous struct{ blocksrc.Source }

func (g generous) Acquire(size, align int) ([]byte, error) { return g.Source.Acquire(2*size, align) }

func TestLimitGivesBackWhatIsTooMuch(t *testing.T) {
	counting := &blocksrctest.Counting{Source: heap()}
	src := blocksrc.Limit(generous{counting}, 1000)
	a, err := src.Acquire(256, 0)
	require.NoError(t, err)
	require.Len(t, a, 512)
	_, err = src.Acquire(256, 0)
	require.EqualError(t, err, "blocksrc: limit of 1000 bytes, 768 held, asked for 256, which take 512: source exhausted")
	assert.Equal(t, 512, counting.Counts().Held)
	_, held := blocksrc.Stuck(src)
	assert.Equal(t, 512, held)
	require.NoError(t, src.Release(a))
	assert.NoError(t, counting.Leaks())
}

// paged gives whole pages.
type paged struct{ blocksrc.Source }

func (p paged) Acquire(size, align int) ([]byte, error) {
	return p.Source.Acquire((size+4095)&^4095, align)
}

// One block that exceeds the whole budget says nothing about the next.
func TestLimitNeverSaysNeverOfABlock(t *testing.T) {
	src := blocksrc.Limit(blocksrc.Fallback(blocksrc.NewBuffer(make([]byte, 2048)), paged{heap()}), 3000)
	a, err := src.Acquire(1500, 0)
	require.NoError(t, err, "from the buffer")
	_, err = src.Acquire(1000, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted, "a page")
	assert.NotErrorIs(t, err, blocksrc.ErrInvalid)
	require.NoError(t, src.Release(a))
	a, err = src.Acquire(1000, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	_, err = src.Acquire(3001, 0)
	assert.ErrorIs(t, err, blocksrc.ErrInvalid, "never")
}

// A block that is too large and cannot be given back is counted and offered again.
func TestLimitKeepsTryingToGiveBack(t *testing.T) {
	counting := &blocksrctest.Counting{Source: heap()}
	failing := &blocksrctest.Failing{Source: counting, On: blocksrctest.Releases, At: 1}
	src := blocksrc.Limit(generous{failing}, 1000)
	_, err := src.Acquire(512, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.ErrorIs(t, err, blocksrctest.ErrInjected)
	stuck, held := blocksrc.Stuck(src)
	assert.Equal(t, [2]int{1024, 1024}, [2]int{stuck, held})
	a, err := src.Acquire(64, 0)
	require.NoError(t, err)
	stuck, held = blocksrc.Stuck(src)
	assert.Equal(t, [2]int{0, 128}, [2]int{stuck, held})
	require.NoError(t, src.Release(a))
	assert.NoError(t, counting.Leaks())
}

func TestLimitKeepsWhatCannotBeReleased(t *testing.T) {
	failing := &blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases, At: 1}
	src := blocksrc.Limit(failing, 128)
	a, err := src.Acquire(128, 0)
	require.NoError(t, err)
	require.ErrorIs(t, src.Release(a), blocksrctest.ErrInjected)
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted, "still held")
	require.NoError(t, src.Release(a))
	require.ErrorIs(t, src.Release(a), blocksrc.ErrNotHeld)
	_, err = src.Acquire(128, 0)
	require.NoError(t, err)
}

// forgetful has lost every block by the time it is released, and counts the releases.
type forgetful struct {
	blocksrc.Source
	releases int
}

func (f *forgetful) Release(block []byte) error {
	f.releases++
	return fmt.Errorf("%d bytes: %w", len(block), blocksrc.ErrNotHeld)
}

// A block that the source has lost is no longer held by anyone in front, and is not
// offered to the source again.
func TestLostBlocksAreForgotten(t *testing.T) {
	counting := &blocksrctest.Counting{Source: &forgetful{Source: heap()}}
	limit := blocksrc.Limit(blocksrc.Fallback(blocksrc.Limit(counting, 128), buffer(0)), 128)
	for range 3 {
		a, err := limit.Acquire(128, 0)
		require.NoError(t, err)
		for range 2 {
			require.ErrorIs(t, limit.Release(a), blocksrc.ErrNotHeld)
		}
	}
	require.NoError(t, counting.Leaks())
	assert.Equal(t, blocksrctest.Counts{Acquires: 3, Peak: 128}, counting.Counts())
	require.ErrorContains(t, counting.Misuse(), "128 bytes: ")

	limit = blocksrc.Limit(generous{&forgetful{Source: heap()}}, 200)
	_, err := limit.Acquire(128, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	stuck, held := blocksrc.Stuck(limit)
	assert.Zero(t, stuck)
	assert.Zero(t, held)
}

func TestLimitIsUnchangedByRefusals(t *testing.T) {
	src := blocksrc.Limit(&blocksrctest.Failing{Source: heap(), On: blocksrctest.Acquires, At: 1}, 128)
	_, err := src.Acquire(128, 0)
	require.ErrorIs(t, err, blocksrctest.ErrInjected)
	_, err = src.Acquire(128, 0)
	require.NoError(t, err, "the refused request has reserved nothing")
}

// A limit does not own blocks of its source that did not come through the limit.
func TestLimitTellsItsOwnBlocks(t *testing.T) {
	inner := heap()
	src := blocksrc.Limit(inner, 1000)
	other, err := inner.Acquire(64, 0)
	require.NoError(t, err)
	require.ErrorIs(t, src.Release(other), blocksrc.ErrNotHeld)
	require.NoError(t, inner.Release(other))
}

// gauge records the most bytes that were out of a source at any time.
type gauge struct {
	blocksrc.Source
	held, peak atomic.Int64
}

func (g *gauge) Acquire(size, align int) ([]byte, error) {
	block, err := g.Source.Acquire(size, align)
	if err == nil {
		now := g.held.Add(int64(len(block)))
		for p := g.peak.Load(); now > p && !g.peak.CompareAndSwap(p, now); p = g.peak.Load() {
		}
	}
	return block, err
}

func (g *gauge) Release(block []byte) error {
	g.held.Add(-int64(len(block)))
	return g.Source.Release(block)
}

func (g *gauge) Granularity() int { return blocksrc.Granularity(g.Source) }

func TestLimitHoldsAgainstManyAtOnce(t *testing.T) {
	const budget = 10_000
	g := &gauge{Source: heap()}
	src := blocksrc.Limit(g, budget)
	var refused, granted atomic.Int64
	var done sync.WaitGroup
	for id := range 8 {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range 300 {
				block, err := src.Acquire(1000+id*300+i%7*100, 0)
				if err != nil {
					refused.Add(1)
					continue
				}
				granted.Add(1)
				if err := src.Release(block); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	done.Wait()
	assert.LessOrEqual(t, g.peak.Load(), int64(budget))
	assert.Positive(t, granted.Load())
	assert.Zero(t, g.held.Load())
	_, held := blocksrc.Stuck(src)
	assert.Zero(t, held, "refusals: %d", refused.Load())
}

// A block that its owner has lost is forgotten at once. It is not offered to the owner
// again, since by then its address may be another block's.
func TestLostBlocksAreNotOfferedAgain(t *testing.T) {
	for name, wrap := range map[string]func(blocksrc.Source) blocksrc.Source{
		"Fallback": func(src blocksrc.Source) blocksrc.Source { return blocksrc.Fallback(src) },
		"Limit":    func(src blocksrc.Source) blocksrc.Source { return blocksrc.Limit(src, 1000) },
	} {
		inner := &forgetful{Source: heap()}
		src := wrap(inner)
		block, err := src.Acquire(1, 0)
		require.NoError(t, err, name)
		for range 3 {
			require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld, name)
		}
		assert.Equal(t, 1, inner.releases, name)
	}
}

// A block that is too large and stuck is offered again at a Release, too.
func TestLimitGivesBackAtRelease(t *testing.T) {
	counting := &blocksrctest.Counting{Source: heap()}
	failing := &blocksrctest.Failing{Source: counting, On: blocksrctest.Releases, At: 1}
	src := blocksrc.Limit(generous{failing}, 1000)
	_, err := src.Acquire(512, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.Error(t, counting.Leaks())
	require.ErrorIs(t, src.Release(nil), blocksrc.ErrNotHeld)
	assert.NoError(t, counting.Leaks())
	_, held := blocksrc.Stuck(src)
	assert.Zero(t, held)
}

// A request for the whole budget could be served at another time, so it is not invalid.
func TestLimitOfExactlyThat(t *testing.T) {
	src := blocksrc.Limit(heap(), 128)
	block, err := src.Acquire(64, 0)
	require.NoError(t, err)
	_, err = src.Acquire(128, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.NotErrorIs(t, err, blocksrc.ErrInvalid)
	_, err = src.Acquire(129, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.ErrorIs(t, err, blocksrc.ErrInvalid)
	require.NoError(t, src.Release(block))
	_, err = src.Acquire(128, 0)
	require.NoError(t, err)
}

// A size that cannot be rounded up does not reach the source.
func TestLimitRefusesWhatCannotBeRounded(t *testing.T) {
	counting := &blocksrctest.Counting{Source: heap()}
	for _, limit := range []int{1000, math.MaxInt} {
		_, err := blocksrc.Limit(counting, limit).Acquire(math.MaxInt, 0)
		require.ErrorIs(t, err, blocksrc.ErrInvalid)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
	}
	assert.Zero(t, counting.Counts())
}

// A block that is shorter than asked for counts with the length it has.
func TestLimitOfAMiser(t *testing.T) {
	src := blocksrc.Limit(&blocksrctest.Lying{Source: heap(), Lie: blocksrctest.TooShort}, 1000)
	block, err := src.Acquire(100, 0)
	require.NoError(t, err)
	require.Len(t, block, 99)
	_, held := blocksrc.Stuck(src)
	assert.Equal(t, 99, held)
	require.NoError(t, src.Release(block))
	_, held = blocksrc.Stuck(src)
	assert.Zero(t, held)
}

// meanwhile calls do in the middle of its first Acquire.
type meanwhile struct {
	blocksrc.Source
	do func()
}

func (m *meanwhile) Acquire(size, align int) ([]byte, error) {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.Source.Acquire(size, align)
}

func (m *meanwhile) Granularity() int { return blocksrc.Granularity(m.Source) }

// What was reserved is granted, even if meanwhile another request's block, too large and
// stuck, takes more than the budget.
func TestLimitKeepsWhatItReserved(t *testing.T) {
	failing := &blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases, At: 1}
	inner := &meanwhile{Source: failing}
	doubling := false
	src := blocksrc.Limit(sometimes{inner, &doubling}, 1000)
	inner.do = func() {
		doubling = true
		_, err := src.Acquire(832, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
		doubling = false
		_, held := blocksrc.Stuck(src)
		require.Equal(t, 128+1664, held)
	}
	block, err := src.Acquire(128, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(block))
	_, held := blocksrc.Stuck(src)
	assert.Zero(t, held)
}

// sometimes is generous while *now is true.
type sometimes struct {
	blocksrc.Source
	now *bool
}

func (s sometimes) Acquire(size, align int) ([]byte, error) {
	if *s.now {
		size *= 2
	}
	return s.Source.Acquire(size, align)
}

func (s sometimes) Granularity() int { return blocksrc.Granularity(s.Source) }

// exact gives as many bytes as it is asked for, and has no granularity.
type exact struct{}

func (exact) Acquire(size, _ int) ([]byte, error) { return make([]byte, size), nil }
func (exact) Release([]byte) error                { return nil }

// The limit is kept to the byte.
func TestLimitToTheByte(t *testing.T) {
	src := blocksrc.Limit(exact{}, 10)
	a, err := src.Acquire(9, 0)
	require.NoError(t, err)
	b, err := src.Acquire(1, 0)
	require.NoError(t, err)
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.NoError(t, src.Release(a))
	require.NoError(t, src.Release(b))
	_, held := blocksrc.Stuck(src)
	require.Zero(t, held)
}

// A Limit discards and populates parts of its own blocks, and asks its source about nothing
// else.
func TestLimitDiscardsItsOwn(t *testing.T) {
	inner := &discarding{Source: heap()}
	src := blocksrc.Limit(inner, 1<<20)
	mine, err := src.Acquire(4096, 0)
	require.NoError(t, err)
	other, err := inner.Acquire(4096, 0)
	require.NoError(t, err)
	require.ErrorIs(t, blocksrc.Discard(src, other), blocksrc.ErrNotHeld)
	require.ErrorIs(t, blocksrc.Populate(src, other), blocksrc.ErrNotHeld)
	require.Empty(t, inner.parts)
	require.Empty(t, inner.populated)
	require.NoError(t, blocksrc.Discard(src, mine[64:128]))
	require.Len(t, inner.parts, 1)
}

// TestLimitIsNeverEnoughForWhatIsRounded: what fits only until it is rounded up never will.
func TestLimitIsNeverEnoughForWhatIsRounded(t *testing.T) {
	src := blocksrc.Limit(heap(), 100) // one granule of 64 and some
	_, err := src.Acquire(65, 0)
	assert.True(t, blocksrc.Never(err), "%v", err)
	block, err := src.Acquire(64, 0)
	require.NoError(t, err)
	_, err = src.Acquire(64, 0)
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.False(t, blocksrc.Never(err), "%v", err)
	require.NoError(t, src.Release(block))
}
