//go:build slabcheck

package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestSourceCallsBack: a build with slabcheck detects a source that calls the allocator, here
// to free something, from within its own Acquire or Release.
func TestSourceCallsBack(t *testing.T) {
	for _, releases := range []bool{false, true} {
		src := &wrapped{Source: new(blocksrc.GoHeap)}
		a, err := slab.New(slab.Config{Source: src, LargeSize: 100_000, Retain: -1})
		require.NoError(t, err)
		small, err := a.Alloc(100, 0)
		require.NoError(t, err)
		large, err := a.Alloc(100_000, 0)
		require.NoError(t, err)
		const says = "slab: a source has called the allocator that it works for"
		if releases {
			src.release = func(src blocksrc.Source, mem []byte) error { a.Free(small); return src.Release(mem) }
			require.PanicsWithValue(t, says, func() { a.Free(large) })
		} else {
			src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
				a.Free(small)
				return src.Acquire(size, align)
			}
			require.PanicsWithValue(t, says, func() { _, _ = a.Alloc(100_000, 0) })
		}
	}
}
