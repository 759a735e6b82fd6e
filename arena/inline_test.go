//go:build !tinygo && !go1.27

// TinyGo cannot start programs, and later Go compilers may have another inlining budget: see
// what they do, then move the tag.

package arena_test

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHotPathsAreInline asserts that the functions of inline.go, a region's bump, and Get and
// Insert in a program, are small enough for the compiler to inline, on 64 bits and on 32. One step
// more would be a call for each object.
func TestHotPathsAreInline(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	if _, err := exec.LookPath("go"); err != nil || runtime.GOARCH == "wasm" {
		t.Skip("no go command")
	}
	for _, arch := range []string{"amd64", "arm"} {
		remarks := func(pkg string) string {
			cmd := exec.Command("go", "build", "-o", os.DevNull, "-gcflags=-m", pkg)
			cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			return string(out)
		}
		own := remarks(".")
		for _, name := range []string{"take", "names", "takeNamed", "get", "handleAt", "word", "fromBits"} {
			assert.Regexp(t, `(?m)inline\.go:\d+:\d+: can inline `+name+`$`, own, arch)
		}
		assert.Regexp(t, `(?m)region\.go:\d+:\d+: can inline bump$`, own, arch)
		program := remarks("../examples/vita")
		for _, name := range []string{"Get", "Insert"} {
			assert.Regexp(t, `(?m)arena\.go:\d+:\d+: can inline arena\.\(\*Arena\[go\.shape.*\]\)\.`+name+`$`, program, arch)
		}
	}
}
