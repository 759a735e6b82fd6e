//go:build !tinygo && !go1.27

// TinyGo starts no programs, and later compilers of Go may have another budget: see
// what they do, and move the tag.

package arena_test

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHotPathsAreInline: what inline.go brings into its callers is small enough for the
// compiler, on 64 bits and on 32. One step more in it would be a call for each object.
func TestHotPathsAreInline(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	if _, err := exec.LookPath("go"); err != nil || runtime.GOARCH == "wasm" {
		t.Skip("no go command")
	}
	for _, arch := range []string{"amd64", "arm"} {
		cmd := exec.Command("go", "build", "-gcflags=-m", ".")
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		for _, name := range []string{"take", "names", "takeNamed", "get", "handleAt", "fromBits"} {
			assert.Regexp(t, `(?m)inline\.go:\d+:\d+: can inline `+name+`$`, string(out), arch)
		}
	}
}
