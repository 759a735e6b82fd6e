package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vita-go/deblockator/examples/compare/report"
)

// progress shows how far a run is: on a terminal in one line that changes, and
// elsewhere a line a cell.
type progress struct {
	w           io.Writer
	terminal    bool
	width       int // of what is on the line
	done, total int
	started     time.Time
	first       map[*report.Cell]time.Duration // what a cell took last
	spent       time.Duration                  // by all that ran
	ran         int
	ahead       map[*report.Cell]int // how often it has run
	text        string
}

func newProgress(w io.Writer, total int) *progress {
	p := &progress{w: w, total: total, started: time.Now(),
		first: map[*report.Cell]time.Duration{}, ahead: map[*report.Cell]int{}}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

func (p *progress) begin(c *report.Cell, rep int) {
	p.text = fmt.Sprintf("%d of %d, %v%s  %s: %s, run %d", p.done+1, p.total,
		time.Since(p.started).Round(time.Second), p.left(), c.Workload, c.Candidate, rep+1)
	if p.terminal {
		p.show(p.text)
	}
}

func (p *progress) end(c *report.Cell, took time.Duration) {
	p.done++
	p.ran++
	p.spent += took
	p.first[c] = took
	if c.State == report.Failed {
		p.show("")
		p.text = strings.TrimSpace(p.text) + ": " + c.Reason
		fmt.Fprintf(p.w, "%s%s\n", map[bool]string{true: "\r"}[p.terminal], p.text)
		p.width = 0
	} else if !p.terminal {
		fmt.Fprintf(p.w, "%s, %.1f s\n", p.text, took.Seconds())
	}
}

// skip is for a cell that is not tried again.
func (p *progress) skip(*report.Cell, int) { p.done++ }

// left estimates what is still to do from what has been done: from the second
// round on, a round takes as long as the first.
func (p *progress) left() string {
	if p.ran == 0 {
		return ""
	}
	mean := p.spent / time.Duration(p.ran)
	return fmt.Sprintf(", about %v to go", (mean * time.Duration(p.total-p.done)).Round(time.Second))
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
