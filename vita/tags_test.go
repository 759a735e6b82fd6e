//go:build !tinygo

// TinyGo cannot start programs.

package vita_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With the build tag vita no package of the library calls the system for memory, whatever
// GOOS is, and package vita imports no other package of the library but blocksrc.
func TestTagLeavesNoSystemCalls(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil || runtime.GOARCH == "wasm" {
		t.Skip("no go command")
	}
	list := func(goos, tags string) map[string]string {
		t.Helper()
		cmd := exec.Command("go", "list", "-tags", tags, "-f", "{{.ImportPath}} {{.Imports}} {{.GoFiles}}",
			"../arena", "../blocksrc", "../slab", "../typed", "../vita")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		out, err := cmd.Output()
		require.NoError(t, err)
		packages := make(map[string]string)
		for line := range strings.Lines(string(out)) {
			path, rest, _ := strings.Cut(line, " ")
			packages[path] = rest
		}
		require.Len(t, packages, 5)
		return packages
	}
	const module = "github.com/vita-go/deblockator/"
	for _, goos := range []string{"linux", "windows", "darwin", "freebsd"} {
		assert.Contains(t, list(goos, "")[module+"blocksrc"], "golang.org/x/sys/", goos, "what this test looks for")
		for path, has := range list(goos, "vita") {
			for _, not := range []string{"syscall", "golang.org/x/sys/", "mmap_linux.go", "mmap_unix.go", "mmap_bsd.go", "mmap_windows.go"} {
				assert.NotContains(t, has, not, "%s on %s", path, goos)
			}
		}
		ours := strings.Count(list(goos, "vita")[module+"vita"], module)
		assert.Equal(t, 1, ours, "imports of vita")
	}
}
