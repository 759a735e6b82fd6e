package arena_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// The chunks of a region: what is kept, replaced, and given back.

// A frame that does the same as the last one needs no more memory.
func TestRegionKeepsMemory(t *testing.T) {
	a, src := newAllocator(t, nil)
	r := newRegion(t, a)
	frame := func() {
		for i := range 300 {
			arena.Must(arena.MakeSlice[uint64](r, i*i%97))
			if i%50 == 0 {
				arena.Must(arena.MakeSlice[byte](r, 1000*i))
			}
		}
	}
	start := r.Mark()
	frame()
	held, counts, live := r.Held(), src.Counts(), a.Stats().Live
	for i := range 20 {
		if i%2 == 0 {
			r.Reset()
		} else {
			r.Rewind(start)
		}
		frame()
		require.Equal(t, held, r.Held())
		require.Equal(t, counts, src.Counts())
		require.Equal(t, live, a.Stats().Live)
	}
	require.NoError(t, r.Close())
}

// A region for frames that differ from each other holds memory in proportion to their needs.
func TestRegionDoesNotPileUp(t *testing.T) {
	r := newRegion(t, nil)
	rng := rand.New(rand.NewPCG(4, 5))
	for range fewer(3000, 200) {
		r.Reset()
		for left := 200_000; left > 0; {
			n := 1 << rng.IntN(17)
			arena.Must(arena.MakeSlice[byte](r, n))
			left -= n
		}
	}
	assert.Less(t, r.Held(), 3<<20)
}

// A slice that grows a little each time does not leave a chunk behind each time.
func TestRegionGrowsBitByBit(t *testing.T) {
	a, src := newAllocator(t, new(blocksrc.GoHeap))
	r := newRegion(t, a)
	for i := range 100 {
		arena.Must(arena.MakeSlice[byte](r, 1<<20+i<<12))
		r.Reset()
	}
	assert.Less(t, r.Held(), 3<<20, "the first chunk and the last")
	assert.Less(t, src.Counts().Acquires, 20)
	require.NoError(t, r.Close())
}

// A region is refused a value only if there is no room for it, after the region has given
// back what it does not use.
func TestRegionTakesWhatThereIs(t *testing.T) {
	a, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
	r := newRegion(t, a)
	var err error
	for err == nil {
		_, err = arena.Make[uint64](r)
	}
	require.ErrorIs(t, err, slab.ErrExhausted)
	free := 0
	for err = nil; err == nil; free += 4096 {
		_, err = a.Alloc(4096, 8)
	}
	assert.Less(t, free, 16<<10)
	require.NoError(t, r.Close())

	a, _ = newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
	r = newRegion(t, a)
	arena.Must(arena.Make[uint64](r))
	m := r.Mark()
	for range 100 {
		arena.Must(arena.MakeSlice[byte](r, 5000))
	}
	r.Rewind(m)
	arena.Must(arena.MakeSlice[byte](r, 900<<10))
	assert.Less(t, r.Held(), 960<<10)
	require.NoError(t, r.Close())
	assert.Zero(t, a.Stats().Live)
}

// Unused chunks are in nobody's way, not even the first one, and a large chunk is found behind
// small ones.
func TestRegionEmptyChunks(t *testing.T) {
	a, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
	r := newRegion(t, a)
	arena.Must(arena.MakeSlice[byte](r, 600<<10))
	r.Reset()
	m := r.Mark()
	arena.Must(arena.MakeSlice[empty](r, 3))
	arena.Must(arena.MakeSlice[byte](r, 700<<10))
	r.Rewind(m)
	assert.Less(t, r.Held(), 900<<10)
	require.NoError(t, r.Close())

	a, src := newAllocator(t, new(blocksrc.GoHeap))
	r = newRegion(t, a)
	for range 10 {
		arena.Must(arena.MakeSlice[byte](r, 3000))
		arena.Must(arena.MakeSlice[byte](r, 4000))
		m := r.Mark()
		arena.Must(arena.MakeSlice[byte](r, 8<<20))
		r.Rewind(m)
		arena.Must(arena.MakeSlice[byte](r, 7<<20))
		r.Reset()
		arena.Must(arena.MakeSlice[byte](r, 6<<20))
		r.Reset()
	}
	assert.Less(t, r.Held(), 24<<20)
	assert.Less(t, src.Counts().Acquires, 10)
	require.NoError(t, r.Close())
}

// A region that gets a smaller chunk than it would like counts no failure.
func TestRegionProbesAreNoFailures(t *testing.T) {
	a, _ := newAllocator(t, blocksrc.NewBuffer(make([]byte, 256<<10)))
	r := newRegion(t, a)
	for range 200 {
		arena.Must(arena.MakeSlice[byte](r, 1000))
	}
	assert.Zero(t, a.Stats().Failures)
	_, err := arena.MakeSlice[byte](r, 200<<10)
	require.ErrorIs(t, err, slab.ErrExhausted)
	assert.Equal(t, uint64(1), a.Stats().Failures)
	require.NoError(t, r.Close())
}

func TestRegionBig(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	s := &scribe{t: t, r: newRegion(t, a)}
	for _, n := range []int{1, 4095, 4096, 4097, 65_536, 1 << 20, 3 << 20, 10} {
		require.NoError(t, scribble[byte](s, n))
		require.NoError(t, scribble[uint64](s, -1))
	}
	s.verify()
	require.Greater(t, s.r.Held(), 4<<20)
	s.r.Reset()
	s.made = nil
	for _, n := range []int{3 << 20, 10, 1 << 20, 65_536, 1} {
		require.NoError(t, scribble[byte](s, n))
	}
	s.verify()
	require.NoError(t, s.r.Close())
	assert.Zero(t, a.Stats().Live)
}

// Whichever call of the source fails, the error leaves the region as it was, except for chunks
// that a Reset has left unused.
func TestRegionUnderFailure(t *testing.T) {
	for k := 1; ; k++ {
		failing := &blocksrctest.Failing{Source: new(soiled), At: k, On: blocksrctest.Acquires}
		a, _ := newAllocator(t, failing)
		s := &scribe{t: t, r: newRegion(t, a)}
		refused := 0
		for i := range 100 {
			held, m := s.r.Held(), s.r.Mark()
			err := scribble[byte](s, i*i%1000*i)
			if err != nil {
				refused++
				require.ErrorIs(t, err, blocksrctest.ErrInjected)
				require.LessOrEqual(t, s.r.Held(), held)
				require.True(t, m == s.r.Mark())
			}
			if i%30 == 29 {
				s.verify()
				s.r.Reset()
				s.made = nil
			}
		}
		s.verify()
		require.LessOrEqual(t, refused, 1)
		require.NoError(t, a.Check())
		require.NoError(t, s.r.Close())
		require.Zero(t, a.Stats().Live)
		if failing.Failed() == 0 {
			break
		}
	}
}

// Values made after a refused request are zero, whatever the reason was: the first chunk of an
// empty region may have gone for that request, so that another is in its place.
func TestRegionIsZeroAfterARefusal(t *testing.T) {
	denied := errors.New("permission denied")
	for _, c := range []struct {
		name string
		n    int
		want error
	}{
		{"too large", math.MaxInt - 100, slab.ErrTooLarge},
		{"denied", 8 << 20, denied},
		{"exhausted", 8 << 20, blocksrc.ErrExhausted},
	} {
		failing := &blocksrctest.Failing{Source: new(blocksrc.GoHeap), On: blocksrctest.Acquires, Persist: true}
		if errors.Is(c.want, denied) {
			failing.Err = denied
		}
		a, _ := newAllocator(t, failing)
		r := newRegion(t, a)
		arena.Must(arena.MakeSlice[byte](r, 100))
		s := arena.Must(arena.MakeSlice[byte](r, 100_000)) // a second chunk
		fill(s, 0xEE)
		r.Reset()
		failing.Arm(1)
		_, err := arena.MakeSlice[byte](r, c.n)
		if !errors.Is(c.want, slab.ErrTooLarge) || math.MaxInt > math.MaxInt32 {
			require.ErrorIs(t, err, c.want, c.name)
		}
		require.Error(t, err, c.name)
		failing.Arm(0)
		s = arena.Must(arena.MakeSlice[byte](r, 50_000))
		assert.True(t, allBytes(s, 0), "%s: %d bytes are not all zero", c.name, len(s))
		require.NoError(t, r.Close())
	}
}

// All of a chunk but its last byte can be used: so much fits into it after a Reset, and still
// the allocator does not take it from the program.
func TestRegionUsesAChunkUp(t *testing.T) {
	a, _ := newAllocator(t, new(blocksrc.GoHeap))
	r := newRegion(t, a)
	arena.Must(arena.Make[byte](r))
	held := r.Held()
	require.Equal(t, held, cap(r.Chunks()[0]))
	for n := held - 9; n < held; n++ {
		r.Reset()
		s := arena.Must(arena.MakeSlice[byte](r, n))
		assert.False(t, a.Owns(s), "%d of %d", n, held)
		assert.Panics(t, func() { a.Free(s) })
		assert.Equal(t, held, r.Held(), "%d of %d fit", n, held)
	}
	arena.Must(arena.Make[byte](r))
	assert.Greater(t, r.Held(), held, "the last byte does not")
	r.Reset()
	s := arena.Must(arena.MakeSlice[byte](r, held))
	assert.False(t, a.Owns(s))
	assert.Panics(t, func() { a.Free(s) })
	require.NoError(t, r.Close())
}

// Values of no size take no room, however many there are.
func TestRegionOfNothing(t *testing.T) {
	r := newRegion(t, nil)
	for range 2 { // the type is known the second time
		assert.NotNil(t, arena.Must(arena.Make[empty](r)))
	}
	assert.Zero(t, r.Held())
	arena.Must(arena.Make[byte](r))
	held, m := r.Held(), r.Mark()
	for range 10_000 {
		arena.Must(arena.Make[empty](r))
		arena.Must(arena.MakeSlice[uint16](r, 0))
		arena.Must(arena.MakeSlice[empty](r, 7))
	}
	assert.Equal(t, held, r.Held())
	r.Rewind(m)
	r.Reset()
	nothing := arena.Must(arena.Make[empty](r)) // the chunk is unused, and may go
	for _, c := range r.Chunks() {
		assert.GreaterOrEqual(t, addressOf(nothing)-addressOf(&c[0]), uintptr(cap(c)))
	}
	require.NoError(t, r.Close())
}

// Chunks become larger, so that there are few of them, but not too large.
func TestRegionChunksGrow(t *testing.T) {
	r := newRegion(t, nil)
	for range 8 << 20 / 64 {
		arena.Must(arena.Make[[64]byte](r))
	}
	assert.Less(t, len(r.Chunks()), 24)
	for _, c := range r.Chunks() {
		assert.LessOrEqual(t, cap(c), 1<<20, "what is lost in the last one is bounded")
	}
	require.NoError(t, r.Close())
}

// Before a region is refused a value it gives back what a Rewind has left, even a single
// chunk, and keeps no pointer to it.
func TestRegionGivesBackALastChunk(t *testing.T) {
	for _, left := range [][]int{{600 << 10}, {300 << 10, 301 << 10}, {100 << 10, 100 << 10, 300 << 10}} {
		a, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
		r := newRegion(t, a)
		arena.Must(arena.Make[uint64](r))
		m := r.Mark()
		for _, n := range left {
			arena.Must(arena.MakeSlice[byte](r, n))
		}
		r.Rewind(m)
		arena.Must(arena.MakeSlice[byte](r, 900<<10))
		chunks := r.Chunks()
		require.Len(t, chunks, 2)
		for _, c := range chunks[len(chunks):cap(chunks)] {
			assert.Nil(t, c, "what was given back")
		}
		require.NoError(t, r.Close())
		assert.Zero(t, a.Stats().Live)
	}
}

// Each chunk is as large as all before it, up to 1 MiB.
func TestRegionChunkSizes(t *testing.T) {
	r := newRegion(t, nil)
	for range 3 << 20 / 64 {
		arena.Must(arena.Make[[64]byte](r))
	}
	want, sum := 4<<10, 0
	for i, c := range r.Chunks() {
		assert.GreaterOrEqual(t, cap(c), want, "chunk %d", i)
		assert.Less(t, cap(c), want+want/2, "chunk %d", i)
		sum += cap(c)
		want = min(sum, 1<<20)
	}
	require.NoError(t, r.Close())
}

// A chunk that has exactly the room is found behind one that has less, and used again.
func TestRegionFindsAChunkThatJustFits(t *testing.T) {
	r := newRegion(t, nil)
	arena.Must(arena.Make[byte](r))
	arena.Must(arena.MakeSlice[byte](r, 10_000))
	require.Equal(t, 2, len(r.Chunks()))
	held, fits := r.Held(), cap(r.Chunks()[1])-1
	r.Reset()
	arena.Must(arena.Make[byte](r))
	arena.Must(arena.MakeSlice[byte](r, fits))
	assert.Equal(t, held, r.Held())
	require.NoError(t, r.Close())
}

// leaveChunks has r make some chunks of up to 20 KB and reset, and returns how many there are.
func leaveChunks(t *testing.T, r *arena.Region) int {
	for _, n := range []int{1000, 5000, 10_000, 20_000} {
		arena.Must(arena.MakeSlice[byte](r, n))
	}
	n := len(r.Chunks())
	require.Greater(t, n, 2)
	r.Reset()
	return n
}

// Of the chunks that a Reset has left, and that are all too small for a value, one goes for it.
func TestRegionReplacesOneChunk(t *testing.T) {
	r := newRegion(t, nil)
	n := leaveChunks(t, r)
	arena.Must(arena.MakeSlice[byte](r, 200_000))
	assert.Equal(t, n, len(r.Chunks()))
	require.NoError(t, r.Close())
}

// A source's fault is no want of room: the region asks once, and only the chunk that was to be
// replaced is gone.
func TestRegionDoesNotGiveWayToAFault(t *testing.T) {
	denied := errors.New("permission denied")
	failing := &blocksrctest.Failing{Source: plain(), On: blocksrctest.Acquires, Persist: true, Err: denied}
	a, _ := newAllocator(t, failing)
	r := newRegion(t, a)
	n := leaveChunks(t, r)
	failing.Arm(1)
	_, err := arena.MakeSlice[byte](r, 8<<20)
	require.ErrorIs(t, err, denied)
	assert.GreaterOrEqual(t, len(r.Chunks()), n-1)
	assert.Equal(t, uint64(1), a.Stats().Failures)
	failing.Arm(0)
	require.NoError(t, r.Close())
}
