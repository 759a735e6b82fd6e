//go:build go1.26 && !tinygo

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxCode is the most arm code that the game may add to an empty Go program, with the newest
// Go. With Go 1.25 the empty program is smaller, and the game adds 10 % more.
const maxCode = 400 * kib

// TestCodeSize builds both programs for arm with the tag vita and compares their code.
func TestCodeSize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	if _, err := exec.LookPath("go"); err != nil || runtime.GOARCH == "wasm" {
		t.Skip("no go command")
	}
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.go")
	require.NoError(t, os.WriteFile(empty, []byte("package main\n\nfunc main() {}\n"), 0o666))
	code := func(name, source string) int {
		t.Helper()
		program := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-tags", "vita", "-o", program, source)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm", "GOARM=7", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		f, err := elf.Open(program)
		require.NoError(t, err)
		defer f.Close()
		return int(f.Section(".text").Size)
	}
	nothing, game := code("empty", empty), code("game", ".")
	t.Logf("an empty program has %d KiB of arm code, the game adds %d KiB", nothing/kib, (game-nothing)/kib)
	assert.Less(t, game-nothing, maxCode)
}
