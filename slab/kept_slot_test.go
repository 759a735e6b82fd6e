package slab_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// In a pool without names only the address of the group is known, such as that of a slot which
// was freed while there was none. Everything that needs to know more has to find it out first:
// the group before it was of another word of another slab.
func TestKeptSlot(t *testing.T) {
	const size = 24
	count := func(p *slab.Pool) (n int) {
		visit(p, func(slab.Handle, unsafe.Pointer) bool { n++; return true })
		return n
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, p *slab.Pool, q, other unsafe.Pointer)
	}{
		{"taken", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			r, err := p.AllocUninitialized()
			require.NoError(t, err)
			require.Equal(t, q, r)
		}},
		{"taken zero", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			*(*uint64)(q) = 1
			r, err := p.Alloc()
			require.NoError(t, err)
			require.Equal(t, q, r)
			require.Zero(t, *(*uint64)(r))
		}},
		{"named", func(t *testing.T, p *slab.Pool, q, other unsafe.Pointer) {
			h := p.Handle(other)
			require.Equal(t, other, p.Slot(h))
			r, g, err := p.Insert()
			require.NoError(t, err)
			require.Equal(t, q, r)
			require.Equal(t, q, p.Slot(g))
			require.Equal(t, g, p.Handle(q))
			require.NotEqual(t, h, g)
		}},
		{"inserted", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			r, g, err := p.Insert()
			require.NoError(t, err)
			require.Equal(t, q, r)
			require.Equal(t, q, p.Slot(g))
			require.Equal(t, g, p.Handle(q))
		}},
		{"freed again", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
			poolMisuse(t, p, slab.DoubleFree, func() { p.Handle(q) })
			require.False(t, p.Owns(q))
		}},
		{"freed again behind another", func(t *testing.T, p *slab.Pool, q, other unsafe.Pointer) {
			p.Free(other)
			require.Equal(t, 1, p.AtHand())
			poolMisuse(t, p, slab.DoubleFree, func() { p.Free(q) })
			poolMisuse(t, p, slab.DoubleFree, func() { p.Free(other) })
		}},
		{"given back", func(t *testing.T, p *slab.Pool, _, _ unsafe.Pointer) {
			p.Allocator().Trim()
			require.Zero(t, p.AtHand())
		}},
		{"in a group", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			g, err := slab.ShellOf(p).TakeGroup(3)
			require.NoError(t, err)
			require.Equal(t, uint64(1), g.Slots)
			require.Equal(t, q, g.Base)
			require.Equal(t, q, p.Slot(slab.HandleAt(g.Index, g.Gens)))
		}},
		{"scanned", func(t *testing.T, p *slab.Pool, _, _ unsafe.Pointer) {
			require.Equal(t, p.Len(), count(p))
		}},
		{"freed during a scan", func(t *testing.T, p *slab.Pool, q, _ unsafe.Pointer) {
			r, err := p.AllocUninitialized()
			require.NoError(t, err)
			require.Equal(t, q, r)
			freed := false
			for s := p.ScanWords(); s.Next(); {
				bit := uint64(1) << ((uintptr(q) - uintptr(s.Base)) / size) // 0 if q is elsewhere
				if s.Live&bit != 0 {
					p.Free(q)
					freed = true
					require.NotEqual(t, *s.Changes, s.Seen)
					require.Equal(t, s.Live&^bit, s.Refresh())
				}
			}
			require.True(t, freed)
		}},
		{"reset", func(t *testing.T, p *slab.Pool, _, _ unsafe.Pointer) {
			p.Reset()
			require.Zero(t, p.Len())
		}},
		{"at no slot", func(t *testing.T, p *slab.Pool, _, _ unsafe.Pointer) {
			for _, bytes := range []int{8, -8} {
				back := p.MoveGroup(bytes)
				require.Error(t, p.Allocator().Check(), "%d bytes off", bytes)
				back()
			}
		}},
		{"closed", func(t *testing.T, p *slab.Pool, _, _ unsafe.Pointer) {
			require.NoError(t, p.Close())
		}},
	} {
		for _, last := range []string{"first", "last"} {
			t.Run(fmt.Sprintf("%s, after the %s slab", c.name, last), func(t *testing.T) {
				p, qs := pointers(t, size, 150)
				for p.Stats().Slabs < 3 || p.Stats().Free > 0 {
					q, err := p.AllocUninitialized()
					require.NoError(t, err)
					qs = append(qs, q)
				}
				// The group is used up, and was of the first or of the last slab.
				other := qs[0]
				if last == "last" {
					other = qs[len(qs)-1]
				}
				p.Free(other)
				p.Allocator().Trim() // for which its place was found out
				require.Zero(t, p.AtHand())
				r, err := p.AllocUninitialized()
				require.NoError(t, err)
				require.Equal(t, other, r)
				q := qs[len(qs)/2+7]
				require.True(t, p.Owns(q)) // which remembers its page: else Free looks it up
				p.Free(q)
				require.Equal(t, 1, p.AtHand())
				require.NoError(t, p.Allocator().Check())
				n := p.Len()
				c.do(t, p, q, other)
				require.NoError(t, p.Allocator().Check())
				if n == p.Len() {
					require.False(t, p.Owns(q))
					require.Equal(t, n, count(p))
				}
			})
		}
	}
}

// TestKeptSlotOutlivesTheSlabBefore: the slab of the group before may go while a slot of another
// is kept. Then the pool must not have a pointer to it any more, which Check finds.
func TestKeptSlotOutlivesTheSlabBefore(t *testing.T) {
	p, _ := newPool(t, 16, 8, slab.Config{BlockSize: 4096})
	other, err := slab.NewPool(p.Allocator(), 1024, 8)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	fill := func(slabs int) (qs []unsafe.Pointer) {
		for p.Stats().Slabs < slabs || p.Stats().Free > 0 {
			q, err := p.AllocUninitialized()
			require.NoError(t, err)
			qs = append(qs, q)
		}
		return qs
	}
	first, second := fill(1), fill(2)
	ballast := takeSlots(t, other, 300)
	for _, q := range second {
		p.Free(q)
	}
	require.Equal(t, 1, p.AtHand())
	for s := p.ScanWords(); s.Next(); { // gives the group back
	}
	require.Zero(t, p.AtHand())
	require.Equal(t, 2, p.Stats().Slabs, "the empty one is kept for the next need")
	require.True(t, p.Owns(first[0]))
	p.Free(first[0])
	require.Equal(t, 1, p.AtHand())
	for i, q := range ballast {
		if i%16 != 0 || i > len(ballast)/2 { // one in each slab stays, and then none
			other.Free(q)
			require.NoError(t, p.Allocator().Check())
		}
	}
	require.Equal(t, 1, p.Stats().Slabs, "most is empty, so that the empty slab has gone")
	q, err := p.AllocUninitialized()
	require.NoError(t, err)
	require.Equal(t, first[0], q)
}
