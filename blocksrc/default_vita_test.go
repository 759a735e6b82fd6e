//go:build vita

package blocksrc_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

func TestDefaultIsForTheProgramToSet(t *testing.T) {
	src := blocksrc.Default()
	_, err := src.Acquire(1, 0)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "SetDefault")
	_, err = src.Acquire(0, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)
	require.ErrorIs(t, src.Release(make([]byte, 1)), blocksrc.ErrNotHeld)

	mine := heap()
	blocksrc.SetDefault(mine)
	defer blocksrc.SetDefault(nil)
	assert.Same(t, mine, blocksrc.Default())
	blocksrc.SetDefault(buffer(64))
	block, err := blocksrc.Default().Acquire(1, 0)
	require.NoError(t, err, "another type of source will do")
	require.NoError(t, blocksrc.Default().Release(block))
	blocksrc.SetDefault(nil)
	_, err = blocksrc.Default().Acquire(1, 0)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
