package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"
)

// gcReading is what the collector has done since the program started.
type gcReading struct {
	cycles uint64
	pauses *metrics.Float64Histogram // in seconds, with the world stopped
}

// gcCost is what the collector did between two readings.
type gcCost struct {
	Cycles     uint64
	WorstPause time.Duration // 0 if it did not run
}

func readGC() gcReading {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(s)
	return gcReading{s[0].Value.Uint64(), s[1].Value.Float64Histogram()}
}

func (r gcReading) since(before gcReading) gcCost {
	return gcCost{
		Cycles:     r.cycles - before.cycles,
		WorstPause: seconds(worst(r.pauses, before.pauses)),
	}
}

// worst returns the highest value counted in now and not in before, rounded up to the end
// of its bucket if that has one.
func worst(now, before *metrics.Float64Histogram) float64 {
	for i := len(now.Counts) - 1; i >= 0; i-- {
		if now.Counts[i] == before.Counts[i] {
			continue
		}
		if end := now.Buckets[i+1]; !math.IsInf(end, 1) {
			return end
		}
		return now.Buckets[i]
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// cycleCost returns what one cycle costs: the median time and the mean CPU time of a few.
// Nothing else runs meanwhile.
func cycleCost() (wall, cpu time.Duration) {
	const cycles = 3
	var times [cycles]time.Duration
	before := processCPU()
	for i := range times {
		start := time.Now()
		runtime.GC()
		times[i] = time.Since(start)
	}
	slices.Sort(times[:])
	return times[cycles/2], (processCPU() - before) / cycles
}

// estimatedCPU is the CPU time of this process as the runtime sees it, up to the end of
// the last cycle. The runtime cannot tell when the system ran another process, so the
// figure is too high on a busy machine. That is also why
// /cpu/classes/gc/total:cpu-seconds is not used here.
func estimatedCPU() time.Duration {
	s := []metrics.Sample{{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
	metrics.Read(s)
	return seconds(s[0].Value.Float64() - s[1].Value.Float64())
}

// heapBytes is the size of the objects in the Go heap.
func heapBytes() int64 { return readBytes("/memory/classes/heap/objects:bytes") }

func readBytes(name string) int64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// headroom is how much garbage the tuned collector lets pile up.
const headroom = 64 << 20

// tune makes the collector run when garbage has used up a fixed amount of memory, not
// when the heap has doubled. That takes knowing what else the program keeps in the Go
// heap: a limit below that makes the collector run without end.
func tune() {
	limit := goMemory() + headroom
	debug.SetGCPercent(-1) // GOGC=off
	debug.SetMemoryLimit(limit)
}

// untune sets the defaults of a Go program, whatever GOGC and GOMEMLIMIT say.
func untune() {
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
}

// goMemory is what the memory limit counts: all memory that the runtime has, less what it
// has returned. Memory of an arena is not included.
func goMemory() int64 {
	debug.FreeOSMemory()
	return readBytes("/memory/classes/total:bytes") - readBytes("/memory/classes/heap/released:bytes")
}

// residentBytes is the physical memory of the process, of Go and arenas together, or -1
// where the system does not report it as Linux does.
func residentBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	for line := range bytes.Lines(status) { // VmRSS:     1234 kB
		f := bytes.Fields(line)
		if len(f) == 3 && string(f[0]) == "VmRSS:" {
			if n, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				return n << 10
			}
		}
	}
	return -1
}
