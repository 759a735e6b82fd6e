package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vita-go/deblockator/examples/compare/report"
)

// progress shows how far a run is: on a terminal in one line that changes, elsewhere
// in a line for each run of a cell.
type progress struct {
	w           io.Writer
	terminal    bool
	width       int // of what is on the line
	done, total int // runs of cells
	started     time.Time
	took        map[*report.Cell]time.Duration // by the last run
	waiting     map[*report.Cell]int           // runs still to do
	doing       string
}

func newProgress(w io.Writer, cells []*planned, reps int) *progress {
	p := &progress{w: w, total: reps * len(cells), started: time.Now(),
		took: map[*report.Cell]time.Duration{}, waiting: map[*report.Cell]int{}}
	for _, c := range cells {
		p.waiting[c.Cell] = reps
	}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

func (p *progress) begin(c *report.Cell, rep int) {
	p.doing = fmt.Sprintf("%d of %d, %v%s  %s: %s, run %d", p.done+1, p.total,
		time.Since(p.started).Round(time.Second), p.left(), c.Workload, c.Candidate, rep+1)
	if p.terminal {
		p.show(p.doing)
	}
}

// end reports how a run of a cell ended: on a terminal only if it failed.
func (p *progress) end(c *report.Cell, took time.Duration) {
	p.done++
	p.took[c] = took
	p.waiting[c]--
	if c.State == report.Failed {
		p.total -= p.waiting[c]
		p.waiting[c] = 0
		p.show("")
		fmt.Fprintf(p.w, "%s: %s\n", p.doing, c.Reason)
	} else if !p.terminal {
		fmt.Fprintf(p.w, "%s, %.1f s\n", p.doing, took.Seconds())
	}
}

// skip notes that a cell is not run again.
func (p *progress) skip(c *report.Cell) {
	p.total -= p.waiting[c]
	p.waiting[c] = 0
}

// left estimates the remaining time: a cell takes as long as its last run, and one that
// was not run yet as long as the others on average.
func (p *progress) left() string {
	if len(p.took) == 0 {
		return ""
	}
	var sum, rest time.Duration
	for _, took := range p.took {
		sum += took
	}
	mean := sum / time.Duration(len(p.took))
	for c, n := range p.waiting {
		took, known := p.took[c]
		if !known {
			took = mean
		}
		rest += took * time.Duration(n)
	}
	return fmt.Sprintf(", about %v to go", rest.Round(time.Second))
}

// finish wipes the line.
func (p *progress) finish() { p.show("") }

func (p *progress) show(line string) {
	if !p.terminal {
		return
	}
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	if p.width = len(line); p.width == 0 {
		fmt.Fprint(p.w, "\r")
	}
}
