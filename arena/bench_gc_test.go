//go:build !tinygo

// TinyGo has no runtime/metrics.

package arena_test

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// gcCPU returns the processor seconds that the collector has used so far.
func gcCPU() float64 {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}

// BenchmarkGC measures one collection with ten million live, linked objects of 64 bytes. One
// op is one cycle. It also reports what the objects add to the Go heap in use, and what the
// arena holds for each byte of them.
func BenchmarkGC(b *testing.B) {
	n := 10_000_000
	if testing.Short() {
		n = 1_000_000
	}
	inUse := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse) / (1 << 20)
	}
	cycles := func(b *testing.B, before float64) {
		heap := inUse() - before
		b.ResetTimer()
		cpu, start := gcCPU(), time.Now()
		for range b.N {
			runtime.GC()
		}
		wall := time.Since(start)
		b.StopTimer()
		b.ReportMetric(float64(wall.Microseconds())/1000/float64(b.N), "ms/cycle")
		b.ReportMetric((gcCPU()-cpu)*1000/float64(b.N), "cpu-ms/cycle")
		b.ReportMetric(heap, "heap-MiB")
	}
	b.Run(fmt.Sprintf("impl=arena/live=%d", n), func(b *testing.B) {
		before := inUse()
		var a arena.Arena[record]
		var last arena.Handle[record]
		for i := range n {
			h, err := a.Insert(record{id: uint64(i), next: last})
			require.NoError(b, err)
			last = h
		}
		cycles(b, before)
		b.ReportMetric(float64(a.Allocator().Stats().Held)/float64(n*64), "held/live")
		p, ok := a.Get(last)
		require.True(b, ok)
		require.Equal(b, uint64(n-1), p.id)
		require.NoError(b, a.Close())
	})
	b.Run(fmt.Sprintf("impl=pointers/live=%d", n), func(b *testing.B) {
		before := inUse()
		all := make([]*linked, n)
		for i := range all {
			all[i] = &linked{id: uint64(i)}
			if i > 0 {
				all[i].next = all[i-1]
			}
		}
		cycles(b, before)
		runtime.KeepAlive(all)
	})
}
