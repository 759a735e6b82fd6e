package slab_test

import (
	"bytes"
	"errors"
	"iter"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Figures of the documentation, in bytes.
const (
	granule  = 16
	window   = 1 << 10 // the least that an allocation outside a slab takes
	smallMax = 1 << 10 // the most that a slot of the allocator's own has
)

// maxBlockBytes is more than any block can have by less than a granule.
var maxBlockBytes = int(min(1<<32-1, uint64(math.MaxInt)/granule) * granule)

// slow tells whether tests take many times as long as usual, and should do with
// less: where every operation is followed by a Check, and where the default
// source is not the system, which is under the race detector and on wasm.
func slow() bool {
	_, system := blocksrc.Default().(blocksrc.Mmap)
	return slab.Invariants || !system || testing.Short()
}

// The ownership model: which bytes belong to whom, and what is in them, by the
// account of somebody who only sees what the allocator returns. Every operation
// is done to both, and they must agree.

// faultySource is a source that can be told to fail, under a budget, and counts.
type faultySource struct {
	*blocksrctest.Failing // of Release; the top
	acquires              *blocksrctest.Failing
	counting              *blocksrctest.Counting
	budget                int    // bytes that it can give in one block, at the most, when nothing is out
	pieces                bool   // of a fixed buffer: what is free may be in pieces
	beside                []byte // memory just behind that of the source, nil if there is none to show
}

func newFaultySource(base blocksrc.Source, budget int) *faultySource {
	s := &faultySource{counting: &blocksrctest.Counting{Source: base}, budget: budget}
	s.acquires = &blocksrctest.Failing{Source: s.counting, On: blocksrctest.Acquires}
	s.Failing = &blocksrctest.Failing{Source: s.acquires, On: blocksrctest.Releases}
	return s
}

// newBufferSource returns a source of n bytes that are not zero.
func newBufferSource(n int) *faultySource {
	mem := bytes.Repeat([]byte{0xA5}, n+64)
	s := newFaultySource(blocksrc.NewBuffer(mem[:n:n]), n)
	s.pieces, s.beside = true, mem[n:]
	return s
}

func arm(f *blocksrctest.Failing, k int, persist bool) {
	f.At, f.Persist = f.Calls()+k, persist
}

func disarm(f *blocksrctest.Failing) { f.At, f.Persist = 0, false }

func armed(f *blocksrctest.Failing) bool { return f.At > f.Calls() || f.At > 0 && f.Persist }

func (s *faultySource) disarm() {
	disarm(s.Failing)
	disarm(s.acquires)
}

func (s *faultySource) held() int { return s.counting.Counts().Held }

// modelObject is an allocation, or a slot of a pool.
type modelObject struct {
	b      []byte         // the allocation as it was returned; of a slot, its size
	start  unsafe.Pointer // of a slot of size 0, b does not know
	align  int
	stamp  uint32 // says what is in it
	handle slab.Handle
}

func (o *modelObject) addr() uintptr { return uintptr(o.start) }
func (o *modelObject) room() uintptr { return uintptr(max(cap(o.b), 1)) }

// stampBytes is where contents come from: long enough that two stamps differ
// wherever they are compared, and odd, so that they differ block by block.
var stampBytes = func() []byte {
	b := make([]byte, 4099)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}()

// fill writes to all the room that o has.
func (o *modelObject) fill() {
	all := o.b[:cap(o.b)]
	at := int(o.stamp) % len(stampBytes)
	for len(all) > 0 {
		n := copy(all, stampBytes[at:])
		all, at = all[n:], 0
	}
}

// intact tells whether the first n bytes are as fill left them.
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

// modelPool is a pool, its live slots and handles of some that are dead.
type modelPool struct {
	*slab.Pool
	size, align, stride int
	reserved            int // slots that there must be, live or free
	live                []*modelObject
	dead                []slab.Handle
	gone                []unsafe.Pointer // where some of the dead were
}

// model is an allocator and what must be true of it.
type model struct {
	t         testing.TB
	cfg       slab.Config
	a         *slab.Allocator
	src, meta *faultySource // the same, or two
	live      []*modelObject
	pools     []*modelPool
	byAddr    []*modelObject // all live ones, to see overlaps
	stamp     uint32
	done      []string // what has been done, if it is known by name
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
	m.t.Helper()
	m.t.Logf("config: block %d to %d, large %d, align %d and %d, retain %d", m.cfg.BlockSize, m.cfg.MaxBlockSize,
		m.cfg.LargeSize, m.cfg.BlockAlign, m.cfg.LargeAlign, m.cfg.Retain)
	m.t.Logf("%v", m.a.Stats())
	if m.done != nil {
		m.t.Logf("after %q", m.done)
	}
	m.t.Fatalf(format, args...)
}

// held is what the sources have given.
func (m *model) held() int {
	if m.src == m.meta {
		return m.src.held()
	}
	return m.src.held() + m.meta.held()
}

func (m *model) blocksOut() int {
	n := m.src.counting.Counts().Live
	if m.src != m.meta {
		n += m.meta.counting.Counts().Live
	}
	return n
}

func (m *model) disarm() {
	m.src.disarm()
	m.meta.disarm()
}

// faultAhead tells whether a source may fail by itself from here on.
func (m *model) faultAhead() bool { return armed(m.src.acquires) || armed(m.meta.acquires) }

// modelState is what an operation finds.
type modelState struct {
	slab.Stats
	room int // a request for less than that must succeed
}

func (m *model) state() modelState {
	// There is room by a wide margin, in one piece, and no fault is ahead.
	s := modelState{Stats: m.a.Stats()}
	margin := 256<<10 + m.cfg.MaxBlockSize
	if !m.src.pieces && !m.meta.pieces && !m.faultAhead() && m.meta.budget-m.meta.held() > margin {
		s.room = m.src.budget - m.src.held() - margin
	}
	return s
}

// check compares the model with what the allocator says of itself.
func (m *model) check() {
	m.t.Helper()
	if err := m.a.Check(); err != nil {
		m.fatalf("%v", err)
	}
	m.totals()
}

func (m *model) totals() {
	m.t.Helper()
	s := m.a.Stats()
	live := 0
	for _, o := range m.live {
		live += cap(o.b)
	}
	slots := 0
	for _, p := range m.pools {
		live += len(p.live) * p.stride
		slots += len(p.live)
		if p.Len() != len(p.live) {
			m.fatalf("pool has %d live slots, should have %d", p.Len(), len(p.live))
		}
		if s := p.Stats(); s.Live+s.Free < p.reserved {
			m.fatalf("pool has %d live slots and %d free ones, but %d are reserved", s.Live, s.Free, p.reserved)
		}
	}
	if s.Live != live {
		m.fatalf("Stats.Live is %d, should be %d", s.Live, live)
	}
	if want := s.Live + s.SlabFree + s.HoleBytes + s.Meta + s.Lost; s.Held != want {
		m.fatalf("Stats.Held is %d, but its parts are %d: %+v", s.Held, want, s)
	}
	if held := m.held(); s.Held != held {
		m.fatalf("Stats.Held is %d, but the sources have given %d", s.Held, held)
	}
	if s.PeakLive < s.Live || s.PeakHeld < s.Held || s.Allocs-s.Frees != uint64(len(m.live)+slots) {
		m.fatalf("%d objects, but %+v", len(m.live)+slots, s)
	}
}

// sameState fails if a request that was refused has changed something: nothing
// of what is live or was counted, but for the failures. Memory that was kept for
// the next need may have been given back, and a block that was acquired on the
// way may be kept, empty, as any block may, and so may records.
func (m *model) sameState(before slab.Stats, what string) {
	m.t.Helper()
	after := m.a.Stats()
	inUse := func(s slab.Stats) slab.Stats {
		return slab.Stats{
			Name: s.Name, Live: s.Live, PeakLive: s.PeakLive, Allocs: s.Allocs, Frees: s.Frees,
			Pools: s.Pools, Retired: s.Retired,
		}
	}
	if a, b := inUse(before), inUse(after); a != b {
		m.fatalf("%s was refused and changed\n%+v\nto\n%+v", what, before, after)
	}
}

// enter makes o a live object: it is where it should be, and nobody else is.
func (m *model) enter(o *modelObject, what string) {
	m.t.Helper()
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

func (m *model) verify(o *modelObject) {
	m.t.Helper()
	if !o.intact(o.b[:cap(o.b)]) {
		m.fatalf("an object of %d bytes at %#x is damaged", cap(o.b), o.addr())
	}
}

func (m *model) verifyAll() {
	m.t.Helper()
	for _, o := range m.byAddr {
		m.verify(o)
	}
}

// refused checks an error of a request for n bytes in all, which had to succeed
// or not.
func (m *model) refused(err error, before modelState, n uint64, what string) {
	m.t.Helper()
	switch {
	case errors.Is(err, slab.ErrTooLarge):
		if n < math.MaxInt32/2 {
			m.fatalf("%s is too large: %v", what, err)
		}
	case !errors.Is(err, blocksrc.ErrExhausted):
		m.fatalf("%s: an error of no known kind: %v", what, err)
	case n < math.MaxInt32/2 && before.room > int(n):
		m.fatalf("%s was refused, and there is room: %v", what, err)
	}
	after := m.a.Stats()
	if after.Failures != before.Failures+1 {
		m.fatalf("%s: %d failures, before it were %d", what, after.Failures, before.Failures)
	}
	m.sameState(before.Stats, what)
}

// alloc asks for size bytes, zeroed or not, and says whether it got them.
func (m *model) alloc(size, align int, zeroed bool) bool {
	m.t.Helper()
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
	m.t.Helper()
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
	m.t.Helper()
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

// misuse runs f, which must panic with the misuse that is wanted and change
// nothing.
func (m *model) misuse(want slab.Misuse, what string, f func()) {
	m.t.Helper()
	before := m.a.Stats()
	got := func() (got any) {
		defer func() { got = recover() }()
		f()
		return nil
	}()
	e, ok := got.(*slab.MisuseError)
	if !ok {
		m.fatalf("%s: panic with %v, should be %v", what, got, want)
	}
	if e.Misuse != want {
		m.fatalf("%s: %v, should be %v", what, e, want)
	}
	if after := m.a.Stats(); after != before {
		m.fatalf("%s changed\n%+v\nto\n%+v", what, before, after)
	}
}

// judge returns what is wrong with a free of n bytes at addr, 0 if nothing is,
// by the model and the allocator's picture of its blocks. A slot that is taken
// in the picture is one of the model's or it is not the model's business.
func (m *model) judge(addr uintptr, n int) slab.Misuse {
	for b := range m.a.Blocks() {
		if addr-b.Addr >= uintptr(b.Size) {
			continue
		}
		for c := range b.Chunks() {
			off := addr - b.Addr - uintptr(c.Offset)
			if off >= uintptr(c.Size) {
				continue
			}
			switch c.Kind {
			case slab.ChunkHole:
				return slab.DoubleFree
			case slab.ChunkLive:
				switch {
				case off != 0:
					return slab.Interior
				case n != c.Size:
					return slab.WrongSize
				}
				return 0
			}
			slot := int(off) / c.Stride
			switch {
			case c.Pool || slot >= c.Slots:
				return slab.Foreign
			case int(off)%c.Stride != 0:
				return slab.Interior
			case n != c.Stride:
				return slab.WrongSize
			case c.Bitmap[slot/8]>>(slot%8)&1 == 0:
				return slab.DoubleFree
			}
			return 0
		}
		return slab.Foreign // an end of the block below a granule
	}
	if n == 0 {
		return 0
	}
	return slab.Foreign
}

// badFree frees b, which is no live allocation, and expects to be told.
func (m *model) badFree(b []byte, what string) {
	m.t.Helper()
	want := m.judge(uintptr(unsafe.Pointer(unsafe.SliceData(b))), cap(b))
	if want == 0 {
		if cap(b) != 0 {
			return // it happens to be one
		}
		before := m.a.Stats()
		m.a.Free(b)
		if m.a.Stats() != before {
			m.fatalf("%s changed something", what)
		}
		return
	}
	m.misuse(want, what, func() { m.a.Free(b) })
	m.misuse(want, what+" by Realloc", func() { _, _ = m.a.Realloc(b, 100) })
	if m.a.Owns(b) {
		m.fatalf("%s: Owns is true", what)
	}
}

// reset, trim: the operations on everything.

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
	m.t.Helper()
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
	if after.EmptyBlocks != 0 && slab.Stuck(m.a) == 0 {
		m.fatalf("%d bytes of empty blocks after Trim", after.EmptyBlocks)
	}
	m.verifyAll()
}

// pool operations

func (m *model) newPool(size, align int) bool {
	m.t.Helper()
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
		Pool: p, size: size, align: align, stride: int((uint64(max(size, 1)) + uint64(align) - 1) &^ uint64(align-1)),
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

// freeGone frees where a slot was that died some time ago, if nothing is there.
func (m *model) freeGone(p *modelPool, i int) {
	m.t.Helper()
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
	m.t.Helper()
	o := &modelObject{start: q, align: p.align, handle: h}
	if p.size > 0 {
		o.b = unsafe.Slice((*byte)(q), p.size)
	}
	m.enter(o, "a slot")
	p.live = append(p.live, o)
	switch {
	case h == slab.Handle{}:
		m.fatalf("a live slot has the zero handle")
	case p.Get(h) != q || p.Pool.Handle(q) != h || !p.Owns(q):
		m.fatalf("slot %#x and its handle %#x do not name each other", q, h.Bits())
	case slab.HandleFromBits(h.Bits()) != h:
		m.fatalf("handle %#x does not survive as a number", h.Bits())
	}
}

func (m *model) take(p *modelPool, how int) bool {
	m.t.Helper()
	before := m.state()
	var q unsafe.Pointer
	var h slab.Handle
	var err error
	switch how % 3 {
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
	if how%3 != 2 {
		h = p.Pool.Handle(q)
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
			gen := *(*uint32)(unsafe.Add(g.Gens, i*4))
			if !yield(unsafe.Add(g.Base, i*stride), slab.HandleFromBits(uint64(gen)<<32|uint64(g.Index)+uint64(i))) {
				return
			}
		}
	}
}

func (m *model) takeGroup(p *modelPool, n int) bool {
	m.t.Helper()
	before := m.state()
	g, err := p.TakeGroup(n)
	if err != nil {
		m.refused(err, before, uint64(p.stride)*8+uint64(p.align), "a group of slots")
		return false
	}
	if got := bits.OnesCount64(g.Slots); got > max(n, 0) || n > 0 && got == 0 {
		m.fatalf("TakeGroup(%d) returned %d slots", n, got)
	}
	for q, h := range slotsOf(g, p.stride) {
		m.enterSlot(p, q, h)
	}
	return true
}

func (m *model) give(p *modelPool, i int, byHandle bool) {
	m.t.Helper()
	o := p.live[i]
	m.verify(o)
	m.leave(o)
	p.live = slices.Delete(p.live, i, i+1)
	p.died(o)
	if !byHandle {
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
	m.t.Helper()
	before := p.Stats()
	if p.Get(h) != nil || p.Remove(h) || p.Stats() != before {
		m.fatalf("handle %#x names something", h.Bits())
	}
}

func (m *model) reserve(p *modelPool, n int) bool {
	m.t.Helper()
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
	m.t.Helper()
	found := make(map[uintptr]bool)
	for s := p.Scan(); ; {
		first, n := s.NextRun()
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

// scanWith walks over a pool as Arena.All does and calls change after each slot,
// which may do what it likes. What is live at its turn is visited, once.
func (m *model) scanWith(p *modelPool, change func()) {
	m.t.Helper()
	before := slices.Clone(p.live)
	visited := make(map[*modelObject]bool)
	for s := p.Scan(); s.Next(); {
		for live := s.Live; live != 0; {
			q := unsafe.Add(s.Base, bits.TrailingZeros64(live)*p.stride)
			live &= live - 1
			at, ok := m.find(uintptr(q))
			if !ok || !slices.Contains(p.live, m.byAddr[at]) || visited[m.byAddr[at]] {
				m.fatalf("a scan visits %#x, which is dead, another's, or was visited before", q)
			}
			visited[m.byAddr[at]] = true
			change()
			if *s.Frees != s.Seen {
				live &= s.Refresh()
			}
		}
	}
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
	m.t.Helper()
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

// finish frees everything and sees that nothing is left: every block that the
// source does not take is one hole, and then it takes all of them.
func (m *model) finish() {
	m.t.Helper()
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

// close closes the allocator, whatever is live, and sees that all is given back.
func (m *model) close() {
	m.t.Helper()
	m.disarm()
	if err := m.a.Close(); err != nil {
		m.fatalf("Close: %v", err)
	}
	m.closed()
}

func (m *model) closed() {
	m.t.Helper()
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
