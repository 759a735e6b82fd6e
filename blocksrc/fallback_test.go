package blocksrc_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

func TestFallbackReleasesToTheOwner(t *testing.T) {
	first := &blocksrctest.Counting{Source: buffer(1000)}
	second := &blocksrctest.Counting{Source: heap()}
	src := blocksrc.Fallback(first, second)
	var blocks [][]byte
	for range 5 {
		block, err := src.Acquire(400, 0)
		require.NoError(t, err)
		blocks = append(blocks, block)
	}
	assert.Equal(t, 2, first.Counts().Live)
	assert.Equal(t, 3, second.Counts().Live)
	for _, i := range []int{3, 0, 4, 1, 2} {
		require.NoError(t, src.Release(blocks[i]))
		require.ErrorIs(t, src.Release(blocks[i]), blocksrc.ErrNotHeld)
	}
	for _, c := range []*blocksrctest.Counting{first, second} {
		assert.NoError(t, c.Leaks())
		assert.NoError(t, c.Misuse())
	}
	block, err := src.Acquire(400, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, first.Counts().Live, "the first is preferred again")
	require.NoError(t, src.Release(block))
}

func TestFallbackWhenNobodyHasRoom(t *testing.T) {
	_, err := blocksrc.Fallback().Acquire(1, 0)
	require.True(t, blocksrc.Never(err), "%v", err)
	assert.ErrorIs(t, blocksrc.Fallback().Release([]byte{1}), blocksrc.ErrNotHeld)
	_, err = blocksrc.Fallback().Acquire(0, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)

	src := blocksrc.Fallback(buffer(64), blocksrc.Limit(heap(), 128))
	_, err = src.Acquire(1000, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.ErrorContains(t, err, "none of 2 sources has room: blocksrc: buffer of 64 bytes")
	assert.ErrorContains(t, err, "; blocksrc: limit of 128 bytes")
}

// A request beyond one source may be made again if another source lacks room only now.
func TestFallbackBeyondOne(t *testing.T) {
	src := blocksrc.Fallback(buffer(1024), blocksrc.Limit(heap(), 2048))
	block, err := src.Acquire(1536, 0)
	require.NoError(t, err)
	_, err = src.Acquire(1536, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.NotErrorIs(t, err, blocksrc.ErrInvalid)
	require.ErrorContains(t, err, "buffer of 1024 bytes")
	_, err = src.Acquire(4096, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid, "beyond both")
	require.NoError(t, src.Release(block))
	_, err = src.Acquire(1536, 0)
	require.NoError(t, err)
}

// coded is a source's own error.
type coded int

func (c coded) Error() string { return "code" }

// A source that is not available here says nothing about what the others can do. Whatever
// is left out of an error, the source's own error is not.
func TestFallbackBeyondAllThatThereAre(t *testing.T) {
	none := &blocksrctest.Failing{Source: heap(), At: 1, Persist: true, Err: errors.ErrUnsupported}
	for _, src := range []blocksrc.Source{blocksrc.Fallback(none, buffer(1024)), blocksrc.Fallback(buffer(1024), none)} {
		_, err := src.Acquire(1536, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted, "less would do")
		require.ErrorIs(t, err, blocksrc.ErrInvalid, "it is beyond the only one")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = src.Acquire(1024, 0)
		require.NoError(t, err)
	}
	beyond := &blocksrctest.Failing{Source: heap(), At: 1, Persist: true, Err: fmt.Errorf("%w: %w: %w", coded(7), blocksrc.ErrExhausted, blocksrc.ErrInvalid)}
	_, err := blocksrc.Fallback(beyond, blocksrc.Limit(heap(), 0)).Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid, "nothing fits a limit of nothing")
	full := blocksrc.Limit(heap(), 64)
	_, err = full.Acquire(64, 0)
	require.NoError(t, err)
	_, err = blocksrc.Fallback(beyond, full).Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.NotErrorIs(t, err, blocksrc.ErrInvalid)
	var code coded
	require.ErrorAs(t, err, &code)
	require.Equal(t, coded(7), code)
	require.ErrorContains(t, err, "code")
}

func TestFallbackOnlyForWantOfRoom(t *testing.T) {
	failing := func(err error) blocksrc.Source {
		return &blocksrctest.Failing{Source: heap(), At: 1, Err: err}
	}
	for _, err := range []error{blocksrc.ErrExhausted, errors.ErrUnsupported} {
		block, got := blocksrc.Fallback(failing(err), heap()).Acquire(1, 0)
		assert.NoError(t, got)
		assert.NotNil(t, block)
	}
	fault := errors.New("permission denied")
	counting := &blocksrctest.Counting{Source: heap()}
	_, err := blocksrc.Fallback(buffer(0), failing(fault), counting).Acquire(1, 0)
	assert.ErrorIs(t, err, fault)
	assert.NotErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Zero(t, counting.Counts(), "a fault is not papered over")

	_, err = blocksrc.Fallback(failing(errors.ErrUnsupported), failing(errors.ErrUnsupported)).Acquire(1, 0)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	assert.NotErrorIs(t, err, blocksrc.ErrExhausted, "nobody said so")
}

func TestFallbackKeepsWhatCannotBeReleased(t *testing.T) {
	src := blocksrc.Fallback(&blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases, At: 1}, heap())
	block, err := src.Acquire(100, 0)
	require.NoError(t, err)
	require.ErrorIs(t, src.Release(block), blocksrctest.ErrInjected)
	require.NoError(t, src.Release(block))
	require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
}

// discarding remembers what it was told to discard and to populate.
type discarding struct {
	blocksrc.Source
	parts, populated [][]byte
}

func (d *discarding) Populate(part []byte) error {
	d.populated = append(d.populated, part)
	return nil
}

func (d *discarding) Discard(part []byte) error {
	d.parts = append(d.parts, part)
	return nil
}

func TestCombinatorsDiscardAtTheOwner(t *testing.T) {
	first, second := &discarding{Source: buffer(1024)}, &discarding{Source: heap()}
	third := plain{heap()}
	src := blocksrc.Limit(blocksrc.Fallback(blocksrc.Limit(first, 1024), blocksrc.Limit(second, 2048), third), 1<<20)
	a, err := src.Acquire(1000, 0)
	require.NoError(t, err)
	b, err := src.Acquire(2000, 0)
	require.NoError(t, err)
	c, err := src.Acquire(3000, 0)
	require.NoError(t, err)

	require.NoError(t, blocksrc.Discard(src, a[10:20]))
	require.NoError(t, blocksrc.Discard(src, b[1000:]))
	require.ErrorIs(t, blocksrc.Discard(src, c), errors.ErrUnsupported)
	require.NoError(t, blocksrc.Discard(src, nil))
	require.NoError(t, blocksrc.Discard(src, c[5:5]))
	require.ErrorIs(t, blocksrc.Discard(src, make([]byte, 10)), blocksrc.ErrNotHeld)
	require.NoError(t, blocksrc.Populate(src, a[10:20]))
	require.NoError(t, blocksrc.Populate(src, b[1000:]))
	require.ErrorIs(t, blocksrc.Populate(src, c), errors.ErrUnsupported)
	require.NoError(t, blocksrc.Populate(src, nil))
	require.ErrorIs(t, blocksrc.Populate(src, make([]byte, 10)), blocksrc.ErrNotHeld)
	require.NoError(t, src.Release(a))
	require.ErrorIs(t, blocksrc.Discard(src, a), blocksrc.ErrNotHeld)
	require.ErrorIs(t, blocksrc.Populate(src, a), blocksrc.ErrNotHeld)
	require.Equal(t, first.parts, first.populated)
	require.Equal(t, second.parts, second.populated)
	require.Len(t, first.parts, 1)
	require.Len(t, second.parts, 1)
	assert.Len(t, first.parts[0], 10)
	assert.Equal(t, blocksrc.Address(b[1000:]), blocksrc.Address(second.parts[0]))
}

func TestCombinatorsForwardWhatIsTrue(t *testing.T) {
	type both = interface {
		blocksrc.Granular
		blocksrc.Zeroer
	}
	for _, tt := range []struct {
		name   string
		src    blocksrc.Source
		grain  int
		zeroed bool
	}{
		{"limit of heap", blocksrc.Limit(heap(), 1), 64, true},
		{"limit of buffer", blocksrc.Limit(buffer(9), 1), 16, false},
		{"limit of plain", blocksrc.Limit(plain{heap()}, 1), 1, false},
		{"fallback of heaps", blocksrc.Fallback(heap(), heap()), 64, true},
		{"fallback, smallest first", blocksrc.Fallback(buffer(9), heap()), 16, false},
		{"fallback, smallest last", blocksrc.Fallback(heap(), buffer(9)), 16, false},
		{"fallback to plain", blocksrc.Fallback(heap(), plain{heap()}), 1, false},
		{"fallback of limits", blocksrc.Fallback(blocksrc.Limit(heap(), 1)), 64, true},
		{"fallback of nothing", blocksrc.Fallback(), 1, true},
	} {
		src := tt.src.(both)
		assert.Equal(t, tt.grain, src.Granularity(), tt.name)
		assert.Equal(t, tt.zeroed, src.Zeroed(), tt.name)
	}
}

func TestFallbackIsSetUpOnce(t *testing.T) {
	srcs := []blocksrc.Source{buffer(64), heap()}
	src := blocksrc.Fallback(srcs...)
	srcs[1] = nil
	_, err := src.Acquire(1000, 0)
	assert.NoError(t, err)
	assert.PanicsWithValue(t, "blocksrc: Fallback: source 1 is nil", func() { blocksrc.Fallback(heap(), nil) })
	assert.PanicsWithValue(t, "blocksrc: Fallback: source 0 is nil", func() { blocksrc.Fallback(nil, heap()) })
}

// A block that could not be released still belongs to its owner, whichever that is.
func TestFallbackRemembersTheOwnerOfWhatIsStuck(t *testing.T) {
	first := &blocksrctest.Counting{Source: buffer(64)}
	second := &blocksrctest.Counting{Source: heap()}
	src := blocksrc.Fallback(first, &blocksrctest.Failing{Source: second, On: blocksrctest.Releases, At: 1})
	block, err := src.Acquire(1000, 0)
	require.NoError(t, err)
	require.ErrorIs(t, src.Release(block), blocksrctest.ErrInjected)
	require.NoError(t, src.Release(block))
	assert.NoError(t, first.Misuse())
	assert.NoError(t, second.Leaks())
}

// TestFallbackBeyondTheLast: the first source may have room later, though the last never will.
func TestFallbackBeyondTheLast(t *testing.T) {
	src := blocksrc.Fallback(blocksrc.Limit(heap(), 2048), buffer(1024))
	block, err := src.Acquire(1536, 0)
	require.NoError(t, err)
	_, err = src.Acquire(1536, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.NotErrorIs(t, err, blocksrc.ErrInvalid)
	require.NoError(t, src.Release(block))
}
