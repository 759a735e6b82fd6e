//go:build !tinygo

// TinyGo's testing.B has no clock to read.

package slab_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// faulting, made of Mmaps, is Mmap without Populate.
type faulting struct {
	blocksrc.Source
	blocksrc.Granular
	blocksrc.Zeroer
}

// BenchmarkFresh makes a pool, takes slots of 64 bytes from it, and writes to each: most of the
// time goes to the system, for pages. The limits are one block without an allocator.
func BenchmarkFresh(b *testing.B) {
	const size = 64
	var m blocksrc.Mmap
	for _, n := range []int{10_000, 1_000_000} {
		run := func(impl string, f func()) {
			b.Run(fmt.Sprintf("impl=%s/objects=%d", impl, n), func(b *testing.B) {
				for range b.N {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/object")
			})
		}
		block, err := m.Acquire(n*size, 0)
		if errors.Is(err, errors.ErrUnsupported) {
			b.Skip("no fresh pages here")
			return
		}
		require.NoError(b, err)
		require.NoError(b, m.Release(block))
		for _, c := range []struct {
			impl string
			src  blocksrc.Source
		}{{"pool", m}, {"pool-page-faults", faulting{m, m, m}}} {
			run(c.impl, func() {
				a, err := slab.New(slab.Config{Source: c.src})
				require.NoError(b, err)
				p, err := slab.NewPool(a, size, 8)
				require.NoError(b, err)
				for range n {
					q, err := p.Alloc()
					if err != nil {
						b.Fatal(err)
					}
					*(*uint64)(q) = 1
				}
				require.NoError(b, a.Close())
			})
		}
		for _, populate := range []bool{true, false} {
			impl := "limit-page-faults"
			if populate {
				impl = "limit"
			}
			run(impl, func() {
				block, err := m.Acquire(n*size, 0)
				require.NoError(b, err)
				if populate {
					require.NoError(b, m.Populate(block))
				}
				for k := range n {
					block[k*size] = 1
				}
				require.NoError(b, m.Release(block))
			})
		}
	}
}
