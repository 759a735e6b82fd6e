//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/report"
)

// An interrupt ends the run at once and keeps what is finished, whether it goes to the
// program or to its whole process group, cells included.
func TestInterrupt(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			continue // by nohup
		}
		for _, group := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, group %t", sig, group), func(t *testing.T) { interrupt(t, sig, group) })
		}
	}
}

// So it does while a candidate's program is built. There is nothing to keep then.
func TestInterruptOfABuild(t *testing.T) {
	cmd, lines := begin(t, "-short -workload churn-16-1k -candidate bad-endless,free-list -out "+t.TempDir(), "building the program for bad-endless")
	end(t, cmd, lines, cmd.Process.Pid, syscall.SIGINT, "interrupted before a cell was finished")
}

// Nobody reads the progress any more, as after "| head": that is an interrupt too, at the next line of it.
func TestClosedPipe(t *testing.T) {
	dir, programs := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", programs)
	cmd, lines := begin(t, "-short -timeout 1m -workload churn-16-1k -candidate gc-400,sync.Pool,free-list,bad-hang -out "+dir, "gc 400, run 1")
	require.NoError(t, lines.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, statusInterrupted, exit.ExitCode())
	assert.True(t, results(t, dir).Partial)
	left, err := os.ReadDir(programs)
	require.NoError(t, err)
	assert.Empty(t, left, "what was built is removed")
}

// output is what a program writes, read line by line.
type output struct {
	*bufio.Reader
	io.Closer
}

// begin starts the program, in a process group of its own, and waits for a line with until.
func begin(t *testing.T, args, until string) (*exec.Cmd, output) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), argsEnv+"="+args)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := output{bufio.NewReader(stderr), stderr}
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if strings.Contains(line, until) {
			return cmd, lines
		}
	}
}

// end sends the program, or its process group if to is negative, a signal. It must end at once, as
// interrupted, and say so.
func end(t *testing.T, cmd *exec.Cmd, lines output, to int, sig syscall.Signal, says string) {
	start := time.Now()
	require.NoError(t, syscall.Kill(to, sig))
	rest, _ := io.ReadAll(lines)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, statusInterrupted, exit.ExitCode())
	assert.Less(t, time.Since(start), 10*time.Second)
	assert.Contains(t, string(rest), says)
}

func interrupt(t *testing.T, sig syscall.Signal, group bool) {
	dir := t.TempDir()
	cmd, lines := begin(t, "-short -timeout 1m -workload churn-16-1k -candidate free-list,bad-hang -out "+dir, "free list, run 1")
	time.Sleep(200 * time.Millisecond) // into the cell that hangs
	to := cmd.Process.Pid
	if group {
		to = -to
	}
	end(t, cmd, lines, to, sig, "interrupted")

	r := results(t, dir)
	assert.True(t, r.Partial)
	assert.Equal(t, report.OK, r.Cell("churn-16-1k", "free list").State)
	assert.Positive(t, r.Seconds)
	assert.Equal(t, report.NotRun, r.Cell("churn-16-1k", "bad-hang").State)
	md, err := os.ReadFile(filepath.Join(dir, "results.md"))
	require.NoError(t, err)
	assert.Contains(t, string(md), "Interrupted")
}
