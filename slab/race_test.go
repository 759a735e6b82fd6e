package slab_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Allocators on sources of their own share nothing: each may be another goroutine's. (The mutex
// of a source that they share would hide from the race detector what they do to each other.)
func TestAllocatorsShareNothing(t *testing.T) {
	var both sync.WaitGroup
	for range 2 {
		a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 256<<10)})
		require.NoError(t, err)
		p, err := slab.NewPool(a, 24, 8)
		require.NoError(t, err)
		both.Go(func() {
			var live [][]byte
			for size := 1; ; size = size%3000 + 7 {
				b, err := a.Alloc(size, 1)
				if err != nil {
					break // which tries every way out
				}
				live = append(live, b)
			}
			for _, b := range live[len(live)/2:] {
				a.Free(b)
			}
			_, _, err := p.Insert()
			assert.NoError(t, err)
			a.Trim()
			a.Reset()
			assert.NoError(t, a.Check())
			assert.NoError(t, a.Close())
		})
	}
	both.Wait()
}
