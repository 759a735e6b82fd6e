package main

import (
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// served is what serving the queries took.
type served struct {
	Sum     uint32 // checksum of all answers
	Time    time.Duration
	CPU     time.Duration // GC included
	GC      gcCost
	Rare    time.Duration // one query in 1,000 took longer, see latencies
	Slowest time.Duration
	RSS     int64 // afterwards
}

// pageSize is the number of places that one answer lists.
const pageSize = 10

// answer is what a search page would show for a name. It makes garbage, as a
// server does for every request: a slice that grows, and a text.
func answer(ix index, t *tree, name string) string {
	var page []place
	for p := range ix.find(name) {
		if page = append(page, p); len(page) == pageSize {
			break
		}
	}
	var b strings.Builder
	for _, p := range page {
		fmt.Fprintf(&b, "%s: %v %s\n", t.at(p), p.Kind, name)
	}
	return b.String()
}

// serve answers n queries for the names in turn, and watches the collector.
func serve(ix index, t *tree, names []string, n int, progress func(done int)) served {
	var s served
	var took latencies
	before, cpu, start := readGC(), processCPU(), time.Now()
	for i := range n {
		if i%(1<<13) == 0 {
			progress(i)
		}
		begin := time.Now()
		text := answer(ix, t, names[i%len(names)])
		took.add(time.Since(begin))
		s.Sum = crc32.Update(s.Sum, crc32.IEEETable, []byte(text))
	}
	s.Time, s.CPU = time.Since(start), processCPU()-cpu
	s.GC = readGC().since(before)
	s.RSS = residentBytes()

	s.Rare, s.Slowest = took.exceeded(n/1000), took.most
	return s
}
