package report

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A figure is some columns side by side, a bar for each candidate. All plots have
// this one form: a row is a candidate everywhere, with its colour, and lengths can
// be compared where lines of twenty candidates could not be told apart.
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

// WritePlots writes each figure that there are results for, in each theme.
func (r *Results) WritePlots(dir string) error {
	for _, f := range figures {
		rows, columns := r.plotRows(f)
		if len(rows) == 0 {
			continue
		}
		for _, th := range themes {
			if err := r.writePlot(filepath.Join(dir, f.file+"-"+th.name+".svg"), f, th, rows, columns); err != nil {
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

func (r *Results) writePlot(file string, f figure, th theme, rows []Candidate, columns []column) error {
	const rowHeight, panelWidth, labels = 15, 150, 100 // points
	width := vg.Length(labels + panelWidth*len(columns))
	height := vg.Length(rowHeight*len(rows) + 52)
	plots := [][]*plot.Plot{nil}
	for i, col := range columns {
		p := plot.New()
		p.BackgroundColor = th.page
		p.Title.Text = f.panels[i].title
		p.Title.TextStyle.Color = th.faint
		p.Title.TextStyle.Font = sans(9)
		p.Title.Padding = 4
		p.HideX()
		p.Y.Min, p.Y.Max = -.5, float64(len(rows))-.5
		p.Y.LineStyle.Width, p.Y.Tick.Length, p.Y.Padding = 0, 0, 0
		p.Y.Tick.LineStyle.Width = 0
		p.Y.Tick.Label.Font, p.Y.Tick.Label.Color = sans(9), th.ink
		var ticks []plot.Tick
		for k, c := range rows {
			label := c.Name
			if i > 0 {
				label = " "
			}
			ticks = append(ticks, plot.Tick{Value: float64(len(rows) - 1 - k), Label: label})
		}
		p.Y.Tick.Marker = plot.ConstantTicks(ticks)
		b := r.bars(rows, col, th)
		p.X.Min, p.X.Max = 0, 1
		p.Add(b)
		plots[0] = append(plots[0], p)
	}

	svg := vgsvg.New(width, height)
	dc := draw.New(svg)
	dc.SetColor(th.page)
	dc.Fill(dc.Rectangle.Path())
	title := textStyle(th.ink, 11)
	title.XAlign, title.YAlign = draw.XLeft, draw.YTop
	dc.FillText(title, vg.Point{X: 8, Y: height - 6}, f.title)
	// The first panel is wider by the labels.
	top := height - 22
	for i, p := range plots[0] {
		x0, x1 := vg.Length(0), vg.Length(labels+panelWidth)
		if i > 0 {
			x0 = vg.Length(labels + panelWidth*i)
			x1 = x0 + panelWidth
		}
		part := draw.Canvas{Canvas: svg, Rectangle: vg.Rectangle{Min: vg.Point{X: x0 + 6, Y: 4}, Max: vg.Point{X: x1 - 4, Y: top}}}
		p.Draw(part)
	}
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	// Where the font is not installed, Arial has the same measures.
	text := bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(file, text, 0o644)
}

func sans(size font.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func textStyle(c color.Color, size font.Length) text.Style {
	return text.Style{Color: c, Font: sans(size), Handler: plot.DefaultTextHandler}
}

// bars is a plot.Plotter: the bars of one panel, in rows from the top, each with
// its value written behind it. A bar that is far longer than most is cut off.
type bars struct {
	theme  theme
	labels []string
	length []float64 // of the full width, NaN if there is none
	cut    []bool
	colour []color.Color
}

func (r *Results) bars(rows []Candidate, col column, th theme) *bars {
	var values []float64
	for _, c := range rows {
		if v, _, ok := r.value(c, col); ok {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	full := 0.0 // what the longest bar stands for
	if n := len(values); n > 0 {
		full = min(values[n-1], 3*values[n/2])
	}
	b := &bars{theme: th}
	for _, c := range rows {
		v, _, ok := r.value(c, col)
		label, length := "n/a", math.NaN()
		if ok {
			label, length = fmt.Sprintf(cmp.Or(col.m.Format, "%.3g"), v), 0
			if full > 0 {
				length = v / full
			}
		} else if cell := r.Cell(col.w.Name, c.Name); cell != nil {
			label = cell.State
		}
		b.labels = append(b.labels, label)
		b.cut = append(b.cut, length > 1)
		b.length = append(b.length, min(length, 1))
		b.colour = append(b.colour, parseColour(c.Colour))
	}
	return b
}

// Plot implements plot.Plotter.
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	const room = 34 // points, for the value behind the longest bar
	_, y := p.Transforms(&c)
	left, width := c.Min.X, c.Max.X-c.Min.X-room
	half := (y(1) - y(0)) * .36
	axis := draw.LineStyle{Color: b.theme.grid, Width: .5}
	c.StrokeLine2(axis, left, c.Min.Y, left, c.Max.Y)
	for k, label := range b.labels {
		mid := y(float64(len(b.labels) - 1 - k))
		style := textStyle(b.theme.ink, 8)
		style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
		end := left
		if math.IsNaN(b.length[k]) {
			style.Color = b.theme.faint
		} else {
			end += width * vg.Length(b.length[k])
			c.FillPolygon(b.colour[k], []vg.Point{{X: left, Y: mid - half}, {X: end, Y: mid - half}, {X: end, Y: mid + half}, {X: left, Y: mid + half}})
		}
		if b.cut[k] { // a gap in the colour of the page
			for _, at := range []vg.Length{.86, .90} {
				x := left + width*at
				c.FillPolygon(b.theme.page, []vg.Point{{X: x - 1, Y: mid - half - 1}, {X: x + 1, Y: mid - half - 1}, {X: x + 4, Y: mid + half + 1}, {X: x + 2, Y: mid + half + 1}})
			}
		}
		c.FillText(style, vg.Point{X: end + 3, Y: mid}, label)
	}
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
