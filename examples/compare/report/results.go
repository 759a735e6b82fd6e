// Package report keeps the results of a comparison and writes them as JSON, as
// Markdown and as plots.
package report

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Schema is the version of the format of results.json. It grows when a field changes
// its meaning or is removed.
const Schema = 1

// Results are everything that a run found out.
type Results struct {
	Schema     int         `json:"schema"`
	Date       time.Time   `json:"date"`
	Command    string      `json:"command"`
	Commit     string      `json:"commit"`
	GoVersion  string      `json:"go_version"`
	Machine    Machine     `json:"machine"`
	Short      bool        `json:"short"`   // the figures mean nothing, the checksums do
	Partial    bool        `json:"partial"` // interrupted
	Reps       int         `json:"reps"`
	Seconds    float64     `json:"seconds"`
	Candidates []Candidate `json:"candidates"`
	Workloads  []Workload  `json:"workloads"`
	Cells      []*Cell     `json:"cells"`
}

// Machine is what the figures were measured on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"` // that Go may use
	Memory int64  `json:"memory_bytes"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
}

// Candidate describes a bench.Candidate.
type Candidate struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Version is what was found on the machine, if About does not say it.
	Version string       `json:"version,omitempty"`
	Family  bench.Family `json:"family"`
	Colour  string       `json:"colour"`
	Frees   bool         `json:"frees"`
}

// Found records the version of a candidate that was found on the machine, if any.
func (r *Results) Found(candidate, version string) {
	for i := range r.Candidates {
		if c := &r.Candidates[i]; c.Name == candidate && version != "" {
			c.Version = version
		}
	}
}

// Workload describes a bench.Workload.
type Workload struct {
	Name    string         `json:"name"`
	Group   string         `json:"group"`
	About   string         `json:"about"`
	Metrics []bench.Metric `json:"metrics"`
}

// The states of a cell.
const (
	OK     = "ok"
	NA     = "n/a"     // the candidate cannot do this
	Failed = "failed"  // it crashed, hung or gave a wrong result
	NotRun = "not run" // the run was interrupted before it
)

// Cell is a workload with a candidate.
type Cell struct {
	Workload  string `json:"workload"`
	Candidate string `json:"candidate"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"` // unless it is OK
	Runs      []Run  `json:"runs,omitempty"`   // those that gave a result
}

// Run is one repetition.
type Run struct {
	bench.Outcome
	Seconds float64 `json:"seconds"` // of the process, with all preparation
}

// mostApart is how far apart, as a fraction, the two best repetitions may be for the best
// to be believed. Other load on the machine makes a repetition slower, so the worst one
// says nothing.
//
// A metric that is itself the worst of a run is different: its best would get better with
// more repetitions. There the median counts, and no spread is computed.
const mostApart = .1

// Best returns the best value of a metric among the repetitions, and how far the second
// best is from it, as a fraction. For a metric that is the worst of many, it returns the
// median (of two, the worse) and 0.
func (c *Cell) Best(m bench.Metric) (best, spread float64, ok bool) {
	var all []float64
	for _, r := range c.Runs {
		if v, has := r.Values[m.Name]; has {
			all = append(all, v)
		}
	}
	if c.State != OK || len(all) == 0 {
		return 0, 0, false
	}
	slices.Sort(all)
	if m.Higher {
		slices.Reverse(all)
	}
	if m.Worst {
		return all[len(all)/2], 0, true
	}
	best = all[0]
	if second := all[min(1, len(all)-1)]; best != 0 {
		spread = max(second/best, best/second) - 1
	}
	return best, spread, true
}

// apart reports whether a best value is not to be believed; 0 always is.
func apart(best, spread float64) bool { return spread > mostApart && spread*math.Abs(best) > 0 }

// Cell returns the cell of a workload and a candidate, or nil.
func (r *Results) Cell(workload, candidate string) *Cell {
	for _, c := range r.Cells {
		if c.Workload == workload && c.Candidate == candidate {
			return c
		}
	}
	return nil
}

// CheckSums marks as failed the cells whose checksum is not that of the majority. If
// there is no majority, it marks all.
func (r *Results) CheckSums() {
	for _, w := range r.Workloads {
		votes := map[uint64]int{} // of cells, by their first sum
		cells := 0
		for _, c := range r.Cells {
			if c.Workload == w.Name && len(c.Runs) > 0 {
				votes[c.Runs[0].Sum]++
				cells++
			}
		}
		for _, c := range r.Cells {
			if c.Workload != w.Name || c.State != OK {
				continue
			}
			for _, run := range c.Runs {
				if 2*votes[run.Sum] <= cells {
					c.State, c.Reason = Failed, "wrong checksum: it did not do the work of the others"
					if len(votes) == cells && cells > 1 {
						c.Reason = "no two checksums agree"
					}
				}
			}
		}
	}
}

// Failed returns the cells that failed.
func (r *Results) Failed() (cells []*Cell) {
	for _, c := range r.Cells {
		if c.State == Failed {
			cells = append(cells, c)
		}
	}
	return cells
}

// WriteJSON writes results.json.
func (r *Results) WriteJSON(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "results.json"), append(text, '\n'))
}
