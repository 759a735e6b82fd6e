package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A full heap has thousands of holes of 1 KiB and more, none of which has room for a slab. It
// remembers that, and is told when there is such a hole.

// fullOfHoles returns an allocator that has n bytes, and the chunks between which its holes lie; and
// a pool that was refused a slab.
func fullOfHoles(t testing.TB, n int) (a *slab.Allocator, p *slab.Pool, chunks [][]byte) {
	t.Helper()
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, n))})
	require.NoError(t, err)
	a.PauseChecks()
	p, err = slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	chunks = thin(a, fillUp(t, a, 1040, 16), 2)
	for err == nil { // until no hole has room for a slab
		_, err = p.Alloc()
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Greater(t, a.Stats().Holes, len(chunks)/2)
	return a, p, chunks
}

// What there was no room for is had as soon as there is room: when two holes become one, by a
// smaller request at once, and after the heap has been emptied.
func TestWhatWasLackingIsFound(t *testing.T) {
	a, p, chunks := fullOfHoles(t, 1<<20)
	for i := 0; i < 50; i++ {
		require.NoError(t, a.Check())
		_, err := p.Alloc()
		require.ErrorIs(t, err, slab.ErrExhausted)
		small, err := a.Alloc(300, 8) // its class gets no slab, but a hole
		require.NoError(t, err)
		large, err := a.Alloc(1030, 8)
		require.NoError(t, err, "less than a slab's place is there")
		a.Free(large)
		a.Free(small)
		a.Free(chunks[i]) // 3 KiB in a row, and a slab of 1 KiB starts at a multiple of that
		require.NoError(t, a.Check())
		_, err = p.Alloc()
		require.NoError(t, err)
		for err == nil {
			_, err = p.Alloc()
		}
	}
	for _, b := range chunks[50:] {
		a.Free(b)
	}
	_, err := p.Alloc()
	require.NoError(t, err)
	require.NoError(t, p.Close())
	a.Trim()
	b, err := a.Alloc(100_000, 1<<10)
	require.NoError(t, err)
	a.Free(b)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// What is lacking at multiples of 1 KiB may be there at those of 16.
func TestLackingIsAlignedRoom(t *testing.T) {
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(make([]byte, 1<<20))})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	var shorter, longer [][]byte // by 16 bytes, which one bin has both of
	for err == nil {
		var b, c []byte
		if b, err = a.AllocUninitialized(1056, 16); err == nil {
			shorter = append(shorter, b)
			if c, err = a.AllocUninitialized(1072, 16); err == nil {
				longer = append(longer, c)
				_, err = a.AllocUninitialized(1040, 16) // keeps the holes apart
			}
		}
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	for i := 0; i < len(longer)-1; i += 2 {
		a.Free(longer[i])
	}
	for i := 1; i < len(shorter)-1; i += 2 {
		a.Free(shorter[i]) // are found first
	}
	for err = nil; err == nil; { // until no hole has room for a slab
		_, err = p.Alloc()
	}
	b, err := a.AllocUninitialized(1072, 16)
	require.NoError(t, err)
	a.Free(b)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// BenchmarkFullOfHoles: what is refused, and what is served without a slab, takes the same time
// however many holes there are.
func BenchmarkFullOfHoles(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"16MiB", 16 << 20}, {"64MiB", 64 << 20}} {
		a, p, _ := fullOfHoles(b, c.n)
		b.Run("op=refused/heap="+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Alloc(); err == nil {
					b.Fatal("not refused")
				}
			}
		})
		b.Run("op=pair/heap="+c.name, func(b *testing.B) {
			for b.Loop() {
				q, err := a.AllocUninitialized(300, 8)
				if err != nil {
					b.Fatal(err)
				}
				a.Free(q)
			}
		})
		require.NoError(b, a.Close())
	}
}

// TestSearchAfterRestart: where a search stopped means nothing once everything has gone back.
func TestSearchAfterRestart(t *testing.T) {
	const size = 4 << 20
	src := blocksrc.Limit(new(blocksrc.GoHeap), size)
	a, err := slab.New(slab.Config{Source: src})
	require.NoError(t, err)
	a.PauseChecks()
	for _, room := range []int{size, 256 << 10} {
		var rest []byte
		if room < size {
			rest, err = src.Acquire(size-room, 0)
			require.NoError(t, err)
		}
		live := thin(a, fillUp(t, a, 1100, 8), 2)
		for range 5 {
			live = append(live, granted(t, a, 900, 8))
		}
		require.NoError(t, a.Check())
		freeAll(a, live)
		a.Trim()
		require.Zero(t, a.Stats().Held)
		if rest != nil {
			require.NoError(t, src.Release(rest))
		}
	}
}
