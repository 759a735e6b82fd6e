package arena_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// A slot that the loop retires before its turn is not visited, however far ahead it is.
func TestRetiringAheadOfALoop(t *testing.T) {
	for _, loop := range loops {
		a := newArena[uint64](t, nil)
		hs := arena.Must(a.InsertN(make([]uint64, 256), nil))
		a.Remove(hs[70]) // so that the first run of Chunks is short
		h := arena.SetGeneration(a, hs[200], arena.LastGeneration)
		retired, _ := a.Get(h)
		first, n := true, 0
		loop(a, func(p *uint64) {
			if first {
				require.True(t, a.Remove(h))
				require.Equal(t, 1, a.Stats().Retired)
			}
			first = false
			require.True(t, p != retired)
			n++
		})
		require.Equal(t, 254, n)
	}
}
