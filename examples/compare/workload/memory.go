package workload

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// gauge compares what a kernel holds with how much of it is live.
type gauge struct {
	holder   bench.Holder  // or nil
	bounder  bench.Bounder // the same, or nil
	base     int64         // resident before, -1 if the system does not say
	held     int64         // by its own count; only with a holder
	resident int64
	live     int64
}

// newGauge is called when the kernel is open and nothing is live.
func newGauge(k bench.Kernel) *gauge {
	g := &gauge{}
	g.holder, _ = k.(bench.Holder)
	g.bounder, _ = k.(bench.Bounder)
	// A first look makes the memory that looking takes resident, before base is set.
	g.heldNow(g.residentNow())
	debug.FreeOSMemory()
	g.base = resident()
	return g
}

// residentNow returns what has become resident since newGauge.
func (g *gauge) residentNow() int64 { return max(0, resident()-g.base) }

// heldNow returns what the kernel says it holds, given what has become resident.
func (g *gauge) heldNow(grown int64) int64 {
	switch {
	case g.holder == nil:
		return 0
	case g.bounder != nil && g.base >= 0:
		return min(g.holder.Held(), g.bounder.Began()+grown)
	}
	return g.holder.Held()
}

// peak updates the maximum of each figure.
func (g *gauge) peak(live int64) {
	g.live = max(g.live, live)
	grown := g.residentNow()
	g.held = max(g.held, g.heldNow(grown))
	if g.base >= 0 {
		g.resident = max(g.resident, grown)
	}
}

// heldMetrics are the peaks of bytes held and resident, per byte at the peak of live bytes.
var heldMetrics = []bench.Metric{
	{Name: "held", Unit: "held/live", Format: "%.3f"},
	{Name: "resident", Unit: "RSS/live", Format: "%.3f"},
}

// report adds the values of heldMetrics.
func (g *gauge) report(out *bench.Outcome) {
	if g.base >= 0 {
		out.Values["resident"] = float64(g.resident) / float64(g.live)
	}
	switch {
	case g.holder != nil:
		out.Values["held"] = float64(g.held) / float64(g.live)
		if g.bounder != nil {
			out.Notes = map[string]string{"held": "counts pages never touched: no more than became resident, and what was when it was loaded"}
		}
	case g.base >= 0:
		out.Values["held"] = out.Values["resident"]
		out.Notes = map[string]string{"held": "does not count what it holds: resident memory"}
	}
}

// A hoard is what a candidate has that frees nothing: it grows by all that it was asked for, where
// others reuse what was freed. Growth by less than hoardLeast and sixteen times what is live proves
// nothing: with GOGC=400 the collector leaves 16 MiB or five times what is live, and then is late.
type hoard struct {
	base int64 // resident before, -1 if the system does not say
	made int64 // bytes of the objects made since
}

const hoardLeast = 64 << 20

func newHoard() *hoard { return &hoard{base: resident()} }

// check returns an error if the candidate has freed less than a quarter of what was made. No more
// than live bytes were live at any time.
func (h *hoard) check(live int64) error {
	grown := resident() - h.base
	if h.base < 0 || grown <= h.made/4*3 || grown <= 16*live+hoardLeast {
		return nil
	}
	return fmt.Errorf("of %d MiB that were made, with %d MiB live at a time, %d are resident: it does not free", h.made>>20, live>>20, grown>>20)
}

// resident returns the physical memory of this process, Go's and all other, or -1 where
// the system does not report it as Linux does.
func resident() int64 {
	// smaps_rollup walks the page tables; status may lag behind by 64 pages per
	// thread.
	if n := bench.ProcBytes("/proc/self/smaps_rollup", "Rss:"); n >= 0 {
		return n
	}
	return bench.ProcBytes("/proc/self/status", "VmRSS:")
}

// forgetPeak restarts residentPeak. Where that is not allowed, the peak covers the whole
// life of the process, which has not done much by then.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// residentPeak returns the largest value of resident so far, or -1. The system's kernel
// records it before memory is given back, so it counts what lives between two looks.
func residentPeak() int64 { return bench.ProcBytes("/proc/self/status", "VmHWM:") }
