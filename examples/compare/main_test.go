package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
	"github.com/vita-go/deblockator/examples/compare/report"
)

// argsEnv makes the test binary act as the program, with these arguments, separated by
// blanks.
const argsEnv = "COMPARE_TEST_ARGS"

func TestMain(m *testing.M) {
	registerBad()
	if os.Getenv(restlessEnv) != "" {
		registerRestless()
	}
	if cell := os.Getenv(cellEnv); cell != "" {
		os.Exit(runCell(cell, os.Stdout, os.Stderr))
	}
	if args, ok := os.LookupEnv(argsEnv); ok {
		registerEndless()
		os.Exit(run(strings.Fields(args), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// registerEndless adds a candidate whose program is not built until there is an interrupt.
func registerEndless() {
	c := badFixed("bad-endless", func() bench.Kernel { return &bad{} })
	c.Program = func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	bench.Register(c)
}

// badFixed returns a candidate that has a kernel for equal objects only.
func badFixed(name string, fixed func() bench.Kernel) *bench.Candidate {
	return &bench.Candidate{
		Name: name, About: "for tests", Family: bench.Entity, Rank: 100, Colour: "#000000",
		Kernels: bench.Kernels{bench.KindFixed: fixed},
		Lacks: bench.LacksAll("for tests", bench.KindMixed, bench.KindFit, bench.KindTreesFree, bench.KindTreesBulk,
			bench.KindFrame, bench.KindHold, bench.KindECS),
	}
}

// registerBad adds candidates that only tests have, each with one fault.
func registerBad() {
	for name, fixed := range map[string]func() bench.Kernel{
		"bad-panic": func() bench.Kernel { return &bad{replace: func() (uint64, error) { panic("on purpose") }} },
		"bad-error": func() bench.Kernel {
			return &bad{replace: func() (uint64, error) { return 0, errors.New("on purpose") }}
		},
		"bad-sum":  func() bench.Kernel { return &bad{replace: func() (uint64, error) { return 1, nil }} },
		"bad-hang": func() bench.Kernel { return &bad{replace: func() (uint64, error) { select {} }} },
		"bad-exit": func() bench.Kernel { return &bad{replace: func() (uint64, error) { os.Exit(7); return 0, nil }} },
		"bad-answer": func() bench.Kernel {
			return &bad{replace: func() (uint64, error) { _, _ = os.Stdout.WriteString("hello\n"); os.Exit(0); return 0, nil }}
		},
		"bad-killed": func() bench.Kernel {
			return &bad{replace: func() (uint64, error) { p, _ := os.FindProcess(os.Getpid()); _ = p.Kill(); select {} }}
		},
		"bad-missing":  func() bench.Kernel { return &bad{} },
		"bad-building": func() bench.Kernel { return &bad{} },
		"bad-cannot":   func() bench.Kernel { return &bad{open: bench.Cannot("not this size")} },
	} {
		c := badFixed(name, fixed)
		switch name {
		case "bad-missing":
			c.Missing = func() string { return "it is not installed" }
		case "bad-building":
			c.Program = func(context.Context, string) (string, error) { return "", errors.New("no compiler") }
		}
		bench.Register(c)
	}
	bench.Register(&bench.Candidate{
		Name: "bad-frame", About: "for tests", Family: bench.Entity, Rank: 100, Colour: "#000000",
		Kernels: bench.Kernels{
			bench.KindFrame: func() bench.Kernel { return &idleFrame{} },
		},
		Lacks: bench.LacksAll("for tests", bench.KindFixed, bench.KindMixed, bench.KindFit, bench.KindTreesFree, bench.KindTreesBulk,
			bench.KindHold, bench.KindECS),
	})
}

// idleFrame leaves its particles where they are.
type idleFrame struct{ n int }

func (f *idleFrame) Open(first []bench.Particle) error          { f.n = len(first); return nil }
func (f *idleFrame) Step(born []bench.Particle) (uint64, error) { return 1, nil }
func (f *idleFrame) Len() int                                   { return f.n }
func (f *idleFrame) Close() error                               { return nil }

type bad struct {
	open    error
	replace func() (uint64, error)
}

func (b *bad) Open(int, int) error                      { return b.open }
func (b *bad) Replace([]uint32, uint64) (uint64, error) { return b.replace() }
func (b *bad) Close() error                             { return nil }

// invoke runs the program in this process.
func invoke(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

func results(t *testing.T, dir string) (r report.Results) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}

// In every workload all candidates have the same checksum. Each cell runs in a process,
// so that candidates that need another environment or program have it.
func TestChecksumsAgree(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, c := range bench.Candidates() {
		if !strings.HasPrefix(c.Name, "bad-") {
			names = append(names, c.Name)
		}
	}
	status, _, stderr := invoke(t, "-short", "-out", dir, "-candidate", strings.Join(names, ","))
	assert.Zero(t, status, stderr)
	r := results(t, dir)
	assert.Equal(t, report.Schema, r.Schema)
	assert.False(t, r.Partial)
	assert.Len(t, r.Cells, len(names)*len(bench.Workloads()))
	for _, w := range bench.Workloads() {
		ours, measured := 0, 0
		for _, c := range r.Cells {
			if c.Workload != w.Name {
				continue
			}
			switch c.State {
			case report.OK:
				measured++
				assert.Len(t, c.Runs, 1)
				for _, m := range w.Metrics {
					if strings.HasSuffix(m.Name, "k") || m.Name == "1M" {
						continue // too many entities for a short run
					}
					assert.Contains(t, c.Runs[0].Values, m.Name, "%s, %s", c.Workload, c.Candidate)
				}
				for _, k := range bench.Candidates() {
					if k.Name == c.Candidate && k.Family == bench.Ours {
						ours++
					}
				}
			case report.NA:
				assert.NotEmpty(t, c.Reason, "%s, %s", c.Workload, c.Candidate)
			default:
				t.Errorf("%s, %s: %s: %s", c.Workload, c.Candidate, c.State, c.Reason)
			}
		}
		assert.NotZero(t, ours, "%s with none of ours", w.Name)
		if w.Kind != bench.KindFit {
			assert.Greater(t, measured, ours, "%s with nothing to compare to", w.Name)
		}
	}
	md, err := os.ReadFile(filepath.Join(dir, "results.md"))
	require.NoError(t, err)
	assert.Contains(t, string(md), "the times mean nothing")
}

// The plots show metrics that exist; otherwise they would silently not be written.
func TestPlotsShowWorkloads(t *testing.T) {
	metrics := map[string][]string{}
	for _, w := range bench.Workloads() {
		for _, m := range w.Metrics {
			metrics[w.Name] = append(metrics[w.Name], m.Name)
		}
	}
	for workload, shown := range report.Shown() {
		assert.Subset(t, metrics[workload], shown, workload)
	}
}

func TestBadCandidatesAreCells(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	status, _, stderr := invoke(t, "-short", "-timeout", "5s", "-out", dir,
		"-workload", "churn-16-1k", "-candidate", "bad,gc 100,free list,arena pointers")
	assert.Equal(t, statusFailed, status)
	assert.Less(t, time.Since(start), 25*time.Second, "one of them hangs, for 5 seconds")
	r := results(t, dir)
	for name, want := range map[string]struct{ state, reason string }{
		"gc 100":         {report.OK, ""},
		"free list":      {report.OK, ""},
		"arena pointers": {report.OK, ""},
		"bad-panic":      {report.Failed, "crashed: panic: on purpose"},
		"bad-error":      {report.Failed, "on purpose"},
		"bad-sum":        {report.Failed, "wrong checksum"},
		"bad-hang":       {report.Failed, "gave no result within 5s"},
		"bad-exit":       {report.Failed, "crashed: exit status 7"},
		"bad-answer":     {report.Failed, "printed no result: hello"},
		"bad-killed":     {report.Failed, "killed, perhaps for want of memory"},
		"bad-missing":    {report.NA, "it is not installed"},
		"bad-building":   {report.NA, "no compiler"},
		"bad-cannot":     {report.NA, "not this size"},
	} {
		c := r.Cell("churn-16-1k", name)
		if !assert.NotNil(t, c, name) {
			continue
		}
		assert.Equal(t, want.state, c.State, "%s: %s", name, c.Reason)
		assert.Contains(t, c.Reason, want.reason, name)
		if c.State == report.Failed {
			assert.Contains(t, stderr, "churn-16-1k, "+name+": "+c.Reason)
		}
	}
	md, err := os.ReadFile(filepath.Join(dir, "results.md"))
	require.NoError(t, err)
	assert.Contains(t, string(md), "`churn-16-1k`, bad-hang: gave no result within 5s")
	assert.Contains(t, string(md), "n/a: bad-missing: it is not installed")
}

// A cell that failed is not tried again; the others are repeated.
func TestRepetitions(t *testing.T) {
	dir := t.TempDir()
	// A short run is not repeated, so these are the smallest full cells.
	status, _, stderr := invoke(t, "-reps", "2", "-out", dir, "-workload", "churn-16-1k", "-candidate", "free list,gc 400,bad-error")
	assert.Equal(t, statusFailed, status)
	r := results(t, dir)
	assert.Len(t, r.Cell("churn-16-1k", "free list").Runs, 2)
	assert.Len(t, r.Cell("churn-16-1k", "gc 400").Runs, 2)
	assert.Equal(t, 2, r.Reps)
	assert.Less(t, strings.Index(stderr, "free list, run 2"), strings.Index(stderr, "gc 400, run 2"), "the other one is first")
	assert.Less(t, strings.Index(stderr, "gc 400, run 1"), strings.Index(stderr, "free list, run 1"))
	assert.Contains(t, r.Command, `-candidate "free list,gc 400,bad-error"`, "a command that can be run again")
	assert.Equal(t, 1, strings.Count(stderr, "bad-error, run"), stderr)
}

func TestWrongUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "results.md"), 0o700))
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"-workload", "nonsense"}, []string{`no workload "nonsense"`, "churn-64-1k", "larson-50k", "trees-21"}},
		{[]string{"-workload", "churn,nonsense"}, []string{`no workload "nonsense"`}},
		{[]string{"-workload", ","}, []string{"no workload"}},
		{[]string{"-workload", ""}, []string{"-workload needs a name"}},
		{[]string{"-candidate", " "}, []string{"-candidate needs a name"}},
		{[]string{"-candidate", "nonsense"}, []string{`no candidate "nonsense"`, "arena pointers", "sync.Pool", "modernc"}},
		{[]string{"-reps", "0"}, []string{"-reps"}},
		{[]string{"-reps", "many"}, []string{"-reps"}},
		{[]string{"-timeout", "0s"}, []string{"-timeout"}},
		{[]string{"-out", ""}, []string{"-out"}},
		{[]string{"-nonsense"}, []string{"-nonsense"}},
		{[]string{"results"}, []string{`unexpected argument "results"`}},
		{[]string{"-list", "results"}, []string{`unexpected argument "results"`}},
		{[]string{"-short", "-reps", "0"}, []string{"-reps"}},
		{[]string{"-out", folder}, []string{"cannot write results", "results.md"}},
		{[]string{"-out", t.TempDir(), "-workload", "churn-16-1k", "-candidate", "bad-missing"},
			[]string{"nothing to run", "churn-16-1k, bad-missing: it is not installed"}},
		{[]string{"-out", file}, []string{"cannot write results", file}},
		{[]string{"-out", filepath.Join(file, "below")}, []string{"cannot write results"}},
	} {
		status, stdout, stderr := invoke(t, test.args...)
		assert.Equal(t, statusUsage, status, test.args)
		assert.Empty(t, stdout, test.args)
		for _, s := range test.says {
			assert.Contains(t, stderr, s, test.args)
		}
		assert.NotContains(t, stderr, "run 1", "%v: nothing may be run", test.args)
	}
}

func TestHelpAndList(t *testing.T) {
	status, _, stderr := invoke(t, "-h")
	assert.Zero(t, status)
	assert.Contains(t, stderr, "-workload")
	status, stdout, _ := invoke(t, "-list")
	assert.Zero(t, status)
	for _, w := range bench.Workloads() {
		assert.Contains(t, stdout, w.Name)
	}
	for _, c := range bench.Candidates() {
		assert.Contains(t, stdout, c.Name)
	}
}

// The list has only what was chosen, and a list that cannot be written is a failure.
func TestListOfSome(t *testing.T) {
	status, stdout, _ := invoke(t, "-list", "-workload", "frame", "-candidate", "gc 400")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "gc 400")
	assert.NotContains(t, stdout, "churn")
	assert.NotContains(t, stdout, "sync.Pool")
	var stderr bytes.Buffer
	assert.Equal(t, statusFailed, run([]string{"-list"}, full{}, &stderr))
	assert.Equal(t, statusFailed, run([]string{"-list"}, new(once), &stderr))
	assert.Contains(t, stderr.String(), "no room")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// once is full only at first.
type once struct{ failed bool }

func (w *once) Write(b []byte) (int, error) {
	if !w.failed {
		w.failed = true
		return 0, errors.New("no room")
	}
	return len(b), nil
}

// A candidate that does other work than the rest is found out by its checksum.
func TestOtherWorkIsFound(t *testing.T) {
	dir := t.TempDir()
	status, _, stderr := invoke(t, "-short", "-out", dir, "-workload", "frame", "-candidate", "bad-frame,free list,swap-remove")
	assert.Equal(t, statusFailed, status)
	assert.Contains(t, stderr, "frame, bad-frame: wrong checksum")
	r := results(t, dir)
	assert.Equal(t, report.OK, r.Cell("frame", "free list").State)
	assert.Equal(t, report.Failed, r.Cell("frame", "bad-frame").State)
}

func TestChoose(t *testing.T) {
	all := []string{"w11", "w11-1M", "arena pointers", "arena handles"}
	self := func(s string) string { return s }
	group := func(s string) string {
		if s[0] == 'w' {
			return "glibc"
		}
		return ""
	}
	for list, want := range map[string][]string{
		"":                           all,
		" ":                          all,
		"w11":                        {"w11"}, // the exact name, not all that begin with it
		"w1":                         {"w11", "w11-1M"},
		"arena":                      {"arena pointers", "arena handles"},
		"glibc":                      {"w11", "w11-1M"}, // a group
		"Arena-Handles":              {"arena handles"},
		"arena handles, w11-1m,,w11": {"w11", "w11-1M", "arena handles"}, // in the order of all, once
	} {
		got, err := choose(all, list, self, group)
		require.NoError(t, err, list)
		assert.Equal(t, want, got, list)
	}
}

// Finished cells survive a kill of the program, and the results of an earlier run stay
// until a cell is finished.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	args := "-short -timeout 1m -workload churn-16-1k -candidate free-list,bad-hang -out " + dir
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), argsEnv+"="+args)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "results.md")) // the second file written
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	check := func() {
		r := results(t, dir)
		assert.True(t, r.Partial)
		assert.Equal(t, report.OK, r.Cell("churn-16-1k", "free list").State)
	}
	check()

	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	o, err := parseFlags(strings.Fields(args), io.Discard, io.Discard)
	require.NoError(t, err)
	assert.ErrorContains(t, compare(interrupted, o, io.Discard), "nothing is written")
	check()
}

// The process of a cell ends when its parent is gone.
func TestOrphan(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), cellEnv+"=churn-16-1k|bad-hang|short")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, stdin.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		assert.Error(t, err)
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Signal(syscall.SIGKILL)
		t.Error("it went on")
	}
}

func TestBadCellNames(t *testing.T) {
	for _, cell := range []string{"x", "churn-16-1k|nobody|short", "nothing|gc 100|short"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), cellEnv+"="+cell)
		in, err := cmd.StdinPipe() // or it would end at once, with its stdin
		require.NoError(t, err)
		out, err := cmd.CombinedOutput()
		_ = in.Close()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, cell)
		assert.Equal(t, statusUsage, exit.ExitCode(), string(out))
	}
}

// What a user has set for other programs does not tune the candidates.
func TestCleanEnv(t *testing.T) {
	for _, name := range []string{"GOGC", "GODEBUG", "GLIBC_TUNABLES", "MALLOC_CONF", "MALLOC_ARENA_MAX", "MALLOC_TOP_PAD_", "MIMALLOC_ARENA_EAGER_COMMIT", "LD_PRELOAD"} {
		t.Setenv(name, "")
	}
	t.Setenv("COMPARE_KEPT", "1")
	env := strings.Join(cleanEnv(), "\n")
	assert.NotRegexp(t, "(?m)^(GOGC|GODEBUG|GLIBC|MALLOC|MIMALLOC|LD_PRELOAD)", env)
	assert.Contains(t, env, "COMPARE_KEPT=1")
	assert.Contains(t, env, "PATH=")
}
