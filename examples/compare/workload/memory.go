package workload

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// gauge follows what a kernel holds against what of it is live.
type gauge struct {
	holder   bench.Holder // or nil
	base     int64        // resident before, -1 if the system does not say
	held     int64        // by its own count; only with a holder
	resident int64
	live     int64
}

// newGauge is called when the kernel is open and nothing is live.
func newGauge(k bench.Kernel) *gauge {
	debug.FreeOSMemory()
	g := &gauge{base: resident()}
	g.holder, _ = k.(bench.Holder)
	return g
}

// residentNow is what has become resident since the start.
func (g *gauge) residentNow() int64 { return max(0, resident()-g.base) }

// peak notes the present state for the highest of each figure.
func (g *gauge) peak(live int64) {
	g.live = max(g.live, live)
	if g.holder != nil {
		g.held = max(g.held, g.holder.Held())
	}
	if g.base >= 0 {
		g.resident = max(g.resident, g.residentNow())
	}
}

// What heldMetrics are: peak bytes for each byte at the peak of what is live.
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
	case g.base >= 0:
		out.Values["held"] = out.Values["resident"]
		out.Notes = map[string]string{"held": "does not count what it holds: resident memory"}
	}
}

// resident is the physical memory of this process, of Go and everything else, or
// -1 where the system does not say it in the way of Linux.
func resident() int64 {
	// smaps_rollup walks the page tables; what status says may be 64 pages a
	// thread behind.
	for _, f := range []struct{ name, key string }{
		{"/proc/self/smaps_rollup", "Rss:"}, {"/proc/self/status", "VmRSS:"},
	} {
		text, err := os.ReadFile(f.name)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) { // Rss:     1234 kB
			w := bytes.Fields(line)
			if len(w) == 3 && string(w[0]) == f.key {
				if n, err := strconv.ParseInt(string(w[1]), 10, 64); err == nil {
					return n << 10
				}
			}
		}
	}
	return -1
}
