// The console's address space, simulated: each block has a place in it, so that it can
// fragment, with many gaps of which none is large enough.

package vita

import (
	"slices"
	"sort"
)

// A span is a range of addresses from lo up to, but not including, hi.
type span struct{ lo, hi uint64 }

// A space is the spans in use, in ascending order, with their owners.
type space struct{ used []place }

type place struct {
	span
	block *simBlock // nil for newlib's heap
}

// take is first fit: it takes size bytes at the lowest multiple of align in a window that
// has room for them.
//
//	window   ├─────────────────────────────────┤
//	before   XXXX___XXXXXX_________XX___________
//	after    XXXX___XXXXXXBBBBBB___XX___________
func (s *space) take(window span, size, align uint64, block *simBlock) (span, bool) {
	lo := window.lo
	for i := sort.Search(len(s.used), func(i int) bool { return s.used[i].hi > lo }); ; i++ {
		at := (lo + align - 1) &^ (align - 1)
		hi := window.hi
		if i < len(s.used) {
			hi = min(hi, s.used[i].lo)
		}
		if at <= hi && hi-at >= size {
			s.used = append(s.used, place{}) // slices.Insert would be 2 KiB of code
			copy(s.used[i+1:], s.used[i:])
			s.used[i] = place{span{at, at + size}, block}
			return s.used[i].span, true
		}
		if i == len(s.used) || s.used[i].lo >= window.hi {
			return span{}, false
		}
		lo = s.used[i].hi
	}
}

// drop makes a span free again.
func (s *space) drop(at span) {
	i := sort.Search(len(s.used), func(i int) bool { return s.used[i].lo >= at.lo })
	s.used = slices.Delete(s.used, i, i+1)
}

// largest returns the length of the longest gap in a window, where the length of a gap
// counts from its first multiple of align.
func (s *space) largest(window span, align uint64) (longest uint64) {
	lo := window.lo
	for i := 0; ; i++ {
		hi := window.hi
		if i < len(s.used) {
			hi = min(hi, s.used[i].lo)
		}
		if at := (lo + align - 1) &^ (align - 1); at < hi {
			longest = max(longest, hi-at)
		}
		if i == len(s.used) {
			return longest
		}
		lo = max(lo, s.used[i].hi)
	}
}

// uncachedAddresses is how much main memory can be mapped uncached.
const uncachedAddresses = 0xC800000

// window returns the part of the address space for blocks of a type. On a console the
// windows lie apart; their exact places are made up. Contiguous memory has a window as long
// as its budget, so that its gaps are those of physical memory. Vita3K has one space for
// all blocks, and three points at which it starts to search.
func (s *Sim) window(t MemType, p Pool) span {
	if s.con.Profile == Vita3K {
		switch {
		case p == CDRAMPool:
			return span{0x60000000, 1 << 32}
		case t == UserNCRW || t == PhycontNCRW:
			return span{0x70000000, 1 << 32}
		}
		return span{0x80000000, 1 << 32}
	}
	from := func(lo, most uint64, n int64) span { return span{lo, lo + min(most, uint64(n))} }
	switch p {
	case ToolPool:
		return from(0x40000000, 128<<20, s.limit[p])
	case CDialogPool:
		return from(0x48000000, 128<<20, s.limit[p])
	case PhycontPool:
		return from(0x50000000, 256<<20, s.limit[p])
	case CDRAMPool:
		return from(0x60000000, 256<<20, 256<<20)
	case VMPool:
		return from(0xE0000000, 512<<20, s.limit[p])
	}
	if !t.Cached() {
		return from(0x70000000, 256<<20, uncachedAddresses)
	}
	return from(0x80000000, 1536<<20, int64(s.con.Addresses))
}

// contiguous tells whether a pool is one piece of physical memory.
func contiguous(p Pool) bool { return p == PhycontPool || p == VMPool }
