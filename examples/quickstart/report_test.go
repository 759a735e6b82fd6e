package main

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// samples returns results that a long run could have.
func samples() (pointers, arena result) {
	c := content{Parsed: parsed{Files: 7711, Bytes: 90 << 20, Broken: 44, Unreadable: 1}, Objects: 4_948_022, Names: 171_953,
		Places: 4_776_069, Checksum: "812a971b4d592f24", Most: []top{{"err", 103_226, "archive/tar/common.go:344:77"}}}
	s := served{Time: 1234 * time.Second, CPU: 999 * time.Second, GC: gcCost{Cycles: 1_234_567, WorstPause: 99 * time.Millisecond},
		Rare: 123 * time.Microsecond, Slowest: 1500 * time.Millisecond, RSS: 99_999 << 20}
	r := result{Content: c, Build: 100 * time.Second, BuildGCs: 12345, Heap: 12 << 30, RSS: -1, GCWall: 304 * time.Millisecond, GCCPU: 603 * time.Millisecond,
		Default: s, Tuned: s, Limit: 99_999 << 20}
	a := r
	a.OnGoHeap = true
	return r, a
}

func TestReportFits(t *testing.T) {
	p, a := samples()
	var b bytes.Buffer
	require.NoError(t, report(&b, &tree{root: "/usr/local/go/src"}, maxQueries, p, a))
	assert.Regexp(t, `\n  resident memory +n/a +n/a\n`, b.String())
	assert.Contains(t, b.String(), "1 file left out")
	assert.Contains(t, b.String(), "In this build")
	assert.Contains(t, b.String(), "What this shows")
	assert.NotContains(t, b.String(), "it spares memory, not cycles", "12 GiB of heap, and a limit of 97")
	p.Limit = 20 << 30
	b.Reset()
	require.NoError(t, report(&b, &tree{root: "/usr/local/go/src"}, maxQueries, p, a))
	assert.Contains(t, b.String(), "it spares memory, not cycles")
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		assert.LessOrEqual(t, len(line), 80, line)
		assert.Equal(t, strings.TrimRight(line, " "), line)
	}
}

func TestReportOfDifference(t *testing.T) {
	p, a := samples()
	a.Content.Checksum = "?"
	var b bytes.Buffer
	assert.ErrorContains(t, report(&b, &tree{}, 1, p, a), "differ")
	assert.Empty(t, b.String())
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 4948022: "4,948,022"} {
		assert.Equal(t, want, thousands(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 1234 * time.Microsecond: "1.23 ms", 12345 * time.Microsecond: "12.3 ms",
		123456 * time.Microsecond: "123 ms", 1234 * time.Millisecond: "1.23 s",
	} {
		assert.Equal(t, want, duration(d))
	}
	assert.Equal(t, "1.5 MiB", mebibytes(3<<19))
	assert.Equal(t, "n/a", mebibytes(-1))
	assert.Equal(t, "1 file", plural(1, "file"))
}

func TestWorst(t *testing.T) {
	h := func(counts ...uint64) *metrics.Float64Histogram {
		return &metrics.Float64Histogram{Counts: counts, Buckets: []float64{0, 1, 2, math.Inf(1)}}
	}
	assert.Zero(t, worst(h(1, 2, 3), h(1, 2, 3)))
	assert.Equal(t, 1.0, worst(h(2, 2, 3), h(1, 2, 3)))
	assert.Equal(t, 2.0, worst(h(1, 3, 3), h(1, 2, 3)))
	assert.Equal(t, 2.0, worst(h(1, 2, 4), h(1, 2, 3)), "the last bucket has no end")
}

func TestProgress(t *testing.T) {
	messages := []message{{Doing: "indexing files", Done: 999, Total: 7711}, {Doing: "indexing files", Done: 1000, Total: 7711}, {Doing: "checking"}}
	show := func(terminal bool) string {
		var b bytes.Buffer
		p := newProgress("arena", &b)
		p.terminal = terminal
		for _, m := range messages {
			p.update(m)
		}
		p.end()
		return b.String()
	}
	assert.Equal(t, "arena: indexing files\narena: checking\n", show(false))
	assert.Equal(t, "\rarena: indexing files 999 of 7,711"+
		"\rarena: indexing files 1,000 of 7,711"+
		"\rarena: checking"+strings.Repeat(" ", 21)+
		"\r"+strings.Repeat(" ", 15)+"\r", show(true))

	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { assert.NoError(t, errors.Join(r.Close(), w.Close())) }()
	assert.False(t, newProgress("arena", w).terminal)
	assert.False(t, newProgress("arena", io.Discard).terminal)
}
