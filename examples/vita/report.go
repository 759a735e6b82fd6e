package main

import (
	"fmt"
	"io"
)

// What the game took, and whether that is good enough.

// Bounds that a port could live with and that this game must keep.
const (
	maxOverhead = 1.15 // bytes held for each live byte
	maxDrift    = 0.02 // of fragmentation, from the first half of the levels to the second
)

// maxBlocks is the maximum number of blocks that may be asked of the kernel, however long
// the game lasts: one for each MiB of the budget.
func (m *memory) maxBlocks() int { return m.budget / mib }

// report prints the state of every pool. Held is what the kernel gave: the records of all
// three allocators are in what world holds.
func (g *game) report(w io.Writer, when string) {
	fmt.Fprintf(w, "%-9s %10s %10s %10s %10s %13s %7s\n", when, "budget", "held", "live", "peak live", "largest hole", "blocks")
	const largest, columns = 4, 5 // budget, held, live, peak, largest
	row := func(name string, sizes [columns]int64, blocks int) {
		fmt.Fprintf(w, "%-9s", name)
		for i, n := range sizes {
			text := size(n)
			if n < 0 {
				text = "" // no such column
			}
			fmt.Fprintf(w, " %*s", [columns]int{10, 10, 10, 10, 13}[i], text)
		}
		fmt.Fprintf(w, " %7d\n", blocks)
	}
	all, blocks := [columns]int64{}, 0
	for _, p := range g.pools {
		s, from := p.Stats(), p.src.Stats()
		of := [columns]int64{int64(p.budget), int64(from.Held), int64(s.Live), int64(s.PeakLive), int64(s.LargestHole)}
		row(p.name, of, from.Blocks)
		for i, n := range of {
			all[i] += n
		}
		all[largest] = max(all[largest]-of[largest], of[largest])
		blocks += from.Blocks
	}
	row("all", all, blocks)
	if g.sim != nil {
		fmt.Fprintf(w, "\n%-9s %10s %10s %10s %10s %13s %7s\n", "console", "limit", "held", "", "peak", "largest block", "blocks")
		for _, b := range g.sim.Budgets() {
			if b.Limit > 0 {
				row(b.Pool.String(), [columns]int64{b.Limit, b.Held, -1, b.Peak, b.Largest}, b.Blocks)
			}
		}
	} else if f, code := g.kernel.FreeSizes(); code >= 0 {
		fmt.Fprintf(w, "\nthe kernel says free: user %s, CDRAM %s, PHYCONT %s\n",
			size(int64(f.User)), size(int64(f.CDRAM)), size(int64(f.Phycont)))
	}
	fmt.Fprintln(w)
}

// summary prints what happened between the reports.
func (g *game) summary(w io.Writer) {
	asked, refused := g.asked()
	fmt.Fprintf(w, "%d frames, %d s of play: %d levels, %d sparks born, %d died\n",
		g.frames, g.frames/framesPerSecond, g.levels, g.born, g.died)
	fmt.Fprintf(w, "%d sprites drawn, %d enemies killed, %d sparks came too late\n", g.drawn, g.killed, g.missed)
	fmt.Fprintf(w, "worst frame %.2f ms, worst level change %.2f ms, on this machine\n",
		float64(g.worstFrame)/1e6, float64(g.worstLoad)/1e6)
	fmt.Fprintf(w, "blocks asked of the kernel: %d, refused: %d\n", asked, refused)
	fmt.Fprintf(w, "held for each byte live: %.3f\n", g.overhead())
	for _, p := range g.pools {
		if first, last, ok := halves(p.after); ok {
			fmt.Fprintf(w, "fragmentation of %s after a level: %.3f at most in the first half, %.3f in the second\n", p.name, first, last)
		}
	}
}

// verdict lists what is not good enough.
func (g *game) verdict() (bad faults) {
	failures, held, fromKernel := 0, 0, 0
	for _, p := range g.pools {
		s := p.Stats()
		failures += int(s.Failures)
		held += s.Held
		fromKernel += p.src.Stats().Held
		if err := p.Check(); err != nil {
			bad.add("%s: %w", p.name, err)
		}
		if first, last, ok := halves(p.after); ok && last > first+maxDrift {
			bad.add("fragmentation of %s drifts from %.3f to %.3f", p.name, first, last)
		}
	}
	if failures > 0 {
		bad.add("%d requests failed", failures)
	}
	if held != fromKernel {
		bad.add("the allocators hold %d bytes, the kernel has given %d", held, fromKernel)
	}
	if asked, refused := g.asked(); asked+refused > g.maxBlocks() {
		bad.add("%d blocks were asked of the kernel, more than %d", asked+refused, g.maxBlocks())
	}
	if o := g.overhead(); o > maxOverhead {
		bad.add("%.3f bytes are held for each that is live, more than %.2f", o, maxOverhead)
	}
	if g.born-g.died != int64(g.sparks.Len()) {
		bad.add("%d sparks born, %d died and %d alive", g.born, g.died, g.sparks.Len())
	}
	return bad
}

type faults []error

// Inlined at its seven calls, add would be a KiB of code.
//
//go:noinline
func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (g *game) asked() (blocks, refused int) {
	for _, p := range g.pools {
		st := p.src.Stats()
		blocks += st.Acquired
		refused += st.Refused
	}
	return blocks, refused
}

// overhead is how many bytes are held for each live byte.
func (g *game) overhead() float64 {
	held, live := 0, 0
	for _, p := range g.pools {
		s := p.Stats()
		held += s.Held
		live += s.Live
	}
	return float64(held) / float64(live)
}

// halves returns the worst of the first half of the levels, and the worst of the second.
// With fewer than four levels ok is false.
func halves(levels []float64) (first, last float64, ok bool) {
	n := len(levels)
	for i, v := range levels {
		if i < n/2 {
			first = max(first, v)
		} else {
			last = max(last, v)
		}
	}
	return first, last, n >= 4
}

// size writes n in MiB.
func size(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/mib) }
