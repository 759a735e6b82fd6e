package bench

import (
	"cmp"
	"slices"
)

// A Workload makes its operations outside the timing, gives them to a kernel in
// batches, and times those.
type Workload struct {
	Name  string // as on the command line: "churn-64-10k"
	Group string // the table that it is in
	Rank  int    // orders the workloads; then it is the order of registration
	About string // what it does, with its parameters
	Kind  Kind
	// Metrics are what Run returns, the one that counts first.
	Metrics []Metric
	// Run measures a kernel of Kind, opened by it. Size says how much to do.
	Run func(k Kernel, size Size) (Outcome, error)
	// Skip returns why a candidate that has the kernel is not measured, or "".
	Skip func(c *Candidate) string
}

// Metric is a figure of an outcome.
type Metric struct {
	Name   string `json:"name"` // "time"
	Unit   string `json:"unit"` // "ns/op"
	Higher bool   `json:"higher_is_better,omitempty"`
	Format string `json:"format"`          // of fmt, for tables: "%.1f"
	Worst  bool   `json:"worst,omitempty"` // of very many, so that no two runs agree
}

// Size is how much a workload does.
type Size int

// The sizes of a workload.
const (
	Full  Size = iota
	Short      // enough for the checksums
)

// Outcome is what one run of a workload found out.
type Outcome struct {
	// Sum is the same for all candidates, or one of them did not do the work.
	Sum uint64 `json:"sum"`
	// Values are those of the workload's Metrics, by name. One that could not be
	// had is missing.
	Values map[string]float64 `json:"values"`
	// Notes say how a value was come by, by metric, if that differs between
	// candidates.
	Notes map[string]string `json:"notes,omitempty"`
}

var workloads []*Workload

// RegisterWorkload adds a workload; call it from an init function. It panics if
// there is one of that name, or no such kind.
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
