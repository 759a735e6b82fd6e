//go:build slabcheck

package slab

// invariants says that operations end with a full Check, all of them while the
// allocator is small, and else so often that a long test ends: the cost is in
// proportion to what there is to check.
const invariants = true

// touches counts the records that were visited, the measure of an operation's
// worst case that no clock disturbs.
var touches int

func touch() { touches++ }

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
	a.unchecked = (a.table.total + len(a.slabs)*8) / 512
}

// poison makes a read of memory that is no longer the reader's stand out.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDF
	}
}
