package slab_test

import (
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

// inBlocks returns an allocator on src with n blocks of one chunk each.
func inBlocks(t *testing.T, src *wrapped, n int) (a *slab.Allocator, chunks [][]byte) {
	src.Source = new(blocksrc.GoHeap)
	a, err := slab.New(slab.Config{Source: src, BlockSize: 4 << 10, MaxBlockSize: 4 << 10, LargeSize: 4 << 10, Retain: -1})
	require.NoError(t, err)
	a.PauseChecks()
	for range n {
		chunks = append(chunks, granted(t, a, 4000, 1))
	}
	return a, chunks
}

// takes is the Release of a source that takes only such blocks back.
func takes(such func(mem []byte) bool) func(blocksrc.Source, []byte) error {
	return func(src blocksrc.Source, mem []byte) error {
		if !such(mem) {
			return errNever
		}
		return src.Release(mem)
	}
}

// TestRefusedAgain: a Free after which the source takes one block more offers it that one, and one
// that it refuses, not all that are waiting.
func TestRefusedAgain(t *testing.T) {
	const blocks = 1000
	var src wrapped
	a, chunks := inBlocks(t, &src, blocks)
	room, asked := 0, 0
	src.release = takes(func([]byte) bool { asked++; room--; return room >= 0 })
	freeAll(a, chunks[:blocks/2])
	asked = 0
	for _, b := range chunks[blocks/2:] {
		room = 2 // that of b, and one more
		a.Free(b)
	}
	assert.LessOrEqual(t, asked, 3*blocks/2)
	require.NoError(t, a.Check())
	src.release = nil
	require.NoError(t, a.Close())
	require.Zero(t, a.Stats().Held)
}

// TestRefusedForGood: a block that the source never takes does not keep others from going.
func TestRefusedForGood(t *testing.T) {
	var src wrapped
	a, chunks := inBlocks(t, &src, 3)
	bad := startOf(chunks[1]) &^ 63
	isBad := func(mem []byte) bool { return startOf(mem) <= bad && bad-startOf(mem) < uintptr(len(mem)) }
	src.release = takes(func(mem []byte) bool { return !isBad(mem) })
	freeAll(a, chunks)
	a.Trim()
	require.Equal(t, 4<<10, a.Stats().Held)
	chunks = nil
	for range 100 {
		chunks = append(chunks, granted(t, a, 8000, 1)) // too long for the bad block
	}
	src.release = takes(func([]byte) bool { return false })
	freeAll(a, chunks[:50])
	src.release = takes(func(mem []byte) bool { return !isBad(mem) })
	freeAll(a, chunks[50:60])
	assert.LessOrEqual(t, a.Stats().Blocks, 40+5)
	freeAll(a, chunks[60:])
	src.release = nil
	require.NoError(t, a.Close())
}

// TestLongBlockRefusedForGood: nor does a long one, though it is offered before all others once the
// source takes blocks again.
func TestLongBlockRefusedForGood(t *testing.T) {
	var src wrapped
	a, chunks := inBlocks(t, &src, 10)
	const long = 64 << 10
	b := granted(t, a, long, 1)
	src.release = takes(func([]byte) bool { return false })
	a.Free(b)
	freeAll(a, chunks[:4])
	require.Equal(t, 11, a.Stats().Blocks)
	src.release = takes(func(mem []byte) bool { return len(mem) < long })
	freeAll(a, chunks[4:9])
	require.Equal(t, 2, a.Stats().Blocks)
	require.NoError(t, a.Check())
	src.release = nil
	require.NoError(t, a.Close())
}

// TestCloseByTurns: a source that only takes the block with the highest address gets all of them
// in one Close, but for one at most, though those of the records lie among the others.
func TestCloseByTurns(t *testing.T) {
	var held []uintptr
	src := wrapped{acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		mem, err := src.Acquire(size, align)
		held = append(held, startOf(mem))
		return mem, err
	}}
	a, _ := inBlocks(t, &src, 300)
	slices.Sort(held)
	src.release = takes(func(mem []byte) bool {
		last := len(held) - 1
		if startOf(mem) != held[last] {
			return false
		}
		held = held[:last]
		return true
	})
	if a.Close() != nil {
		require.Len(t, held, 1)
		require.NoError(t, a.Close())
	}
	require.Empty(t, held)
	require.Zero(t, a.Stats().Held)
}

// TestErrorOfManyBlocks: the error of a Close does not grow with the number of blocks.
func TestErrorOfManyBlocks(t *testing.T) {
	var src wrapped
	a, _ := inBlocks(t, &src, 3000)
	src.release = takes(func([]byte) bool { return false })
	err := a.Close()
	require.Error(t, err)
	assert.Less(t, strings.Count(err.Error(), "\n"), 40)
	require.GreaterOrEqual(t, a.Stats().Refused, uint64(3000))
	src.release = nil
	require.NoError(t, a.Close())
}

// TestDiscardOfRefused: a Trim gives the pages of blocks back that the source does not take, also
// when nothing is live any more.
func TestDiscardOfRefused(t *testing.T) {
	src := &discarding{page: 4096, keeps: true}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
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
	src.keeps = false
	a.Free(again)
	require.NoError(t, a.Close())
}
