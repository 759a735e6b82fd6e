package slab_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// W17: the second program of J. M. Robson ("Worst case fragmentation of first
// fit and best fit storage allocation strategies", 1977) against the index. It
// keeps one object in each 2^i granules, at the worst place, frees the others,
// and asks for objects of 2^i. No allocator that does not move objects needs
// less than M(log2(n)/2 + 1) - n + 1 for M live and sizes up to n; this one
// needs no more.
func TestW17_RobsonsProgram(t *testing.T) {
	const m = 1 << 14
	for lg := 4; lg <= 10; lg++ {
		n := 1 << lg
		got := robson(t, m, lg)
		want := float64(m)*(float64(lg)/2+1) - float64(n) + 1
		t.Logf("n = %4d: %d granules, %.4f M", n, got, float64(got)/m)
		assert.InDelta(t, want, float64(got), 1, "n = %d", n)
	}
}

// robson returns the end of the highest object that there ever was.
func robson(t *testing.T, m uint32, lg int) (high uint32) {
	x := slab.NewIndex(8 * m)
	var objects []uint32
	live := uint32(0)
	alloc := func(size uint32) {
		i := x.Alloc(size, 1)
		off, got := x.Extent(i)
		if i == 0 || got != size {
			t.Fatalf("chunk %d of %d granules, not of %d", i, got, size)
		}
		high = max(high, off+size)
		objects = append(objects, i)
		live += size
	}
	for range m {
		alloc(1)
	}
	f := uint32(0)
	for i := range lg {
		size := uint32(2) << i
		// covers tells whether object i covers a granule that is f modulo size.
		covers := func(i, f uint32) bool {
			off, n := x.Extent(i)
			return (f-off)&(size-1) < n
		}
		waste := func(f uint32) (sum uint64) {
			for _, i := range objects {
				if covers(i, f) {
					_, n := x.Extent(i)
					sum += uint64(size - n)
				}
			}
			return sum
		}
		if waste(f+size/2) > waste(f) {
			f += size / 2
		}
		objects = slices.DeleteFunc(objects, func(i uint32) bool {
			if covers(i, f) {
				return false
			}
			_, n := x.Extent(i)
			live -= n
			x.Free(i)
			return true
		})
		for live+size <= m {
			alloc(size)
		}
	}
	return high
}

// inverseSquare returns a random size in [lo, hi]. Small ones are much more frequent. These
// are the sizes of W11.
func inverseSquare(r *rand.Rand, lo, hi float64) int {
	return int(1 / (1/lo - r.Float64()*(1/lo-1/hi)))
}

// W16: memory is filled with objects of many sizes, and all but a part are freed at random.
// Trim gives back what is free: everything, if nothing is live.
func TestW16_DrainAndRelease(t *testing.T) {
	total := 64 << 20
	if slow() {
		total = 8 << 20
	}
	for _, w := range []struct {
		name   string
		lo, hi float64
	}{{"sizes 4 to 32768", 4, 32768}, {"sizes 1025 to 32768", 1025, 32768}} {
		a, src := onCounting(t, slab.Config{})
		a.PauseChecks()
		r := rand.New(rand.NewPCG(16, 0))
		var got [][]byte
		for sum := 0; sum < total; {
			b, err := a.AllocUninitialized(inverseSquare(r, w.lo, w.hi), 0)
			require.NoError(t, err)
			got = append(got, b)
			sum += len(b)
		}
		full := a.Stats()
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		done := 0
		for _, percent := range []int{90, 99, 100} {
			n := len(got) * percent / 100
			freeAll(a, got[done:n])
			done = n
			freed := a.Stats()
			a.Trim()
			s := a.Stats()
			require.NoError(t, a.Check())
			t.Logf("%s, %d objects, %3d %% freed: held %.1f MiB, then %.1f, after Trim %.1f: %.1f %% of the bytes and %d of %d blocks are back, live %.1f",
				w.name, len(got), percent, mib(full.Held), mib(freed.Held), mib(s.Held),
				100-100*float64(s.Held)/float64(full.Held), full.Blocks-s.Blocks, full.Blocks, mib(s.Live))
			if percent == 100 {
				assert.LessOrEqual(t, freed.Held-freed.Meta, 2*(2<<20), "what is kept back without Trim")
				assert.Zero(t, s.Held)
				assert.Zero(t, src.Counts().Live)
			}
		}
	}
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

// W16: a program that allocates and frees at the edge of a block or a slab does not keep
// calling the source.
func TestW16_HysteresisAtTheEdge(t *testing.T) {
	pairs := 1_000_000
	if slow() {
		pairs = 20_000
	}
	for _, size := range []int{8, 100, 1024, 1025, 5000} {
		a, src := onCounting(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 256 << 10})
		var got [][]byte
		for a.Stats().Blocks < 6 { // the last allocation was the first in its block
			got = append(got, granted(t, a, size, 0))
		}
		a.PauseChecks()
		edge := got[len(got)-1]
		a.Free(edge)
		before := src.Counts()
		for range pairs {
			b, err := a.AllocUninitialized(size, 0)
			if err != nil {
				t.Fatal(err)
			}
			a.Free(b)
		}
		after := src.Counts()
		assert.LessOrEqual(t, after.Acquires-before.Acquires+after.Releases-before.Releases, 2, "%d bytes", size)
		freeAll(a, got[:len(got)-1])
	}
	a, src := onCounting(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 256 << 10})
	p, err := slab.NewPool(a, 500, 4)
	require.NoError(t, err)
	for a.Stats().Blocks < 6 {
		_, err := p.Alloc()
		require.NoError(t, err)
	}
	a.PauseChecks()
	before := src.Counts()
	for range pairs {
		q, _ := p.AllocUninitialized()
		r, _ := p.AllocUninitialized()
		p.Free(q) // the second is not served by the slot that was freed last
		p.Free(r)
	}
	after := src.Counts()
	assert.LessOrEqual(t, after.Acquires-before.Acquires+after.Releases-before.Releases, 2)
	require.NoError(t, p.Close())
}

// W18: pins that stay, and between them requests that grow a little each time, so that none
// fits the hole that the last one left.
func TestW18_BestFitKiller(t *testing.T) {
	rounds := 6000
	if slow() {
		rounds = 1000
	}
	const block = 256 << 10
	for _, w := range []struct{ pin, first, grow int }{
		{1040, 2000, 16}, {1025, 1025, 17}, {64, 2000, 24}, {4096, 5000, 16}, {1040, 30_000, 16}, {3000, 1500, 8},
	} {
		a, _ := onCounting(t, slab.Config{MaxBlockSize: block, LargeSize: block})
		a.PauseChecks()
		overhead := func() float64 {
			s := a.Stats()
			return float64(s.PeakHeld-3*block)/float64(s.PeakLive) - 1
		}
		half := 0.0 // at half time, if that is more
		for i := range rounds {
			b, err := a.AllocUninitialized(w.first+i*w.grow, 0)
			require.NoError(t, err)
			_, err = a.AllocUninitialized(w.pin, 0)
			require.NoError(t, err)
			a.Free(b)
			if i == rounds/2 {
				half = math.Max(half, overhead())
			}
		}
		s := a.Stats()
		t.Logf("pins of %d, requests from %d by %d: live %.2f MiB at most, held %.2f at most; F %.3f beyond three blocks, %.3f at half time",
			w.pin, w.first, w.grow, mib(s.PeakLive), mib(s.PeakHeld), overhead(), half)
		assert.Less(t, overhead(), 0.3)
		assert.Less(t, overhead(), half+0.1, "it grows without bound")
		require.NoError(t, a.Check())
		a.Reset()
	}
}
