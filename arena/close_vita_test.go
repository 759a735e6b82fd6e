//go:build vita

package arena_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// If a region or arena has an allocator of its own, Close returns the allocator's error and a
// second Close tries again. (Only with this tag can a test choose the default source.)
func TestCloseOfAStubbornDefault(t *testing.T) {
	before := blocksrc.Default()
	defer blocksrc.SetDefault(before)
	for name, use := range map[string]func() (closing func() error){
		"Region": func() func() error {
			r := arena.Must(arena.NewRegion(nil))
			arena.Must(arena.Make[uint64](r))
			return r.Close
		},
		"Arena": func() func() error {
			a := new(arena.Arena[uint64])
			arena.Must(a.Alloc())
			return a.Close
		},
	} {
		counting := &blocksrctest.Counting{Source: new(blocksrc.GoHeap)}
		failing := &blocksrctest.Failing{Source: counting, On: blocksrctest.Releases}
		blocksrc.SetDefault(failing)
		closing := use()
		failing.Arm(1)
		require.ErrorIs(t, closing(), blocksrctest.ErrInjected, name)
		require.Error(t, counting.Leaks(), name)
		require.NoError(t, closing(), name)
		assert.NoError(t, counting.Leaks(), name)
		assert.NoError(t, counting.Misuse(), name)
	}
}
