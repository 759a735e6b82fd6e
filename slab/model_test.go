package slab_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Figures from the documentation, in bytes.
const (
	granule  = 16
	window   = 1 << 10 // the least that an allocation outside a slab takes
	smallMax = 1 << 10 // the most that a slot of the allocator's own has
)

// maxBlockBytes is the largest size of a block.
var maxBlockBytes = int(min(1<<32-1, uint64(math.MaxInt)/granule) * granule)

// slow tells whether tests should do less: with -short, and where they take many times as
// long as usual. That is where a Check follows every operation, and where the default
// source is not the system, which is under the race detector and on wasm.
func slow() bool {
	_, system := blocksrc.Default().(blocksrc.Mmap)
	return slab.Invariants || !system || testing.Short()
}

// The ownership model knows which bytes belong to whom and what is in them, from nothing
// but what the allocator returns. Every operation is done to the allocator and to the
// model, and the two must agree.

// modelObject is an allocation, or a slot of a pool.
type modelObject struct {
	b      []byte         // an allocation as it was returned, or the bytes of a slot
	start  unsafe.Pointer // also of a slot of size 0, which has no b
	align  int
	stamp  uint32 // says what is in it
	handle slab.Handle
}

func (o *modelObject) addr() uintptr { return uintptr(o.start) }
func (o *modelObject) room() uintptr { return uintptr(max(cap(o.b), 1)) }

// stampBytes is where contents come from. It is so long that two stamps differ wherever
// they are compared, and of odd length, so that they differ block by block.
var stampBytes = func() []byte {
	b := make([]byte, 4099)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}()

// fill writes to all bytes of o, up to its capacity.
func (o *modelObject) fill() {
	all := o.b[:cap(o.b)]
	at := int(o.stamp) % len(stampBytes)
	for len(all) > 0 {
		n := copy(all, stampBytes[at:])
		all, at = all[n:], 0
	}
}

// intact tells whether b, the start of an object, is as fill left it.
func (o *modelObject) intact(b []byte) bool {
	at := int(o.stamp) % len(stampBytes)
	for len(b) > 0 {
		n := min(len(b), len(stampBytes)-at)
		if !bytes.Equal(b[:n], stampBytes[at:at+n]) {
			return false
		}
		b, at = b[n:], 0
	}
	return true
}

var zeros [4096]byte

func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// model is an allocator and what must be true of it.
type model struct {
	t         testing.TB
	cfg       slab.Config
	a         *slab.Allocator
	src, meta *faultySource // the same, or two
	live      []*modelObject
	pools     []*modelPool
	byAddr    []*modelObject // all live objects, to find overlaps
	stamp     uint32
	done      []string // names of the operations so far, if they have any
}

// newModel returns an allocator on src, whose records are in meta.
func newModel(t testing.TB, cfg slab.Config, src, meta *faultySource) *model {
	cfg.Source, cfg.MetaSource = src, nil
	if meta != src {
		cfg.MetaSource = meta
	}
	a, err := slab.New(cfg)
	require.NoError(t, err)
	return &model{t: t, cfg: cfg, a: a, src: src, meta: meta}
}

func (m *model) fatalf(format string, args ...any) {
	m.t.Logf("config: block %d to %d, large %d, align %d and %d, retain %d", m.cfg.BlockSize, m.cfg.MaxBlockSize,
		m.cfg.LargeSize, m.cfg.BlockAlign, m.cfg.LargeAlign, m.cfg.Retain)
	m.t.Logf("%v", m.a.Stats())
	if m.done != nil {
		m.t.Logf("after %q", m.done)
	}
	m.t.Fatalf(format, args...)
}

func (m *model) disarm() {
	m.src.disarm()
	m.meta.disarm()
}

// faultAhead tells whether a source is set to fail an Acquire from here on.
func (m *model) faultAhead() bool { return armed(m.src.acquires) || armed(m.meta.acquires) }

// enter makes o a live object. It must be aligned as asked, and overlap no other.
func (m *model) enter(o *modelObject, what string) {
	if o.align > 1 && o.addr()&uintptr(o.align-1) != 0 {
		m.fatalf("%s is at %#x, not a multiple of %d", what, o.addr(), o.align)
	}
	at, found := m.find(o.addr())
	if found {
		m.fatalf("%s is at %#x, where another object is", what, o.addr())
	}
	if at > 0 {
		if p := m.byAddr[at-1]; o.addr()-p.addr() < p.room() {
			m.fatalf("%s is at %#x, in an object of %d bytes at %#x", what, o.addr(), p.room(), p.addr())
		}
	}
	if at < len(m.byAddr) {
		if n := m.byAddr[at]; n.addr()-o.addr() < o.room() {
			m.fatalf("%s is at %#x with %d bytes, and there is an object at %#x", what, o.addr(), o.room(), n.addr())
		}
	}
	m.byAddr = slices.Insert(m.byAddr, at, o)
	m.stamp++
	o.stamp = m.stamp * 7
	o.fill()
}

func (m *model) find(addr uintptr) (int, bool) {
	return slices.BinarySearchFunc(m.byAddr, addr, func(o *modelObject, addr uintptr) int {
		switch {
		case o.addr() < addr:
			return -1
		case o.addr() > addr:
			return 1
		}
		return 0
	})
}

func (m *model) leave(o *modelObject) {
	at, found := m.find(o.addr())
	if !found || m.byAddr[at] != o {
		m.fatalf("the model has lost an object")
	}
	m.byAddr = slices.Delete(m.byAddr, at, at+1)
}

// alloc asks for size bytes, zeroed or not, and says whether it got them.
func (m *model) alloc(size, align int, zeroed bool) bool {
	before := m.state()
	f := m.a.Alloc
	if !zeroed {
		f = m.a.AllocUninitialized
	}
	b, err := f(size, align)
	switch {
	case size < 0 || align < 0 || align&(align-1) != 0:
		if !errors.Is(err, slab.ErrInvalid) || b != nil {
			m.fatalf("Alloc(%d, %d): %v", size, align, err)
		}
		m.sameState(before.Stats, "Alloc")
		return false
	case err != nil:
		if b != nil {
			m.fatalf("Alloc(%d, %d) returned memory and an error", size, align)
		}
		m.refused(err, before, uint64(size)+uint64(align), "Alloc")
		return false
	case b == nil || len(b) != size || cap(b) < size:
		m.fatalf("Alloc(%d, %d) returned %d of %d bytes", size, align, len(b), cap(b))
	case size == 0:
		if s := m.a.Stats(); s != before.Stats {
			m.fatalf("Alloc(0, %d) changed something", align)
		}
		return true
	}
	if zeroed && !isZero(b[:cap(b)]) {
		m.fatalf("Alloc(%d, %d) returned bytes that are not zero", size, align)
	}
	o := &modelObject{b: b, start: unsafe.Pointer(unsafe.SliceData(b)), align: align}
	m.enter(o, "an allocation")
	m.live = append(m.live, o)
	if !m.a.Owns(b) {
		m.fatalf("Owns is false of a live allocation")
	}
	return true
}

// free frees the i-th allocation; short says to pass less than its length.
func (m *model) free(i int, short bool) {
	o := m.live[i]
	m.verify(o)
	m.leave(o)
	m.live = slices.Delete(m.live, i, i+1)
	b := o.b
	if short {
		b = b[:len(b)/2]
	}
	m.a.Free(b)
	if m.a.Owns(o.b) {
		m.fatalf("Owns is true of what was freed")
	}
}

// realloc changes the size of the i-th allocation.
func (m *model) realloc(i, size int) bool {
	o := m.live[i]
	m.verify(o)
	before := m.state()
	n := min(len(o.b), max(size, 0))
	b, err := m.a.Realloc(o.b, size)
	if err != nil {
		switch {
		case b != nil:
			m.fatalf("Realloc to %d returned memory and an error", size)
		case size < 0:
			if !errors.Is(err, slab.ErrInvalid) {
				m.fatalf("Realloc to %d: %v", size, err)
			}
			m.sameState(before.Stats, "Realloc")
		case size <= cap(o.b):
			m.fatalf("Realloc from %d, with room for %d, to %d: %v", len(o.b), cap(o.b), size, err)
		default:
			m.refused(err, before, uint64(size)+uint64(o.align), "Realloc")
		}
		m.verify(o)
		if !m.a.Owns(o.b) {
			m.fatalf("a failed Realloc has freed the allocation")
		}
		return false
	}
	if size < 0 || len(b) != size || cap(b) < size || b == nil {
		m.fatalf("Realloc to %d returned %d of %d bytes", size, len(b), cap(b))
	}
	if !o.intact(b[:n]) {
		m.fatalf("Realloc from %d to %d has not kept the contents", len(o.b), size)
	}
	if !isZero(b[n:]) {
		m.fatalf("Realloc from %d to %d: what is new is not zero", len(o.b), size)
	}
	m.leave(o)
	if size == 0 {
		m.live = slices.Delete(m.live, i, i+1)
		return true
	}
	o = &modelObject{b: b, start: unsafe.Pointer(unsafe.SliceData(b)), align: o.align}
	m.enter(o, "a reallocation")
	m.live[i] = o
	return true
}

// reset and trim: the operations on everything.

func (m *model) reset() {
	m.verifyAll()
	m.live, m.byAddr = nil, nil
	for _, p := range m.pools {
		for _, o := range p.live {
			p.died(o)
		}
		p.live, p.reserved = nil, 0
	}
	m.a.Reset()
	if s := m.a.Stats(); s.Live != 0 {
		m.fatalf("%d bytes live after Reset", s.Live)
	}
}

func (m *model) trim() {
	before := m.a.Stats()
	held := m.held()
	n := m.a.Trim()
	for _, p := range m.pools {
		p.reserved = 0
	}
	if got := held - m.held(); got != n {
		m.fatalf("Trim says %d, the sources got %d", n, got)
	}
	after := m.a.Stats()
	if after.Live != before.Live || after.Allocs != before.Allocs || after.Frees != before.Frees || after.PeakHeld != before.PeakHeld {
		m.fatalf("Trim changed\n%+v\nto\n%+v", before, after)
	}
	if after.EmptyBytes != 0 && slab.Stuck(m.a) == 0 {
		m.fatalf("%d bytes of empty blocks after Trim", after.EmptyBytes)
	}
	m.verifyAll()
}

// finish frees everything and checks that nothing is left. While the source takes no block
// back, each block is one hole; then the source takes them all.
func (m *model) finish() {
	m.disarm()
	m.verifyAll()
	for len(m.live) > 0 {
		m.free(len(m.live)/2, false)
	}
	for _, p := range m.pools {
		for len(p.live) > 0 {
			m.give(p, len(p.live)/2, len(p.live)%2 == 0)
		}
	}
	m.check()

	arm(m.src.Failing, 1, true)
	m.trim()
	m.check()
	for b := range m.a.Blocks() {
		n := 0
		for c := range b.Chunks() {
			if n++; n > 1 || c.Kind != slab.ChunkHole || c.Size != b.Size&^(granule-1) {
				m.fatalf("a block of %d bytes has a %s of %d at %d after everything was freed", b.Size, c.Kind, c.Size, c.Offset)
			}
		}
	}
	m.disarm()
	m.trim()
	m.check()
	if s := m.a.Stats(); s.Held != 0 || m.held() != 0 {
		m.fatalf("held after everything was freed: %+v", s)
	}
	m.alloc(100, 0, true)
	m.close()
}

// close closes the allocator, whatever is live, and checks that everything is given back.
func (m *model) close() {
	m.disarm()
	if err := m.a.Close(); err != nil {
		m.fatalf("Close: %v", err)
	}
	m.closed()
}

func (m *model) closed() {
	require.NoError(m.t, m.a.Check())
	require.Zero(m.t, m.a.Stats().Held)
	require.Zero(m.t, m.a.Stats().Live)
	require.Zero(m.t, m.blocksOut())
	for _, s := range []*faultySource{m.src, m.meta} {
		require.NoError(m.t, s.counting.Leaks())
		require.NoError(m.t, s.counting.Misuse())
	}
	for _, p := range m.pools {
		for _, o := range p.live {
			m.stale(p, o.handle)
		}
		for _, h := range p.dead {
			m.stale(p, h)
		}
	}
	_, err := m.a.Alloc(1, 0)
	require.ErrorIs(m.t, err, slab.ErrClosed)
	require.NoError(m.t, m.a.Close())
}
