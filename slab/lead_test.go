package slab_test

import (
	"math/bits"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// TestScanLeads: how far a scan prefetches ahead depends on how many of the slots are
// live, and the scan shows all live slots and nothing else.
func TestScanLeads(t *testing.T) {
	const large, small = 80 << 10, 8 << 10 // slots of 64 bytes: 5 MiB, half a MiB
	for _, test := range []struct{ slots, keep, of, words int }{
		{large, 1, 1, 0}, {large, 1, 2, 0}, {large, 2, 7, 1}, {large, 1, 4, 1}, {large, 1, 8, 2}, {large, 1, 16, 4}, {large, 1, 32, 8},
		{large, 1, 64, 0}, {small, 1, 8, 0},
	} {
		if !slab.CanPrefetch {
			if test.words = 0; test.of != 4 {
				continue // then all cases are alike
			}
		}
		p, _ := newPool(t, 64, 8, slab.Config{})
		p.Allocator().PauseChecks() // half a million frees
		require.NoError(t, p.Room(test.slots))
		for range p.Stats().Free {
			_, err := p.Alloc()
			require.NoError(t, err)
		}
		n := 0
		for s := p.Scan(); s.Next(); {
			for m := s.Live; m != 0; m &= m - 1 {
				q := unsafe.Add(s.Base, bits.TrailingZeros64(m)*64)
				if n++; n%test.of < test.keep {
					*(*int32)(q) = 1
				} else {
					p.Free(q)
				}
			}
		}
		seen := 0
		for s := p.Scan(); s.Next(); {
			require.Equal(t, test.words, s.Lead(), "%d in %d of %d", test.keep, test.of, test.slots)
			for m := s.Live; m != 0; m &= m - 1 {
				seen += int(*(*int32)(unsafe.Add(s.Base, bits.TrailingZeros64(m)*64)))
			}
		}
		assert.InDelta(t, n*test.keep/test.of, seen, 2)
		assert.Equal(t, p.Len(), seen)
	}
}

// In a slab without a live slot there is nothing to prefetch, however few slots it has.
func TestScanLeadsNowhere(t *testing.T) {
	for _, size := range []int{64, 8 << 10, 100 << 10, 3 << 20} {
		p, _ := newPool(t, size, 8, slab.Config{})
		p.Allocator().PauseChecks()
		require.NoError(t, p.Reserve(max(16, 16<<20/size)))
		for range 2 {
			for _, words := range p.Leads() {
				assert.Zero(t, words, "slots of %d bytes", size)
			}
			q, err := p.Alloc()
			require.NoError(t, err)
			p.Free(q)
			for s := p.Scan(); s.Next(); {
				t.Error("nothing is live")
			}
		}
	}
}

// TestPrefetch: prefetch ends and reads nothing, whatever it is asked for.
func TestPrefetch(t *testing.T) {
	for _, slots := range []uint64{0, 1, 1 << 63, 0x8000_0001_0010_0000, ^uint64(0)} {
		slab.Prefetch(nil, 64, slots)
		slab.Prefetch(unsafe.Pointer(new(int)), ^uintptr(0)/2, slots)
	}
}
