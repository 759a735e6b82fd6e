package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A slot of the word that the group is of is not fresh any more once it was freed.
func TestPoolClearsWhatWasFreedBesideItsGroup(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	defer a.Close()
	p, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	var qs [3]unsafe.Pointer
	for i := range qs {
		qs[i], err = p.Alloc()
		require.NoError(t, err)
		*(*uint64)(qs[i]) = 1
	}
	p.Free(qs[0])
	p.Free(qs[1]) // both to the bitmap, while the rest of the word is at hand
	for range 64 {
		q, err := p.Alloc()
		require.NoError(t, err)
		assert.Zero(t, *(*uint64)(q))
	}
}

// A slab's end, where one more slot would begin and has no room, is no slot.
func TestFreeBehindTheLastSlot(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	defer a.Close()
	for _, size := range []int{576, 640, 896} {
		b, err := a.Alloc(size, 1)
		require.NoError(t, err)
		n := (2*size + 1023) / 1024 * 1024 / size // slots of the first slab
		if n*size%1024 == 0 {
			continue
		}
		behind := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), n*size)), size)
		before := a.Stats()
		assert.Panics(t, func() { a.Free(behind) }, "slots of %d", size)
		assert.Equal(t, before, a.Stats())
		assert.NoError(t, a.Check())
	}
}
