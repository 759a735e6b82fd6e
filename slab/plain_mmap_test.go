//go:build goexperiment.cgocheck2 && linux && !vita

// The experiment looks at pointers that are stored outside the Go heap, so here the
// blocks are mapped.

package slab_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// plain returns a source for tests that do not care where blocks come from.
func plain() blocksrc.Source { return blocksrc.Mmap{} }

var kept *int

// The experiment finds what it is for: storing a Go pointer in a block ends the program.
func TestCgocheckFindsAPointer(t *testing.T) {
	const child = "SLAB_STORES_A_POINTER"
	if os.Getenv(child) != "" {
		a, err := slab.New(slab.Config{Source: plain()})
		require.NoError(t, err)
		p, err := slab.NewPool(a, 8, 8)
		require.NoError(t, err)
		q, err := p.Alloc()
		require.NoError(t, err)
		kept = new(int)
		*(**int)(q) = kept
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "write of unpinned Go pointer")
}
