package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram in the environment makes the test binary run as the program. Its children
// inherit the variable.
const asProgram = "QUICKSTART_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start runs the program to its end.
func start(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := program(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// folder returns a new folder with these files in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	return dir
}

const (
	addGo  = "package p\n\nfunc add(x int) int { return x + x }\n" // p add x int int x x
	callGo = "package p\n\nvar two = add(1)\n"                     // p two add
)

func TestTable(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"add.go": addGo, "sub/call.go": callGo, "sub/note.txt": "package q"})
	stdout, stderr, status := start(t, "-queries", "2000", dir)
	require.Zero(t, status, stderr)

	for _, want := range []string{
		`2 Go files, 0\.0 MiB: 5 identifiers in 10 places\n`,
		`\n  x +in 3 places, the first is add\.go:3:10\n`,
		`checksum [0-9a-f]{16}\n`,
		`\nThe index +Go pointers +arena\n`,
		`\n  objects +15 +15\n`,
		`\n  build time, parsing included +[\d.]+ m?s +[\d.]+ m?s\n`,
		`\n  GC cycles so far +\d+ +\d+\n`,
		`\n  Go heap +[\d.]+ MiB +[\d.]+ MiB\n`,
		`\n  resident memory +([\d.]+ MiB|n/a) +([\d.]+ MiB|n/a)\n`,
		`\n  one GC cycle +[\d.]+ m?s +[\d.]+ m?s\n`,
		`\n  one GC cycle, CPU time +[\d.]+ m?s +[\d.]+ m?s\n`,
		`\n2,000 queries +Go pointers +GC tuned +arena +GC tuned\n`,
		`\n  GC cycles( +\d+){4}\n`,
		`\n  worst GC pause( +[\d.]+ m?s){4}\n`,
		`\n  slowest query( +[\d.]+ m?s){4}\n`,
		`\n  resident memory afterwards( +([\d.]+ MiB|n/a)){4}\n`,
		`\nSo small an index`,
	} {
		assert.Regexp(t, regexp.MustCompile(want), stdout)
	}
	for line := range strings.Lines(stdout) {
		if !strings.HasPrefix(line, string(filepath.Separator)) {
			assert.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
	assert.Equal(t, "pointers: indexing files\npointers: checking the index\npointers: measuring GC cycles\n"+
		"pointers: serving queries\npointers: serving queries, GC tuned\narena: indexing files\narena: checking the index\narena: measuring GC cycles\n"+
		"arena: serving queries\narena: serving queries, GC tuned\n", stderr)
}

// The last queries are served with a memory limit in place of GOGC.
func TestTuned(t *testing.T) {
	t.Setenv(asProgram, "1")
	for _, which := range []string{withPointers, withArena} {
		r, err := runChild(t.Context(), which, folder(t, map[string]string{"add.go": addGo}), 10)
		require.NoError(t, err)
		assert.Greater(t, r.Limit, int64(headroom), which)
		assert.Less(t, r.Limit, int64(1<<40), which)
		assert.Equal(t, r.Default.Sum, r.Tuned.Sum, which)
	}
	tune()
	defer untune()
	assert.Equal(t, -1, debug.SetGCPercent(100))
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"add.go":        addGo,
		"empty.go":      "",
		"comment.go":    "// Package p is nothing but this.\n",
		"broken.go":     "package p\n\nfunc broken( {\n",
		"binary.go":     "\x00\xff\xfe\x7fELF",
		"folder.go/a.c": "int main;",
	})
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Symlink(dir, filepath.Join(dir, "loop")))
		require.NoError(t, os.Symlink("add.go", filepath.Join(dir, "again.go")))
		require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.go")))
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(dir, link))
		dir = link
	}
	stdout, stderr, status := start(t, "-queries", "1", dir)
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, "5 Go files, 0.0 MiB: 5 identifiers in 9 places\n") // broken.go has p, broken
	assert.Contains(t, stdout, "4 files with syntax errors")
	assert.Regexp(t, `\n  objects +14 +14\n`, stdout)
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("nothing is unreadable here")
	}
	dir := folder(t, map[string]string{"add.go": addGo, "secret.go": callGo, "locked/call.go": callGo})
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret.go"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "locked"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "locked"), 0o777) })

	stdout, stderr, status := start(t, "-queries", "1", dir)
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, "1 Go file, 0.0 MiB: 4 identifiers in 7 places\n")
	assert.Contains(t, stdout, "1 file left out that could not be read\n")
	assert.Contains(t, stdout, "1 folder left out that could not be read\n")

	require.NoError(t, os.Remove(filepath.Join(dir, "add.go")))
	require.NoError(t, os.Remove(filepath.Join(dir, "secret.go")))
	_, stderr, status = start(t, dir)
	assert.Equal(t, statusUsage, status)
	assert.Contains(t, stderr, "or below, but 1 folder that could not be read\n")
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"readme.txt": "no Go here"})
	gone := filepath.Join(dir, "gone")
	nameless := folder(t, map[string]string{"broken.go": "{{{"})
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no folder":   {[]string{gone}, "there is no folder " + gone},
		"a file":      {[]string{filepath.Join(dir, "readme.txt")}, "readme.txt is not a folder"},
		"no Go":       {[]string{dir}, "no Go files in " + dir},
		"no names":    {[]string{nameless}, "no identifiers in the Go files in " + nameless},
		"in a file":   {[]string{filepath.Join(dir, "readme.txt", "x")}, "readme.txt"},
		"two folders": {[]string{dir, dir}, "one folder, not 2"},
		"empty name":  {[]string{""}, "the folder has no name"},
		"flag":        {[]string{"-frobnicate"}, "-frobnicate"},
		"no number":   {[]string{"-queries", "many"}, "many"},
		"no queries":  {[]string{"-queries", "0"}, "1 to 100,000,000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, status := start(t, c.args...)
			assert.Equal(t, statusUsage, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, c.says)
			if strings.HasPrefix(c.says, "there is") {
				assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line")
			}
		})
	}
}

func TestNoGoCommand(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	cmd := program(t)
	cmd.Env = append(cmd.Env, "PATH=")
	cmd.Stderr = &errs
	require.Error(t, cmd.Run())
	assert.Equal(t, statusUsage, cmd.ProcessState.ExitCode())
	assert.Contains(t, errs.String(), "a folder may be given instead")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	_, stderr, status := start(t, "-h")
	assert.Zero(t, status)
	assert.Contains(t, stderr, "usage: quickstart [-queries n] [folder]")
}

// waitFor reads r until it has seen the text says.
func waitFor(t *testing.T, r io.Reader, says string) {
	t.Helper()
	seen := new(bytes.Buffer)
	for !strings.Contains(seen.String(), says) {
		var b [256]byte
		n, err := r.Read(b[:])
		require.NoError(t, err, seen)
		seen.Write(b[:n])
	}
}

// TestStop ends the program while a child is at work. The child, too, has the write end
// of stderr: when the pipe ends, the child is gone.
func TestStop(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such signals")
	}
	dir := folder(t, map[string]string{"add.go": addGo})
	for name, c := range map[string]struct {
		signal os.Signal
		status int
		says   string
	}{
		"interrupt": {os.Interrupt, statusInterrupted, "quickstart: interrupted\n"},
		"kill":      {os.Kill, -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := program(t, "-queries", "100000000", dir)
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			waitFor(t, stderr, "pointers: serving")
			require.NoError(t, cmd.Process.Signal(c.signal))

			rest := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(stderr)
				rest <- b
			}()
			select {
			case b := <-rest:
				assert.Equal(t, c.says, string(b))
			case <-time.After(20 * time.Second):
				t.Fatal("the child is still there")
			}
			require.Error(t, cmd.Wait())
			assert.Equal(t, c.status, cmd.ProcessState.ExitCode())
		})
	}
}
