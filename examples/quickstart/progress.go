package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress shows what a child is doing: on a terminal in one line that changes;
// elsewhere, where that would fill a log, in one line for each activity.
type progress struct {
	w        io.Writer
	which    string
	terminal bool
	doing    string
	width    int // of what is on the line
}

func newProgress(which string, w io.Writer) *progress {
	p := &progress{w: w, which: which}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

func (p *progress) update(m message) {
	if p.terminal {
		line := fmt.Sprintf("%s: %s", p.which, m.Doing)
		if m.Total > 0 {
			line += fmt.Sprintf(" %s of %s", thousands(m.Done), thousands(m.Total))
		}
		p.show(line)
	} else if m.Doing != p.doing {
		p.doing = m.Doing
		_, _ = fmt.Fprintf(p.w, "%s: %s\n", p.which, m.Doing)
	}
}

// end wipes the line.
func (p *progress) end() {
	if p.terminal {
		p.show("")
		_, _ = fmt.Fprint(p.w, "\r")
	}
}

func (p *progress) show(line string) {
	_, _ = fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	p.width = len(line)
}
