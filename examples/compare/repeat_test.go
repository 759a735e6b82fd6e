package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Every cell is run as often as asked. A tilde marks a cell whose two best results are apart,
// but not in a metric that is the worst of many, where the median counts.
func TestRuns(t *testing.T) {
	for _, test := range []struct {
		reps, times, worst string
		runs               int
		says               string
	}{
		{"2", "100,91", "1,2", 2, "| **91.0** | **2.0** |"},
		{"2", "100,50,49", "1,2,4", 2, "| **50.0**~ | **2.0** |"},
		{"3", "50,100,51,10", "4,1,2,8", 3, "| **50.0** | **2.0** |"},
		{"1", "100,50", "1,1", 1, "| **100.0** | **1.0** |"},
	} {
		dir := t.TempDir()
		t.Setenv("COMPARE_TEST_TIMES", test.times)
		t.Setenv("COMPARE_TEST_WORST", test.worst)
		t.Setenv(restlessEnv, filepath.Join(t.TempDir(), "runs"))
		t.Setenv(argsEnv, fmt.Sprintf("-reps %s -out %s -workload test-restless -candidate free", test.reps, dir))
		program, err := os.Executable()
		require.NoError(t, err)
		stderr, err := exec.Command(program).CombinedOutput()
		require.NoError(t, err, "%s", stderr)
		r := results(t, dir)
		assert.Len(t, r.Cell("test-restless", "free list").Runs, test.runs, "%v: %s", test, stderr)
		assert.Contains(t, string(stderr), fmt.Sprintf("%d of %[1]d, ", test.runs), "the progress tells how many there are")
		md, err := os.ReadFile(filepath.Join(dir, "results.md"))
		require.NoError(t, err)
		assert.Contains(t, string(md), test.says)
	}
}

// The first run of a cell leaves a profile, and later runs do not replace it.
func TestProfile(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	t.Setenv("COMPARE_TEST_TIMES", "1,1")
	t.Setenv("COMPARE_TEST_WORST", "1,1")
	t.Setenv(restlessEnv, runs)
	t.Setenv(argsEnv, "-profile -reps 2 -out "+dir+" -workload test-restless -candidate free")
	program, err := os.Executable()
	require.NoError(t, err)
	stderr, err := exec.Command(program).CombinedOutput()
	require.NoError(t, err, "%s", stderr)
	profile, err := os.Stat(filepath.Join(dir, "test-restless-free-list.pprof"))
	require.NoError(t, err)
	assert.NotZero(t, profile.Size())
	second, err := os.Stat(runs)
	require.NoError(t, err)
	assert.EqualValues(t, 2, second.Size())
	assert.True(t, profile.ModTime().Before(second.ModTime()), "it is of the second run")
}

// restlessEnv makes the test binary register the workload of these tests, and names the
// file in which that counts its runs.
const restlessEnv = "COMPARE_TEST_RUNS"

// registerRestless adds a workload that takes another time, given by the test, at each run.
func registerRestless() {
	bench.RegisterWorkload(&bench.Workload{
		Name: "test-restless", Group: "test", About: "for tests", Kind: bench.KindFixed, Rank: 1000,
		Metrics: []bench.Metric{{Name: "time", Unit: "ns", Format: "%.1f"}, {Name: "worst", Unit: "ns", Format: "%.1f", Worst: true}},
		Run: func(bench.Kernel, bench.Size) (out bench.Outcome, err error) {
			runs := os.Getenv(restlessEnv)
			done, _ := os.ReadFile(runs)
			if err := os.WriteFile(runs, append(done, '.'), 0o600); err != nil {
				return out, err
			}
			value := func(name string) float64 {
				v, _ := strconv.ParseFloat(strings.Split(os.Getenv(name), ",")[len(done)], 64)
				return v
			}
			out.Values = map[string]float64{"time": value("COMPARE_TEST_TIMES"), "worst": value("COMPARE_TEST_WORST")}
			return out, nil
		},
	})
}
