package slab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Records that lie in the user's memory, because the source has no more.

// wholeRegions returns memory that starts with a region, so that it always takes as many leaves
// of the address map.
func wholeRegions(size int) []byte {
	mem := make([]byte, size+slab.Region)
	return mem[-startOf(mem)%slab.Region:][:size:size]
}

// crowded returns an allocator that has filled all of a small source and then freed every
// second object, so that each hole is between two objects.
func crowded(t *testing.T, cfg slab.Config) (a *slab.Allocator, src *blocksrctest.Counting, kept, freed [][]byte) {
	t.Helper()
	const size = 2 << 20
	cfg.Source = blocksrc.NewBuffer(wholeRegions(size))
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

// dust fills the holes with objects of several sizes, each of which takes another record,
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

// lodging returns the bytes of records in the user's blocks, and their addresses.
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

// TestRecordsLodge: requests are served as long as there are holes, with the records in one of
// those. Where records have a source of their own they do not lodge, and requests are refused.
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

// TestLodgersLeave: once nothing is live, a Trim or a Reset gives back lodgers and all blocks,
// and so does a request that needs their room.
func TestLodgersLeave(t *testing.T) {
	for _, how := range []string{"Trim", "Reset", "need", "Close"} {
		a, src, live, _ := crowded(t, slab.Config{BlockSize: 64 << 10, MaxBlockSize: 256 << 10, LargeSize: 256 << 10})
		live = append(live, dust(a)...)
		var pools []*slab.Pool
		for bytes := 0; bytes == 0; bytes, _ = lodging(a) {
			p, err := slab.NewPool(a, 8, 8)
			require.NoError(t, err)
			pools = append(pools, p)
			if _, err := p.Alloc(); err != nil { // no room for its slab, whose record lodges too
				a.Free(live[0])
				live = live[1:]
				_, err = p.Alloc()
				require.NoError(t, err)
			}
		}
		if how != "Reset" {
			freeAll(a, live)
			for _, p := range pools {
				p.Reset()
			}
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
			bytes, _ := lodging(a)
			assert.Zero(t, bytes, how)
		}
	}
}

// TestReservedSlabKeepsLodgers: reserved slots stay, and with them their records.
func TestReservedSlabKeepsLodgers(t *testing.T) {
	a, _, live, _ := crowded(t, slab.Config{})
	freeAll(a, live[:4])
	p, err := slab.NewPool(a, 16, 16)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(10))
	freeAll(a, append(live[4:], dust(a)...))
	_, err = a.Alloc(2<<20, 1) // gives back all that it can
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.NoError(t, a.Check())
	require.GreaterOrEqual(t, p.Stats().Free, 10)
	bytes, _ := lodging(a)
	require.NotZero(t, bytes)
	a.Trim()
	require.Zero(t, a.Stats().Held)
}

// TestFreeOfARecord: a lodger is not the user's to free, even where the user had memory before.
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
