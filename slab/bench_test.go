package slab_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// The benchmarks follow workloads of the field: larson (mimalloc-bench), glibc's
// inverse-square sizes, hysteresis at a block's edge. Names are impl=/live= for
// benchstat -col /impl. Ratios within one run are what counts.

type random uint64

func (r *random) next() uint32 {
	x := uint64(*r)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = random(x)
	return uint32(x >> 32)
}

func (r *random) below(n int) int { return int(uint64(r.next()) * uint64(n) >> 32) }

var lives = []int{1_000, 50_000, 1_000_000}

// BenchmarkLarson replaces a random live allocation by one of 8 to 999 bytes and writes the
// first and last byte of that. The limit is free lists by hand, one for each 64 bytes of size,
// that check and count nothing. Touch is what this takes without an allocator: one freed piece
// is used again and again, whatever its size.
func BenchmarkLarson(b *testing.B) {
	run := func(b *testing.B, live int, alloc func(n int) []byte, free func([]byte)) {
		at := make([][]byte, live)
		r := random(1)
		replace := func(k int) {
			if at[k] != nil {
				free(at[k])
			}
			n := 8 + r.below(992)
			p := alloc(n)
			p[0], p[n-1] = 1, 1
			at[k] = p
		}
		for k := range at {
			replace(k)
		}
		for range 2 * live { // to the steady state
			replace(r.below(live))
		}
		b.ResetTimer()
		for range b.N {
			replace(r.below(live))
		}
	}
	for _, live := range lives {
		for _, c := range []struct {
			impl string
			src  blocksrc.Source
			fast bool
		}{
			{"slab", nil, false},
			{"slab-uninitialized", nil, true},
			{"slab-uninitialized-huge-pages", blocksrc.Mmap{HugePages: true}, true},
		} {
			b.Run(fmt.Sprintf("impl=%s/live=%d", c.impl, live), func(b *testing.B) {
				a, err := slab.New(slab.Config{Source: c.src})
				require.NoError(b, err)
				defer a.Close()
				alloc := a.Alloc
				if c.fast {
					alloc = a.AllocUninitialized
				}
				run(b, live, func(n int) []byte {
					p, err := alloc(n, 8)
					if err != nil {
						b.Fatal(err)
					}
					return p
				}, a.Free)
			})
		}
		b.Run(fmt.Sprintf("impl=limit/live=%d", live), func(b *testing.B) {
			const step = 64
			var free [1000/step + 1][][]byte
			var room []byte
			run(b, live, func(n int) []byte {
				list := &free[(n-1)/step]
				if k := len(*list) - 1; k >= 0 {
					p := (*list)[k][:n]
					*list = (*list)[:k]
					return p
				}
				size := ((n-1)/step + 1) * step
				if len(room) < size {
					room = make([]byte, 1<<20)
				}
				p := room[:n:size]
				room = room[size:]
				return p
			}, func(p []byte) {
				list := &free[(cap(p)-1)/step]
				*list = append(*list, p)
			})
		})
		b.Run(fmt.Sprintf("impl=touch/live=%d", live), func(b *testing.B) {
			const mean = 504
			room, next := make([]byte, live*mean+1000), 0
			var freed []byte
			run(b, live, func(int) []byte {
				if freed != nil {
					return freed
				}
				next += mean
				return room[next-mean:]
			}, func(p []byte) { freed = p })
		})
		b.Run(fmt.Sprintf("impl=make/live=%d", live), func(b *testing.B) {
			run(b, live, func(n int) []byte { return make([]byte, n) }, func([]byte) {})
		})
	}
}

// BenchmarkRow makes allocations of one size and then frees them, in the order in which they were
// made, again and again. The limit is a free list by hand.
func BenchmarkRow(b *testing.B) {
	for _, n := range []int{200, 10_000} {
		for _, size := range []int{16, 512} {
			run := func(impl string, alloc func() []byte, free func([]byte)) {
				b.Run(fmt.Sprintf("impl=%s/n=%d/size=%d", impl, n, size), func(b *testing.B) {
					at := make([][]byte, n)
					for k := 0; k < b.N; k += n {
						for i := range at {
							at[i] = alloc()
						}
						for _, p := range at {
							free(p)
						}
					}
				})
			}
			a, err := slab.New(slab.Config{})
			require.NoError(b, err)
			run("slab-uninitialized", func() []byte {
				p, err := a.AllocUninitialized(size, 8)
				if err != nil {
					b.Fatal(err)
				}
				return p
			}, a.Free)
			require.NoError(b, a.Close())
			var list [][]byte
			run("limit", func() []byte {
				if k := len(list) - 1; k >= 0 {
					p := list[k]
					list = list[:k]
					return p
				}
				return make([]byte, size)
			}, func(p []byte) { list = append(list, p) })
			run("make", func() []byte { return make([]byte, size) }, func([]byte) {})
		}
	}
}

// BenchmarkHeld reports the bytes held, records included, for each byte that was
// asked for: inverse-square sizes at 64 MiB live, after each was replaced twice.
func BenchmarkHeld(b *testing.B) {
	b.Run("impl=slab/sizes=inverse-square/live=64MiB", func(b *testing.B) {
		for range b.N {
			a, err := slab.New(slab.Config{})
			require.NoError(b, err)
			r := rand.New(rand.NewPCG(1, 1))
			var at [][]byte
			asked := 0
			for asked < 64<<20 {
				n := inverseSquare(r, 4, 32768)
				p, err := a.AllocUninitialized(n, 1)
				require.NoError(b, err)
				at = append(at, p)
				asked += n
			}
			for range 2 * len(at) {
				k := r.IntN(len(at))
				n := inverseSquare(r, 4, 32768)
				asked += n - len(at[k])
				a.Free(at[k])
				p, err := a.AllocUninitialized(n, 1)
				require.NoError(b, err)
				at[k] = p
			}
			b.ReportMetric(float64(a.Stats().Held)/float64(asked), "held/live")
			require.NoError(b, a.Close())
		}
	})
}

// BenchmarkScratch makes a few buffers and frees them all, which is one op. The limit is the same
// with one more of the class live. After a peak, one in twenty of 200 000 objects stays.
func BenchmarkScratch(b *testing.B) {
	for _, c := range []struct {
		impl             string
		size, k, live, n int
	}{
		{"slab", 1000, 10, 0, 0}, {"limit", 1000, 10, 1, 0},
		{"slab-after-peak", 100, 1, 0, 200_000}, {"limit-after-peak", 100, 1, 1, 200_000},
	} {
		b.Run(fmt.Sprintf("impl=%s/size=%d/buffers=%d", c.impl, c.size, c.k), func(b *testing.B) {
			a, err := slab.New(slab.Config{})
			require.NoError(b, err)
			peak := make([][]byte, c.n)
			for i := range peak {
				peak[i] = granted(b, a, 64, 8)
			}
			thin(a, peak, 20)
			for range c.live {
				granted(b, a, c.size, 8)
			}
			some := make([][]byte, c.k)
			for b.Loop() {
				for i := range some {
					some[i], err = a.AllocUninitialized(c.size, 8)
				}
				freeAll(a, some)
			}
			require.NoError(b, err)
			require.NoError(b, a.Close())
		})
	}
}

// BenchmarkRefused makes requests that there is no memory for, as does a cache that frees
// what it can spare only when it is refused.
func BenchmarkRefused(b *testing.B) {
	for _, size := range []int{40, 4000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			src := blocksrc.Fallback(blocksrc.NewBuffer(make([]byte, 1<<20)), blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
			a, err := slab.New(slab.Config{Source: src})
			require.NoError(b, err)
			p, err := slab.NewPool(a, size, 8)
			require.NoError(b, err)
			for err == nil {
				_, err = p.Alloc()
			}
			b.ReportAllocs()
			before := a.Stats().Refused
			for b.Loop() {
				_, err = p.Alloc()
			}
			require.ErrorIs(b, err, slab.ErrExhausted)
			b.ReportMetric(float64(a.Stats().Refused-before)/float64(b.N), "refusals/op")
			require.NoError(b, a.Close())
		})
	}
}

// BenchmarkFullHeap fills a budget of 8 MiB, frees a tenth of the objects, and then replaces
// random ones by others of up to 4 KB. It reports what is live at the end and how many requests
// were refused, with records that may lodge and with records that may not.
func BenchmarkFullHeap(b *testing.B) {
	for _, lodge := range []bool{true, false} {
		b.Run(fmt.Sprintf("records-lodge=%v", lodge), func(b *testing.B) {
			live, refused := 0, 0
			for range b.N {
				cfg := slab.Config{Source: blocksrc.NewBuffer(make([]byte, 8<<20))}
				if !lodge {
					cfg.MetaSource = cfg.Source
				}
				a, err := slab.New(cfg)
				require.NoError(b, err)
				r := rand.New(rand.NewPCG(1, 2))
				alloc := func() ([]byte, error) { return a.AllocUninitialized(8+r.IntN(8+r.IntN(4000)), 1) }
				var at [][]byte
				for p, err := alloc(); err == nil; p, err = alloc() {
					at = append(at, p)
				}
				for k := 0; k < len(at); k += 9 {
					a.Free(at[k])
					at = slices.Delete(at, k, k+1)
				}
				for range 300_000 {
					k := r.IntN(len(at))
					a.Free(at[k])
					if at[k], err = alloc(); err != nil {
						refused++
						at = slices.Delete(at, k, k+1)
					}
				}
				live += a.Stats().Live
				require.NoError(b, a.Close())
			}
			b.ReportMetric(100*float64(live)/float64(b.N)/(8<<20), "%live")
			b.ReportMetric(float64(refused)/float64(b.N), "refused")
		})
	}
}
