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

// maxCode is how much arm code the game may add to a Go program that does nothing,
// with the newest Go. Go 1.25 makes a smaller nothing, and 10 % more of the game.
const maxCode = 400 * kib

// TestCodeSize builds for arm with the tag of the console, and compares the code.
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
