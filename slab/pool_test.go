package slab_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

func TestPoolShapes(t *testing.T) {
	for _, src := range poolSources {
		for _, size := range []int{0, 1, 3, 8, 64, 1000, 4096, 100_000} {
			for align := 1; align <= 4096; align *= 4 {
				t.Run(fmt.Sprintf("%s/%d/%d", src.name, size, align), func(t *testing.T) {
					p, _ := newPool(t, size, align, slab.Config{Source: src.make()})
					n := min(500, max(4, 256<<10/max(size, align)))
					if poolSlow || testing.Short() {
						n = min(n, 70)
					}
					poolShape(t, p, size, align, n)
				})
			}
		}
	}
}

func poolShape(t *testing.T, p *slab.Pool, size, align, n int) {
	stride := p.Stats().Stride
	require.Equal(t, (max(size, 1)+align-1)/align*align, stride)
	qs := make([]unsafe.Pointer, n)
	hs := make([]slab.Handle, n)
	for round := range 3 {
		// This keeps slabs from being aligned by luck.
		_, err := p.Allocator().AllocUninitialized(1100, 1)
		require.NoError(t, err)
		for i := range qs {
			var err error
			switch {
			case qs[i] != nil:
				continue
			case i%2 == round%2:
				qs[i], hs[i], err = p.Insert()
			default:
				qs[i], err = p.Alloc()
				require.True(t, allBytes(slotBytes(qs[i], size), 0), "slot %d is not zero", i)
				hs[i] = p.Handle(qs[i])
			}
			require.NoError(t, err)
			require.Zero(t, uintptr(qs[i])%uintptr(align))
			b := slotBytes(qs[i], size)
			for k := range b {
				b[k] = byte(i) | 1
			}
		}
		at := make([]uintptr, n)
		for i, q := range qs {
			at[i] = uintptr(q)
			require.Equal(t, q, p.Slot(hs[i]))
			require.True(t, allBytes(slotBytes(q, size), byte(i)|1), "slot %d was overwritten", i)
		}
		slices.Sort(at)
		for i := range at[1:] {
			require.GreaterOrEqual(t, at[i+1]-at[i], uintptr(stride))
		}
		require.Equal(t, n, p.Len())
		for i := round; i < n; i += 3 {
			if i%2 == 0 {
				p.Free(qs[i])
			} else {
				require.True(t, p.Remove(hs[i]))
			}
			require.Nil(t, p.Slot(hs[i]))
			require.False(t, p.Remove(hs[i]))
			qs[i] = nil
		}
		require.NoError(t, p.Allocator().Check())
	}
}

func TestPoolArguments(t *testing.T) {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	for _, c := range []struct {
		a           *slab.Allocator
		size, align int
		want        error
	}{
		{nil, 8, 8, slab.ErrInvalid},
		{a, -1, 8, slab.ErrInvalid},
		{a, 8, -8, slab.ErrInvalid},
		{a, 8, 12, slab.ErrInvalid},
		{a, math.MinInt, 1, slab.ErrInvalid},
		{a, 8, math.MinInt, slab.ErrInvalid},
		{a, math.MaxInt, 1, slab.ErrTooLarge},
		{a, math.MaxInt, math.MaxInt/2 + 1, slab.ErrTooLarge},
		{a, math.MaxInt/2 + 2, math.MaxInt/2 + 1, slab.ErrTooLarge},
	} {
		p, err := slab.NewPool(c.a, c.size, c.align)
		assert.ErrorIs(t, err, c.want, "%d, %d", c.size, c.align)
		assert.True(t, p == nil)
	}
	assert.Zero(t, a.Stats().Held)
	p, err := slab.NewPool(a, 12, 0)
	require.NoError(t, err)
	assert.Equal(t, 12, p.Stats().Stride)
	assert.Zero(t, a.Stats().Held, "nothing is acquired yet")
	require.NoError(t, a.Close())
	_, err = slab.NewPool(a, 8, 8)
	assert.ErrorIs(t, err, slab.ErrClosed)
}

// Whatever the stride, Free tells a slot's start from every other address, both in slabs
// that it has looked up before and in others.
func TestPoolFreeKnowsEveryAddress(t *testing.T) {
	strides := []int{1, 2, 3, 5, 7, 8, 12, 13, 24, 31, 40, 48, 64, 96, 100, 255, 256, 257, 500, 511, 512, 1000, 1023, 1365, 2047, 3000, 8191, 8192, 8193, 9000, 20_000, 40_000, 65_536, 70_000}
	if poolSlow || testing.Short() {
		strides = []int{1, 3, 8, 24, 500, 8191, 8193, 40_000}
	}
	for _, size := range strides {
		p, _ := newPool(t, size, 1, slab.Config{})
		var qs []unsafe.Pointer
		for range 3000 { // enough for a slab of full size, if the slots are small
			q, _, err := p.Insert()
			require.NoError(t, err)
			qs = append(qs, q)
			if p.Stats().Bytes > 300<<10 {
				break
			}
		}
		for p.AtHand() > 0 { // so that what is freed comes next
			q, err := p.AllocUninitialized()
			require.NoError(t, err)
			qs = append(qs, q)
		}
		n := p.Len()
		kind := func(q unsafe.Pointer) (kind slab.Misuse) {
			defer func() {
				if err, ok := recover().(*slab.MisuseError); ok {
					kind = err.Misuse
				}
			}()
			p.Free(q)
			return 0
		}
		for _, k := range []int{0, 1, len(qs) / 2, len(qs) - 1} {
			q := qs[k]
			// A free that succeeds remembers the slab's place, and the next take uses
			// up the group: then Free takes its fast path.
			p.Free(q)
			got, err := p.AllocUninitialized()
			require.NoError(t, err)
			require.Equal(t, q, got)
			for off := 1; off < size; off += 1 + size/300 {
				require.Equal(t, slab.Interior, kind(unsafe.Add(q, off)), "stride %d, offset %d", size, off)
			}
			if size > 1 {
				require.Equal(t, slab.Interior, kind(unsafe.Add(q, size-1)), "stride %d", size)
			}
		}
		require.Equal(t, n, p.Len())
		for _, q := range qs {
			require.Zero(t, kind(q))
			require.Equal(t, slab.DoubleFree, kind(q), "stride %d", size)
			if p.Len() == n-1 {
				got, err := p.AllocUninitialized()
				require.NoError(t, err)
				require.Equal(t, q, got)
			}
		}
		require.Equal(t, n, p.Len())
	}
}

// Memory behind the last slot of a slab, or in a slot never handed out, is not an object
// of the pool's, whatever lies behind the last generation.
func TestPoolFreeOfWhatNeverWas(t *testing.T) {
	p, _ := newPool(t, 1000, 8, slab.Config{Source: new(soiled)}) // 8 slots of 1000 in 8 KiB leave a tail
	q, _, err := p.Insert()
	require.NoError(t, err)
	slots, bytes := p.Stats().Free+1, p.Stats().Bytes
	require.Less(t, slots*1000, bytes-8)
	end := unsafe.Add(q, slots*1000)
	poolMisuse(t, p, slab.DoubleFree, func() { p.Free(unsafe.Add(q, 1000)) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(end) })
	for range slots - 1 {
		_, _, err := p.Insert()
		require.NoError(t, err)
	}
	// Freeing a slot remembers its place.
	last := unsafe.Add(end, -1000)
	p.Free(last)
	r, err := p.Alloc()
	require.NoError(t, err)
	require.Equal(t, last, r)
	poolMisuse(t, p, slab.Foreign, func() { p.Free(end) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(unsafe.Add(q, bytes-8)) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(nil) })
	poolMisuse(t, p, slab.Foreign, func() { p.Handle(end) })
	poolMisuse(t, p, slab.Foreign, func() { p.Handle(unsafe.Pointer(new(int))) })
	assert.False(t, p.Owns(end))
	assert.False(t, p.Owns(unsafe.Add(q, 1)))
	assert.False(t, p.Owns(nil))
	assert.True(t, p.Owns(q))
}

// A slot of the allocator's or of another pool on it is not the pool's, nor the other way
// round.
func TestPoolFreeOfOthers(t *testing.T) {
	p, _ := newPool(t, 64, 8, slab.Config{Name: "level"})
	a := p.Allocator()
	other, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	q, err := p.Alloc()
	require.NoError(t, err)
	r, err := other.Alloc()
	require.NoError(t, err)
	small, err := a.Alloc(64, 8)
	require.NoError(t, err)
	mid, err := a.Alloc(5000, 8)
	require.NoError(t, err)
	for _, foreign := range []unsafe.Pointer{r, unsafe.Pointer(&small[0]), unsafe.Pointer(&mid[0]), unsafe.Pointer(&mid[64])} {
		poolMisuse(t, p, slab.Foreign, func() { p.Free(foreign) })
		poolMisuse(t, p, slab.Foreign, func() { p.Handle(foreign) })
		assert.False(t, p.Owns(foreign))
	}
	poolMisuse(t, p, slab.Foreign, func() { other.Free(q) })
	poolMisuse(t, p, slab.Foreign, func() { a.Free(slotBytes(q, 64)) })
	assert.False(t, a.Owns(slotBytes(q, 64)))
	assert.Nil(t, other.Slot(p.Handle(q)))
	assert.False(t, other.Remove(p.Handle(q)))
	require.NoError(t, other.Close())
	poolMisuse(t, p, slab.UseAfterClose, func() { other.Free(r) })
	poolMisuse(t, p, slab.UseAfterClose, func() { other.Handle(r) })
	poolMisuse(t, p, slab.Foreign, func() { p.Free(r) })
	a.Free(small)
	a.Free(mid)
	p.Free(q)
}

// Counters never go down, not even when a pool and its slots go.
func TestPoolCountersOutliveIt(t *testing.T) {
	p, _ := newPool(t, 8, 8, slab.Config{})
	a := p.Allocator()
	for range 10 {
		q, err := p.Alloc()
		require.NoError(t, err)
		if p.Len() > 5 {
			p.Free(q)
		}
	}
	before := a.Stats()
	assert.Equal(t, uint64(10), before.Allocs)
	assert.Equal(t, uint64(5), before.Frees)
	require.NoError(t, p.Close())
	after := a.Stats()
	assert.Equal(t, uint64(10), after.Allocs)
	assert.Equal(t, uint64(10), after.Frees)
	assert.Zero(t, after.Live)
}

// Once its slabs are gone, a pool has no pointer left to where they were. The Go heap may
// grow there, and the collector would end the program at such a pointer.
func TestPoolKeepsNoStalePointer(t *testing.T) {
	var blocks [][]byte
	p, _ := newPool(t, 64, 8, slab.Config{Source: &noting{note: func(b []byte) { blocks = append(blocks, b) }}})
	for range 3 {
		for range 200 {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		visit(p, func(h slab.Handle, _ unsafe.Pointer) bool { return p.Remove(h) })
		p.Allocator().Trim()
		require.Zero(t, p.Allocator().Stats().Held)
		for _, b := range blocks {
			assert.False(t, p.Into(uintptr(unsafe.Pointer(&b[0])), len(b)))
		}
	}
}

// noting reports each block that it gives out.
type noting struct {
	blocksrc.GoHeap
	note func([]byte)
}

func (n *noting) Acquire(size, align int) ([]byte, error) {
	b, err := n.GoHeap.Acquire(size, align)
	if err == nil {
		n.note(b)
	}
	return b, err
}

func TestPoolAfterClose(t *testing.T) {
	for name, end := range map[string]func(p *slab.Pool){
		"Close":           func(p *slab.Pool) { assert.NoError(t, p.Close()) },
		"Allocator.Close": func(p *slab.Pool) { assert.NoError(t, p.Allocator().Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, 64, 8, slab.Config{})
			q, h, err := p.Insert()
			require.NoError(t, err)
			r, err := p.Alloc()
			require.NoError(t, err)
			s := p.ScanWords()
			require.True(t, s.Next())
			p.Free(r) // the group does not survive either
			end(p)
			assert.Zero(t, s.Refresh())
			for range 2 {
				_, err = p.Alloc()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = p.AllocUninitialized()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, _, err = p.Insert()
				assert.ErrorIs(t, err, slab.ErrClosed)
				_, err = slab.ShellOf(p).TakeGroup(1)
				assert.ErrorIs(t, err, slab.ErrClosed)
				assert.ErrorIs(t, p.Reserve(1), slab.ErrClosed)
				assert.Nil(t, p.Slot(h))
				assert.False(t, p.Remove(h))
				assert.False(t, p.Owns(q))
				assert.Zero(t, p.Len())
				poolMisuse(t, p, slab.UseAfterClose, func() { p.Free(q) })
				poolMisuse(t, p, slab.UseAfterClose, func() { p.Handle(q) })
				p.Reset()
				assert.False(t, s.Next())
				fresh := p.ScanWords()
				_, n := nextRun(&fresh, 64)
				assert.Zero(t, n)
				assert.Zero(t, p.Stats().Slabs)
				assert.NoError(t, p.Close())
				stats := p.Allocator().Stats()
				assert.Zero(t, stats.Pools)
				assert.Equal(t, [...]uint64{2, 2}, [...]uint64{stats.Allocs, stats.Frees})
			}
		})
	}
}

// TestPoolIsMadeOnce: a pool that is in use cannot be made again, not even on its own allocator,
// and goes on.
func TestPoolIsMadeOnce(t *testing.T) {
	p, _ := newPool(t, 24, 8, slab.Config{})
	q, err := p.Alloc()
	require.NoError(t, err)
	assert.ErrorIs(t, slab.ShellOf(p).Init(p.Allocator(), "main.Other", 8, 8), slab.ErrInvalid)
	assert.Equal(t, 24, p.Stats().Stride)
	assert.True(t, p.Owns(q))
	p.Free(q)
	_ = wrong(t, p.Allocator(), slab.DoubleFree, "Pool.Free", func() { p.Free(q) }) // and has no other name
}
