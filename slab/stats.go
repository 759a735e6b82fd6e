package slab

import (
	"fmt"
	"strings"
)

// Stats is what an allocator holds and what it did. Sizes are in bytes. They add
// up:
//
//	Held == Live + SlabFree + HoleBytes + Meta + Lost
type Stats struct {
	Name string

	Live     int // handed out, rounding included
	PeakLive int
	Held     int // blocks taken from the sources, records included
	PeakHeld int

	Meta      int // of Held: blocks of the allocator's own records, and records that lie in the user's blocks
	SlabFree  int // of Held: free slots, retired ones, and what is left over at the ends of slabs
	HoleBytes int // of Held: holes
	Lost      int // of Held: ends of blocks, less than 16 bytes each; and blocks that a source did not take back: bad ones, and those from when nothing was live

	Blocks      int // of the user's memory, with those in Lost
	EmptyBytes  int // of those that are one hole, but are kept; see Config.Retain
	MetaBlocks  int
	Slabs       int
	Holes       int
	LargestHole int // if 1 KiB or more, a request of up to this size with align 16 or less fits in it

	Allocs   uint64 // since New; pools count their slots
	Frees    uint64
	Failures uint64 // requests refused, other than with ErrInvalid or ErrClosed; a Region may have made room and tried again
	Refused  uint64 // calls of a source that failed, even if a smaller block was then had: more than 0 need not mean trouble
	Retired  int    // slots of pools never to be used again
	Pools    int
}

// Stats returns the current figures. It takes time proportional to the number of pools, blocks,
// and holes about as large as the largest. Slots that a pool has at hand, to hand out next,
// count as free; but PeakLive counts them from when the pool took them, up to 64 of each pool.
func (a *Allocator) Stats() Stats {
	s := Stats{
		Name: a.cfg.Name, Live: a.live, PeakLive: a.peakLive,
		Held: a.user.held + a.meta.held, PeakHeld: a.peakHeld, Meta: a.meta.held + a.lodged,
		HoleBytes: int(a.user.holeSize) << granuleShift, Holes: a.user.holes,
		LargestHole: int(a.user.largestHole()) << granuleShift,
		Blocks:      len(a.user.order) + len(a.user.refused), MetaBlocks: len(a.meta.order) + len(a.meta.refused), EmptyBytes: a.user.empty,
		Allocs: a.allocs, Frees: a.frees, Failures: a.failures,
		Refused: a.user.refusals + a.meta.refusals, Retired: a.retired,
	}
	count := func(c *cache) {
		s.Slabs += c.slabs
		s.SlabFree += c.bytes - c.used*int(c.stride)
		s.Frees += c.frees
		s.Allocs += c.frees + uint64(c.used)
	}
	for _, c := range a.classes {
		count(&c.cache)
		s.SlabFree += int(c.count) * int(c.stride)
		s.Allocs -= uint64(c.count)
	}
	for _, p := range a.pools {
		if p == nil {
			continue
		}
		s.Pools++
		s.Retired += p.retired
		count(&p.cache)
		s.Frees -= p.extra
		s.Allocs -= p.extra
		idle := p.used - p.Len()
		s.Allocs -= uint64(idle)
		s.Live -= idle * int(p.stride)
		s.SlabFree += idle * int(p.stride)
	}
	for _, i := range a.user.order {
		b := &a.user.blocks[i]
		s.Lost += len(b.mem) - int(b.size)<<granuleShift
	}
	for _, b := range a.user.refused {
		s.Lost += len(b.mem)
	}
	return s
}

// Overhead is what is held beyond what is live, as a share of what is live: 0.07
// for 7 %. It is 0 if nothing is live.
func (s Stats) Overhead() float64 {
	if s.Live == 0 {
		return 0
	}
	return float64(s.Held)/float64(s.Live) - 1
}

// Fragmentation is the share of the bytes of all holes that is not in the largest: 0 if one
// request could have them all, near 1 if they are dust.
func (s Stats) Fragmentation() float64 {
	if s.HoleBytes == 0 {
		return 0
	}
	return 1 - float64(s.LargestHole)/float64(s.HoleBytes)
}

// Sub returns what happened between before and s: Allocs, Frees, Failures and Refused are
// differences, everything else is as in s.
func (s Stats) Sub(before Stats) Stats {
	s.Allocs -= before.Allocs
	s.Frees -= before.Frees
	s.Failures -= before.Failures
	s.Refused -= before.Refused
	return s
}

// String returns the figures in a few lines.
func (s Stats) String() string {
	var b strings.Builder
	name := s.Name
	if name == "" {
		name = "allocator"
	}
	fmt.Fprintf(&b, "%s: live %s (peak %s), held %s (peak %s), overhead %.1f %%\n",
		name, bytesString(s.Live), bytesString(s.PeakLive), bytesString(s.Held), bytesString(s.PeakHeld), 100*s.Overhead())
	fmt.Fprintf(&b, "  %d blocks (%s empty), %d slabs with %s free, %d holes, together %s, the largest %s; records %s in %d blocks\n",
		s.Blocks, bytesString(s.EmptyBytes), s.Slabs, bytesString(s.SlabFree), s.Holes, bytesString(s.HoleBytes),
		bytesString(s.LargestHole), bytesString(s.Meta), s.MetaBlocks)
	fmt.Fprintf(&b, "  %d allocations, %d frees, %d failures; source refused %d times", s.Allocs, s.Frees, s.Failures, s.Refused)
	if s.Pools > 0 {
		fmt.Fprintf(&b, "; %d pools, %d slots retired", s.Pools, s.Retired)
	}
	return b.String()
}

// bytesString writes n in the unit that gives it three digits or so.
func bytesString(n int) string {
	const unit = 1 << 10
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(unit<<10))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(unit<<20))
}

// PoolStats is what a pool holds and what it did. Sizes are in bytes.
type PoolStats struct {
	Live    int // slots
	Free    int // slots that can be had without asking the allocator
	Retired int // slots never to be used again
	Slabs   int
	Stride  int // bytes from slot to slot
	Bytes   int // of the slabs; their records are in the allocator's Stats
	Allocs  uint64
	Frees   uint64
}

// Stats returns the current figures.
func (p *Pool) Stats() PoolStats {
	live := p.Len()
	return PoolStats{
		Live: live, Free: p.slots - live, Retired: p.retired, Slabs: p.slabs,
		Stride: int(p.stride), Bytes: p.bytes,
		Allocs: p.frees - p.extra + uint64(live), Frees: p.frees - p.extra,
	}
}
