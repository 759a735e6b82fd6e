package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// cellEnv is the environment variable that makes a process run one cell: the names of
// the workload and the candidate and the size, separated by bars.
const cellEnv = "COMPARE_CELL"

func cellName(w *bench.Workload, c *bench.Candidate, short bool) string {
	size := "full"
	if short {
		size = "short"
	}
	return w.Name + "|" + c.Name + "|" + size
}

// profileEnv is the variable that names the file for the cell's CPU profile, if any.
const profileEnv = "COMPARE_PROFILE"

// answer is what the process of a cell prints.
type answer struct {
	Outcome *bench.Outcome `json:"outcome,omitempty"`
	Cannot  string         `json:"cannot,omitempty"` // why there is no outcome
	Error   string         `json:"error,omitempty"`  // likewise
	Version string         `json:"version,omitempty"`
}

// runCell is what the process of a cell does. The process ends at the end of its stdin,
// which the parent keeps open as long as it lives.
func runCell(cell string, stdout, stderr io.Writer) (status int) {
	// Signals to the whole process group, such as ^C, are for the parent to act on: a
	// cell that ended by itself would be taken for one that crashed.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(statusFailed)
	}()
	names := strings.Split(cell, "|")
	if len(names) != 3 {
		fmt.Fprintf(stderr, "%s=%s is not a cell\n", cellEnv, cell)
		return statusUsage
	}
	for _, w := range bench.Workloads() {
		for _, c := range bench.Candidates() {
			if w.Name == names[0] && c.Name == names[1] {
				return answerWith(profiled(w, c, names[2] == "short"), stdout)
			}
		}
	}
	fmt.Fprintf(stderr, "no cell %s\n", cell)
	return statusUsage
}

func answerWith(a answer, stdout io.Writer) (status int) {
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		return statusFailed // the parent is gone
	}
	return statusOK
}

// profiled is measure, with a CPU profile if one is wanted.
func profiled(w *bench.Workload, c *bench.Candidate, short bool) answer {
	if file := os.Getenv(profileEnv); file != "" {
		f, err := os.Create(file)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			return answer{Error: err.Error()}
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close()
		}()
	}
	return measure(w, c, short)
}

func measure(w *bench.Workload, c *bench.Candidate, short bool) answer {
	k := c.New(w.Kind)
	if k == nil {
		return answer{Cannot: c.Why(w.Kind)}
	}
	size := bench.Full
	if short {
		size = bench.Short
	}
	out, err := w.Run(k, size)
	if reason, ok := bench.CannotReason(err); ok {
		return answer{Cannot: reason}
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Outcome: &out}
	if v, ok := k.(bench.Versioned); ok {
		a.Version = v.Version()
	}
	return a
}

// start runs a cell in a process of program, or of this program if that is "".
// Everything that goes wrong is in the answer.
func start(ctx context.Context, program string, w *bench.Workload, c *bench.Candidate, o options) answer {
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return answer{Error: err.Error()}
		}
	}
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, program)
	cmd.Env = append(cleanEnv(), c.Env...)
	cmd.Env = append(cmd.Env, cellEnv+"="+cellName(w, c, o.short))
	if o.profile {
		name := strings.ReplaceAll(w.Name+"-"+c.Name, " ", "-") + ".pprof"
		cmd.Env = append(cmd.Env, profileEnv+"="+filepath.Join(o.out, name))
	}
	cmd.WaitDelay = 5 * time.Second // for grandchildren that hold the pipes
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &head{w: &stderr}
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait, or when this process ends
		return answer{Error: err.Error()}
	}
	err := cmd.Run()
	switch {
	case limited.Err() != nil && ctx.Err() == nil:
		return answer{Error: fmt.Sprintf("gave no result within %v", o.timeout)}
	case err != nil:
		return answer{Error: crash(err, stderr.String())}
	}
	var a answer
	if err := json.Unmarshal([]byte(stdout.String()), &a); err != nil {
		return answer{Error: "its process printed no result: " + firstLine(stdout.String())}
	}
	if a.Outcome == nil && a.Cannot == "" && a.Error == "" {
		a.Error = "its process printed an empty result"
	}
	return a
}

// cleanEnv returns the environment without what tunes the collector or a C allocator.
func cleanEnv() (env []string) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "GOGC", "GOMEMLIMIT", "GODEBUG", "GLIBC_TUNABLES", "LD_PRELOAD", cellEnv, profileEnv:
			continue
		}
		if !strings.HasPrefix(name, "MIMALLOC_") && !strings.HasPrefix(name, "MALLOC_") {
			env = append(env, e)
		}
	}
	return env
}

// crash describes how a process failed.
func crash(err error, stderr string) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "could not be run: " + err.Error()
	}
	what := "crashed"
	for line := range strings.Lines(stderr) {
		for _, prefix := range []string{"panic: ", "fatal error: ", "unexpected fault address", "SIG"} {
			if strings.HasPrefix(line, prefix) {
				return what + ": " + firstLine(line)
			}
		}
	}
	what += ": " + exit.String()
	if exit.String() == "signal: killed" {
		what += ", perhaps for want of memory"
	}
	if s := firstLine(stderr); s != "" {
		what += ": " + s
	}
	return what
}

// firstLine returns the first line of s that is not blank, shortened.
func firstLine(s string) string {
	const most = 160
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			if len(line) > most {
				line = strings.ToValidUTF8(line[:most], "") + "…"
			}
			return line
		}
	}
	return ""
}

// head keeps the beginning of what is written, where a crash says what it is, and
// drops the rest.
type head struct{ w *strings.Builder }

func (t *head) Write(p []byte) (int, error) {
	const most = 64 << 10
	t.w.Write(p[:min(len(p), max(0, most-t.w.Len()))])
	return len(p), nil
}
