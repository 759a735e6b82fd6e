//go:build unix

package main

import (
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStopAll: a terminal's ^C reaches the children too, which must not count as failed then.
// Chance decides whether the parent first notices the ^C or its effect on a child.
func TestStopAll(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"add.go": addGo})
	for range 10 {
		cmd := program(t, "-queries", "100000000", dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stderr, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		waitFor(t, stderr, "pointers: serving")
		start := time.Now()
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		rest, _ := io.ReadAll(stderr)
		require.Error(t, cmd.Wait())
		assert.Equal(t, "quickstart: interrupted\n", string(rest))
		assert.Equal(t, statusInterrupted, cmd.ProcessState.ExitCode())
		assert.Less(t, time.Since(start), 20*time.Second)
	}
}
