//go:build !tinygo

// After all other tests, TinyGo's heap has no free piece as large as several regions.

package slab_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// TestRecordsComeAgain: whether there are records enough to use a hole depends on where in it
// the request would lie. And a refused request leaves everything as it was, for when there is
// memory for records again.
func TestRecordsComeAgain(t *testing.T) {
	refuse := false
	const size = 1100
	mem := make([]byte, 11*slab.Region/2)
	mem = mem[-address(mem)&(slab.Region-1):][:9*slab.Region/2] // the hole below is then within a region
	a, err := slab.New(slab.Config{
		Source: blocksrc.NewBuffer(mem), BlockSize: len(mem) - 4096, MaxBlockSize: len(mem), LargeSize: len(mem),
		MetaSource: refusing(new(blocksrc.GoHeap), &refuse),
	})
	require.NoError(t, err)
	a.PauseChecks()
	for _, more := range []int{1, 200} {
		for range more {
			_, err := a.AllocUninitialized(size, 1)
			require.NoError(t, err)
		}
		refuse = true
		var last [][]byte
		for {
			b, err := a.AllocUninitialized(size, 1)
			if err != nil {
				require.ErrorIs(t, err, slab.ErrExhausted)
				break
			}
			last = append(last, b)
		}
		freeAll(a, last[len(last)-8:])                   // leaves a hole, and records to spare
		_, err = a.AllocUninitialized(size, slab.Region) // where the address map has no leaf yet
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.NoError(t, a.Check())
		refuse = false
	}
	require.Less(t, a.Stats().Live, 3*slab.Region, "there was a hole")
	require.NoError(t, a.Close())
}

// TestSearchInRegions: to the address map, all places in a region are alike. The last resort
// looks at one place of each region that a hole lies in, and not at many.
func TestSearchInRegions(t *testing.T) {
	const size = 100 * slab.Granule
	for _, bytes := range []uintptr{8 << 10, 64 << 10, slab.Region, 5 * slab.Region / 2} {
		x := slab.NewIndex(uint32(bytes / slab.Granule))
		start := x.Address(x.Alloc(10, 1))
		end := start + bytes
		start += 10 * slab.Granule // the rest is a hole
		for _, align := range []uintptr{1, 64, 2048, slab.Region / 2, slab.Region, 2 * slab.Region} {
			places := x.Places(size/slab.Granule, align)
			require.LessOrEqual(t, len(places), 2+int(bytes/slab.Region))
			for _, at := range places {
				require.Zero(t, at&(align-1))
				require.True(t, at >= start && at+size <= end)
			}
			for region := start / slab.Region; region*slab.Region < end; region++ {
				at := (max(region*slab.Region, start) + align - 1) &^ (align - 1)
				if at/slab.Region == region && at+size <= end {
					require.True(t, slices.ContainsFunc(places, func(p uintptr) bool { return p/slab.Region == region }),
						"%d bytes, aligned to %d: %#x, looks at %#x", bytes, align, at-start, places)
				}
			}
		}
	}
}

// inOneBlock returns an allocator on one block of that size, which starts with a region. Its
// records lie elsewhere.
func inOneBlock(t *testing.T, size int, records blocksrc.Source) *slab.Allocator {
	t.Helper()
	a, err := slab.New(slab.Config{
		Source: blocksrc.NewBuffer(apartMemory()[:size:size]), MetaSource: records,
		BlockSize: size, MaxBlockSize: size, LargeSize: size,
	})
	require.NoError(t, err)
	a.PauseChecks()
	return a
}

// TestRecordsAreLeft: holes are used until only those records are left that the next page of
// records takes, should there be memory for one again.
func TestRecordsAreLeft(t *testing.T) {
	refuse := false
	a := inOneBlock(t, 2*slab.Region, refusing(new(blocksrc.GoHeap), &refuse))
	for _, align := range []int{1, slab.Region} { // so that there are leaves for all of it
		granted(t, a, 1100, align)
	}
	var err error
	for refuse = true; err == nil; {
		_, err = a.AllocUninitialized(1100, 1)
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.Equal(t, slab.ChunkStep, slab.SpareRecords(a))
	refuse = false
	_, err = a.AllocUninitialized(1100, 1)
	require.NoError(t, err)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// apart gives each block a region of the address map to itself. The region released last is
// used again last.
type apart struct {
	mem  []byte
	free []int // regions
}

const apartRegions = 24

var apartMemory = sync.OnceValue(func() []byte {
	mem, err := new(blocksrc.GoHeap).Acquire(apartRegions*slab.Region, slab.Region)
	if err != nil {
		panic(err)
	}
	return mem
})

func newApart() *apart {
	s := &apart{mem: apartMemory()}
	for i := range apartRegions {
		s.free = append(s.free, i)
	}
	return s
}

func (s *apart) Acquire(size, _ int) ([]byte, error) {
	if len(s.free) == 0 || size > slab.Region {
		return nil, slab.ErrExhausted
	}
	b := s.mem[s.free[0]*slab.Region:][:size:size]
	s.free = s.free[1:]
	return b, nil
}

func (s *apart) Release(b []byte) error {
	off := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(s.mem)))
	s.free = append(s.free, int(off/slab.Region))
	return nil
}

// TestGivenBackAreRecords: where the source of records has no more, the records of slabs that
// are kept for the next need are enough to go on with.
func TestGivenBackAreRecords(t *testing.T) {
	const block = 9200 // for one chunk
	a, err := slab.New(slab.Config{
		Source:    blocksrc.NewBuffer(apartMemory()[:slab.Region]), // so that there is a leaf for all of it
		BlockSize: block, MaxBlockSize: block, LargeSize: block, MetaSource: blocksrc.Limit(new(blocksrc.GoHeap), 20<<10),
	})
	require.NoError(t, err)
	a.PauseChecks()
	var small [][]byte
	for n := 200; n <= 1000; n += 40 { // each has a slab
		small = append(small, granted(t, a, n, 1))
	}
	freeAll(a, small)
	slabs := a.Stats().Slabs
	for a.Stats().Slabs == slabs { // until they are given back
		granted(t, a, block-16, 1)
	}
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// Blocks that keep coming at new addresses do not leave behind a leaf of the address map for
// every region that they were ever in.
func TestRegionsDoNotPileUp(t *testing.T) {
	src := newApart()
	a, err := slab.New(slab.Config{Source: src, MetaSource: &blocksrc.GoHeap{}, LargeSize: 64 << 10, Retain: -1})
	require.NoError(t, err)
	kept := granted(t, a, 64, 0)
	var others [][]byte // in many regions at once, so that the table grows
	for range 12 {
		b, err := a.AllocUninitialized(64<<10, 0)
		require.NoError(t, err)
		others = append(others, b)
	}
	require.Equal(t, 13, slab.Regions(a))
	freeAll(a, others[:6])
	others = append(others[6:], granted(t, a, 64<<10, 0))
	require.Equal(t, 14, slab.Regions(a), "a few are kept for their return")
	freeAll(a, others)
	meta := 0
	for i := range 100 {
		b, err := a.AllocUninitialized(64<<10, 0)
		require.NoError(t, err)
		require.LessOrEqual(t, slab.Regions(a), 13)
		require.NoError(t, a.Check())
		a.Free(b)
		if i == 10 {
			meta = a.Stats().Meta
		}
	}
	assert.Equal(t, meta, a.Stats().Meta)
	assert.True(t, a.Owns(kept))
	a.Free(kept)
	require.NoError(t, a.Close())
}

// TestIdleLeavesAreRecords: before a request is refused, the leaves of the address map for
// blocks that are gone become memory for records.
func TestIdleLeavesAreRecords(t *testing.T) {
	a, err := slab.New(slab.Config{Source: newApart(), MetaSource: blocksrc.Limit(new(blocksrc.GoHeap), 96<<10)})
	require.NoError(t, err)
	a.PauseChecks()
	_, err = a.Alloc(100, 1)
	require.NoError(t, err)
	var large [][]byte
	for range 8 {
		b, err := a.AllocUninitialized(1<<20, 1)
		require.NoError(t, err)
		large = append(large, b)
	}
	for _, b := range large {
		a.Free(b)
	}
	for err = nil; err == nil; _, err = a.AllocUninitialized(1025, 1) {
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	a.Trim()
	_, err = a.AllocUninitialized(1025, 1)
	require.ErrorIs(t, err, slab.ErrExhausted, "Trim has found nothing more")
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestBlockWithoutLeafGoesBack: a block that is useless for want of memory for its leaf of
// the address map makes room for a smaller one and the leaf. A refused request leaves nothing
// that would serve the next.
func TestBlockWithoutLeafGoesBack(t *testing.T) {
	for name, alloc := range map[string]func(a *slab.Allocator, p *slab.Pool) error{
		"pool":  func(_ *slab.Allocator, p *slab.Pool) error { _, err := p.Alloc(); return err },
		"small": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(64, 8); return err },
		"chunk": func(a *slab.Allocator, _ *slab.Pool) error { _, err := a.Alloc(3000, 8); return err },
	} {
		for budget := 300 << 10; budget < 400<<10; budget += 3 << 10 {
			a, err := slab.New(slab.Config{Source: blocksrc.Limit(newApart(), budget)})
			require.NoError(t, err)
			a.PauseChecks()
			p, err := slab.NewPool(a, 128, 8)
			require.NoError(t, err)
			for alloc(a, p) == nil {
			}
			what := fmt.Sprintf("%s, %d", name, budget)
			full := a.Stats()
			assert.ErrorIs(t, alloc(a, p), slab.ErrExhausted, what)
			assert.LessOrEqual(t, a.Stats().Refused-full.Refused, uint64(20), what)
			assert.Zero(t, full.EmptyBytes, what)
			assert.Greater(t, full.Live, budget*8/10, what)
			a.Trim()
			assert.ErrorIs(t, alloc(a, p), slab.ErrExhausted, what)
			require.NoError(t, a.Check())
			require.NoError(t, a.Close())
		}
	}
}

// TestRetainedStaysWithoutLeaf: what is kept for the next need goes back for want of memory,
// and not for any other error of the source of records.
func TestRetainedStaysWithoutLeaf(t *testing.T) {
	moon := errors.New("the moon is in the wrong phase")
	records := &wrapped{Source: new(blocksrc.GoHeap)}
	a, err := slab.New(slab.Config{Source: newApart(), MetaSource: records, Retain: 64 << 20, BlockSize: 16 << 10})
	require.NoError(t, err)
	var live [][]byte
	for range 4 {
		b, err := a.Alloc(15<<10, 1)
		require.NoError(t, err)
		live = append(live, b)
	}
	for _, b := range live[1:] {
		a.Free(b)
	}
	kept := a.Stats().EmptyBytes
	require.Positive(t, kept)
	records.acquire = func(blocksrc.Source, int, int) ([]byte, error) { return nil, moon }
	for err == nil { // until the records held have no room for another leaf
		_, err = a.Alloc(17<<10, 1)
	}
	require.ErrorIs(t, err, moon)
	require.GreaterOrEqual(t, a.Stats().EmptyBytes, kept)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}
