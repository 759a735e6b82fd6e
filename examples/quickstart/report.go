package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// report prints the table and what to make of it. It returns an error if the indexes differ.
func report(w io.Writer, t *tree, queries int, p, a result) error {
	if !reflect.DeepEqual(p.Content, a.Content) {
		return fmt.Errorf("the two indexes differ, unless the files have changed meanwhile:\n%s: %+v\n%s: %+v",
			withPointers, p.Content, withArena, a.Content)
	}
	var b strings.Builder
	heading(&b, t, p.Content)

	row := func(label string, cells ...string) {
		fmt.Fprintf(&b, "%-32s", label)
		for _, c := range cells {
			fmt.Fprintf(&b, "%12s", c)
		}
		b.WriteByte('\n')
	}
	row("The index", "Go pointers", "arena")
	row("  objects", thousands(p.Content.Objects), thousands(a.Content.Objects))
	row("  build time, parsing included", duration(p.Build), duration(a.Build))
	row("  GC cycles so far", thousands(int(p.BuildGCs)), thousands(int(a.BuildGCs)))
	row("  Go heap", mebibytes(p.Heap), mebibytes(a.Heap))
	row("  resident memory", mebibytes(p.RSS), mebibytes(a.RSS))
	row("  one GC cycle", duration(p.GCWall), duration(a.GCWall))
	row("  one GC cycle, CPU time", duration(p.GCCPU), duration(a.GCCPU))
	b.WriteByte('\n')
	row(thousands(queries)+" queries", "Go pointers", "GC tuned", "arena", "GC tuned")
	each := func(label string, f func(served) string) {
		row(label, f(p.Default), f(p.Tuned), f(a.Default), f(a.Tuned))
	}
	each("  time", func(s served) string { return duration(s.Time) })
	each("  CPU time, GC included", func(s served) string { return duration(s.CPU) })
	each("  GC cycles", func(s served) string { return thousands(int(s.GC.Cycles)) })
	each("  worst GC pause", func(s served) string { return duration(s.GC.WorstPause) })
	each("  slowest query", func(s served) string { return duration(s.Slowest) })
	each("  1 query in 1,000 took over", func(s served) string { return duration(s.Rare) })
	each("  resident memory afterwards", func(s served) string { return mebibytes(s.RSS) })
	b.WriteByte('\n')

	notes(&b, p, a)
	_, err := io.WriteString(w, b.String())
	return err
}

func heading(b *strings.Builder, t *tree, c content) {
	fmt.Fprintf(b, "Identifiers in %s\n", t.root)
	fmt.Fprintf(b, "%s, %s: %s in %s\n", plural(c.Parsed.Files, "Go file"), mebibytes(c.Parsed.Bytes),
		plural(c.Names, "identifier"), plural(c.Places, "place"))
	if n := c.Parsed.Broken; n > 0 {
		fmt.Fprintf(b, "%s with syntax errors, indexed as far as the parser understood\n", plural(n, "file"))
	}
	if n := c.Parsed.Unreadable; n > 0 {
		fmt.Fprintf(b, "%s left out that could not be read\n", plural(n, "file"))
	}
	if t.locked > 0 {
		fmt.Fprintf(b, "%s left out that could not be read\n", plural(t.locked, "folder"))
	}
	for _, m := range c.Most {
		fmt.Fprintf(b, "  %-8s in %s, the first is %s\n", m.Name, plural(m.Count, "place"), m.First)
	}
	fmt.Fprintf(b, "Both indexes say so, and agree on all else: checksum %s\n\n", c.Checksum)
}

// notes says what the figures show, and what they do not.
func notes(b *strings.Builder, p, a result) {
	say := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	if a.OnGoHeap {
		say("In this build an arena's blocks are Go slices, as they are with -race, so they")
		say("count into the Go heap. It is still not looked into.")
		say("")
	}
	if p.Content.Objects < 100_000 {
		say("So small an index says little about either: try a larger folder, or none, for")
		say("the Go installation.")
		return
	}
	say("What this shows: in each cycle the collector visits every object that pointers")
	say("lead to, and none in an arena. Cycles start when the heap has doubled, so with")
	say("the small heap beside an arena they are cheap but frequent. \"Tuned\" makes them")
	say("rare there: GOGC=off and a limit of %s, which is what Go has from the", mebibytes(a.Limit))
	if p.Limit < 2*p.Heap {
		say("system and %s for garbage; the arena does not count. With pointers such a", mebibytes(headroom))
		say("limit is %s, less than twice the heap: it spares memory, not cycles.", mebibytes(p.Limit))
	} else {
		say("system and %s for garbage; the arena does not count.", mebibytes(headroom))
	}
	say("")
	say("What it does not show: that Go is slow at this. A []place for each name spares")
	say("the collector most of that work too, in less memory than either index, and will")
	say("do for one that only grows. An arena is for objects that others refer to and")
	say("that come and go one by one: it never moves them, reuses their memory, and can")
	say("tell that what a handle names is gone. These are figures of one run; times, but")
	say("for CPU times, include waiting for other programs, and so do pauses.")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(n) + " " + thing + "s"
}

// thousands writes n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// mebibytes writes n in MiB, or n/a if n is negative, that is, unknown.
func mebibytes(n int64) string {
	if n < 0 {
		return "n/a"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// duration writes d with about three digits.
func duration(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}
