package slab_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Room that was promised is there, whatever is freed meanwhile.

func TestPoolReserve(t *testing.T) {
	p, src := newPool(t, 100, 4, slab.Config{})
	require.NoError(t, p.Reserve(0))
	assert.Zero(t, src.Counts().Acquires)
	require.ErrorIs(t, p.Reserve(-1), slab.ErrInvalid)
	require.ErrorIs(t, p.Reserve(math.MinInt), slab.ErrInvalid)
	for _, n := range []int{1, 100, 5000} {
		require.NoError(t, p.Reserve(n))
		assert.GreaterOrEqual(t, p.Stats().Free, n)
		calls := src.Counts().Acquires
		for range n {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		assert.Equal(t, calls, src.Counts().Acquires)
		free := p.Stats().Free
		require.NoError(t, p.Reserve(free))
		assert.Equal(t, free, p.Stats().Free, "there was enough")
	}
}

// An impossible number of slots is refused at once, however many are live already.
func TestPoolReserveTooMany(t *testing.T) {
	for _, live := range []int{0, 1, 2} {
		src := &blocksrctest.Counting{Source: blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)}
		p, _ := newPool(t, 100, 4, slab.Config{Source: src})
		for range live {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		before := p.Stats()
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt/100 + 1} {
			assert.Error(t, p.Reserve(n), "%d, with %d live", n, live)
			assert.Equal(t, before, p.Stats())
		}
		err := p.Reserve(20_000)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
		assert.ErrorContains(t, err, "slab: room for 20000 slots: slab: ")
		assert.Equal(t, before, p.Stats())
		assert.NoError(t, p.Allocator().Check())
	}
}

// Reserve is all or nothing, whichever call of the source fails.
func TestPoolReserveUnderFailure(t *testing.T) {
	for k := 1; ; k++ {
		failing := &blocksrctest.Failing{Source: new(blocksrc.GoHeap), At: k, Persist: k%2 == 0, On: blocksrctest.Acquires}
		p, _ := newPool(t, 3000, 8, slab.Config{Source: failing})
		_, h, err := p.Insert()
		if err == nil {
			before := p.Stats()
			err := p.Reserve(200)
			if err != nil {
				assert.ErrorIs(t, err, blocksrctest.ErrInjected)
				assert.Equal(t, before, p.Stats())
			} else {
				assert.GreaterOrEqual(t, p.Stats().Free, 200)
			}
			assert.NotNil(t, p.Slot(h))
		}
		assert.NoError(t, p.Allocator().Check())
		if failing.Failed() == 0 {
			break
		}
	}
}

// What was reserved stays reserved when slots are freed: no order of frees costs
// slots that the promise counts on.
func TestPoolReserveIsKept(t *testing.T) {
	p, src := newPool(t, 20_000, 8, slab.Config{Retain: -1}) // two slots a slab
	var hs []slab.Handle
	for range 4 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
	}
	for _, h := range hs { // one empty slab is kept back, the other has the group
		require.True(t, p.Remove(h))
	}
	require.Equal(t, 1, p.AtHand())
	require.Zero(t, p.Len())
	n := p.Stats().Free
	require.NoError(t, p.Reserve(n))
	calls := src.Counts().Acquires
	got := 0
	for got < n {
		g, err := slab.ShellOf(p).TakeGroup(n - got)
		require.NoError(t, err)
		got += bits.OnesCount64(g.Slots)
	}
	assert.Equal(t, calls, src.Counts().Acquires)
	assert.Equal(t, n, p.Stats().Live+p.Stats().Free)
}

func TestPoolTakeGroup(t *testing.T) {
	for _, size := range []int{0, 8, 100, 5000} {
		p, _ := newPool(t, size, 4, slab.Config{})
		stride := p.Stats().Stride
		live := map[slab.Handle]unsafe.Pointer{}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			n := rng.IntN(100)
			g, err := slab.ShellOf(p).TakeGroup(n)
			require.NoError(t, err)
			require.LessOrEqual(t, bits.OnesCount64(g.Slots), n)
			require.Equal(t, n > 0, g.Slots != 0)
			for q, h := range slotsOf(g, stride) {
				require.Nil(t, live[h])
				require.Equal(t, q, p.Slot(h))
				live[h] = q
			}
			for h, q := range live {
				if rng.IntN(3) > 0 {
					continue
				}
				require.Equal(t, q, p.Slot(h))
				p.Free(q)
				delete(live, h)
			}
			require.Equal(t, len(live), p.Len())
		}
		g, err := slab.ShellOf(p).TakeGroup(-5)
		assert.Zero(t, g)
		assert.NoError(t, err)
	}
}

// insertAll takes all slots there are, n at least, and returns their handles.
func insertAll(t *testing.T, p *slab.Pool, n int) (hs []slab.Handle) {
	t.Helper()
	require.NoError(t, slab.ShellOf(p).Room(n))
	for range p.Stats().Free {
		_, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
	}
	return hs
}

// Retired slots do not count as reserved room.
func TestPoolReservesBesideRetiredSlots(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	hs := insertAll(t, p, 1000)
	for i, h := range hs {
		hs[i] = p.SetGeneration(h, slab.PoolLastGen)
	}
	for _, h := range hs[1:] {
		require.True(t, p.Remove(h))
	}
	require.Equal(t, 1, p.Len())
	var more []slab.Handle
	for range 3000 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		more = append(more, h)
	}
	require.NoError(t, p.Reserve(0)) // for as many as are live now
	for _, h := range more {
		require.True(t, p.Remove(h))
	}
	require.GreaterOrEqual(t, p.Stats().Free, len(more))
}

// Slots that were retired in slabs that are gone do not count against the slabs there are.
func TestPoolRoomAfterRetiredSlabs(t *testing.T) {
	p, hs := filledPool(t, 64, 64)
	for _, h := range hs {
		require.True(t, p.Remove(p.SetGeneration(h, slab.PoolLastGen)))
	}
	require.Zero(t, p.Stats().Slabs)
	for range 3 {
		require.NoError(t, slab.ShellOf(p).Room(1))
		require.Equal(t, 1, p.Stats().Slabs)
	}
}

// A pool is full once all the places that a handle can tell apart have had slabs to the
// end of their generations.
func TestPoolPlacesAreFinite(t *testing.T) {
	if testing.Short() {
		t.Skip("a table of 64 MB")
		return // under TinyGo, Skip does not
	}
	p, _ := newPool(t, 64, 8, slab.Config{})
	p.UsePlaces(slab.PoolMaxSeq - 1)
	for range 64 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		place, _ := h.Index()
		require.Equal(t, uint32(slab.PoolMaxSeq-1), place)
	}
	_, _, err := p.Insert()
	require.ErrorIs(t, err, slab.ErrTooLarge)
	require.ErrorIs(t, slab.ShellOf(p).Room(1), slab.ErrTooLarge)
}

// An empty slab, kept for the next need or reserved, is used after those in partial use.
func TestEmptySlabIsFilledLast(t *testing.T) {
	for _, reserved := range []bool{false, true} {
		p, first := filledPool(t, 64, 64)
		second := insertAll(t, p, 64)
		require.Equal(t, 2, p.Stats().Slabs)
		if reserved {
			require.NoError(t, p.Reserve(0))
		}
		require.True(t, p.Remove(second[0])) // becomes the group
		require.True(t, p.Remove(first[0]))  // its slab is first on the list
		require.True(t, p.Remove(second[9]))
		for _, h := range first[1:] {
			require.True(t, p.Remove(h))
		}
		liveSlots(p) // which gives the group back
		require.Equal(t, 2, p.Stats().Slabs)
		for _, want := range []uint32{1, 1, 0} {
			_, h, err := p.Insert()
			require.NoError(t, err)
			place, _ := h.Index()
			require.Equal(t, want, place, "reserved: %v", reserved)
		}
	}
}

// A slab that was full is used before the empty one that is kept.
func TestFullSlabIsFilledFirst(t *testing.T) {
	p, first := filledPool(t, 64, 64)
	second := insertAll(t, p, 64)
	for _, h := range second {
		require.True(t, p.Remove(h))
	}
	require.Len(t, liveSlots(p), len(first)) // the scan gives the group back
	require.Equal(t, 2, p.Stats().Slabs, "the second is kept")
	require.True(t, p.Remove(first[3])) // becomes the group
	require.True(t, p.Remove(first[9])) // goes to the bitmap
	for range 2 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		place, _ := h.Index()
		require.Zero(t, place)
	}
	_, h, err := p.Insert()
	require.NoError(t, err)
	place, _ := h.Index()
	require.Equal(t, uint32(1), place)
}

// A request for more room than any memory has counts as a failure like any other.
func TestRoomTooLargeIsAFailure(t *testing.T) {
	p, _ := newPool(t, 8, 8, slab.Config{})
	_, err := p.Alloc()
	require.NoError(t, err)
	require.ErrorIs(t, slab.ShellOf(p).Room(math.MaxInt), slab.ErrTooLarge)
	require.ErrorIs(t, p.Reserve(math.MaxInt), slab.ErrTooLarge)
	require.Equal(t, uint64(2), p.Allocator().Stats().Failures)
	require.ErrorIs(t, slab.ShellOf(p).Room(-1), slab.ErrInvalid)
	require.Equal(t, uint64(2), p.Allocator().Stats().Failures, "a mistake")
}

// An empty slab that was kept for the next need and has been reserved since stays, even
// where little is live in many blocks and such slabs go.
func TestReservedSpareStays(t *testing.T) {
	refuse := false
	p, _ := newPool(t, 64, 8, slab.Config{Source: refusing(new(blocksrc.GoHeap), &refuse)})
	a := p.Allocator()
	a.PauseChecks()
	var slots []unsafe.Pointer
	for range 2 * 4096 {
		q, err := p.Alloc()
		require.NoError(t, err)
		slots = append(slots, q)
	}
	for _, q := range slots {
		p.Free(q)
	}
	liveSlots(p) // which gives the group back
	n := p.Stats().Free
	require.NotZero(t, n, "one slab is kept")
	require.NoError(t, p.Reserve(n))

	var bs [][]byte
	for range 20_000 {
		b, err := a.AllocUninitialized(1000, 8)
		require.NoError(t, err)
		bs = append(bs, b)
	}
	for i, b := range bs {
		if i%500 != 0 {
			a.Free(b)
		}
	}
	refuse = true
	for { // takes whatever memory went
		if _, err := a.AllocUninitialized(500, 8); err != nil {
			break
		}
	}
	for i := range n {
		_, err := p.Alloc()
		require.NoError(t, err, "%d of %d", i, n)
	}
}

// TestReserveOfLessKeepsMore: a smaller reservation does not undo a larger one.
func TestReserveOfLessKeepsMore(t *testing.T) {
	refuse := false
	p, _ := newPool(t, 100, 4, slab.Config{Source: refusing(new(blocksrc.GoHeap), &refuse)})
	require.NoError(t, p.Reserve(5000))
	require.NoError(t, p.Reserve(1))
	refuse = true
	_, err := p.Allocator().Alloc(1<<30, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	require.GreaterOrEqual(t, p.Stats().Free, 5000)
	insertAll(t, p, 5000)
}

// TestReserveOfLargeSlots: more room than the address space has for slots of that size is refused
// before the source is asked.
func TestReserveOfLargeSlots(t *testing.T) {
	p, src := newPool(t, 256<<20, 8, slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)})
	err := p.Reserve(1<<31 - 1)
	assert.ErrorIs(t, err, slab.ErrTooLarge)
	assert.Zero(t, src.Counts().Acquires+src.Counts().Refused)
}

// TestTakeGroupOfNone: a group of no slots takes nothing from the source.
func TestTakeGroupOfNone(t *testing.T) {
	p, src := newPool(t, 24, 8, slab.Config{})
	for _, n := range []int{0, -1} {
		g, err := slab.ShellOf(p).TakeGroup(n)
		require.NoError(t, err)
		assert.Zero(t, g)
	}
	assert.Zero(t, src.Counts().Acquires)
}
