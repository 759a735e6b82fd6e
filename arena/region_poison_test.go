//go:build slabcheck

package arena_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// A region fills what it frees, in every chunk, and does not touch what stays. What is made
// there next is zero.
func TestRegionPoisonsWhatItFrees(t *testing.T) {
	r := arena.Must(arena.NewRegion(nil))
	defer func() { require.NoError(t, r.Close()) }()
	full := func(n int) []byte {
		b := arena.Must(arena.MakeSlice[byte](r, n))
		for i, was := range b {
			require.Zero(t, was)
			b[i] = 7
		}
		return b
	}
	is := func(want byte, bs ...[]byte) {
		t.Helper()
		for _, b := range bs {
			for i := range b {
				if b[i] != want {
					assert.Equal(t, want, b[i], "byte %d of %d", i, len(b))
					return
				}
			}
		}
	}
	for range 3 {
		kept := full(100)
		mark := r.Mark()
		near, far, last := full(1000), full(5000), full(50_000)
		r.Rewind(mark)
		is(7, kept)
		is(0xDF, near, far, last)
		again := full(1000)
		r.Reset()
		is(0xDF, kept, again)
		r.Reset()
	}
	big := full(100_000)
	r.Reset()
	is(0xDF, big)
}
