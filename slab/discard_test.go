package slab_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// How the memory of holes goes back, while their addresses stay.

// discarding is a source that notes what is discarded. Every second page of it is zero then.
type discarding struct {
	blocksrc.GoHeap
	page  int
	parts [][]byte
	calls int
	fail  error
	keeps bool // it takes no block back
}

func (d *discarding) Granularity() int { return d.page }

func (d *discarding) Acquire(size, align int) ([]byte, error) {
	return d.GoHeap.Acquire(size, max(align, d.page))
}

func (d *discarding) Release(mem []byte) error {
	if d.keeps {
		return errNever
	}
	return d.GoHeap.Release(mem)
}

func (d *discarding) Discard(part []byte) error {
	d.calls++
	if d.fail != nil {
		return d.fail
	}
	d.parts = append(d.parts, part)
	first := int(-address(part) & uintptr(d.page-1))
	for at := first; at+d.page <= len(part); at += 2 * d.page {
		clear(part[at : at+d.page])
	}
	return nil
}

// within tells whether part lies in a chunk of that kind.
func within(a *slab.Allocator, kind slab.ChunkKind, part []byte) bool {
	for b := range a.Blocks() {
		for c := range b.Chunks() {
			at := address(part) - b.Addr - uintptr(c.Offset)
			if c.Kind == kind && at <= uintptr(c.Size) && uintptr(c.Size)-at >= uintptr(len(part)) {
				return true
			}
		}
	}
	return false
}

// TestTrimDiscards: Trim gives back the memory of holes and nothing that is live, and does
// not take it for zero afterwards.
func TestTrimDiscards(t *testing.T) {
	d := &discarding{page: 4096}
	src := newFaultySource(d, math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 1 << 20}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	for i := range 40 {
		require.True(t, m.alloc(10_000+i*500, 0, true))
	}
	for n := range 8 { // holes that end within pages
		m.free(n+1, false)
		m.free(n+1, false)
		m.free(n+1, false)
	}
	m.trim() // checks that what is live is intact
	require.NotEmpty(t, d.parts)
	for _, part := range d.parts {
		require.Equal(t, len(part), cap(part), "no more than that is shown")
		require.True(t, within(m.a, slab.ChunkHole, part), "a part that was discarded is not in a hole")
	}
	for range 20 {
		require.True(t, m.alloc(30_000, 0, true)) // the model checks that it is zero
	}
	for range 10 {
		m.free(0, false)
	}
	d.fail = errors.New("not today")
	m.trim()
	m.check()
	m.finish()
}

// TestTrimDiscardsSlots: Trim also gives back runs of free slots that have a whole page
// wherever they begin, but no slots that were never handed out.
func TestTrimDiscardsSlots(t *testing.T) {
	const k = 1 << 10
	total := 300 * k
	if slow() {
		total = 100 * k
	}
	for _, size := range []int{16, 100, 1000, 5000} {
		for _, pool := range []bool{false, true} {
			if size > k && !pool {
				continue
			}
			t.Run(fmt.Sprintf("%d/pool:%t", size, pool), func(t *testing.T) {
				d := &discarding{page: 4 * k}
				src := newFaultySource(d, math.MaxInt)
				m := newModel(t, slab.Config{BlockSize: 1 << 20}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
				m.a.PauseChecks()
				add := func() { require.True(t, m.alloc(size, 1, false)) }
				drop := func(i int) { m.free(i, false) }
				objects := func() []*modelObject { return m.live }
				if pool {
					require.True(t, m.newPool(size, 1))
					p := m.pools[0]
					add = func() { require.True(t, m.take(p, 0)) }
					drop = func(i int) { m.give(p, i, true) }
					objects = func() []*modelObject { return p.live }
				}
				for range total / size {
					add()
				}
				m.trim()
				d.parts = nil // of slots that were never handed out
				// One slot of each 20 KiB stays, so that most pages are free.
				kept := make(map[uintptr]bool)
				for i := 0; i < len(objects()); i += 20*k/size + 1 {
					kept[objects()[i].addr()] = true
				}
				for i := len(objects()) - 1; i >= 0; i-- {
					if !kept[objects()[i].addr()] {
						drop(i)
					}
				}
				m.trim() // checks that what is live is intact
				discarded := 0
				for _, part := range d.parts {
					require.Equal(t, len(part), cap(part))
					require.GreaterOrEqual(t, len(part), 8*k)
					discarded += len(part)
				}
				require.Greater(t, discarded, total/3*2)
				for range total / size {
					add() // the model checks that it is zero where that was asked for
				}
				m.check()
				m.finish()
			})
		}
	}
}

// TestFreeRuns compares FreeRuns with a look at each bit.
func TestFreeRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 4000 {
		words := make([]uint64, 1+r.IntN(4))
		for i := range words {
			words[i] = []uint64{0, math.MaxUint64, r.Uint64(), r.Uint64() | r.Uint64() | r.Uint64(), 1<<63 | 1, 1<<63 - 1}[r.IntN(6)]
		}
		fresh := r.IntN(len(words)*64 + 1)
		if n%4 == 0 {
			fresh = len(words) * 64
		}
		var want [][2]int
		for i := range fresh {
			switch free := words[i/64]>>(i%64)&1 != 0; {
			case free && len(want) > 0 && want[len(want)-1][1] == i:
				want[len(want)-1][1]++
			case free:
				want = append(want, [2]int{i, i + 1})
			}
		}
		require.Equal(t, want, slab.FreeRuns(words, fresh), "%x, fresh from %d", words, fresh)
	}
}

// TestTrimDiscardsOthers: if one block's memory cannot be given back piecemeal, that says
// nothing about other blocks, which may be from another source.
func TestTrimDiscardsOthers(t *testing.T) {
	d := &discarding{page: 4096}
	first := newBufferSource(256 << 10)
	src := newFaultySource(blocksrc.Fallback(first, d), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 256 << 10, MaxBlockSize: 256 << 10, LargeSize: 256 << 10}, src, newFaultySource(new(blocksrc.GoHeap), math.MaxInt))
	for range 20 {
		require.True(t, m.alloc(80_000, 0, true))
	}
	for i := len(m.live) - 1; i >= 0; i -= 2 {
		m.free(i, false)
	}
	m.trim()
	require.NotEmpty(t, d.parts)
	m.finish()
}

// TestTrimOfKeptPages: a source that says that it keeps a block's pages is not asked for the
// rest of the block.
func TestTrimOfKeptPages(t *testing.T) {
	d := &discarding{page: 4096, fail: fmt.Errorf("wrapped: %w", errors.ErrUnsupported)}
	a, err := slab.New(slab.Config{Source: d, MetaSource: new(blocksrc.GoHeap), BlockSize: 1 << 20})
	require.NoError(t, err)
	var all [][]byte
	for range 60 {
		all = append(all, granted(t, a, 16<<10, 8))
	}
	require.Equal(t, 1, a.Stats().Blocks)
	for i := 0; i < len(all); i += 2 {
		a.Free(all[i])
	}
	a.Trim()
	assert.Equal(t, 1, d.calls)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestTrimLeavesFreshMemory: what was never handed out has no pages to give back, and costs no
// call of the source.
func TestTrimLeavesFreshMemory(t *testing.T) {
	src := &discarding{page: 4 << 10}
	a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	b := granted(t, a, 5000, 1)
	a.Trim()
	require.Zero(t, src.calls)
	a.Free(b)
}

// TestTrimDiscardsAPage: a hole of 8 KiB is worth a call of the source, and one that is shorter
// is not.
func TestTrimDiscardsAPage(t *testing.T) {
	for size, calls := range map[int]int{8<<10 - 16: 0, 8 << 10: 1} {
		src := &discarding{page: 4 << 10}
		a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
		hole, wall := granted(t, a, size, 1), granted(t, a, 2000, 1)
		a.Free(hole)
		a.Trim()
		require.Equal(t, calls, src.calls, "%d bytes", size)
		a.Free(wall)
	}
}

// halfPaged gives no page back once it has given one.
type halfPaged struct{ paged }

func (h *halfPaged) Discard(part []byte) error {
	if h.discarded > 0 {
		return errors.New("not these")
	}
	return h.paged.Discard(part)
}

// TestPopulateAfterHalfATrim: the source took the pages of one hole, and failed at the next. The
// pages of the first come with the slab that is made there.
func TestPopulateAfterHalfATrim(t *testing.T) {
	src := &halfPaged{}
	a := onGoHeap(t, slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 512 << 10})
	var all [][]byte
	for range 4 {
		all = append(all, granted(t, a, 100_000, 1))
	}
	a.Free(all[0])
	a.Free(all[2])
	a.Trim()
	require.Positive(t, src.discarded)
	require.Zero(t, src.populated)
	p, err := slab.NewPool(a, 32<<10, 1)
	require.NoError(t, err)
	_, err = p.Alloc()
	require.NoError(t, err)
	require.Positive(t, src.populated)
	freeAll(a, [][]byte{all[1], all[3]})
}
