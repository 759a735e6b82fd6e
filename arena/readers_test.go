//go:build !tinygo

// TinyGo's threads and locks are not what is tested.

package arena_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Any number of goroutines may call Get and Len while none does anything else. The blocks are
// from the Go heap, so the race detector sees what Get reads.
func TestReaders(t *testing.T) {
	on, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	a, err := arena.New[[4]int](on)
	require.NoError(t, err)
	const n = 1000
	hs := make([]arena.Handle[[4]int], n)
	for i := range hs {
		hs[i] = arena.Must(a.Insert([4]int{0: i}))
	}
	var mu sync.RWMutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 20 * n {
				mu.RLock()
				if p, ok := a.Get(hs[i%n]); !ok || p[0] != i%n || a.Len() != n {
					t.Errorf("%d: %v, %v of %d", i, p, ok, a.Len())
				}
				mu.RUnlock()
			}
		})
	}
	all.Go(func() {
		for i := range n {
			mu.Lock()
			a.Remove(hs[i])
			hs[i] = arena.Must(a.Insert([4]int{0: i}))
			if i%10 == 0 {
				p, _ := a.Get(hs[i])
				a.Owns(p)
				a.Handle(p)
			}
			mu.Unlock()
		}
	})
	all.Wait()
	require.NoError(t, on.Close())
}
