package candidate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Query moves both X and Y; sums, which are of X only, do not show that.
func TestQueryMovesAllOfIt(t *testing.T) {
	const n = 10
	single, batch, d := &arkECS{}, &arkBatchECS{}, &donburiECS{}
	handles, chunks := &arenaECS{}, &arenaBatchECS{}
	of := func(w *arenaECS) func(i int) bench.Position {
		return func(i int) bench.Position {
			e, ok := w.moving.Get(w.names[i])
			require.True(t, ok)
			return e.Position
		}
	}
	for name, c := range map[string]struct {
		k  bench.ECS
		at func(i int) bench.Position
	}{
		"arena handles": {handles, of(handles)},
		"arena batch":   {chunks, of(&chunks.arenaECS)},

		"ark":       {single, func(i int) bench.Position { return *single.pos.Get(single.names[i]) }},
		"ark batch": {batch, func(i int) bench.Position { return *batch.pos.Get(batch.names[i]) }},
		"donburi":   {d, func(i int) bench.Position { return *donburiPosition.Get(d.world.Entry(d.names[i])) }},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.k.Open(n))
			require.NoError(t, c.k.Create())
			require.Equal(t, n, c.k.Query())
			for i := range n {
				require.Equal(t, bench.Position{X: float64(i) + 1, Y: float64(i) + 2}, c.at(i))
			}
			require.NoError(t, c.k.Close())
		})
	}
}
