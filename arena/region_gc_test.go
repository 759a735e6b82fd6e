//go:build !tinygo

// TinyGo has no weak pointers.

package arena_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
)

// The allocator keeps no pointer to a closed region.
func TestAllocatorForgetsAClosedRegion(t *testing.T) {
	a, _ := newAllocator(t, new(blocksrc.GoHeap))
	closed := func() weak.Pointer[arena.Region] {
		r, err := arena.NewRegion(a)
		require.NoError(t, err)
		for range 3 { // several chunks
			arena.Must(arena.MakeSlice[byte](r, 100_000))
		}
		require.NoError(t, r.Close())
		return weak.Make(r)
	}()
	for range 10 {
		runtime.GC()
	}
	assert.Nil(t, closed.Value())
	arena.Must(a.Alloc(1, 1))
	runtime.KeepAlive(a)
}
