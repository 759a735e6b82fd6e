//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris) && !tinygo && !vita

package blocksrc_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vita-go/deblockator/blocksrc"
)

const canTrim = true

// If the system does not unmap an end, no block is lost: the end stays with its block and
// goes with it. Every byte mapped is unmapped once.
func TestMmapThatCannotTrim(t *testing.T) {
	var src blocksrc.Mmap
	page := src.Granularity()
	const align = 1 << 20
	for refused := range 4 { // a bit for each end, the tail first
		calls, kept, gone, acquired := 0, 0, 0, false
		restore := blocksrc.SetUnmap(func(whole []byte, system func([]byte) error) error {
			calls++
			if !acquired && refused>>(calls-1)&1 != 0 {
				kept += len(whole)
				return errRefused
			}
			gone += len(whole)
			return system(whole)
		})
		t.Cleanup(restore)
		block, err := src.Acquire(page, align)
		require.NoError(t, err)
		acquired = true // the mapping may be aligned by luck, with one end only
		require.Len(t, block, page)
		require.Zero(t, blocksrc.Address(block)%align)
		whole, err := blocksrc.MappedWhole(block)
		require.NoError(t, err)
		assert.Len(t, whole, page+kept)
		assert.Equal(t, page+align-page, len(whole)+gone)
		block[0], block[page-1] = 1, 2
		require.NoError(t, src.Release(block))
		assert.Equal(t, page+align-page, gone)
		restore()
	}
}

// An end that could not be unmapped stays with its block, even when the block itself
// could not be unmapped at first. Every byte mapped is unmapped once.
func TestMmapThatCannotTrimAndThenCannotUnmap(t *testing.T) {
	var src blocksrc.Mmap
	page := src.Granularity()
	const align = 1 << 20
	refusing, gone := true, 0
	restore := blocksrc.SetUnmap(func(whole []byte, system func([]byte) error) error {
		if refusing {
			return errRefused
		}
		gone += len(whole)
		return system(whole)
	})
	defer restore()
	block, err := src.Acquire(page, align)
	require.NoError(t, err)
	for range 2 {
		require.ErrorIs(t, src.Release(block), errRefused)
	}
	whole, err := blocksrc.MappedWhole(block)
	require.NoError(t, err)
	assert.Len(t, whole, align)
	refusing = false
	require.NoError(t, src.Release(block))
	assert.Equal(t, align, gone)
}

// A block aligned to no more than a page costs one system call, and no attempt to unmap
// nothing.
func TestMmapUnmapsNothing(t *testing.T) {
	calls := 0
	restore := blocksrc.SetUnmap(func(whole []byte, system func([]byte) error) error {
		calls++
		return system(whole)
	})
	defer restore()
	var src blocksrc.Mmap
	for _, align := range []int{0, 1, src.Granularity()} {
		block, err := src.Acquire(1, align)
		require.NoError(t, err)
		require.Zero(t, calls)
		require.NoError(t, src.Release(block))
		require.Equal(t, 1, calls)
		calls = 0
	}
}

// Some refusals to map mean that there is no room; others do not.
func TestMmapErrors(t *testing.T) {
	for _, errno := range []error{unix.ENOMEM, unix.EAGAIN, unix.EINVAL} {
		assert.ErrorIs(t, blocksrc.MapError(errno), blocksrc.ErrExhausted)
		assert.ErrorIs(t, blocksrc.MapError(errno), errno)
	}
	for _, errno := range []error{unix.EPERM, unix.EACCES, unix.ENODEV} {
		assert.NotErrorIs(t, blocksrc.MapError(errno), blocksrc.ErrExhausted)
		assert.ErrorIs(t, blocksrc.MapError(errno), errno)
	}
}
