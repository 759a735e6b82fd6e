package arena_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

func newRegion(t testing.TB, a *slab.Allocator) *arena.Region {
	t.Helper()
	if a == nil {
		a, _ = newAllocator(t, new(soiled))
	}
	r, err := arena.NewRegion(a)
	require.NoError(t, err)
	return r
}

// badMark asserts that r refuses m and goes on as if nothing had been.
func badMark(t testing.TB, r *arena.Region, m arena.Mark) {
	t.Helper()
	before := r.Mark()
	misused(t, nil, slab.BadMark, func() { r.Rewind(m) })
	assert.True(t, before == r.Mark(), "the region has moved")
}

// scribe makes values of different types in a region, asserts that they are
// zero, aligned, and that nothing else is written where they are.
type scribe struct {
	t    testing.TB
	r    *arena.Region
	made [][]byte // each filled with its number
}

func scribble[T comparable](s *scribe, n int) error {
	var zero T
	var b []byte
	if n < 0 {
		p, err := arena.Make[T](s.r)
		if err != nil {
			return err
		}
		require.Zero(s.t, addressOf(p)%unsafe.Alignof(zero))
		require.Equal(s.t, zero, *p)
		b = bytesOf(p)
	} else {
		v, err := arena.MakeSlice[T](s.r, n)
		if err != nil {
			return err
		}
		require.NotNil(s.t, v)
		require.Len(s.t, v, n)
		require.Equal(s.t, n, cap(v))
		p := unsafe.SliceData(v)
		require.Zero(s.t, addressOf(p)%unsafe.Alignof(zero))
		b = unsafe.Slice((*byte)(unsafe.Pointer(p)), uintptr(n)*unsafe.Sizeof(zero))
	}
	require.True(s.t, allBytes(b, 0), "%d bytes are not all zero", len(b))
	fill(b, byte(len(s.made))|1)
	s.made = append(s.made, b)
	return nil
}

// kinds are the values that a scribe can make.
var kinds = []func(s *scribe, n int) error{
	scribble[byte], scribble[uint16], scribble[triple], scribble[uint64], scribble[mixture],
	scribble[empty], scribble[hollow], scribble[padded], scribble[[300]byte], scribble[page],
}

// allBytes tells whether all of b is v.
func allBytes(b []byte, v byte) bool {
	return len(b) == 0 || b[0] == v && bytes.Equal(b[1:], b[:len(b)-1])
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// size returns the bytes of all values.
func (s *scribe) size() (n int) {
	for _, b := range s.made {
		n += len(b)
	}
	return n
}

func (s *scribe) verify() {
	s.t.Helper()
	for i, b := range s.made {
		if !allBytes(b, byte(i)|1) {
			s.t.Fatalf("value %d of %d was overwritten", i, len(s.made))
		}
	}
}

func TestRegion(t *testing.T) {
	for _, src := range sources {
		t.Run(src.name, func(t *testing.T) {
			a, _ := newAllocator(t, src.make())
			s := &scribe{t: t, r: newRegion(t, a)}
			assert.Zero(t, a.Stats().Held, "nothing is taken before it is needed")
			rng := rand.New(rand.NewPCG(1, 2))
			for round := range 20 {
				for range fewer(200, 40) {
					n := rng.IntN(12) - 6
					if rng.IntN(100) == 0 {
						n = rng.IntN(5000)
					}
					require.NoError(t, kinds[rng.IntN(len(kinds))](s, n))
				}
				s.verify()
				require.NoError(t, a.Check())
				require.GreaterOrEqual(t, a.Stats().Live, s.r.Held())
				if round%3 == 0 {
					s.r.Reset()
					s.made = nil
				}
			}
			require.NoError(t, s.r.Close())
			assert.Zero(t, s.r.Held())
			assert.Zero(t, a.Stats().Live)
		})
	}
}

func TestRegionMarks(t *testing.T) {
	for seed := range uint64(fewer(60, 6)) {
		s := &scribe{t: t, r: newRegion(t, nil)}
		rng := rand.New(rand.NewPCG(seed, 3))
		type point struct {
			m arena.Mark
			n int
		}
		var marks []point
		for range 200 {
			switch k := rng.IntN(12); {
			case k < 7:
				n := rng.IntN(8) - 4
				if rng.IntN(30) == 0 {
					n = rng.IntN(3000)
				}
				require.NoError(t, kinds[rng.IntN(len(kinds))](s, n))
			case k < 9:
				marks = append(marks, point{s.r.Mark(), len(s.made)})
			case k < 11 && len(marks) > 0: // back by some, as nested calls return
				i := rng.IntN(len(marks))
				s.r.Rewind(marks[i].m)
				s.made = s.made[:marks[i].n]
				marks = marks[:i+1] // it may be rewound to again
			case rng.IntN(8) == 0:
				s.r.Reset()
				s.made, marks = nil, nil
			}
			s.verify()
		}
		require.NoError(t, s.r.Close())
	}
}

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

// What frames need that differ from each other stays in proportion.
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

// A region is refused a value only if there is no room for it, and then has given
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

// What is not in use is in nobody's way, the first chunk neither, and a place for
// much is found behind places for little.
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

// A region that gets less than it would like has been refused nothing.
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

// A region has no pointer any more to memory that went with a Reset or Close of
// its allocator, though nobody has called it since.
func TestRegionForgets(t *testing.T) {
	for _, gone := range []func(a *slab.Allocator) error{
		func(a *slab.Allocator) error { return a.Close() },
		func(a *slab.Allocator) error { a.Reset(); a.Trim(); return nil },
	} {
		a, _ := newAllocator(t, new(blocksrc.GoHeap))
		var rs [3]*arena.Region
		for i := range rs {
			rs[i] = newRegion(t, a)
			arena.Must(arena.MakeSlice[byte](rs[i], 1<<20))
		}
		require.NoError(t, rs[0].Close())
		arena.Must(arena.MakeSlice[byte](rs[2], 1<<20))
		require.NoError(t, gone(a))
		for _, r := range rs {
			assert.Empty(t, r.Chunks())
			assert.Zero(t, r.Held())
		}
	}
}

// Whatever is a region's own, the allocator does not take it from a program.
func TestRegionMemoryIsNotFreed(t *testing.T) {
	a, _ := newAllocator(t, new(blocksrc.GoHeap))
	r := newRegion(t, a)
	for n := 1; n < 20_000; n += n/7 + 1 {
		s := arena.Must(arena.MakeSlice[byte](r, n))
		assert.False(t, a.Owns(s))
		assert.Panics(t, func() { a.Free(s) })
		r.Reset()
	}
	for _, n := range []int{4095, 4096, 4097, 4090, 5000, 5119, 5120} {
		r := newRegion(t, a)
		assert.False(t, a.Owns(arena.Must(arena.MakeSlice[byte](r, n))))
		require.NoError(t, r.Close())
	}
	require.NoError(t, r.Close())
	assert.Zero(t, a.Stats().Live)
}

// What is accessed atomically may be on any system.
func TestRegionAligns64Bits(t *testing.T) {
	r := newRegion(t, nil)
	for range 100 {
		arena.Must(arena.Make[byte](r))
		atomic.AddUint64(arena.Must(arena.Make[uint64](r)), 1)
		arena.Must(arena.MakeSlice[byte](r, 3))
		p := arena.Must(arena.Make[struct {
			n uint64
			m uint32
		}](r))
		atomic.AddUint64(&p.n, 1)
		arena.Must(arena.Make[uint32](r))
		atomic.AddUint64(&arena.Must(arena.MakeSlice[uint64](r, 3))[0], 1)
	}
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

func TestRegionMakeSlice(t *testing.T) {
	a, _ := newAllocator(t, blocksrc.Limit(new(blocksrc.GoHeap), 1<<20))
	r := newRegion(t, a)
	for _, n := range []int{-1, math.MinInt} {
		v, err := arena.MakeSlice[uint64](r, n)
		assert.ErrorIs(t, err, slab.ErrInvalid)
		assert.Nil(t, v)
		w, err := arena.MakeSlice[empty](r, n)
		assert.ErrorIs(t, err, slab.ErrInvalid)
		assert.Nil(t, w)
	}
	for _, n := range []int{math.MaxInt, math.MaxInt/8 + 1, math.MaxInt / 8} {
		v, err := arena.MakeSlice[uint64](r, n)
		assert.ErrorIs(t, err, slab.ErrTooLarge, "%d", n)
		assert.Nil(t, v)
	}
	for n := range 32 {
		// On 32 bits an allocator could address that much, and its source has not.
		_, err := arena.MakeSlice[byte](r, math.MaxInt-n)
		assert.True(t, errors.Is(err, slab.ErrTooLarge) || errors.Is(err, blocksrc.ErrExhausted), "%d: %v", n, err)
	}
	// A product that comes out as nothing.
	u, err := arena.MakeSlice[[16]byte](r, math.MaxInt/8+1)
	assert.ErrorIs(t, err, slab.ErrTooLarge)
	assert.Nil(t, u)
	_, err = arena.MakeSlice[byte](r, 2<<20)
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Zero(t, r.Held())

	v, err := arena.MakeSlice[empty](r, math.MaxInt)
	require.NoError(t, err, "it takes no room")
	assert.Len(t, v, math.MaxInt)
	w, err := arena.MakeSlice[uint64](r, 0)
	require.NoError(t, err)
	assert.NotNil(t, w)
	assert.Empty(t, w)
	require.NoError(t, r.Close())
}

func TestRegionBadMarks(t *testing.T) {
	a, _ := newAllocator(t, nil)
	r, other := newRegion(t, a), newRegion(t, a)
	badMark(t, r, arena.Mark{})
	start := r.Mark()
	arena.Must(arena.Make[[100]byte](r))
	first := r.Mark()
	arena.Must(arena.Make[[100]byte](r))
	second := r.Mark()
	arena.Must(arena.MakeSlice[byte](r, 10_000))
	third := r.Mark()

	badMark(t, other, start)
	badMark(t, other, first)
	badMark(t, r, other.Mark())
	arena.Must(arena.Make[[100]byte](other))
	badMark(t, r, other.Mark())

	r.Rewind(third)
	r.Rewind(second)
	badMark(t, r, third)
	r.Rewind(second)
	r.Rewind(first)
	badMark(t, r, second)
	r.Rewind(start)
	badMark(t, r, first)
	r.Rewind(start)
	arena.Must(arena.MakeSlice[byte](r, 20_000))
	r.Reset()
	badMark(t, r, third)
	badMark(t, r, first)
	require.NoError(t, a.Check())
	require.NoError(t, r.Close())
	require.NoError(t, other.Close())
}

// A mark of a time that was rewound is not in the region's past, even if the
// region has by now got as far again.
func TestRegionRewoundMark(t *testing.T) {
	r := newRegion(t, nil)
	start := r.Mark()
	arena.Must(arena.Make[[500]byte](r))
	m := r.Mark()
	r.Rewind(start)
	arena.Must(arena.Make[[1000]byte](r)) // the mark would be in its middle
	badMark(t, r, m)
	require.NoError(t, r.Close())

	r = newRegion(t, nil)
	arena.Must(arena.Make[[500]byte](r))
	m = r.Mark()
	r.Reset()
	arena.Must(arena.Make[[1000]byte](r))
	badMark(t, r, m)
	require.NoError(t, r.Close())
}

// Whatever mark is accepted, nothing is made outside of the region's memory. A
// mark near the end of a large chunk must not be taken for one in the small chunk
// that is in its place now.
func TestRegionRewoundMarkOfAnotherChunk(t *testing.T) {
	a, _ := newAllocator(t, nil)
	r := newRegion(t, a)
	start := r.Mark()
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 100_000)) // the third chunk
	m := r.Mark()
	r.Rewind(start)
	arena.Must(arena.MakeSlice[byte](r, 4000))
	arena.Must(arena.MakeSlice[byte](r, 6000)) // too large for the second: it becomes the third
	for range 110 {
		arena.Must(arena.MakeSlice[byte](r, 1000))
	}
	badMark(t, r, m)
	require.NoError(t, r.Close())
}

func TestRegionAllocatorReset(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	s := &scribe{t: t, r: newRegion(t, a)}
	start := s.r.Mark()
	for i := range 10 {
		require.NoError(t, scribble[byte](s, 3000*i))
		m := s.r.Mark()
		a.Reset()
		assert.Zero(t, s.r.Held())
		badMark(t, s.r, m)
		badMark(t, s.r, start)
		s.made = nil
		arena.Must(a.Alloc(2000, 1)) // takes the place
		require.NoError(t, scribble[uint64](s, 100))
		require.NoError(t, scribble[byte](s, 5000))
		s.verify()
		require.NoError(t, a.Check())
		if i%2 == 0 {
			s.r.Reset()
			s.made = nil
		}
		start = s.r.Mark()
	}
	a.Reset()
	s.r.Reset()
	require.NoError(t, s.r.Close())
	require.NoError(t, a.Check())
}

func TestRegionAfterClose(t *testing.T) {
	for name, end := range map[string]func(a *slab.Allocator, r *arena.Region) error{
		"Close":           func(_ *slab.Allocator, r *arena.Region) error { return r.Close() },
		"Allocator.Close": func(a *slab.Allocator, _ *arena.Region) error { return a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := newAllocator(t, nil)
			r := newRegion(t, a)
			arena.Must(arena.MakeSlice[byte](r, 10_000))
			m := r.Mark()
			require.NoError(t, end(a, r))
			for range 2 {
				_, err := arena.Make[int](r)
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = arena.MakeSlice[int](r, 0)
				assert.ErrorIs(t, err, slab.ErrClosed)
				want := slab.UseAfterClose
				if name != "Close" {
					want = slab.BadMark
				}
				misused(t, a, want, func() { r.Rewind(m) })
				assert.Zero(t, r.Held())
				r.Reset()
				assert.Zero(t, a.Stats().Live)
			}
			assert.NoError(t, r.Close())
			assert.NoError(t, r.Close())
			_, err := arena.Make[int](r)
			assert.ErrorIs(t, err, slab.ErrClosed)
			misused(t, a, slab.UseAfterClose, func() { r.Rewind(r.Mark()) })
		})
	}
}

// A region that was given no allocator closes the one it made.
func TestRegionOfItsOwn(t *testing.T) {
	r, err := arena.NewRegion(nil)
	require.NoError(t, err)
	p, err := arena.Make[uint64](r)
	if err != nil {
		t.Skip("no default source")
	}
	*p = 1
	assert.NotZero(t, r.Held())
	assert.NoError(t, r.Close())
	assert.NoError(t, r.Close())
	assert.Zero(t, r.Held())
	_, err = arena.Make[uint64](r)
	assert.ErrorIs(t, err, slab.ErrClosed)
}

// An error leaves the region as it was, but for what a Reset has left, whichever
// call of the source fails.
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

// Regions, arenas and plain memory share an allocator.
func TestRegionsShareAnAllocator(t *testing.T) {
	a, _ := newAllocator(t, new(soiled))
	x, y := &scribe{t: t, r: newRegion(t, a)}, &scribe{t: t, r: newRegion(t, a)}
	cells := newArena[cell](t, a)
	for i := range 200 {
		require.NoError(t, kinds[i%len(kinds)](x, i%17))
		require.NoError(t, kinds[i%len(kinds)](y, i%13))
		arena.Must(cells.Alloc())
		if i%50 == 49 {
			y.verify()
			y.r.Reset()
			y.made = nil
			cells.Reset()
		}
	}
	x.verify()
	y.verify()
	require.NoError(t, x.r.Close())
	y.verify()
	require.NoError(t, y.r.Close())
	require.NoError(t, cells.Close())
	assert.Zero(t, a.Stats().Live)
}
