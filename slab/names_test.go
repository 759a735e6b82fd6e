package slab_test

import (
	"math/bits"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// A pool where nobody has asked for a handle gives no names and looks at no generation: the
// bitmaps alone tell which slots are live. From the first handle on, a slot has a name when it
// is handed out. Those that were live then get theirs when their handle is asked for, or from
// the first loop that makes handles.

// madeUp returns a handle with the index of the slot at q, without naming the slot. All
// slots of the pool must be in place 0, from first on, with stride bytes each.
func madeUp(first, q unsafe.Pointer, stride int, gen uint32) slab.Handle {
	return slab.RawHandle(0, uint32(uintptr(q)-uintptr(first))/uint32(stride), gen)
}

// pointers takes all slots of a new pool's one slab, in order, by pointer.
func pointers(t *testing.T, size, n int) (*slab.Pool, []unsafe.Pointer) {
	t.Helper()
	p, _ := newPool(t, size, 8, slab.Config{})
	require.NoError(t, slab.ShellOf(p).Room(n))
	qs := make([]unsafe.Pointer, p.Stats().Free)
	for i := range qs {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		qs[i] = q
	}
	require.Equal(t, 1, p.Stats().Slabs)
	require.Zero(t, p.AtHand())
	return p, qs
}

func TestPoolWithoutNames(t *testing.T) {
	const size = 24
	p, qs := pointers(t, size, 150)
	first := qs[0]
	generation := func(q unsafe.Pointer) uint32 { return p.Generation(madeUp(first, q, size, 0)) }
	start := generation(first)
	require.Zero(t, start&1)
	live := make(map[unsafe.Pointer]bool)
	for _, q := range qs {
		live[q] = true
	}
	same := func() {
		t.Helper()
		require.NoError(t, p.Allocator().Check())
		for _, q := range qs {
			require.Equal(t, start, generation(q))
			require.Equal(t, live[q], p.Owns(q))
			if !live[q] {
				poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
				poolMisuse(t, p, slab.DoubleFree, func() { p.Handle(q) })
			}
			for _, gen := range []uint32{start - 1, start + 1, start + 3} {
				h := madeUp(first, q, size, gen)
				require.Nil(t, p.Slot(h))
				require.False(t, p.Remove(h))
			}
		}
		n := 0
		for s := p.ScanWords(); s.Next(); {
			for m := s.Live; m != 0; m &= m - 1 {
				require.True(t, live[unsafe.Add(s.Base, bits.TrailingZeros64(m)*size)])
				n++
			}
		}
		require.Equal(t, n, p.Len())
		shown, used := 0, 0
		for b := range p.Allocator().Blocks() {
			for c := range b.Chunks() {
				for _, x := range c.Bitmap {
					shown += bits.OnesCount8(x)
				}
				used += c.Used
			}
		}
		require.Equal(t, n, shown, "the dump shows others")
		require.Equal(t, n, used)
	}
	free := func(q unsafe.Pointer) {
		p.Free(q)
		live[q] = false
	}
	same()
	free(qs[70]) // becomes the group
	same()
	free(qs[71]) // goes to the bitmap of a slab that was full
	same()
	free(qs[3])
	free(qs[149])
	same()
	for range 2 { // one from the group, one that is taken with its word
		q, err := p.Alloc()
		require.NoError(t, err)
		require.False(t, live[q])
		live[q] = true
		same()
	}
	for _, q := range qs { // the slots of a group are dead, others of its word live
		if live[q] {
			free(q)
		}
		if len(live)%7 == 0 {
			same()
		}
	}
	require.Zero(t, p.Len())
	same()
	for range 64 {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		live[q] = true
	}
	p.Reset()
	clear(live)
	same()
}

// A slot has one name in each life, and loses it at the end of that life. Lives without a name
// leave no trace.
func TestPoolNamesOfSome(t *testing.T) {
	const size = 24
	p, qs := pointers(t, size, 150)
	h := p.Handle(qs[9])
	require.Equal(t, h, p.Handle(qs[9]), "the same again")
	require.Equal(t, qs[9], p.Slot(h))
	far := p.Handle(qs[100])
	for i, q := range qs { // the others have no name, whatever handle is made up
		forged := slab.RawHandle(0, uint32(i), h.Gen())
		require.Equal(t, i == 9 || i == 100, p.Slot(forged) == q)
		require.Equal(t, i == 9 || i == 100, p.Slot(forged) != nil)
	}
	p.Free(qs[9])
	require.Nil(t, p.Slot(h))
	require.False(t, p.Remove(h))
	for range 3 {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		require.Equal(t, qs[9], q)
		require.Nil(t, p.Slot(h), "its slot has a new owner, with another name")
		p.Free(q)
	}
	_, err := p.AllocUninitialized()
	require.NoError(t, err)
	g := p.Handle(qs[9])
	require.Equal(t, h.Gen()+2*4, g.Gen())
	require.Equal(t, qs[9], p.Slot(g))
	require.Nil(t, p.Slot(h))
	require.Equal(t, qs[100], p.Slot(far))
	require.Nil(t, p.Slot(slab.RawHandle(0, 3, far.Gen())))
	require.False(t, p.Remove(slab.RawHandle(0, 3, far.Gen())))
	require.NoError(t, p.Allocator().Check())

	p.Reset()
	for _, h := range []slab.Handle{h, g, far} {
		require.Nil(t, p.Slot(h))
		require.False(t, p.Remove(h))
	}
	assert.Equal(t, g.Gen()+1, p.Generation(g))
	assert.Equal(t, far.Gen()+1, p.Generation(far))
	assert.Equal(t, far.Gen()-1, p.Generation(slab.RawHandle(0, 3, 0)), "it never had a name")
	require.NoError(t, p.Allocator().Check())
}

// A loop that makes handles names the live slots of slabs that are from before the first handle,
// and no others: not those that are free, at hand or retired.
func TestPoolNamesOfOldSlabs(t *testing.T) {
	const size = 24
	p, qs := pointers(t, size, 150)
	slotOf := func(q unsafe.Pointer) slab.Handle { return madeUp(qs[0], q, size, 0) }
	start := p.Generation(slotOf(qs[0]))
	p.SetGeneration(p.Handle(qs[40]), slab.PoolLastGen)
	p.Free(qs[40]) // the first to be retired
	p.Free(qs[30]) // to the slab's bitmap, or the group
	p.Free(qs[20])
	require.Equal(t, 1, p.AtHand())
	require.False(t, p.Named(0))
	for range 2 {
		for _, q := range qs {
			require.Equal(t, q == qs[40], p.Generation(slotOf(q)) == slab.PoolLastGen+1)
		}
		live := 0
		visit(p, func(h slab.Handle, q unsafe.Pointer) bool {
			require.Equal(t, start+1, h.Gen())
			require.Equal(t, q, p.Slot(h))
			require.Equal(t, h, p.Handle(q))
			live++
			return true
		})
		require.Equal(t, len(qs)-3, live)
		require.True(t, p.Named(0))
		for _, q := range []unsafe.Pointer{qs[20], qs[30]} {
			require.Equal(t, start, p.Generation(slotOf(q)), "it is free")
		}
		require.NoError(t, p.Allocator().Check())
	}
	for range 2 {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		require.Equal(t, start+1, p.Generation(slotOf(q)), "it has its name when it is handed out")
		require.NoError(t, p.Allocator().Check())
	}
}

// A loop that was under way when the first handle was made gives names to slabs that are
// still ahead; a loop without handles leaves no trace in a pool without names.
func TestPoolNamesDuringAScan(t *testing.T) {
	p, qs := pointers(t, 24, 150)
	require.NoError(t, p.Reserve(1))
	other, err := p.AllocUninitialized()
	require.NoError(t, err)
	require.Equal(t, 2, p.Stats().Slabs)
	n := 0
	visitSlots(p, func(q unsafe.Pointer, index uint32, gen unsafe.Pointer) bool {
		n++
		if q == qs[0] {
			p.Handle(q)
		}
		require.Equal(t, q == qs[0] || q == other, slab.HandleAt(index, gen).Gen()&1 == 1)
		return true
	})
	require.Equal(t, len(qs)+1, n)
	require.NoError(t, p.Allocator().Check())
}
