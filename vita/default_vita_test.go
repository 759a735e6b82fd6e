//go:build vita

package vita_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// A program makes the console's memory the default of every package.
func TestSetDefault(t *testing.T) {
	_, err := blocksrc.Default().Acquire(1, 0)
	require.ErrorIs(t, err, errors.ErrUnsupported, "nobody has set one")
	blocksrc.SetDefault(vita.Default())
	defer blocksrc.SetDefault(nil)
	block, err := blocksrc.Default().Acquire(1, 0)
	if _, none := vita.Native(); none != nil {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		return
	}
	require.NoError(t, err)
	require.Len(t, block, 4*kib)
	require.NoError(t, blocksrc.Default().Release(block))
}
