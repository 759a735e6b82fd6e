//go:build !tinygo

package slab_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// BenchmarkBudget is a cache of values of 8 to 407 bytes that lives within a budget, on Go's
// heap: the oldest value goes whenever one is refused. Counted is the same cache if it lets the
// oldest go before it needs the memory, so that nothing is refused: that is the limit. What a
// refusal costs must not grow with the budget. (Before the empty slabs were counted, it took
// 160 µs with 512 MiB.)
func BenchmarkBudget(b *testing.B) {
	for _, budget := range []int{16 << 20, 256 << 20} {
		for _, counted := range []bool{false, true} {
			b.Run(fmt.Sprintf("MiB=%d/counted=%t", budget>>20, counted), func(b *testing.B) {
				a, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), budget)})
				require.NoError(b, err)
				defer a.Close()
				rng := rand.New(rand.NewPCG(1, 2))
				values := make([][]byte, 1<<21) // a ring
				first, next := 0, 0
				drop := func() {
					i := first & (len(values) - 1)
					a.Free(values[i])
					values[i] = nil
					first++
				}
				most := budget - budget/16
				put := func() {
					size := 8 + rng.IntN(400)
					for counted && a.Stats().Live+512 > most && first < next {
						drop()
					}
					v, err := a.AllocUninitialized(size, 1)
					for errors.Is(err, slab.ErrExhausted) && first < next {
						drop()
						v, err = a.AllocUninitialized(size, 1)
					}
					if err != nil {
						b.Fatal(err)
					}
					values[next&(len(values)-1)] = v
					next++
				}
				for first == 0 {
					put()
				}
				before := a.Stats().Failures
				for b.Loop() {
					put()
				}
				b.ReportMetric(float64(a.Stats().Failures-before)/float64(b.N), "refusals/op")
			})
		}
	}
}
