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
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
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

// badMark asserts that r refuses m and does not move.
func badMark(t testing.TB, r *arena.Region, m arena.Mark) {
	t.Helper()
	before := r.Mark()
	misused(t, nil, slab.BadMark, func() { r.Rewind(m) })
	assert.True(t, before == r.Mark(), "the region has moved")
}

// scribe makes values of different types in a region. It asserts that they are zero and
// aligned, and that nothing else writes where they are.
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

// size returns the number of bytes of all values.
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

// On any system, 64 bits in a region may be accessed atomically.
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

// Nothing lies between values of less than 8 bytes.
func TestRegionPacksSmallValues(t *testing.T) {
	packs[byte](t, 1)
	packs[[3]byte](t, 3)
	packs[uint16](t, 2)
	packs[[3]uint16](t, 6)
	packs[uint32](t, 4)
}

func packs[T typed.PointerFree](t *testing.T, size uintptr) {
	r := newRegion(t, nil)
	last := uintptr(unsafe.Pointer(arena.Must(arena.Make[T](r))))
	for range 10 {
		p := uintptr(unsafe.Pointer(arena.Must(arena.Make[T](r))))
		assert.Equal(t, size, max(p, last)-min(p, last), "%T", *new(T))
		last = uintptr(unsafe.Pointer(&arena.Must(arena.MakeSlice[T](r, 1))[0]))
		assert.Equal(t, size, max(p, last)-min(p, last), "%T", *new(T))
	}
}

// Even where all that is left is one slot, 64 bits in a region are aligned, or refused. (A chunk has
// a byte more than that.)
func TestRegionAlignsWhereLittleIsLeft(t *testing.T) {
	for size, serves := range map[int]bool{9: false, 10: false, 16: true, 24: true} {
		a, _ := newAllocator(t, blocksrc.Limit(plain(), 64<<10))
		var slots [][]byte
		for range 100 {
			b, err := a.Alloc(size, 1)
			require.NoError(t, err)
			slots = append(slots, b)
		}
		for n := 32 << 10; n > 0; {
			if _, err := a.Alloc(n, 1); err != nil {
				n /= 2
			}
		}
		for _, b := range slots {
			a.Free(b)
			r := newRegion(t, a)
			p, err := arena.Make[uint64](r)
			if serves {
				require.NoError(t, err, "%d", size)
			}
			if err == nil {
				assert.Zero(t, addressOf(p)%8)
			} else {
				assert.ErrorIs(t, err, slab.ErrExhausted)
			}
			require.NoError(t, r.Close())
			_, err = a.AllocUninitialized(size, 1) // takes it again
			require.NoError(t, err)
		}
	}
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
		// On 32 bits an allocator could address that much, but its source does not have it.
		_, err := arena.MakeSlice[byte](r, math.MaxInt-n)
		assert.True(t, errors.Is(err, slab.ErrTooLarge) || errors.Is(err, blocksrc.ErrExhausted), "%d: %v", n, err)
	}
	// The product overflows to zero.
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

// A refused type is refused again, by Make and by MakeSlice, even after a type that was
// accepted.
func TestRegionRefusesEachTime(t *testing.T) {
	r := newRegion(t, nil)
	for range 3 {
		var refused *typed.PointerError
		_, err := arena.Make[*int](r)
		require.ErrorAs(t, err, &refused)
		_, err = arena.Make[*int](r)
		require.ErrorAs(t, err, &refused)
		_, err = arena.MakeSlice[*int](r, 3)
		require.ErrorAs(t, err, &refused)
		_, err = arena.MakeSlice[string](r, 0)
		require.ErrorAs(t, err, &refused)
		arena.Must(arena.Make[int](r))
	}
	require.NoError(t, r.Close())
}

// A region remembers which types hold no pointers, for more types than it has at hand.
func TestRegionOfManyTypes(t *testing.T) {
	r := newRegion(t, nil)
	for range 3 {
		for _, make := range []func() error{
			aValue[bool](r), aValue[int8](r), aValue[uint8](r), aValue[int16](r), aValue[uint16](r), aValue[int32](r),
			aValue[uint32](r), aValue[int64](r), aValue[uint64](r), aValue[float32](r), aValue[float64](r), aValue[[3]int](r),
		} {
			require.NoError(t, make())
			require.NoError(t, make())
			var refused *typed.PointerError
			_, err := arena.Make[*bool](r)
			require.ErrorAs(t, err, &refused)
			_, err = arena.Make[**bool](r)
			require.ErrorAs(t, err, &refused)
		}
	}
	require.NoError(t, r.Close())
}

func aValue[T comparable](r *arena.Region) func() error {
	return func() error {
		p, err := arena.Make[T](r)
		if err == nil && *p != *new(T) {
			err = errors.New("not zero")
		}
		return err
	}
}

// Eight types are at hand together, though most are of one size.
func TestRegionHasEightTypesAtHand(t *testing.T) {
	r := newRegion(t, nil)
	for i, make := range []func() error{
		aValue[[16]byte](r), aValue[[16]int8](r), aValue[[8]int16](r), aValue[[8]uint16](r), aValue[[4]int32](r),
		aValue[[2]uint64](r), aValue[byte](r), aValue[[4]uint32](r),
	} {
		require.NoError(t, make())
		assert.Equal(t, i+1, r.TypesAtHand())
	}
	require.NoError(t, r.Close())
}
