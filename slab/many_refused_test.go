package slab_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A system that has no mapping left refuses to take thousands of blocks back, until something
// else has gone.

// unwilling is a source that takes a block back if takes says so, and counts how often it is asked.
type unwilling struct {
	blocksrc.GoHeap
	takes func(mem []byte) bool
	asked int
	held  []uintptr // addresses of the blocks that are out
}

func (u *unwilling) Acquire(size, align int) ([]byte, error) {
	mem, err := u.GoHeap.Acquire(size, align)
	if err == nil {
		u.held = append(u.held, startOf(mem))
	}
	return mem, err
}

func (u *unwilling) Release(mem []byte) error {
	u.asked++
	if u.takes != nil && !u.takes(mem) {
		return errors.New("no mapping is left")
	}
	return u.GoHeap.Release(mem)
}

// inBlocks returns an allocator with n blocks of one chunk each.
func inBlocks(t *testing.T, n int) (src *unwilling, a *slab.Allocator, chunks [][]byte) {
	src = new(unwilling)
	a, err := slab.New(slab.Config{Source: src, BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10, Retain: -1})
	require.NoError(t, err)
	a.PauseChecks()
	for range n {
		chunks = append(chunks, granted(t, a, 4000, 1))
	}
	return src, a, chunks
}

// TestRefusedAgain: a Free after which the source takes one block more offers it that one, and one
// that it refuses, not all that are waiting.
func TestRefusedAgain(t *testing.T) {
	const blocks = 1000
	src, a, chunks := inBlocks(t, blocks)
	room := 0
	src.takes = func([]byte) bool { room--; return room >= 0 }
	freeAll(a, chunks[:blocks/2])
	src.asked = 0
	for _, b := range chunks[blocks/2:] {
		room = 2 // that of b, and one more
		a.Free(b)
	}
	assert.LessOrEqual(t, src.asked, 3*blocks/2)
	require.NoError(t, a.Check())
	src.takes = nil
	require.NoError(t, a.Close())
	require.Zero(t, a.Stats().Held)
}

// TestRefusedForGood: a block that the source never takes does not keep others from going.
func TestRefusedForGood(t *testing.T) {
	src, a, chunks := inBlocks(t, 3)
	bad := startOf(chunks[1]) &^ 63
	isBad := func(mem []byte) bool { return startOf(mem) <= bad && bad-startOf(mem) < uintptr(len(mem)) }
	src.takes = func(mem []byte) bool { return !isBad(mem) }
	freeAll(a, chunks)
	a.Trim()
	require.Equal(t, 4<<10, a.Stats().Held)
	chunks = nil
	for range 100 {
		chunks = append(chunks, granted(t, a, 8000, 1)) // too long for the bad block
	}
	src.takes = func([]byte) bool { return false }
	freeAll(a, chunks[:50])
	src.takes = func(mem []byte) bool { return !isBad(mem) }
	freeAll(a, chunks[50:60])
	assert.LessOrEqual(t, a.Stats().Blocks, 40+5)
	freeAll(a, chunks[60:])
	src.takes = nil
	require.NoError(t, a.Close())
}

// TestCloseByTurns: a source that only takes the block with the highest address gets all of them
// in one Close, but for one at most, though those of the records lie among the others.
func TestCloseByTurns(t *testing.T) {
	src, a, _ := inBlocks(t, 300)
	slices.Sort(src.held)
	src.takes = func(mem []byte) bool {
		last := len(src.held) - 1
		if startOf(mem) != src.held[last] {
			return false
		}
		src.held = src.held[:last]
		return true
	}
	if a.Close() != nil {
		require.Len(t, src.held, 1)
		require.NoError(t, a.Close())
	}
	require.Empty(t, src.held)
	require.Zero(t, a.Stats().Held)
}

// TestErrorOfManyBlocks: the error of a Close does not grow with the number of blocks.
func TestErrorOfManyBlocks(t *testing.T) {
	src, a, _ := inBlocks(t, 3000)
	src.takes = func([]byte) bool { return false }
	err := a.Close()
	require.Error(t, err)
	assert.Less(t, strings.Count(err.Error(), "\n"), 40)
	require.GreaterOrEqual(t, a.Stats().Refused, uint64(3000))
	src.takes = nil
	require.NoError(t, a.Close())
}

// TestDiscardOfRefused: a Trim gives the pages of blocks back that the source does not take, also
// when nothing is live any more.
func TestDiscardOfRefused(t *testing.T) {
	src := &discarding{page: 4096}
	keeps := &keeping{discarding: src}
	a, err := slab.New(slab.Config{Source: keeps, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	a.PauseChecks()
	var all [][]byte
	for range 20 {
		all = append(all, granted(t, a, 50_000, 1))
	}
	freeAll(a, all)
	a.Trim()
	n := 0
	for _, part := range src.parts {
		n += len(part)
	}
	require.GreaterOrEqual(t, n, 20*50_000)
	again := granted(t, a, 50_000, 1)
	assert.Zero(t, slices.Max(again), "it was discarded, and is cleared")
	keeps.takes = true
	a.Free(again)
	require.NoError(t, a.Close())
}

// keeping takes nothing back until told.
type keeping struct {
	*discarding
	takes bool
}

func (k *keeping) Release(mem []byte) error {
	if !k.takes {
		return errNever
	}
	return k.discarding.Release(mem)
}
