package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample has a cell of every state.
func sample() *Results {
	ns := bench.Metric{Name: "time", Unit: "ns", Format: "%.1f"}
	back := bench.Metric{Name: "back", Unit: "%", Higher: true, Format: "%.0f"}
	r := &Results{
		Schema: Schema, Date: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Command: "go run . -reps 2", Commit: "abc", GoVersion: "go1.26",
		Machine: Machine{CPU: "A processor", Cores: 2, Memory: 8 << 30, OS: "linux", Arch: "amd64"}, Reps: 2, Seconds: 12.3,
		Candidates: []Candidate{
			{Name: "ours", About: "the one", Family: bench.Ours, Colour: "#d62728", Frees: true},
			{Name: "ours too", About: "in huge pages", Family: bench.Ours, Colour: "#aec7e8", Frees: true},
			{Name: "other", About: "the other", Family: bench.Module, Colour: "#1f77b4", Frees: true},
			{Name: "crasher", About: "crashes", Family: bench.C, Colour: "#2ca02c"},
			{Name: "never", About: "can do nothing", Family: bench.Entity, Colour: "wrong"},
		},
		Workloads: []Workload{
			{Name: "churn-64-1k", Group: "churn", About: "a thousand", Metrics: []bench.Metric{ns}},
			{Name: "churn-64-10k", Group: "churn", About: "ten thousand", Metrics: []bench.Metric{ns}},
			{Name: "churn-64-1M", Group: "churn", About: "a million", Metrics: []bench.Metric{ns}},
			{Name: "drain", Group: "drain", About: "give back", Metrics: []bench.Metric{back, ns}},
		},
	}
	add := func(workload, candidate, state, reason string, runs ...map[string]float64) *Cell {
		c := &Cell{Workload: workload, Candidate: candidate, State: state, Reason: reason}
		for _, v := range runs {
			c.Runs = append(c.Runs, Run{Outcome: bench.Outcome{Sum: 7, Values: v}, Seconds: 1})
		}
		r.Cells = append(r.Cells, c)
		return c
	}
	type v = map[string]float64
	for _, w := range r.Workloads {
		add(w.Name, "never", NA, "it has no legs")
		if w.Name != "churn-64-10k" {
			add(w.Name, "ours too", NA, "for ten thousand only")
		}
	}
	add("churn-64-10k", "ours too", OK, "", v{"time": 10}, v{"time": 10}) // the others are not compared with this
	add("churn-64-1k", "ours", OK, "", v{"time": 10}, v{"time": 9})
	add("churn-64-1k", "other", OK, "", v{"time": 4.5}, v{"time": 9})
	add("churn-64-1k", "crasher", Failed, "crashed: panic: ouch")
	add("churn-64-10k", "ours", OK, "", v{"time": 20}, v{"time": 20})
	add("churn-64-10k", "other", OK, "", v{"time": 200}, v{"time": 210})
	add("churn-64-10k", "crasher", NA, "ten thousand are too many")
	add("churn-64-1M", "ours", OK, "", v{"time": 30}, v{"time": 30})
	add("churn-64-1M", "other", NotRun, "interrupted")
	add("churn-64-1M", "crasher", OK, "", v{"time": 30.04}, v{"time": 31})
	add("drain", "ours", OK, "", v{"back": 90, "time": 5}, v{"back": 95, "time": 6})
	add("drain", "other", OK, "", v{"back": 40, "time": 3})
	add("drain", "crasher", OK, "", v{"time": 50}, v{"time": 50}).Runs[0].Notes = map[string]string{"time": "a note"}
	return r
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, sample().WriteMarkdown(&b))
	const golden = "testdata/results.md"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String())
}

// Every row of a table has as many cells as its head.
func TestTablesAreRectangular(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, sample().WriteMarkdown(&b))
	bars := 0
	for line := range strings.Lines(b.String()) {
		switch n := strings.Count(line, "|"); {
		case n == 0:
			bars = 0
		case bars == 0:
			bars = n
		default:
			assert.Equal(t, bars, n, line)
		}
	}
}

func TestMarkdownSaysWhatWentWrong(t *testing.T) {
	r := sample()
	r.Partial, r.Short = true, true
	var b bytes.Buffer
	require.NoError(t, r.WriteMarkdown(&b))
	assert.Contains(t, b.String(), "Interrupted")
	assert.Contains(t, b.String(), "the times mean nothing")
	assert.ErrorIs(t, r.WriteMarkdown(fullDisk{}), errFull)
}

type fullDisk struct{}

var errFull = errors.New("no space")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestJSONRoundTrip(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	require.NoError(t, r.WriteJSON(dir))
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	var back Results
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, r, &back)
}

func TestBest(t *testing.T) {
	r := sample()
	lower, higher := r.Workloads[0].Metrics[0], r.Workloads[3].Metrics[0]
	best, spread, ok := r.Cell("churn-64-1k", "other").Best(lower)
	assert.True(t, ok)
	assert.Equal(t, 4.5, best)
	assert.InDelta(t, 1, spread, 1e-9)
	best, spread, _ = r.Cell("drain", "ours").Best(higher)
	assert.Equal(t, 95.0, best)
	assert.InDelta(t, 95./90-1, spread, 1e-9)
	higher.Worst = true
	best, spread, _ = r.Cell("drain", "ours").Best(higher)
	assert.Equal(t, 90.0, best, "the median, or the worse of two")
	assert.Zero(t, spread)
	_, _, ok = r.Cell("churn-64-1k", "crasher").Best(lower)
	assert.False(t, ok, "it failed")
	_, _, ok = r.Cell("drain", "crasher").Best(higher)
	assert.False(t, ok, "not measured")
	assert.Nil(t, r.Cell("churn-64-1k", "nobody"))
}

func TestCheckSums(t *testing.T) {
	states := func(sums ...[]uint64) (states []string) {
		r := &Results{Workloads: []Workload{{Name: "w"}}}
		for _, runs := range sums {
			c := &Cell{Workload: "w", State: OK}
			for _, s := range runs {
				c.Runs = append(c.Runs, Run{Outcome: bench.Outcome{Sum: s}})
			}
			if len(runs) == 0 {
				c.State = NA
			}
			r.Cells = append(r.Cells, c)
		}
		r.CheckSums()
		for _, c := range r.Cells {
			states = append(states, c.State)
			assert.Equal(t, c.State == Failed, c.Reason != "")
		}
		return states
	}
	type s = []uint64
	assert.Equal(t, []string{OK, OK, OK}, states(s{1, 1}, s{1, 1}, s{1}))
	assert.Equal(t, []string{OK, Failed, OK}, states(s{1}, s{2}, s{1}))
	assert.Equal(t, []string{OK, Failed, OK}, states(s{1, 1}, s{1, 2}, s{1, 1}), "wrong once only")
	assert.Equal(t, []string{Failed, Failed}, states(s{1}, s{2}), "nobody knows who is right")
	assert.Equal(t, []string{OK, NA}, states(s{1}, s{}))
	assert.Equal(t, []string{Failed}, states(s{1, 2}), "at odds with itself")
}

// The plots are XML, name every candidate that has a value, and say its value;
// both themes have the colours of the candidates.
func TestPlots(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	require.NoError(t, r.WritePlots(dir))
	files, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "churn-dark.svg"), filepath.Join(dir, "churn-light.svg")}, files,
		"there is something for this figure only")
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		for _, s := range []string{">ours<", ">other<", ">crasher<", ">9.0<", ">4.5<", ">200.0<", ">n/a<", ">failed<", ">not run<", "#D62728", "#1F77B4", ",sans-serif"} {
			assert.Contains(t, string(text), s, f)
		}
		assert.NotContains(t, string(text), ">never<", "nothing to show")
	}
}

func TestShortRunsHaveNoPlots(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	require.NoError(t, Write(r, dir))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 4)
	r.Short = true
	require.NoError(t, Write(r, dir))
	files, err = os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 2, "nor are there those of an earlier run")
	assert.Error(t, Write(r, filepath.Join(dir, "nowhere")))
}
