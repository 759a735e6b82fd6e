package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// A table has a row for each candidate, except for those that can do none of its columns
// for one and the same reason: they are named below it, with the reason.

// mostColumns is how many columns a table of a whole group may have; in a larger group
// each workload has its own table.
const mostColumns = 12

// column is a metric of a workload.
type column struct {
	w Workload
	m bench.Metric
}

func (c column) title() string {
	name, unit := c.w.Name, c.m.Unit
	if len(c.w.Metrics) > 1 {
		name += "<br>" + c.m.Name
	}
	if unit != "" {
		name += "<br>" + unit
	}
	return name
}

// WriteMarkdown writes the tables.
func (r *Results) WriteMarkdown(w io.Writer) error {
	p := &printer{w: w}
	p.f("# Comparison\n\n")
	r.writeHead(p)
	for _, g := range r.groups() {
		p.f("\n## %s\n\n", g.name)
		for _, wl := range g.workloads {
			p.f("- `%s`: %s\n", wl.Name, wl.About)
		}
		for _, columns := range g.tables() {
			p.f("\n")
			r.writeTable(p, columns)
		}
	}
	p.f("\n## Candidates\n\n")
	for _, c := range r.Candidates {
		p.f("- **%s**: %s", c.Name, c.About)
		if c.Version != "" {
			p.f("; here %s", c.Version)
		}
		p.f("\n")
	}
	return p.err
}

func (r *Results) writeHead(p *printer) {
	m := r.Machine
	p.f("%s, %d cores, %.0f GiB, %s/%s, %s, commit %s, %s: `%s`, in %.0f s.\n", m.CPU, m.Cores, float64(m.Memory)/(1<<30),
		m.OS, m.Arch, r.GoVersion, r.Commit, r.Date.Format("2006-01-02"), r.Command, r.Seconds)
	if r.Partial {
		p.f("\n**Interrupted: not all cells were run.**\n")
	}
	if r.Short {
		p.f("\n**A short run: the checksums were compared, the times mean nothing.**\n")
	}
	p.f("\n")
	if r.Reps > 1 {
		p.f("The best of %d runs; a tilde: the two best are more than a tenth apart. Of what is the worst of many in a run, the median. ", r.Reps)
	}
	p.f("Each run is in a process of its own. In brackets: how many times that of the first of ours in the table. In bold: the best of all.\n")
	if failed := r.Failed(); len(failed) > 0 {
		p.f("\nFailed:\n\n")
		for _, c := range failed {
			p.f("- `%s`, %s: %s\n", c.Workload, c.Candidate, c.Reason)
		}
	}
}

type group struct {
	name      string
	workloads []Workload
}

func (r *Results) groups() (groups []group) {
	for _, w := range r.Workloads {
		i := slices.IndexFunc(groups, func(g group) bool { return g.name == w.Group })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{name: w.Group})
		}
		groups[i].workloads = append(groups[i].workloads, w)
	}
	return groups
}

// tables returns the columns of each table.
func (g group) tables() (tables [][]column) {
	var all []column
	for _, w := range g.workloads {
		var own []column
		for _, m := range w.Metrics {
			own = append(own, column{w, m})
		}
		tables = append(tables, own)
		all = append(all, own...)
	}
	if len(all) <= mostColumns {
		return [][]column{all}
	}
	return tables
}

func (r *Results) writeTable(p *printer, columns []column) {
	var rows []Candidate
	var notes footnotes
	absent := map[string][]string{} // candidates by reason
	var reasons []string
	for _, c := range r.Candidates {
		if reason, none := r.absent(c, columns); none {
			if absent[reason] == nil {
				reasons = append(reasons, reason)
			}
			absent[reason] = append(absent[reason], c.Name)
			continue
		}
		rows = append(rows, c)
	}

	if len(rows) > 0 {
		p.f("| |")
		for _, col := range columns {
			p.f(" %s |", col.title())
		}
		p.f("\n|---|%s\n", strings.Repeat("--:|", len(columns)))
		ours, best := make([]float64, len(columns)), make([]float64, len(columns))
		for i, col := range columns {
			ours[i], best[i] = r.ours(col), r.best(col)
		}
		for _, c := range rows {
			p.f("| %s |", c.Name)
			for i, col := range columns {
				p.f(" %s |", r.cellText(c, col, ours[i], best[i], &notes))
			}
			p.f("\n")
		}
	}
	if len(notes.texts)+len(reasons) > 0 {
		p.f("\n")
	}
	for i, text := range notes.texts {
		p.f("%d. %s\n", i+1, text)
	}
	for _, reason := range reasons {
		p.f("- n/a: %s: %s\n", strings.Join(absent[reason], ", "), reason)
	}
}

// absent returns why a candidate can do none of the columns, if that is one and the
// same reason for all.
func (r *Results) absent(c Candidate, columns []column) (reason string, none bool) {
	for _, col := range columns {
		cell := r.Cell(col.w.Name, c.Name)
		if cell == nil || cell.State != NA || reason != "" && cell.Reason != reason {
			return "", false
		}
		reason = cell.Reason
	}
	return reason, true
}

// ours returns the value of the first of our candidates that has one, or NaN. The best of
// ours was tried: it compares whichever of them had luck, or huge pages, with each of the
// others.
func (r *Results) ours(col column) float64 {
	for _, c := range r.Candidates {
		if v, _, ok := r.value(c, col); ok && c.Family == bench.Ours {
			return v
		}
	}
	return math.NaN()
}

// best returns the best value in a column, or NaN.
func (r *Results) best(col column) float64 {
	best := math.NaN()
	for _, c := range r.Candidates {
		if v, _, ok := r.value(c, col); ok && (math.IsNaN(best) || better(col.m, v, best)) {
			best = v
		}
	}
	return best
}

func better(m bench.Metric, v, than float64) bool {
	if m.Higher {
		return v > than
	}
	return v < than
}

func (r *Results) value(c Candidate, col column) (v, spread float64, ok bool) {
	cell := r.Cell(col.w.Name, c.Name)
	if cell == nil {
		return 0, 0, false
	}
	return cell.Best(col.m)
}

func (r *Results) cellText(c Candidate, col column, ours, best float64, notes *footnotes) string {
	cell := r.Cell(col.w.Name, c.Name)
	if cell == nil {
		return "n/a" + notes.mark("not asked for")
	}
	if cell.State != OK {
		return cell.State + notes.mark(cell.Reason)
	}
	v, spread, ok := cell.Best(col.m)
	if !ok {
		return "n/a" + notes.mark(unmeasured(r.Short))
	}
	text := fmt.Sprintf(cmp.Or(col.m.Format, "%.3g"), v)
	if text == fmt.Sprintf(cmp.Or(col.m.Format, "%.3g"), best) {
		text = "**" + text + "**"
	}
	if apart(v, spread) {
		text += "~"
	}
	if !math.IsNaN(ours) && ours > 0 && v > 0 && c.Family != bench.Ours {
		text += fmt.Sprintf(" (%s)", ratio(v/ours))
	}
	if note, ok := cell.Runs[0].Notes[col.m.Name]; ok {
		text += notes.mark(note)
	}
	if n := len(cell.Runs); n < r.Reps && !r.Partial {
		text += notes.mark(fmt.Sprintf("%d of %d runs", n, r.Reps))
	}
	return text
}

func unmeasured(short bool) string {
	if short {
		return "left out of a short run, or not known on this system"
	}
	return "not known on this system"
}

// ratio formats x with two significant digits, if it is neither tiny nor large.
func ratio(x float64) string {
	switch {
	case x >= 9.95:
		return fmt.Sprintf("%.0f×", x)
	case x >= .995:
		return fmt.Sprintf("%.1f×", x)
	}
	return fmt.Sprintf("%.2f×", x)
}

// footnotes numbers texts.
type footnotes struct{ texts []string }

func (n *footnotes) mark(text string) string {
	i := slices.Index(n.texts, text)
	if i < 0 {
		i = len(n.texts)
		n.texts = append(n.texts, text)
	}
	return fmt.Sprintf(" <sup>%d</sup>", i+1)
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, a...)
	}
}
