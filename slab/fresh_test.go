package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A slot of the group's word is not fresh any more once it was freed.
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
	p.Free(qs[1]) // both go to the bitmap, while the rest of the word is at hand
	for range 64 {
		q, err := p.Alloc()
		require.NoError(t, err)
		assert.Zero(t, *(*uint64)(q))
	}
}

// TestPoolDoesNotClearWhatIsFresh: a slot that was never handed out is as zero as its
// block was, and so is not cleared.
func TestPoolDoesNotClearWhatIsFresh(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	first, err := p.Alloc()
	require.NoError(t, err)
	for slot := 1; slot < 8; slot++ {
		mark := (*byte)(unsafe.Add(first, slot*64)) // a byte that nobody owns
		*mark = 7
		q, err := p.Alloc()
		require.NoError(t, err)
		require.Equal(t, unsafe.Pointer(mark), q, "the lowest first")
		require.Equal(t, byte(7), *mark)
		*mark = 0
	}
}
