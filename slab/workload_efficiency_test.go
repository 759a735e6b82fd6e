//go:build !tinygo

// After all other tests TinyGo's heap has no 16 MiB in one piece.

package slab_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// W15: how much of a fixed heap is in use when the first request fails. The program is that of
// talc's benchmark, which publishes these figures for a heap of 128 MiB: dlmalloc 97.7 %, rlsf
// 97.3, talc 95.2, galloc 81.5, a buddy allocator 58.9. Those have 16 bytes of alignment and
// one block. Here records, slabs and what blocks leave over come from the same heap, unless it
// says otherwise. The figure depends on the size of the heap: what is lost is about one object,
// and a large heap has more objects.

// efficientHeap is what the program runs on.
type efficientHeap[B any] interface {
	alloc(size, align int) (B, bool)
	realloc(b B, size int) (B, bool)
	free(b B)
}

// efficientObject is not local to efficiency: TinyGo takes the local types of all
// instances of a generic function for one.
type efficientObject[B any] struct {
	b    B
	size int
}

// efficiency runs the program until a request fails, and returns the bytes that
// were asked for and are live.
func efficiency[B any](h efficientHeap[B], r *rand.Rand) (used int) {
	var live []efficientObject[B]
	for {
		switch action := r.IntN(10); {
		case action < 5:
			size := 4 + r.IntN(12+r.IntN(10_000-16))
			align := 8 << (bits.TrailingZeros32(r.Uint32()|1<<16) / 2)
			b, ok := h.alloc(size, align)
			if !ok {
				return used
			}
			live = append(live, efficientObject[B]{b, size})
			used += size
		case len(live) == 0:
		case action == 5:
			i := r.IntN(len(live))
			h.free(live[i].b)
			used -= live[i].size
			live = slices.Delete(live, i, i+1)
		default:
			o := &live[r.IntN(len(live))]
			size := 1 + r.IntN(99_999)
			b, ok := h.realloc(o.b, size)
			if !ok {
				return used
			}
			used += size - o.size
			o.b, o.size = b, size
		}
	}
}

type allocatorHeap struct{ *slab.Allocator }

func (h allocatorHeap) alloc(size, align int) ([]byte, bool) {
	b, err := h.AllocUninitialized(size, align)
	return b, err == nil
}

func (h allocatorHeap) realloc(b []byte, size int) ([]byte, bool) {
	b, err := h.Realloc(b, size)
	return b, err == nil
}

func (h allocatorHeap) free(b []byte) { h.Free(b) }

// allocatorEfficiency returns the average over that many rounds, in percent.
func allocatorEfficiency(t testing.TB, cfg slab.Config, mem []byte, rounds int) float64 {
	t.Helper()
	sum := 0.0
	for round := range rounds {
		cfg.Source = blocksrc.NewBuffer(mem)
		a, err := slab.New(cfg)
		require.NoError(t, err)
		a.PauseChecks()
		sum += float64(efficiency[[]byte](allocatorHeap{a}, rand.New(rand.NewPCG(15, uint64(round)))))
		if round == 0 {
			require.NoError(t, a.Check())
		}
		require.NoError(t, a.Close())
	}
	return 100 * sum / float64(rounds) / float64(len(mem))
}

// bestFit is the allocator to beat: it looks at every hole, takes the smallest that will do,
// and keeps its records elsewhere. An object is identified by its offset.
type bestFit struct {
	holes []extent // by offset
	live  map[int]bestFitObject
}

type extent struct{ off, size int }

type bestFitObject struct{ size, align int }

func newBestFit(size int) *bestFit {
	return &bestFit{holes: []extent{{0, size}}, live: map[int]bestFitObject{}}
}

func (h *bestFit) alloc(size, align int) (int, bool) {
	n := (size + 15) &^ 15
	best, at := -1, 0
	for i, x := range h.holes {
		start := (x.off + align - 1) &^ (align - 1)
		if start+n <= x.off+x.size && (best < 0 || x.size < h.holes[best].size) {
			best, at = i, start
		}
	}
	if best < 0 {
		return 0, false
	}
	x := h.holes[best]
	var rest []extent
	if at > x.off {
		rest = append(rest, extent{x.off, at - x.off})
	}
	if end := x.off + x.size; at+n < end {
		rest = append(rest, extent{at + n, end - at - n})
	}
	h.holes = slices.Replace(h.holes, best, best+1, rest...)
	h.live[at] = bestFitObject{n, align}
	return at, true
}

func (h *bestFit) free(at int) {
	h.release(extent{at, h.live[at].size})
	delete(h.live, at)
}

func (h *bestFit) release(x extent) {
	i, _ := slices.BinarySearchFunc(h.holes, x.off, func(y extent, off int) int { return y.off - off })
	to := i
	if i < len(h.holes) && h.holes[i].off == x.off+x.size {
		x.size += h.holes[i].size
		to++
	}
	if i > 0 && h.holes[i-1].off+h.holes[i-1].size == x.off {
		i--
		x = extent{h.holes[i].off, h.holes[i].size + x.size}
	}
	h.holes = slices.Replace(h.holes, i, to, x)
}

func (h *bestFit) realloc(at, size int) (int, bool) {
	o := h.live[at]
	n := (size + 15) &^ 15
	i, _ := slices.BinarySearchFunc(h.holes, at, func(y extent, off int) int { return y.off - off })
	switch {
	case n < o.size:
		h.release(extent{at + n, o.size - n})
	case n == o.size:
	case i < len(h.holes) && h.holes[i].off == at+o.size && h.holes[i].size >= n-o.size:
		if x := &h.holes[i]; x.size == n-o.size {
			h.holes = slices.Delete(h.holes, i, i+1)
		} else {
			x.off, x.size = x.off+n-o.size, x.size-n+o.size
		}
	default:
		to, ok := h.alloc(size, o.align)
		if ok {
			h.free(at)
		}
		return to, ok
	}
	h.live[at] = bestFitObject{n, o.align}
	return at, true
}

// efficientConfig is for a fixed heap of size bytes that one allocator has for itself: one
// block, apart from the first block of records.
func efficientConfig(size int) slab.Config {
	return slab.Config{BlockSize: size - 32<<10, MaxBlockSize: size, LargeSize: size}
}

func TestW15_HeapEfficiency(t *testing.T) {
	const small, large = 16 << 20, 128 << 20
	rounds, oracle, big, least, elsewhere := 300, 30, 10, 96.0, 96.0
	if slow() {
		rounds, oracle, big, least, elsewhere = 10, 5, 0, 94.5, 95.0
	}
	mem := make([]byte, small)
	sum := 0.0
	for round := range oracle {
		sum += float64(efficiency[int](newBestFit(small), rand.New(rand.NewPCG(15, uint64(round)))))
	}
	ideal := 100 * sum / float64(oracle) / small
	t.Logf("16 MiB: %.2f %% with best fit and records elsewhere", ideal)

	const k = 1 << 10
	for _, c := range []struct {
		name string
		cfg  slab.Config
	}{
		{"defaults", slab.Config{}},
		{"blocks of 64 KiB, nothing large", slab.Config{BlockSize: 64 * k, MaxBlockSize: 64 * k, LargeSize: 64 * k}},
		{"blocks of 256 KiB, nothing large", slab.Config{BlockSize: 256 * k, MaxBlockSize: 256 * k, LargeSize: 256 * k}},
		{"blocks of 1 MiB, nothing large", slab.Config{BlockSize: 1024 * k, MaxBlockSize: 1024 * k, LargeSize: 1024 * k}},
		{"blocks of 4 MiB, nothing large", slab.Config{BlockSize: 4096 * k, MaxBlockSize: 4096 * k, LargeSize: 4096 * k}},
		{"blocks from 64 KiB, doubling, nothing large", slab.Config{MaxBlockSize: small, LargeSize: small}},
		{"blocks of 4 KiB, all else is large", slab.Config{BlockSize: 4 * k, MaxBlockSize: 4 * k, LargeSize: k + 1}},
		{"blocks of 16 KiB, large from 4 KiB", slab.Config{BlockSize: 16 * k, MaxBlockSize: 16 * k, LargeSize: 4 * k}},
		{"blocks of 64 KiB, large from 8 KiB", slab.Config{BlockSize: 64 * k, MaxBlockSize: 64 * k, LargeSize: 8 * k}},
	} {
		t.Logf("16 MiB: %.2f %% with %s", allocatorEfficiency(t, c.cfg, mem, max(5, rounds/10)), c.name)
	}
	got := allocatorEfficiency(t, efficientConfig(small), mem, rounds)
	t.Logf("16 MiB: %.2f %% with one block", got)
	assert.Greater(t, got, least, "records in it take 0.3 %%")
	got = allocatorEfficiency(t, slab.Config{BlockSize: small, MaxBlockSize: small, LargeSize: small, MetaSource: &blocksrc.GoHeap{}}, mem, rounds)
	t.Logf("16 MiB: %.2f %% with one block and records elsewhere", got)
	assert.Greater(t, got, elsewhere)
	if big > 0 {
		got := allocatorEfficiency(t, efficientConfig(large), make([]byte, large), big)
		t.Logf("128 MiB: %.2f %% with one block", got)
		assert.Greater(t, got, 98.0)
	}
}
