package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	status, _, stderr := invoke(t, "-out", dir)
	assert.Equal(t, statusUsage, status)
	assert.Contains(t, stderr, "cannot write results")
}

// Where nothing can be run, no folder is left behind and none is removed.
func TestNoFolderForNothing(t *testing.T) {
	there := t.TempDir()
	for _, out := range []string{there, filepath.Join(there, "a"), filepath.Join(there, "b", "c")} {
		status, _, stderr := invoke(t, "-out", out, "-workload", "w15", "-candidate", "gc")
		assert.Equal(t, statusUsage, status)
		assert.Contains(t, stderr, "nothing to run")
		left, err := os.ReadDir(there)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

// The folder's name may look like a pattern: a malformed one, or one that matches others.
func TestFolderThatIsAPattern(t *testing.T) {
	for _, name := range []string{"a[", "a*"} {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Mkdir(dir+"b", 0o700))
		require.NoError(t, os.Mkdir(filepath.Join(dir+"b", "results.md"), 0o700))
		undo, err := checkOut(dir)
		require.NoError(t, err, name)
		undo()
		assert.DirExists(t, dir, "it was there before")
		require.NoError(t, os.Mkdir(filepath.Join(dir, "plot.svg"), 0o700)) // cannot be written
		_, err = checkOut(dir)
		assert.Error(t, err, name)
	}
}
