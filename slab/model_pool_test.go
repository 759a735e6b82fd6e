package slab_test

import (
	"errors"
	"iter"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// The model's pools.

// modelPool is a pool, its live slots, some of them without a name, and the handles of
// some dead ones.
type modelPool struct {
	*slab.Pool
	pointers            bool // no slot has had a name
	size, align, stride int
	reserved            int // slots that there must be at least, live or free
	live                []*modelObject
	dead                []slab.Handle
	gone                []unsafe.Pointer // where some of the dead were
}

func (m *model) newPool(size, align int) bool {
	before := m.state()
	p, err := slab.NewPool(m.a, size, align)
	if err != nil {
		switch {
		case size < 0 || align < 0 || align&(align-1) != 0:
			if !errors.Is(err, slab.ErrInvalid) {
				m.fatalf("NewPool(%d, %d): %v", size, align, err)
			}
		case !errors.Is(err, slab.ErrTooLarge) || uint64(size)+uint64(align) < math.MaxInt32/2:
			m.fatalf("NewPool(%d, %d): %v", size, align, err)
		}
		m.sameState(before.Stats, "NewPool")
		return false
	}
	align = max(align, 1)
	m.pools = append(m.pools, &modelPool{
		Pool: p, pointers: len(m.pools)&1 != 0, size: size, align: align, stride: int((uint64(max(size, 1)) + uint64(align) - 1) &^ uint64(align-1)),
	})
	return true
}

func (p *modelPool) died(o *modelObject) {
	if len(p.dead) < 256 {
		p.dead = append(p.dead, o.handle)
		p.gone = append(p.gone, o.start)
		return
	}
	i := int(o.stamp) % len(p.dead)
	p.dead[i], p.gone[i] = o.handle, o.start
}

// freeGone frees the address of a slot that died some time ago, if no object is there now.
func (m *model) freeGone(p *modelPool, i int) {
	q := p.gone[i]
	if _, live := m.find(uintptr(q)); live {
		return
	}
	before := p.Stats()
	defer func() {
		e, ok := recover().(*slab.MisuseError)
		if !ok || e.Misuse != slab.DoubleFree && e.Misuse != slab.Foreign && e.Misuse != slab.Interior {
			m.fatalf("a free of a slot that died some time ago: %v", e)
		}
		if after := p.Stats(); after != before {
			m.fatalf("a misuse changed %+v to %+v", before, after)
		}
	}()
	p.Free(q)
}

// enterSlot makes the slot at q a live object.
func (m *model) enterSlot(p *modelPool, q unsafe.Pointer, h slab.Handle) {
	o := &modelObject{start: q, align: p.align, handle: h}
	if p.size > 0 {
		o.b = unsafe.Slice((*byte)(q), p.size)
	}
	m.enter(o, "a slot")
	p.live = append(p.live, o)
	switch {
	case !p.Owns(q):
		m.fatalf("slot %#x is live and not the pool's", q)
	case h == slab.Handle{}: // it has no name
	case p.Slot(h) != q || p.Pool.Handle(q) != h:
		m.fatalf("slot %#x and its handle %#x do not name each other", q, h.Bits())
	case slab.HandleFromBits(h.Bits()) != h:
		m.fatalf("handle %#x does not survive as a number", h.Bits())
	}
}

func (m *model) take(p *modelPool, how int) bool {
	before := m.state()
	var q unsafe.Pointer
	var h slab.Handle
	var err error
	if how %= 3; p.pointers {
		how %= 2
	}
	switch how {
	case 0:
		if q, err = p.Alloc(); err == nil && p.size > 0 && !isZero(unsafe.Slice((*byte)(q), p.size)) {
			m.fatalf("Pool.Alloc returned bytes that are not zero")
		}
	case 1:
		q, err = p.AllocUninitialized()
	default:
		q, h, err = p.Insert()
	}
	if err != nil {
		if q != nil || h != (slab.Handle{}) {
			m.fatalf("a pool returned a slot and an error")
		}
		m.refused(err, before, uint64(p.stride)*8+uint64(p.align), "a slot")
		return false
	}
	if how != 2 && m.stamp%3 != 0 && !p.pointers {
		h = p.Pool.Handle(q)
	}
	if how == 2 && h == (slab.Handle{}) {
		m.fatalf("Insert returned the zero handle")
	}
	m.enterSlot(p, q, h)
	return true
}

// slotsOf visits the slots of a group, as an arena does.
func slotsOf(g slab.Group, stride int) iter.Seq2[unsafe.Pointer, slab.Handle] {
	return func(yield func(unsafe.Pointer, slab.Handle) bool) {
		for i := range 64 {
			if g.Slots>>i&1 == 0 {
				continue
			}
			if !yield(unsafe.Add(g.Base, i*stride), slab.HandleAt(g.Index+uint32(i), unsafe.Add(g.Gens, i*4))) {
				return
			}
		}
	}
}

func (m *model) takeGroup(p *modelPool, n int) bool {
	before := m.state()
	g, err := slab.ShellOf(p.Pool).TakeGroup(n)
	if err != nil {
		m.refused(err, before, uint64(p.stride)*8+uint64(p.align), "a group of slots")
		return false
	}
	if got := bits.OnesCount64(g.Slots); got > max(n, 0) || n > 0 && got == 0 {
		m.fatalf("TakeGroup(%d) returned %d slots", n, got)
	}
	for q, h := range slotsOf(g, p.stride) {
		p.pointers = false
		m.enterSlot(p, q, h)
	}
	return true
}

func (m *model) give(p *modelPool, i int, byHandle bool) {
	o := p.live[i]
	m.verify(o)
	m.leave(o)
	p.live = slices.Delete(p.live, i, i+1)
	p.died(o)
	if !byHandle || o.handle == (slab.Handle{}) {
		p.Free(o.start)
	} else if !p.Remove(o.handle) {
		m.fatalf("Remove of a live handle is false")
	}
	m.stale(p, o.handle)
	if p.Owns(o.start) {
		m.fatalf("the pool owns a slot that was freed")
	}
}

// stale checks that h names nothing.
func (m *model) stale(p *modelPool, h slab.Handle) {
	before := p.Stats()
	if p.Slot(h) != nil || p.Remove(h) || p.Stats() != before {
		m.fatalf("handle %#x names something", h.Bits())
	}
}

func (m *model) reserve(p *modelPool, n int) bool {
	before, slabs := m.state(), p.Stats().Slabs
	if err := p.Reserve(n); err != nil {
		if p.Stats().Slabs > slabs {
			m.fatalf("Reserve(%d) was refused and has made slabs", n)
		}
		if n < 0 {
			require.ErrorIs(m.t, err, slab.ErrInvalid)
			m.sameState(before.Stats, "Reserve")
			return false
		}
		m.refused(err, before, uint64(p.stride)*uint64(n)*2+uint64(p.align), "Reserve")
		return false
	}
	if free := p.Stats().Free; free < n {
		m.fatalf("Reserve(%d) leaves %d free slots", n, free)
	}
	p.reserved = max(p.reserved, len(p.live)+n)
	return true
}

// scan compares the walk over a pool with the model.
func (m *model) scan(p *modelPool) {
	found := make(map[uintptr]bool)
	for s := p.ScanWords(); ; {
		first, n := nextRun(&s, p.stride)
		if n == 0 {
			break
		}
		for i := range n {
			found[uintptr(first)+uintptr(i*p.stride)] = true
		}
	}
	if len(found) != len(p.live) {
		m.fatalf("%d slots are live, a scan finds %d", len(p.live), len(found))
	}
	for _, o := range p.live {
		if !found[o.addr()] {
			m.fatalf("a scan does not find slot %#x", o.addr())
		}
	}
}

// scanWith walks over a pool as Arena.All does, or Arena.Values if no slot has a name, and calls
// change after each slot. Whatever change does, a slot that is live at its turn is visited, once.
func (m *model) scanWith(p *modelPool, change func()) {
	before := slices.Clone(p.live)
	visited := make(map[*modelObject]bool)
	named := !p.pointers
	if named {
		slab.ShellOf(p.Pool).Names()
	}
	visitSlots(p.Pool, func(q unsafe.Pointer, index uint32, gen unsafe.Pointer) bool {
		at, ok := m.find(uintptr(q))
		if !ok || !slices.Contains(p.live, m.byAddr[at]) || visited[m.byAddr[at]] {
			m.fatalf("a scan visits %#x, which is dead, another's, or was visited before", q)
		}
		visited[m.byAddr[at]] = true
		if h := slab.HandleAt(index, gen); named && (p.Slot(h) != q || p.Handle(q) != h) {
			m.fatalf("slot %#x and the handle %#x that a scan makes do not name each other", q, h.Bits())
		}
		change()
		return true
	})
	for _, o := range before {
		if !visited[o] && slices.Contains(p.live, o) {
			m.fatalf("a scan has not visited %#x, which was live all the time", o.addr())
		}
	}
}

func (m *model) resetPool(p *modelPool) {
	for _, o := range p.live {
		m.verify(o)
		m.leave(o)
		p.died(o)
	}
	p.live = nil
	p.Reset()
}

func (m *model) closePool(i int) {
	p := m.pools[i]
	for _, o := range p.live {
		m.verify(o)
		m.leave(o)
		p.died(o)
	}
	p.live = nil
	require.NoError(m.t, p.Close())
	for _, h := range p.dead {
		m.stale(p, h)
	}
	_, err := p.Alloc()
	require.ErrorIs(m.t, err, slab.ErrClosed)
	m.pools = slices.Delete(m.pools, i, i+1)
}
