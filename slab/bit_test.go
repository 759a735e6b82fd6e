package slab_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// TestBits: a bit that is accessed in half of a word is the same bit of the whole word,
// in either byte order.
func TestBits(t *testing.T) {
	all := [3]uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64}
	for i := range uint32(3 * 64) {
		var words, want [3]uint64
		want[i/64] = 1 << (i % 64)
		for j := range uint32(3 * 64) {
			require.False(t, slab.HasBit(&words[0], j))
		}
		slab.SetBit(&words[0], i)
		require.Equal(t, want, words, "bit %d", i)
		for j := range uint32(3 * 64) {
			require.Equal(t, j == i, slab.HasBit(&words[0], j), "bit %d where %d is set", j, i)
		}
		assert.False(t, slab.None(words[i/64]), "bit %d", i)

		words, want = all, all
		want[i/64] &^= 1 << (i % 64)
		slab.ClearBit(&words[0], i)
		require.Equal(t, want, words, "all but bit %d", i)
		slab.SetBit(&words[0], i)
		slab.SetBit(&words[0], i)
		require.Equal(t, all, words, "bit %d", i)
	}
	assert.True(t, slab.None(0))
}
