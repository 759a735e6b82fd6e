//go:build !tinygo

// As regions_test.go, whose memory these tests use.

package slab_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Numbers of chunks and slabs that do not fit in 16 bits, and so need wide leaves.

// TestManyChunks: when so many chunks are live that their numbers do not fit in 16 bits, all
// are found, in regions that were entered before that as well. A request whose region has no
// room for the number, because there is no memory for a wide leaf, is refused or lies elsewhere.
func TestManyChunks(t *testing.T) {
	refuse := false
	const most = int(slab.NarrowMost)
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap), MetaSource: refusing(new(blocksrc.GoHeap), &refuse)})
	require.NoError(t, err)
	a.PauseChecks()
	r := rand.New(rand.NewPCG(15, 16))
	var live [][]byte
	fill := func(n int) (err error) {
		for len(live) < n && err == nil {
			var b []byte
			if b, err = a.AllocUninitialized(1025+r.IntN(100), 1); err == nil {
				live = append(live, b)
			}
		}
		require.NoError(t, a.Check())
		return err
	}
	require.NoError(t, fill(most*9/10))
	wide, narrow := slab.Leaves(a)
	require.Zero(t, wide)
	for round := range 4 { // so that numbers wander
		r.Shuffle(len(live), func(i, k int) { live[i], live[k] = live[k], live[i] })
		half := len(live) / 2
		freeAll(a, live[half:])
		live = live[:half]
		if refuse = round == 2; refuse {
			require.ErrorIs(t, fill(math.MaxInt), slab.ErrExhausted)
		} else {
			require.NoError(t, fill(most+most/32*round))
		}
	}
	wide, _ = slab.Leaves(a)
	assert.Greater(t, wide, narrow/2)
	freeAll(a, live)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestNoRoomForANumber: a hole does not serve a request, also as the last resort, if its number
// does not fit in the leaf of its region and there is no memory for a wide one.
func TestNoRoomForANumber(t *testing.T) {
	refuse := false
	a := inOneBlock(t, 16<<10, refusing(new(blocksrc.GoHeap), &refuse))
	all := fillUp(t, a, 1100, 1)
	freeAll(a, all[10:13]) // a hole, whose rest gets a new number when its front is taken
	require.NoError(t, slab.NumberChunks(a, int(slab.NarrowMost)+1))
	refuse = true
	undo := slab.HoardRecords(a)
	all[10] = granted(t, a, 1100, 1)
	_, err := a.Alloc(1100, 1)
	require.ErrorIs(t, err, slab.ErrExhausted)
	undo()
	require.NoError(t, a.Check())
	all[11], all[12] = granted(t, a, 1100, 1), granted(t, a, 1100, 1)
	wide, _ := slab.Leaves(a)
	assert.Equal(t, 1, wide)
	freeAll(a, all)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestNumberGivenBack: where a slab goes back to make room for a leaf, its number is the next
// one. That may be too large for a region that was ready for the number before.
func TestNumberGivenBack(t *testing.T) {
	refuse := false
	a := inOneBlock(t, 4*slab.Region, refusing(new(blocksrc.GoHeap), &refuse))
	slab.NumberSlabs(a, slab.NarrowMost+1)
	kept, err := slab.NewPool(a, 4, 4)
	require.NoError(t, err)
	require.NoError(t, slab.ShellOf(kept).Room(4096)) // a slab with a record of 16 KiB
	q, err := kept.Alloc()
	require.NoError(t, err)
	granted(t, a, 1100, slab.Region)
	require.Equal(t, 2, slab.Regions(a))
	p, err := slab.NewPool(a, slab.Region+window, 1)
	require.NoError(t, err)
	refuse = true
	undo := slab.HoardRecords(a)
	kept.Free(q)
	_, err = p.Alloc()
	undo()
	require.NoError(t, a.Check())
	require.NoError(t, err)
	require.Zero(t, kept.Stats().Slabs)
	require.Equal(t, 3, slab.Regions(a))
	require.NoError(t, a.Close())
}

// TestManySlabs: a slab whose number does not fit in the leaves of its regions gets wide ones.
func TestManySlabs(t *testing.T) {
	a := inOneBlock(t, 3*slab.Region, new(blocksrc.GoHeap))
	for _, c := range []struct {
		number uint32
		wide   int
	}{{slab.NarrowMost, 0}, {slab.NarrowMost + 1, 2}} {
		slab.NumberSlabs(a, c.number)
		p, err := slab.NewPool(a, slab.Region+window, 1)
		require.NoError(t, err)
		q, err := p.Alloc()
		require.NoError(t, err)
		wide, _ := slab.Leaves(a)
		assert.Equal(t, c.wide, wide)
		require.NoError(t, a.Check())
		p.Free(q)
		require.NoError(t, p.Close())
		require.NoError(t, a.Check())
	}
	require.NoError(t, a.Close())
}
