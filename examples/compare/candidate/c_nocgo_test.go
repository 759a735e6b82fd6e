//go:build !cgo || !linux

package candidate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Without cgo the allocators of C are in the tables, with the reason.
func TestCWithoutCgo(t *testing.T) {
	var names []string
	for _, c := range bench.Candidates() {
		if c.Family != bench.C {
			continue
		}
		names = append(names, c.Name)
		require.NoError(t, c.Check())
		reason := c.Missing()
		require.Contains(t, []string{"built without cgo", "shared libraries of C are looked up on Linux only"}, reason)
		for _, k := range bench.Kinds {
			require.False(t, c.Has(k))
			require.Equal(t, reason, c.Why(k))
		}
	}
	require.Equal(t, []string{"malloc", "mimalloc", "jemalloc"}, names)
}
