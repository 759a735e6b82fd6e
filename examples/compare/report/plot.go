package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A figure is some columns side by side, with a bar for each candidate. All plots have
// this form: a row is a candidate in its colour everywhere, and lengths can be
// compared, whereas lines of twenty candidates could not be told apart.
type figure struct {
	file, title string
	panels      []panel
}

type panel struct{ workload, metric, title string }

var figures = []figure{
	{"churn", "Replace one of many objects of 64 bytes, ns", []panel{
		{"churn-64-1k", "time", "1 000 live"}, {"churn-64-10k", "time", "10 000 live"}, {"churn-64-1M", "time", "1 000 000 live"},
	}},
	{"larson", "Replace one of many objects of 8 to 999 bytes, ns", []panel{
		{"larson-1k", "time", "1 000 live"}, {"larson-50k", "time", "50 000 live"}, {"larson-1M", "time", "1 000 000 live"},
	}},
	{"held", "Memory held at the peak, per byte live", []panel{
		{"w8", "held", "W8: mostly 4 to 64 bytes"}, {"w11-1M", "held", "W11: 4 bytes to 32 KiB"},
	}},
	{"frame", "A frame of 200 000 particles, 5 000 die and are born, ms", []panel{
		{"frame", "p50", "median"}, {"frame", "p99", "99 % within"},
	}},
	{"trees", "Binary trees of depth 21, s", []panel{
		{"trees-21", "time", "every node freed"}, {"trees-bulk-21", "time", "each tree freed as a whole"},
	}},
	{"gc", "Go's collector with 10 million live objects of 64 bytes, ms", []panel{
		{"gc-10M", "cycle", "a cycle"}, {"gc-10M", "cycle CPU", "its CPU time"}, {"gc-10M", "worst request", "the worst request"},
	}},
}

// Shown returns the metrics that the plots show, by workload.
func Shown() map[string][]string {
	shown := map[string][]string{}
	for _, f := range figures {
		for _, p := range f.panels {
			shown[p.workload] = append(shown[p.workload], p.metric)
		}
	}
	return shown
}

// theme is how a plot looks on a page.
type theme struct {
	name                   string
	page, ink, faint, grid color.Color
}

var themes = []theme{
	{"light", color.White, color.Gray{0x24}, color.Gray{0x70}, color.Gray{0xd8}},
	{"dark", color.RGBA{0x0d, 0x11, 0x17, 0xff}, color.Gray{0xe6}, color.Gray{0x98}, color.Gray{0x3a}},
}

// WritePlots writes each figure that has results, in each theme, and removes the others.
// After a short run it removes all.
func (r *Results) WritePlots(dir string) (err error) {
	for _, f := range figures {
		rows, columns := r.plotRows(f)
		for _, th := range themes {
			file := filepath.Join(dir, f.file+"-"+th.name+".svg")
			if len(rows) > 0 && !r.Short {
				err = r.writePlot(file, f, th, rows, columns)
			} else if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// plotRows returns the candidates that have a value in any panel, and the panels'
// columns.
func (r *Results) plotRows(f figure) (rows []Candidate, columns []column) {
	for _, p := range f.panels {
		for _, w := range r.Workloads {
			for _, m := range w.Metrics {
				if w.Name == p.workload && m.Name == p.metric {
					columns = append(columns, column{w, m})
				}
			}
		}
	}
	if len(columns) < len(f.panels) {
		return nil, nil
	}
	for _, c := range r.Candidates {
		if slices.ContainsFunc(columns, func(col column) bool { _, _, ok := r.value(c, col); return ok }) {
			rows = append(rows, c)
		}
	}
	return rows, columns
}

// Lengths, in points.
const (
	rowHeight   = 15
	panelWidth  = 165
	labelsWidth = 96 // with room for a wider font than the one asked for
	valueWidth  = 40 // for the value behind the longest bar
	headHeight  = 42
)

func (r *Results) writePlot(file string, f figure, th theme, rows []Candidate, columns []column) error {
	width := vg.Length(labelsWidth + panelWidth*len(columns))
	height := vg.Length(headHeight + rowHeight*len(rows) + 6)
	svg := vgsvg.New(width, height)
	c := draw.New(svg)
	c.SetColor(th.page)
	c.Fill(c.Rectangle.Path())

	c.FillText(style(th.ink, 11), vg.Point{X: 8, Y: height - 13}, f.title)
	for k, row := range rows {
		c.FillText(style(th.ink, 9), vg.Point{X: 8, Y: middle(height, k)}, row.Name)
	}
	for i, col := range columns {
		left := vg.Length(labelsWidth + panelWidth*i)
		c.FillText(style(th.faint, 9), vg.Point{X: left, Y: height - 32}, f.panels[i].title)
		c.StrokeLine2(draw.LineStyle{Color: th.grid, Width: .5}, left, height-headHeight, left, 6)
		r.drawBars(c, th, rows, col, left)
	}

	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	// Where the font is not installed, Arial has the same metrics.
	text := bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return write(file, text)
}

// middle returns the y of the middle of a row; rows count from the top.
func middle(height vg.Length, row int) vg.Length {
	return height - headHeight - vg.Length(row)*rowHeight - rowHeight/2
}

// style returns the style of text that begins at a point and is centred vertically on
// it: in any font it stays clear of what is to its left.
func style(c color.Color, size font.Length) draw.TextStyle {
	return draw.TextStyle{
		Color: c, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: plot.DefaultTextHandler,
		XAlign: draw.XLeft, YAlign: draw.YCenter,
	}
}

// drawBars draws the bars of a panel, each followed by its value. A bar that is far
// longer than most is cut short.
func (r *Results) drawBars(c draw.Canvas, th theme, rows []Candidate, col column, left vg.Length) {
	const width, half = panelWidth - valueWidth, rowHeight * .37
	full := r.fullLength(rows, col)
	for k, row := range rows {
		mid := middle(c.Max.Y, k)
		v, _, ok := r.value(row, col)
		if !ok {
			label := NA
			if cell := r.Cell(col.w.Name, row.Name); cell != nil && cell.State != OK {
				label = cell.State
			}
			c.FillText(style(th.faint, 8), vg.Point{X: left + 3, Y: mid}, label)
			continue
		}
		length := vg.Length(0)
		if full > 0 {
			length = width * vg.Length(min(max(v/full, 0), 1))
		}
		bar := func(from, to, slant vg.Length, colour color.Color) {
			c.FillPolygon(colour, []vg.Point{{X: from, Y: mid - half}, {X: to, Y: mid - half}, {X: to + slant, Y: mid + half}, {X: from + slant, Y: mid + half}})
		}
		bar(left, left+length, 0, parseColour(row.Colour))
		if v > full { // a gap shows the cut
			for _, at := range []vg.Length{.86, .90} {
				bar(left+width*at, left+width*at+2, 3, th.page)
			}
		}
		c.FillText(style(th.ink, 8), vg.Point{X: left + length + 3, Y: mid}, fmt.Sprintf(cmp.Or(col.m.Format, "%.3g"), v))
	}
}

// fullLength returns the value that the longest bar stands for.
func (r *Results) fullLength(rows []Candidate, col column) float64 {
	var values []float64
	for _, row := range rows {
		if v, _, ok := r.value(row, col); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return min(values[len(values)-1], 3*values[len(values)/2])
}

// parseColour reads "#rrggbb"; anything else is grey.
func parseColour(s string) color.Color {
	if len(s) == 7 {
		if n, err := strconv.ParseUint(s[1:], 16, 24); err == nil {
			return color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 0xff}
		}
	}
	return color.Gray{0x80}
}
