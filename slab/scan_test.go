package slab_test

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What a scan shows when its slab goes while the scan is under way, and another comes.

// fillSlabs takes all slots there are, n at least, and returns where they are.
func fillSlabs(t *testing.T, p *slab.Pool, n int) map[unsafe.Pointer]bool {
	t.Helper()
	live := make(map[unsafe.Pointer]bool)
	require.NoError(t, slab.ShellOf(p).Room(n))
	for range p.Stats().Free {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		live[q] = true
	}
	return live
}

// goneUnder returns a scan that has shown the first slots of p, which is empty by now and
// has no slab.
func goneUnder(t *testing.T, p *slab.Pool, live map[unsafe.Pointer]bool) slab.WordScan {
	t.Helper()
	s := p.ScanWords()
	require.True(t, s.Next())
	for q := range live {
		p.Free(q)
	}
	p.Allocator().Trim()
	require.Zero(t, p.Stats().Slabs)
	return s
}

// onlyLive goes on with a scan that has slots to show. All that it shows must be live.
func onlyLive(t *testing.T, p *slab.Pool, s *slab.WordScan, live map[unsafe.Pointer]bool) {
	t.Helper()
	stride := p.Stats().Stride
	for s.Live &= s.Refresh(); ; {
		for m := s.Live; m != 0; m &= m - 1 {
			require.True(t, live[unsafe.Add(s.Base, bits.TrailingZeros64(m)*stride)], "a scan shows what is not live")
		}
		if !s.Next() {
			return
		}
	}
}

// The new slab has the number of the old one and lies where that lay. Slots that never had a
// name leave the generations as they were, so these do not tell the two apart.
func TestScanOfASlabOfAnotherSize(t *testing.T) {
	for _, buffer := range []bool{true, false} {
		for _, first := range []int{1, 150, 2000} {
			for _, then := range []int{1, 150, 2000} {
				var src blocksrc.Source = new(blocksrc.GoHeap)
				if buffer {
					src = blocksrc.NewBuffer(make([]byte, 1<<20))
				}
				p, _ := newPool(t, 64, 8, slab.Config{Source: src})
				s := goneUnder(t, p, fillSlabs(t, p, first))
				onlyLive(t, p, &s, fillSlabs(t, p, then))
			}
		}
	}
}

// The new slab has the record of the old one and lies elsewhere.
func TestScanOfASlabThatHasMoved(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{BlockAlign: 4 << 10}) // so that a slab starts a block
	a := p.Allocator()
	live := fillSlabs(t, p, 1)
	fence, err := a.Alloc(2000, 8) // keeps the block
	require.NoError(t, err)
	s := goneUnder(t, p, live)
	there, err := a.Alloc(len(live)*64, 8)
	require.NoError(t, err)
	require.True(t, live[unsafe.Pointer(&there[0])])
	again := fillSlabs(t, p, 1)
	require.Len(t, again, len(live))
	onlyLive(t, p, &s, again)
	a.Free(there)
	a.Free(fence)
}

// The new slab lies where the old one lay and has another record.
func TestScanOfASlabWithAnotherRecord(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{BlockAlign: 4 << 10}) // so that a slab starts a block
	a := p.Allocator()
	other, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	live := fillSlabs(t, p, 1)
	fence, err := a.Alloc(2000, 8)
	require.NoError(t, err)
	s := goneUnder(t, p, live)
	there, err := a.Alloc(len(live)*64, 8)
	require.NoError(t, err)
	fillSlabs(t, other, 1) // takes the record, whose slots are all live
	a.Free(there)
	again := fillSlabs(t, p, 1)
	require.True(t, again[s.Base])
	for q := range again {
		if q != s.Base {
			p.Free(q)
			delete(again, q)
		}
	}
	onlyLive(t, p, &s, again)
	a.Free(fence)
	require.NoError(t, other.Close())
}

// After a free a scan shows what is live then, even if the slot freed is at hand and in no bitmap.
func TestScanAfterAFree(t *testing.T) {
	p, hs := filledPool(t, 24, 200)
	s := p.ScanWords()
	require.True(t, s.Next())
	p.Free(p.Slot(hs[70]))
	require.Equal(t, 1, p.AtHand())
	require.True(t, s.Next())
	require.Equal(t, ^uint64(1<<6), s.Live)
	for _, h := range hs {
		p.Remove(h)
	}
	p.Allocator().Trim()
	require.False(t, s.Next())
}

// A scan looks at no record of a slab that has gone, even if nobody has called Refresh. Here
// another pool has it, and all its slots are live.
func TestScanNextAfterTheSlabWent(t *testing.T) {
	for _, n := range []int{128, 100} {
		p, _ := newPool(t, 64, 8, slab.Config{})
		live := fillSlabs(t, p, n)
		require.Equal(t, 1, p.Stats().Slabs)
		require.Equal(t, n == 128, len(live)%64 == 0, "else the last word is a stretch of its own")
		other, err := slab.NewPool(p.Allocator(), 64, 8)
		require.NoError(t, err)
		_, err = other.Alloc() // keeps the block of records
		require.NoError(t, err)
		s := goneUnder(t, p, live).Scan
		fillSlabs(t, other, n)
		require.False(t, s.Next())
		require.True(t, s.Lost())
		require.NoError(t, other.Close())
	}
}

// The loop over a scan may do anything: the scan shows the slots that are live at their turn,
// named or not, and nothing else, whatever becomes of the slabs.
func TestScanWhileSlabsComeAndGo(t *testing.T) {
	rounds := 60
	if slow() {
		rounds = 15
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 18))
		src := newFaultySource(blocksrc.NewBuffer(make([]byte, 1<<20)), 1<<20)
		m := newModel(t, slab.Config{}, src, src)
		require.True(t, m.newPool(64, 8))
		require.True(t, m.newPool(64, 8))
		p := m.pools[seed%2] // slots of the second never have a name
		take := func(n int) {
			require.True(t, m.reserve(p, r.IntN(2)*n)) // in one slab, or in small ones
			for range n {
				require.True(t, m.take(p, 1+r.IntN(2)))
			}
		}
		give := func(n int) {
			for range min(n, len(p.live)) {
				m.give(p, r.IntN(len(p.live)), r.IntN(2) == 0)
			}
		}
		for range 6 {
			take(r.IntN(400))
			m.scanWith(p, func() {
				switch r.IntN(100) {
				case 0:
					give(len(p.live))
					m.trim()
					take(r.IntN(400))
				case 1:
					give(r.IntN(100))
				case 2:
					take(r.IntN(100))
				case 3:
					m.trim()
				}
			})
		}
		m.finish()
	}
}

// TestScanForgets: a scan whose slab is gone has no pointer to where it was.
func TestScanForgets(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{})
	s := goneUnder(t, p, fillSlabs(t, p, 100))
	require.False(t, s.Lost())
	require.Zero(t, s.Refresh())
	require.True(t, s.Lost())
	fillSlabs(t, p, 100)
	s = p.ScanWords()
	for s.Next() {
	}
	require.True(t, s.Lost())
}

// A stretch reaches as far as the bitmap alone says what is live: to the last whole word of
// the slab or, after a free, not beyond the current word.
func TestScanStretches(t *testing.T) {
	p, hs := filledPool(t, 24, 400)
	p.Remove(hs[200])
	s := slab.ShellOf(p).Scan()
	require.True(t, s.Next())
	slots := p.Stats().Free + p.Len() // in one slab
	require.Equal(t, 1, p.Stats().Slabs)
	require.Equal(t, slots/64, s.Words, "the slot at hand went back to the bitmap")
	require.Equal(t, ^uint64(0), s.Live)
	require.Equal(t, ^uint64(1<<(200-192)), s.Word(192/64))
	p.Remove(hs[70])
	require.Equal(t, uint64(1<<63), s.Refresh(1, 1<<63|1<<6))
	require.Equal(t, p.Slot(hs[64]), s.Base)
	require.Equal(t, slots/64-1, s.Words, "the slot at hand is in no word behind this one")
	require.Equal(t, ^uint64(1<<(200-192)), s.Word(192/64-1))
	_, _, err := p.Insert()
	require.NoError(t, err)
	p.Remove(hs[190])
	require.Equal(t, ^uint64(0), s.Refresh(0, ^uint64(0)))
	require.Equal(t, 1, s.Words, "the slot at hand is ahead")
	require.True(t, s.Next())
	require.Equal(t, p.Slot(hs[128]), s.Base)
	require.Equal(t, ^uint64(1<<(190-128)), s.Live)
	require.Equal(t, 1, s.Words, "nobody has looked again")
	p.Remove(hs[130])
	require.Equal(t, ^uint64(1<<(190-128)|1<<(130-128)), s.Refresh(0, ^uint64(0)))
	require.Equal(t, slots/64-2, s.Words, "the slot at hand is in the current word")
}
