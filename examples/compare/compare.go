package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
	"github.com/vita-go/deblockator/examples/compare/report"
)

var (
	// errOut means that the folder for the results cannot be used.
	errOut = errors.New("cannot write results")
	// errNothing means that none of the candidates can do any of the workloads here.
	errNothing = errors.New("nothing to run")
)

// long is the longest run of a cell that is repeated. In a longer one, other load on the
// machine averages out, and there are other cells to do.
const long = time.Minute

// compare runs all cells and writes the results. It writes the tables after each cell,
// so that neither an interrupt nor a kill without warning loses half an hour's work,
// and the plots at the end. The results of an earlier run stay as they are until the
// first cell is finished.
func compare(ctx context.Context, o options, stderr io.Writer) error {
	undo, err := checkOut(o.out)
	if err != nil {
		return fmt.Errorf("%w: %w", errOut, err)
	}
	defer undo()
	begin := time.Now()
	res := describe(o)
	programs, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(programs) }()

	plan := newPlan(ctx, o, res, programs, stderr)
	if len(plan.cells) == 0 && ctx.Err() == nil {
		return fmt.Errorf("%w:%s", errNothing, reasons(res.Cells))
	}
	res.Partial = true
	finished := 0
	show := newProgress(stderr, plan.cells, o.reps)
	for rep := range o.reps {
		for _, c := range plan.round(rep) {
			if ctx.Err() != nil {
				break
			}
			if !c.wants(rep) {
				show.skip(c.Cell)
				continue
			}
			show.begin(c.Cell, rep)
			start := time.Now()
			a := plan.run(ctx, c)
			took := time.Since(start)
			c.took = took
			if ctx.Err() != nil {
				break // the interrupt killed the cell
			}
			c.add(a, took)
			res.Found(c.Candidate, a.Version)
			show.end(c.Cell, took)
			finished++
			res.Seconds = time.Since(begin).Seconds()
			if err := report.WriteTables(res, o.out); err != nil {
				return err
			}
		}
	}
	show.finish()

	if finished == 0 {
		return errors.New("interrupted before a cell was finished; nothing is written")
	}
	res.Partial = ctx.Err() != nil
	res.Seconds = time.Since(begin).Seconds()
	res.CheckSums()
	if err := report.Write(res, o.out); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "results are in %s\n", o.out)
	if ctx.Err() != nil {
		return errors.New("interrupted; the results are those of the cells that were finished")
	}
	if failed := res.Failed(); len(failed) > 0 {
		return fmt.Errorf("%d cells failed:%s", len(failed), reasons(failed))
	}
	return nil
}

// round returns the cells in the order of a round. Each round begins a workload with
// another candidate, so that no candidate always follows the workload before.
//
// All cells are run equally often. More runs for cells whose runs differ were tried: then
// the best of four was compared with the best of two.
func (p *plan) round(rep int) []*planned {
	cells := make([]*planned, 0, len(p.cells))
	for rest := p.cells; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(c *planned) bool { return c.w != rest[0].w })
		if n < 0 {
			n = len(rest)
		}
		first := rep % n
		cells = append(append(cells, rest[first:n]...), rest[:first]...)
		rest = rest[n:]
	}
	return cells
}

// wants reports whether to run the cell in this round: after the first only if it gave
// a result and its last run took no more than long.
func (c *planned) wants(rep int) bool {
	return rep == 0 || c.State == report.OK && c.took <= long
}

// reasons lists, a line each, why these cells have no result.
func reasons(cells []*report.Cell) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "\n  %s, %s: %s", c.Workload, c.Candidate, c.Reason)
	}
	return b.String()
}

// plan has the cells that can be tried.
type plan struct {
	o     options
	cells []*planned
}

type planned struct {
	*report.Cell
	w       *bench.Workload
	c       *bench.Candidate
	program string        // of the candidate, "" for this one
	took    time.Duration // by the last run
}

// newPlan adds a cell for each workload and candidate to res, and returns those that
// can be tried. Cells of the same workload are adjacent, so that the candidates of a
// table meet the machine in a similar state.
func newPlan(ctx context.Context, o options, res *report.Results, programs string, stderr io.Writer) *plan {
	p := &plan{o: o}
	missing := map[string]string{}
	program := map[string]string{}
	for _, c := range o.candidates {
		if c.Missing != nil {
			missing[c.Name] = c.Missing()
		}
		if c.Program == nil || missing[c.Name] != "" || !canAny(c, o.workloads) {
			continue
		}
		fmt.Fprintf(stderr, "building the program for %s\n", c.Name)
		path, err := c.Program(ctx, programs)
		if err != nil {
			missing[c.Name] = firstLine(err.Error())
		}
		program[c.Name] = path
	}
	for _, w := range o.workloads {
		for _, c := range o.candidates {
			cell := &report.Cell{Workload: w.Name, Candidate: c.Name, State: report.NotRun, Reason: "interrupted"}
			res.Cells = append(res.Cells, cell)
			switch {
			case !c.Has(w.Kind):
				cell.State, cell.Reason = report.NA, c.Why(w.Kind)
			case missing[c.Name] != "":
				cell.State, cell.Reason = report.NA, missing[c.Name]
			default:
				if w.Skip != nil {
					if reason := w.Skip(c); reason != "" {
						cell.State, cell.Reason = report.NA, reason
						continue
					}
				}
				p.cells = append(p.cells, &planned{Cell: cell, w: w, c: c, program: program[c.Name]})
			}
		}
	}
	return p
}

func canAny(c *bench.Candidate, workloads []*bench.Workload) bool {
	for _, w := range workloads {
		if c.Has(w.Kind) {
			return true
		}
	}
	return false
}

func (p *plan) run(ctx context.Context, c *planned) answer {
	o := p.o
	o.profile = o.profile && len(c.Runs) == 0 // or a later run would replace it
	return start(ctx, c.program, c.w, c.c, o)
}

// add records an answer.
func (c *planned) add(a answer, took time.Duration) {
	switch {
	case a.Outcome != nil:
		c.State, c.Reason = report.OK, ""
		c.Runs = append(c.Runs, report.Run{Outcome: *a.Outcome, Seconds: took.Seconds()})
	case a.Cannot != "":
		c.State, c.Reason = report.NA, a.Cannot
	default:
		c.State, c.Reason = report.Failed, a.Error
	}
}

// command returns the shell command that made the results.
func command(args []string) string {
	text := "go run ."
	for _, a := range args {
		if strings.ContainsFunc(a, func(r rune) bool { return r == ' ' || r == '"' }) || a == "" {
			a = strconv.Quote(a)
		}
		text += " " + a
	}
	return text
}

// describe returns results without any cells.
func describe(o options) *report.Results {
	res := &report.Results{
		Schema:    report.Schema,
		Date:      time.Now().UTC().Truncate(time.Second),
		Command:   command(o.args),
		Commit:    commit(),
		GoVersion: runtime.Version(),
		Machine:   machine(),
		Short:     o.short,
		Reps:      o.reps,
	}
	for _, c := range o.candidates {
		res.Candidates = append(res.Candidates, report.Candidate{
			Name: c.Name, About: c.About, Family: c.Family, Colour: c.Colour, Frees: c.Frees,
		})
	}
	for _, w := range o.workloads {
		res.Workloads = append(res.Workloads, report.Workload{
			Name: w.Name, Group: w.Group, About: w.About, Metrics: w.Metrics,
		})
	}
	return res
}
