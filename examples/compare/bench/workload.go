package bench

import (
	"cmp"
	"slices"
)

// A Workload makes its operations outside the timed part, gives them to a kernel in
// batches, and times the batches.
type Workload struct {
	Name  string // as on the command line: "churn-64-10k"
	Group string // the table that it is in
	Rank  int    // orders the workloads; ties go by registration
	About string // what it does, with its parameters
	Kind  Kind
	// Metrics are the figures that Run returns, the most important first.
	Metrics []Metric
	// Run opens k, a kernel of Kind, and measures it. Size says how much to do.
	Run func(k Kernel, size Size) (Outcome, error)
	// Skip, if not nil, returns why a candidate with such a kernel is not measured, or "".
	Skip func(c *Candidate) string
}

// Metric is a figure of an outcome.
type Metric struct {
	Name   string `json:"name"` // "time"
	Unit   string `json:"unit"` // "ns/op"
	Higher bool   `json:"higher_is_better,omitempty"`
	Format string `json:"format"`          // of fmt, for tables: "%.1f"
	Worst  bool   `json:"worst,omitempty"` // the worst of very many, so no two runs agree
}

// Size is how much a workload does.
type Size int

// The sizes of a workload.
const (
	Full  Size = iota
	Short      // enough for the checksums
)

// Outcome is the result of one run of a workload.
type Outcome struct {
	// Sum is the same for all candidates, unless one of them did not do the work.
	Sum uint64 `json:"sum"`
	// Values are those of the workload's Metrics, by name. A value that could not be
	// measured is missing.
	Values map[string]float64 `json:"values"`
	// Notes say, by metric, how a value was obtained, if that differs between
	// candidates.
	Notes map[string]string `json:"notes,omitempty"`
}

var workloads []*Workload

// RegisterWorkload adds a workload; call it from an init function. It panics if the
// name is taken or there is no such kind.
func RegisterWorkload(w *Workload) {
	if !slices.Contains(Kinds, w.Kind) {
		panic("workload " + w.Name + " is of no kind")
	}
	if slices.ContainsFunc(workloads, func(o *Workload) bool { return o.Name == w.Name }) {
		panic("two workloads are called " + w.Name)
	}
	workloads = append(workloads, w)
	slices.SortStableFunc(workloads, func(a, b *Workload) int { return cmp.Compare(a.Rank, b.Rank) })
}

// Workloads returns all that are registered, in the order of the report.
func Workloads() []*Workload { return slices.Clone(workloads) }
