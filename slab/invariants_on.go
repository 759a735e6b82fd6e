//go:build slabcheck

package slab

import "sync/atomic"

// invariants says whether operations end with a full Check: all do while the allocator is
// small, and fewer as it grows. A Check takes time proportional to what there is to check,
// and a long test has to end.
const invariants = true

const narrowBits = 6 // see narrowMost

// touches counts visits to records, of all allocators. It measures an operation's worst case
// without the noise of a clock.
var touches atomic.Int64

func touch() { touches.Add(1) }

func (a *Allocator) after() {
	if a.user.asking || a.meta.asking {
		panic("slab: a source has called the allocator that it works for")
	}
	if a.unchecked--; a.unchecked > 0 {
		return
	}
	if err := a.Check(); err != nil {
		panic(err)
	}
	a.unchecked = (len(a.table.pages)*chunkPage + len(a.slabs)*8) / 512
}

// poison makes a read of freed memory stand out.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDF
	}
}
