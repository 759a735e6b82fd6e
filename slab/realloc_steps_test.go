package slab_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A buffer that grows step by step, as bytes that come from a network do.

// TestReallocInSteps: a buffer moves for each quarter that it grows, not for each step, also if
// another one grows beside it.
func TestReallocInSteps(t *testing.T) {
	for _, buffers := range []int{1, 2} {
		a := onGoHeap(t, slab.Config{MaxBlockSize: 256 << 10})
		a.PauseChecks()
		grown, moves := make([][]byte, buffers), 0
		for i := range grown {
			grown[i] = granted(t, a, 140_000, 1)
		}
		for size := 140_000; size < 2_800_000; size += 8000 {
			for i, b := range grown {
				to, err := a.Realloc(b, size)
				require.NoError(t, err)
				require.Len(t, to, size)
				require.LessOrEqual(t, cap(to), size+size/4+4096)
				if startOf(to) != startOf(b) {
					moves++
				}
				grown[i] = to
			}
		}
		t.Logf("%d buffers: %d moves", buffers, moves)
		assert.LessOrEqual(t, moves, 15*buffers, "1.25 to the 14th power is 22")
		require.NoError(t, a.Check())
		freeAll(a, grown)
	}
}

// TestReallocInStepsOnABudget: where there is no room for a quarter more, there may be for what was
// asked for, and nothing was refused.
func TestReallocInStepsOnABudget(t *testing.T) {
	const from, to = 600_000, 620_000
	refuse := false
	a := onGoHeap(t, slab.Config{Source: refusing(blocksrc.Limit(new(blocksrc.GoHeap), 1300_000), &refuse)})
	a.PauseChecks()
	b := granted(t, a, from, 1)
	copy(b, bytes.Repeat([]byte{7}, from))
	b, err := a.Realloc(b, to)
	require.NoError(t, err)
	require.True(t, bytes.Equal(bytes.Repeat([]byte{7}, from), b[:from]))
	require.Zero(t, bytes.Compare(b[from:], make([]byte, to-from)))
	require.Zero(t, a.Stats().Failures)
	_, err = a.Realloc(b, 2*to)
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Equal(t, uint64(1), a.Stats().Failures)
	a.Free(b)

	b = granted(t, a, 150_000, 1)
	refuse = true
	_, err = a.Alloc(2000, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	refuse = false
	b, err = a.Realloc(b, 151_000)
	require.NoError(t, err)
	require.Less(t, cap(b), 152_000, "what there is may be the last")
	a.Free(b)
}

// BenchmarkRealloc grows a buffer step by step; one op is a step. The limit is append.
func BenchmarkRealloc(b *testing.B) {
	for _, c := range []struct{ from, to, step int }{{150_000, 500_000, 1000}, {600_000, 4_000_000, 4000}} {
		name := fmt.Sprintf("from=%d/to=%d/step=%d", c.from, c.to, c.step)
		b.Run("impl=realloc/"+name, func(b *testing.B) {
			a, err := slab.New(slab.Config{})
			require.NoError(b, err)
			var buf []byte
			for b.Loop() {
				if len(buf) > c.to {
					a.Free(buf)
					buf = nil
				}
				buf, err = a.Realloc(buf, max(c.from, len(buf)+c.step))
			}
			require.NoError(b, err)
			require.NoError(b, a.Close())
		})
		b.Run("impl=append/"+name, func(b *testing.B) {
			var buf []byte
			step := make([]byte, c.step)
			for b.Loop() {
				if buf == nil || len(buf) > c.to {
					buf = make([]byte, c.from)
				}
				buf = append(buf, step...)
			}
		})
	}
}
