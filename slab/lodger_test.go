package slab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Records that lie among what is the user's, for the source has no more.

// inOneRegion returns memory that one leaf of the address map is enough for: where a second one
// has to grow, it takes a hole of some kilobytes, and there may be none.
func inOneRegion(size int) []byte {
	mem := make([]byte, 2*size)
	if first := startOf(mem); first/slab.Region != (first+uintptr(size)-1)/slab.Region {
		mem = mem[size:]
	}
	return mem[:size:size]
}

// crowded returns an allocator that has taken all of a small source, and then has holes, each
// between two objects.
func crowded(t *testing.T, cfg slab.Config) (a *slab.Allocator, src *blocksrctest.Counting, kept, freed [][]byte) {
	t.Helper()
	const size = 2 << 20
	cfg.Source = blocksrc.NewBuffer(inOneRegion(size))
	if cfg.BlockSize == 0 {
		cfg.BlockSize = size - 36<<10
	}
	if cfg.MetaSource != nil {
		cfg.MetaSource = cfg.Source
	}
	a, src = onCounting(t, cfg)
	for i, b := range fillUp(t, a, 2500, 1) {
		if i%2 == 0 {
			kept = append(kept, b)
		} else {
			a.Free(b)
			freed = append(freed, b)
		}
	}
	require.NoError(t, a.Check())
	return a, src, kept, freed
}

// dust fills the holes with objects of several sizes, each of which takes a record more,
// until one is refused.
func dust(a *slab.Allocator) (got [][]byte) {
	for n := 0; ; n++ {
		b, err := a.Alloc(1100+n%7*16, 1)
		if err != nil {
			return got
		}
		got = append(got, b)
	}
}

// lodging returns the bytes of records in the user's blocks, and where those are.
func lodging(a *slab.Allocator) (bytes int, at []uintptr) {
	for b := range a.Blocks() {
		for c := range b.Chunks() {
			if c.Kind == slab.ChunkRecord {
				bytes += c.Size
				at = append(at, b.Addr+uintptr(c.Offset))
			}
		}
	}
	return bytes, at
}

// TestRecordsLodge: holes serve as long as there are any, with what has to be noted of it in
// one of them. Where records have a source of their own they do not, and requests are refused.
func TestRecordsLodge(t *testing.T) {
	a, _, _, _ := crowded(t, slab.Config{})
	apart, _, _, _ := crowded(t, slab.Config{MetaSource: blocksrc.NewBuffer(nil)})
	before, _ := lodging(a)
	all := dust(a)
	bytes, _ := lodging(a)
	s := a.Stats()
	assert.Greater(t, len(all), 700)
	assert.GreaterOrEqual(t, bytes, before+4<<10, "a page of chunks")
	assert.Equal(t, s.Held, s.Live+s.SlabFree+s.HoleBytes+s.Meta+s.Lost)
	assert.Less(t, s.LargestHole, 1200, "there was room for one more")
	require.NoError(t, a.Check())

	less := len(dust(apart))
	t.Logf("%d objects, %d if no record may lie there", len(all), less)
	assert.Less(t, less, len(all)*9/10)
	bytes, _ = lodging(apart)
	assert.Zero(t, bytes)
}

// TestLodgersLeave: once nothing is live they go, and every block, with a Trim or a Reset, or
// when their room is needed.
func TestLodgersLeave(t *testing.T) {
	for _, how := range []string{"Trim", "Reset", "need", "Close"} {
		a, src, live, _ := crowded(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 256 << 10, LargeSize: 256 << 10})
		live = append(live, dust(a)...)
		p, err := slab.NewPool(a, 8, 8)
		require.NoError(t, err)
		if _, err := p.Alloc(); err != nil { // for a slab of whose a record lodges too
			a.Free(live[0])
			live = live[1:]
			_, err = p.Alloc()
			require.NoError(t, err)
		}
		bytes, _ := lodging(a)
		require.NotZero(t, bytes)
		if how != "Reset" {
			freeAll(a, live)
			p.Reset()
		}
		require.NoError(t, a.Check())
		switch how {
		case "Trim":
			require.NotZero(t, a.Trim())
		case "Reset":
			a.Reset()
		case "Close":
			require.NoError(t, a.Close())
		}
		require.NoError(t, a.Check())
		if how != "need" {
			require.Zero(t, src.Counts().Live, how)
			require.Zero(t, a.Stats().Held, how)
		}
		if how != "Close" {
			a.Free(granted(t, a, 2<<20-100<<10, 1))
			bytes, _ = lodging(a)
			assert.Zero(t, bytes, how)
		}
	}
}

// TestReservedSlabKeepsLodgers: what is reserved stays, and the records of it.
func TestReservedSlabKeepsLodgers(t *testing.T) {
	a, _, live, _ := crowded(t, slab.Config{})
	freeAll(a, live[:4])
	p, err := slab.NewPool(a, 16, 16)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(10))
	freeAll(a, append(live[4:], dust(a)...))
	_, err = a.Alloc(2<<20, 1) // whatever can be given back is
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.NoError(t, a.Check())
	require.GreaterOrEqual(t, p.Stats().Free, 10)
	bytes, _ := lodging(a)
	require.NotZero(t, bytes)
	a.Trim()
	require.Zero(t, a.Stats().Held)
}

// TestFreeOfARecord: what lies among the user's is not the user's, also if it was.
func TestFreeOfARecord(t *testing.T) {
	a, _, _, freed := crowded(t, slab.Config{})
	dust(a)
	_, at := lodging(a)
	require.NotEmpty(t, at)
	met := 0
	for _, b := range freed {
		for _, at := range at {
			if off := at - address(b); off < uintptr(len(b)) {
				wrongFree(t, a, slab.Foreign, b[off:])
				wrongFree(t, a, slab.Foreign, b[off+16:])
				met++
			}
		}
	}
	require.NotZero(t, met)
	require.NoError(t, a.Check())
}
