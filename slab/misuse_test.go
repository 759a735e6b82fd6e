package slab_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// misused has the allocations to free wrongly, one of each kind that the allocator keeps in
// a way of its own.
var misused = []struct {
	name string
	size int
	gone slab.Misuse // what a second free is if nothing else was freed
}{
	{"slot", 64, slab.DoubleFree},
	{"slot of 8 bytes", 5, slab.DoubleFree},
	{"largest slot", slab.SmallMax, slab.DoubleFree},
	{"smallest chunk", slab.SmallMax + 1, slab.DoubleFree},
	{"chunk", 20_000, slab.DoubleFree},
	{"large", 1 << 20, slab.Foreign}, // the source has the block back
}

// wrong asserts that f panics with a misuse of the kind and changes nothing.
func wrong(t *testing.T, a *slab.Allocator, kind slab.Misuse, op string, f func()) *slab.MisuseError {
	t.Helper()
	before := a.Stats()
	e := caught(t, f)
	require.NotNil(t, e, "%s went unnoticed", kind)
	assert.Equal(t, kind, e.Misuse, "%v", e)
	assert.Equal(t, op, e.Op)
	says := kind.String()
	if kind == slab.DoubleFree && !strings.HasSuffix(op, "Free") {
		says = "free already" // it was freed only once
	}
	assert.Contains(t, e.Error(), says)
	assert.Equal(t, before, a.Stats(), "a misuse changes nothing")
	assert.NoError(t, a.Check())
	return e
}

// wrongFree is wrong for Free and for Realloc to sizes that would free, move or grow b.
// Owns must be false too, since it is true of whatever those two accept.
func wrongFree(t *testing.T, a *slab.Allocator, kind slab.Misuse, b []byte) *slab.MisuseError {
	t.Helper()
	assert.False(t, a.Owns(b))
	for _, size := range []int{0, 1, cap(b), 2 * cap(b), 1 << 21} {
		wrong(t, a, kind, "Allocator.Realloc", func() { _, _ = a.Realloc(b, size) })
	}
	e := wrong(t, a, kind, "Allocator.Free", func() { a.Free(b) })
	assert.Equal(t, startOf(b), e.Addr)
	assert.Equal(t, cap(b), e.Size)
	return e
}

func TestMisuse(t *testing.T) {
	for _, m := range misused {
		t.Run(m.name, func(t *testing.T) { misuse(t, m.size, m.gone) })
	}
}

// onStack returns p and hides it from the compiler, which would otherwise move its
// target to the heap.
func onStack[T any](p *T) *T {
	at := uintptr(unsafe.Pointer(p))
	return *(**T)(unsafe.Pointer(&at))
}

func misuse(t *testing.T, size int, gone slab.Misuse) {
	newAllocator := func() *slab.Allocator {
		a, _ := onCounting(t, slab.Config{Name: "hero", BlockSize: 1 << 20})
		t.Cleanup(a.Reset)
		return a
	}

	t.Run("double free, at once", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		a.Free(b)
		e := wrongFree(t, a, gone, b)
		assert.Contains(t, e.Error(), "hero")
		wrongFree(t, a, gone, b[:1:1]) // nothing is there, so it has no size to be wrong
	})

	t.Run("double free, with others live", func(t *testing.T) {
		a := newAllocator()
		left, b, right := granted(t, a, size, 0), granted(t, a, size, 0), granted(t, a, size, 0)
		a.Free(b)
		wrongFree(t, a, gone, b)
		a.Free(left) // what b was is in the middle of a hole now
		wrongFree(t, a, gone, b)
		a.Free(right)
		wrongFree(t, a, gone, b)
	})

	t.Run("double free, later", func(t *testing.T) {
		a := newAllocator()
		var others [][]byte
		for n := range 60 {
			others = append(others, granted(t, a, 1+n*n*10, 0))
		}
		b := granted(t, a, size, 0)
		keep := granted(t, a, size, 0)
		a.Free(b)
		for n, c := range others {
			if n%20 == 0 {
				wrongFree(t, a, gone, b)
			}
			a.Free(c)
		}
		wrongFree(t, a, gone, b)
		assert.True(t, a.Owns(keep))
	})

	// A misuse is reported in any case; which one depends on what is there now.
	t.Run("double free, after the memory was reused in another way", func(t *testing.T) {
		a := newAllocator()
		old := granted(t, a, size, 0)
		a.Free(old)
		a.Trim()
		for n := range 60 {
			granted(t, a, 1+n*n*10, 0)
		}
		if a.Owns(old) {
			t.Skip("it was reused in the same way")
			return // under TinyGo, Skip does not
		}
		before := a.Stats()
		assert.NotNil(t, caught(t, func() { a.Free(old) }))
		assert.Equal(t, before, a.Stats())
		assert.NoError(t, a.Check())
	})

	// A pointer does not tell whose it is. The stale free succeeds, and the new owner's
	// own free is the one reported. Handles do not have that gap.
	t.Run("double free, after the memory was reused", func(t *testing.T) {
		a := newAllocator()
		granted(t, a, size, 0)
		old := granted(t, a, size, 0)
		a.Free(old)
		owner := granted(t, a, size, 0)
		if startOf(old) != startOf(owner) {
			t.Skip("it was not")
			return // under TinyGo, Skip does not
		}
		require.True(t, a.Owns(old))
		require.Nil(t, caught(t, func() { a.Free(old) }))
		wrongFree(t, a, slab.DoubleFree, owner) // also of a large one: its block was missed, so it stays
	})

	t.Run("inside", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		b = b[:cap(b)]
		stamp(b, 1)
		for _, off := range []int{1, 4, 7, 8, 16, 1023, 1024, 1025, 4096, len(b) / 2, len(b) - 1} {
			if off > 0 && off < len(b) {
				wrongFree(t, a, slab.Interior, b[off:])
			}
		}
		assert.True(t, stamped(b, 1))
		a.Free(b)
	})

	t.Run("another capacity", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		b = b[:cap(b)]
		for _, n := range []int{0, 1, 8, 64, 1024, 2048, len(b) - 1} {
			if n < len(b) {
				e := wrong(t, a, slab.WrongSize, "Allocator.Free", func() { a.Free(b[:n:n]) })
				assert.Equal(t, cap(b), e.Want)
				assert.False(t, a.Owns(b[:n:n]))
			}
		}
		beyond := unsafe.Slice(unsafe.SliceData(b), len(b)) // the same start and capacity
		require.True(t, a.Owns(beyond))
		a.Free(beyond[:0]) // the length does not matter
	})

	t.Run("of the Go heap", func(t *testing.T) {
		a := newAllocator()
		granted(t, a, size, 0)
		wrongFree(t, a, slab.Foreign, make([]byte, size))
	})

	t.Run("of the stack", func(t *testing.T) {
		a := newAllocator()
		var local [64]byte
		b := unsafe.Slice(onStack(&local[0]), len(local))
		e := caught(t, func() { a.Free(b) })
		require.NotNil(t, e)
		assert.Equal(t, slab.Foreign, e.Misuse)
	})

	t.Run("of another allocator", func(t *testing.T) {
		a, other := newAllocator(), newAllocator()
		granted(t, a, size, 0)
		b := granted(t, other, size, 0)
		wrongFree(t, a, slab.Foreign, b)
		assert.True(t, other.Owns(b))
	})

	t.Run("of another allocator on the same source", func(t *testing.T) {
		src := blocksrc.NewBuffer(make([]byte, 8<<20))
		a, _ := onCounting(t, slab.Config{Source: src})
		other, _ := onCounting(t, slab.Config{Source: src})
		mine := granted(t, a, size, 0)
		b := granted(t, other, size, 0)
		wrongFree(t, a, slab.Foreign, b)
		a.Free(mine)
		other.Free(b)
	})

	t.Run("after Reset", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		a.Reset()
		wrongFree(t, a, gone, b)
	})

	t.Run("after Trim", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		a.Free(b)
		a.Trim()
		wrongFree(t, a, slab.Foreign, b)
	})

	t.Run("after Close", func(t *testing.T) {
		a := newAllocator()
		b := granted(t, a, size, 0)
		require.NoError(t, a.Close())
		wrongFree(t, a, slab.UseAfterClose, b)
		a.Free(nil)
		a.Free([]byte{})
	})

	t.Run("a pool's slot", func(t *testing.T) {
		a := newAllocator()
		p, err := slab.NewPool(a, size, 8)
		require.NoError(t, err)
		q, err := p.Alloc()
		require.NoError(t, err)
		stride := p.Stats().Stride
		wrongFree(t, a, slab.Foreign, unsafe.Slice((*byte)(q), stride))
		p.Free(q)
		wrongFree(t, a, slab.Foreign, unsafe.Slice((*byte)(q), stride))
	})

	t.Run("an allocation, by a pool", func(t *testing.T) {
		a := newAllocator()
		p, err := slab.NewPool(a, size, 8)
		require.NoError(t, err)
		q, err := p.Alloc() // the pool has a slab
		require.NoError(t, err)
		b := granted(t, a, size, 0)
		at := unsafe.Pointer(unsafe.SliceData(b))
		assert.False(t, p.Owns(at))
		wrong(t, a, slab.Foreign, "Pool.Free", func() { p.Free(at) })
		wrong(t, a, slab.Foreign, "Pool.Handle", func() { p.Handle(at) })
		a.Free(b)
		wrong(t, a, slab.Foreign, "Pool.Free", func() { p.Free(at) })
		p.Free(q)
	})
}

func TestMisuseOfPools(t *testing.T) {
	for _, size := range []int{0, 8, 24, 1000, 5000} {
		t.Run(fmt.Sprintf("size=%d", size), func(t *testing.T) {
			a, _ := onCounting(t, slab.Config{})
			p, err := slab.NewPool(a, size, 8)
			require.NoError(t, err)
			other, err := slab.NewPool(a, size, 8)
			require.NoError(t, err)
			take := func(p *slab.Pool) unsafe.Pointer {
				q, err := p.Alloc()
				require.NoError(t, err)
				return q
			}
			free := func(kind slab.Misuse, q unsafe.Pointer) {
				t.Helper()
				assert.False(t, p.Owns(q))
				wrong(t, a, kind, "Pool.Free", func() { p.Free(q) })
				wrong(t, a, kind, "Pool.Handle", func() { p.Handle(q) })
			}
			first, second, foreign := take(p), take(p), take(other)
			h := p.Handle(first)

			free(slab.Foreign, nil)
			assert.EqualError(t, caught(t, func() { p.Free(nil) }), "slab: Pool.Free of nil: not allocated here, or no longer")
			free(slab.Foreign, unsafe.Pointer(new(uint64)))
			free(slab.Foreign, foreign)
			for _, off := range []int{1, 4, p.Stats().Stride - 1} {
				free(slab.Interior, unsafe.Add(first, off))
			}
			p.Free(first) // there is a group, so it goes to the bitmap
			free(slab.DoubleFree, first)
			p.Free(second)
			free(slab.DoubleFree, first)
			free(slab.DoubleFree, second)

			// After reuse the old pointer is the new owner's, but the old handle is stale.
			again := []unsafe.Pointer{take(p), take(p)}
			require.ElementsMatch(t, []unsafe.Pointer{first, second}, again)
			assert.Nil(t, p.Slot(h))
			assert.False(t, p.Remove(h))
			require.Nil(t, caught(t, func() { p.Free(first) }))
			free(slab.DoubleFree, first)

			p.Free(second)
			p.Reset()
			free(slab.DoubleFree, second)
			require.NoError(t, p.Close())
			for _, q := range []unsafe.Pointer{first, nil, foreign} {
				free(slab.UseAfterClose, q)
			}
			other.Free(foreign)
			require.NoError(t, other.Close())
		})
	}
}

// The rest of a slab behind its last slot belongs to nobody.
func TestMisuseBehindTheLastSlot(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	b := granted(t, a, 72, 0)
	for blk := range a.Blocks() {
		for c := range blk.Chunks() {
			if c.Kind != slab.ChunkSlab {
				continue
			}
			rest := c.Size - c.Slots*c.Stride
			require.Positive(t, rest)
			slot0 := unsafe.Pointer(unsafe.SliceData(b))
			tail := unsafe.Slice((*byte)(unsafe.Add(slot0, c.Slots*c.Stride)), rest)
			wrongFree(t, a, slab.Foreign, tail)
			neverTaken := unsafe.Slice((*byte)(unsafe.Add(slot0, (c.Slots-1)*c.Stride)), c.Stride)
			wrongFree(t, a, slab.DoubleFree, neverTaken)
		}
	}
	a.Free(b)
}

// Freeing an empty slice does nothing, and reallocating one allocates.
func TestFreeOfNothing(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	for _, b := range [][]byte{nil, {}, make([]byte, 0)} {
		assert.Nil(t, caught(t, func() { a.Free(b) }))
		assert.False(t, a.Owns(b))
		c, err := a.Realloc(b, 40)
		require.NoError(t, err)
		assert.Equal(t, make([]byte, 40), c)
		c, err = a.Realloc(c, 0)
		require.NoError(t, err)
		assert.Empty(t, c)
	}
	assert.Zero(t, a.Stats().Live)
	b := granted(t, a, 100, 0)
	wrong(t, a, slab.WrongSize, "Allocator.Free", func() { a.Free(b[:0:0]) })
	a.Free(b)

	// It may even lie beside a block, where the address map has an entry for a chunk.
	mem := make([]byte, 300_000)
	a, err := slab.New(slab.Config{Source: blocksrc.NewBuffer(mem[16:]), MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	b = granted(t, a, 5000, 0)
	assert.Nil(t, caught(t, func() { a.Free(mem[:0:0]) }))
	wrong(t, a, slab.Foreign, "Allocator.Free", func() { a.Free(mem[:1:1]) })
	a.Free(b)
	require.NoError(t, a.Close())
}

// TestFreeOfAnEmptyForeignSlice: a slice of length 0 that has room is not nothing.
func TestFreeOfAnEmptyForeignSlice(t *testing.T) {
	a, _ := onCounting(t, slab.Config{})
	b := granted(t, a, 100, 8)
	for _, n := range []int{1, 16, 100_000} {
		e := caught(t, func() { a.Free(make([]byte, 0, n)) })
		require.NotNil(t, e, "%d", n)
		assert.Equal(t, slab.Foreign, e.Misuse)
		assert.Equal(t, n, e.Size)
	}
	a.Free(nil)
	a.Free([]byte{})
	a.Free(b[:0])
	assert.Zero(t, a.Stats().Live)
}
