//go:build !tinygo && !go1.28

// TinyGo cannot start programs, and later Go compilers may have another inlining budget: see
// what they do, then move the tag.

package arena_test

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compiled returns what the compiler says of a package with this flag.
func compiled(t *testing.T, arch, flag, pkg string) string {
	if testing.Short() {
		t.Skip("compiles")
	}
	if _, err := exec.LookPath("go"); err != nil || runtime.GOARCH == "wasm" {
		t.Skip("no go command")
	}
	cmd := exec.Command("go", "build", "-o", os.DevNull, "-gcflags="+flag, pkg)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOEXPERIMENT=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestHotPathsAreInline asserts that the functions of inline.go, a region's bump, and Get and
// Insert in a program, are small enough for the compiler to inline, on 64 bits and on 32. One step
// more would be a call for each object.
func TestHotPathsAreInline(t *testing.T) {
	for _, arch := range []string{"amd64", "arm"} {
		own := compiled(t, arch, "-m", ".")
		for _, name := range []string{"take", "names", "takeNamed", "get", "handleAt", "word", "lowest", "fromBits"} {
			assert.Regexp(t, `(?m)inline\.go:\d+:\d+: can inline `+name+`$`, own, arch)
		}
		assert.Regexp(t, `(?m)region\.go:\d+:\d+: can inline bump$`, own, arch)
		program := compiled(t, arch, "-m", "../examples/vita")
		for _, name := range []string{"Get", "Insert"} {
			assert.Regexp(t, `(?m)arena\.go:\d+:\d+: can inline arena\.\(\*Arena\[go\.shape.*\]\)\.`+name+`$`, program, arch)
		}
	}
}

// TestLoopsDoNotWait asserts that in loops over arenas BSF writes a register that the same turn
// of the loop has written before, and not from memory; see lowest.
func TestLoopsDoNotWait(t *testing.T) {
	instruction := regexp.MustCompile(`^\t0x[0-9a-f]+ \d+ \((.*)\)\t(\w+)\t?(.*)$`)
	for _, program := range []string{"../examples/vita", "../examples/quickstart"} {
		scans := 0
		var before [][]string // of the instructions since the last jump or call, the last first
		for line := range strings.Lines(compiled(t, "amd64", "-S", program)) {
			in := instruction.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if in == nil {
				continue
			}
			at, op, operands := in[1], in[2], strings.Split(in[3], ", ")
			switch {
			case op[0] == 'J' || op == "CALL":
				before = nil
				continue
			case op == "BSFQ" && strings.Contains(at, "arena/inline.go:"):
				scans++
				reg := operands[1]
				i := slices.IndexFunc(before, func(in []string) bool {
					readsOnly := strings.HasPrefix(in[2], "CMP") || strings.HasPrefix(in[2], "TEST")
					return !readsOnly && (in[3] == reg || strings.HasSuffix(in[3], ", "+reg))
				})
				if assert.True(t, i >= 0, "%s: nothing has written the register: %s", program, line) {
					loads := strings.HasPrefix(before[i][2], "MOV") && strings.Contains(before[i][3], "(")
					assert.False(t, loads, "%s: the register is that of a load: %s%s", program, before[i][0], line)
				}
			}
			before = slices.Insert(before, 0, in)
		}
		assert.NotZero(t, scans, program)
		t.Logf("%s: %d", program, scans)
	}
}
