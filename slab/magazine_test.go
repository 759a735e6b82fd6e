package slab_test

import (
	"math/bits"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Slots in a class's magazine belong to nobody. They must go back when their memory
// is needed or little is live, and must not be taken for live slots or for dirty ones.

func onGoHeap(t *testing.T, cfg slab.Config) *slab.Allocator {
	t.Helper()
	if cfg.Source == nil {
		cfg.Source = new(blocksrc.GoHeap)
	}
	a, err := slab.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

// one allocates, or fails the test.
func one(t *testing.T, a *slab.Allocator, size int) []byte {
	t.Helper()
	b, err := a.Alloc(size, 1)
	require.NoError(t, err)
	return b
}

// TestWhatIsAtHandGoesBackForNeed: a class fills the only block, and all its slots but
// the first are freed. The memory behind that slot serves a request.
func TestWhatIsAtHandGoesBackForNeed(t *testing.T) {
	const k = 1 << 10
	a := onGoHeap(t, slab.Config{
		Source: blocksrc.Limit(new(blocksrc.GoHeap), 64*k), MetaSource: new(blocksrc.GoHeap),
		BlockSize: 64 * k, MaxBlockSize: 64 * k, LargeSize: 64 * k,
	})
	var all [][]byte
	for {
		b, err := a.Alloc(1024, 1)
		if err != nil {
			require.ErrorIs(t, err, blocksrc.ErrExhausted)
			break
		}
		all = append(all, b)
	}
	require.Greater(t, len(all), 60)
	for _, b := range all[1:] {
		a.Free(b)
	}
	b := one(t, a, 56*k)
	a.Free(b)
	a.Free(all[0])
}

// TestWhatIsAtHandGoesBackWhenLittleIsLive: a slot in a magazine keeps its block. So a
// heap that was large has no such slots once it is small, even where each class only
// ever had one slab.
func TestWhatIsAtHandGoesBackWhenLittleIsLive(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 3 << 10})
	var ballast, all [][]byte
	for c := range slab.NumClasses {
		for range 100 { // so that the classes are not neighbours
			ballast = append(ballast, one(t, a, 2000))
		}
		all = append(all, one(t, a, slab.ClassSize(c)))
	}
	for _, b := range append(ballast, all...) {
		a.Free(b)
	}
	s := a.Stats()
	assert.Zero(t, s.Live)
	assert.LessOrEqual(t, s.Blocks, 17, "that is not many any more: %v", s)
}

// TestWhatWasAtHandIsStillClean: slots that went from a slab to the magazine and back
// without being handed out are still zero, so Alloc does not clear them. It clears
// slots that were handed out.
func TestWhatWasAtHandIsStillClean(t *testing.T) {
	if slab.SlabCheck {
		t.Skip("what is freed is filled")
	}
	a := onGoHeap(t, slab.Config{})
	const size = 64
	first := one(t, a, size)
	first[0] = 1
	second := one(t, a, size)
	a.Free(second)
	a.Trim()
	mark := func(slot int) *byte { // bytes that belong to nobody
		return (*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(first)), slot*size))
	}
	*mark(1), *mark(5) = 7, 7
	marked := 0
	for slot := 1; slot < 8; slot++ {
		b := one(t, a, size)
		require.Equal(t, mark(slot), unsafe.SliceData(b), "the lowest first")
		if b[0] != 0 {
			marked = slot
		}
	}
	assert.Equal(t, 5, marked, "the slot that is marked and never was handed out")
}

// TestFreeInsideASlotWithTheRightSize: an interior free is found even if the capacity is
// that of the class.
func TestFreeInsideASlotWithTheRightSize(t *testing.T) {
	for c := range slab.NumClasses {
		a := onGoHeap(t, slab.Config{}) // new: each wrong free is followed by a full Check
		size := slab.ClassSize(c)
		b, behind := one(t, a, size), one(t, a, size)
		for off := 1; off < size; off += max(1, size/13) {
			wrongFree(t, a, slab.Interior, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), off)), size))
		}
		a.Free(behind)
		a.Free(b)
	}
}

// TestFreeOfWhatIsAtHand: freeing a slot of a class's first slab that is not live is a
// double free, whether the slot is free in the slab, in the magazine, or there once more.
func TestFreeOfWhatIsAtHand(t *testing.T) {
	for c := range slab.NumClasses {
		a := onGoHeap(t, slab.Config{}) // new: each wrong free is followed by a full Check
		size := slab.ClassSize(c)
		b := one(t, a, size)
		for range 3 {
			other := one(t, a, size)
			a.Free(other)
			wrongFree(t, a, slab.DoubleFree, other)
		}
		slots, step := max(1024/size, 1), 1
		if testing.Short() {
			step += slots / 8
		}
		for slot := 1; slot < slots; slot += step {
			wrongFree(t, a, slab.DoubleFree, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), slot*size)), size))
		}
		a.Free(b)
		wrongFree(t, a, slab.DoubleFree, b)
	}
}

// TestFreeBehindTheLastSlot: the rest of a slab behind its last slot may look like one
// more slot, since the bitmap has a bit for it.
func TestFreeBehindTheLastSlot(t *testing.T) {
	total := 100 << 10
	if testing.Short() {
		total = 12 << 10 // enough for slabs of every class with something left
	}
	for c := range slab.NumClasses {
		a := onGoHeap(t, slab.Config{})
		a.PauseChecks()
		size := slab.ClassSize(c)
		at := make(map[uintptr][]byte)
		for range total / size {
			b := one(t, a, size)
			at[startOf(b)] = b
		}
		var tails [][]byte
		for b := range a.Blocks() {
			for s := range b.Chunks() {
				if s.Stride != size || s.Slots*size == s.Size || s.Offset+(s.Slots+1)*size > b.Size {
					continue
				}
				if last := at[b.Addr+uintptr(s.Offset+(s.Slots-1)*size)]; last != nil {
					tails = append(tails, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(last)), size)), size))
				}
			}
		}
		for _, b := range tails {
			wrongFree(t, a, slab.Foreign, b)
		}
		for _, b := range at {
			a.Free(b)
		}
		require.NoError(t, a.Check())
	}
	// That bit is never in a word beyond the bitmap.
	for c := range slab.NumClasses {
		for target := slab.ClassSize(c); target < 300<<10; target += 100 {
			slots, size := slab.SlabShape(c, target)
			if left := size - slots*slab.ClassSize(c); left >= slab.ClassSize(c) || left != 0 && slots%64 == 0 {
				t.Errorf("%d slots of %d bytes leave %d", slots, slab.ClassSize(c), left)
			}
		}
	}
}

// TestClassFieldsShareALine: there are 59 classes, and programs that use them all.
func TestClassFieldsShareALine(t *testing.T) {
	for range 5 {
		if bits.UintSize == 32 || runtime.Compiler != "gc" {
			break // it is smaller, or lies anywhere
		}
		first, last := slab.ClassLines()
		require.Equal(t, first, last)
	}
}

// emptySlabs returns how many slabs have no live slot, and how many there are.
func emptySlabs(a *slab.Allocator) (empty, all int) {
	for b := range a.Blocks() {
		for c := range b.Chunks() {
			if c.Kind == slab.ChunkSlab {
				all++
				if c.Used == 0 {
					empty++
				}
			}
		}
	}
	return empty, all
}

// TestSlotsAtHandGoWithTheSpares: once most of the memory is empty, slots that a class has at
// hand keep no slab any more, even in a class where others are live.
func TestSlotsAtHandGoWithTheSpares(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 4 << 10, BlockAlign: 4 << 10})
	a.PauseChecks()
	var some [][]byte
	for range 48 {
		some = append(some, granted(t, a, 1024, 1))
	}
	freeAll(a, some[17:]) // 31, fewer than a magazine holds
	empty, _ := emptySlabs(a)
	require.Greater(t, empty, 2)
	var many [][]byte
	for range 30_000 {
		many = append(many, granted(t, a, 100, 1))
	}
	freeAll(a, many)
	empty, _ = emptySlabs(a)
	require.LessOrEqual(t, empty, 1)
	freeAll(a, some[:17])
}

// TestScratchStaysAtHand: a class that comes down to nothing all the time keeps its slots.
func TestScratchStaysAtHand(t *testing.T) {
	a := onGoHeap(t, slab.Config{})
	a.PauseChecks()
	kept := 0
	const rounds = 320
	for range rounds {
		var some [][]byte
		for range 10 {
			some = append(some, granted(t, a, 1000, 1))
		}
		freeAll(a, some)
		if a.Stats().Slabs > 1 {
			kept++
		}
	}
	assert.GreaterOrEqual(t, kept, rounds*9/10)
	assert.Less(t, kept, rounds-5, "now and then they go")
	a.Trim()
	assert.Zero(t, a.Stats().Slabs)
}

// TestPeaksLeaveNothingAtHand: each time that a class which was large has nothing live any more,
// its slots at hand go back, for they may be in many blocks.
func TestPeaksLeaveNothingAtHand(t *testing.T) {
	a := onGoHeap(t, slab.Config{BlockSize: 4 << 10, BlockAlign: 4 << 10, Retain: -1})
	a.PauseChecks()
	for range 3 {
		var all [][]byte
		for range 2000 {
			all = append(all, granted(t, a, 1000, 1))
		}
		freeAll(a, thin(a, all, 100)) // the last ones are far apart
		require.LessOrEqual(t, a.Stats().Slabs, 1)
		a.Free(granted(t, a, 1000, 1)) // down to nothing once more
	}
}

// TestFewSparesGoAtOnce: a Free by which little is live any more gives back some of the empty
// slabs that classes keep, but not all of them.
func TestFewSparesGoAtOnce(t *testing.T) {
	const most = 8 // classes that give back the slab that they keep, and one that slots at hand kept
	a := onGoHeap(t, slab.Config{BlockSize: 4 << 10, BlockAlign: 4 << 10})
	var big [][]byte
	for range 40 {
		big = append(big, granted(t, a, 100_000, 1))
	}
	for c := range slab.NumClasses {
		size := slab.ClassSize(c)
		if size < 100 || size > 900 {
			continue
		}
		var some [][]byte
		for range 40 {
			some = append(some, granted(t, a, size, 1))
		}
		freeAll(a, some)
	}
	_, before := emptySlabs(a)
	require.Greater(t, before, 20)
	freeAll(a, big[1:])
	one, other := granted(t, a, 1024, 1), granted(t, a, 1024, 1)
	third := granted(t, a, 1024, 1)
	a.Free(one)
	a.Free(other)
	_, before = emptySlabs(a)
	a.Free(third)
	_, after := emptySlabs(a)
	require.Less(t, after, before)
	require.GreaterOrEqual(t, after, before-2*(most+1), "with the class of the third")
	a.Free(big[0])
}
