package arena_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// A tape is a program: every byte says what to do next, or with what.
type tape struct {
	rest []byte
}

func (s *tape) over() bool { return len(s.rest) == 0 }

// next returns the next byte, and 0 when the tape is over.
func (s *tape) next() byte {
	if s.over() {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// below returns a number below n.
func (s *tape) below(n int) int {
	if n <= 1 {
		return 0
	}
	k := int(s.next())
	if n > 256 {
		k = k<<8 | int(s.next())
	}
	return k % n
}

func (s *tape) uint64() (v uint64) {
	for range 8 {
		v = v<<8 | uint64(s.next())
	}
	return v
}

// addTapes gives a fuzzer something to start from.
func addTapes(f *testing.F) {
	rng := rand.New(rand.NewPCG(11, 12))
	for i := range fewer(60, 24) {
		b := make([]byte, 50<<(i%6))
		for k := range b {
			b[k] = byte(rng.Uint32())
		}
		b[0] = byte(i)
		f.Add(b)
	}
}

// fuzzMemory is what the tapes' buffers lie in. A tape runs alone.
var fuzzMemory = make([]byte, 2<<20)

// ground is an allocator over a source that can be made to fail.
type ground struct {
	t     testing.TB
	tape  tape
	al    *slab.Allocator
	src   *flaky
	count *blocksrctest.Counting
	raw   [][]byte // other memory of the allocator
}

func newGround(t testing.TB, b []byte) *ground {
	g := &ground{t: t, tape: tape{b[:min(len(b), 4096)]}}
	mode := g.tape.next()
	var src blocksrc.Source
	if mode&1 == 0 {
		fill(fuzzMemory, 0xA5)
		src = blocksrc.NewBuffer(fuzzMemory[mode>>4:])
	} else {
		src = blocksrc.Limit(new(blocksrc.GoHeap), len(fuzzMemory))
	}
	g.count = &blocksrctest.Counting{Source: src}
	g.src = &flaky{Source: g.count}
	cfg := slab.Config{Source: g.src, Retain: int(mode>>1&3)*100_000 - 100_000}
	if mode&8 != 0 {
		cfg.BlockSize, cfg.MaxBlockSize = 4<<10, 128<<10
	}
	var err error
	if g.al, err = slab.New(cfg); err != nil {
		t.Fatal(err)
	}
	return g
}

// refused tells whether err says that there was no memory; any other error ends
// the test.
func (g *ground) refused(err error) bool {
	g.t.Helper()
	if err != nil && !errors.Is(err, blocksrc.ErrExhausted) {
		g.t.Fatalf("refused: %v", err)
	}
	return err != nil
}

// toggle makes or frees memory beside the arenas.
func (g *ground) toggle() {
	if k := g.tape.below(6); k < len(g.raw) {
		g.al.Free(g.raw[k])
		g.raw = slices.Delete(g.raw, k, k+1)
		return
	}
	b, err := g.al.AllocUninitialized(1+g.tape.below(40_000), 8)
	if !g.refused(err) {
		fill(b, 0xEE)
		g.raw = append(g.raw, b)
	}
}

// arm makes the source fail, soon, always or no more.
func (g *ground) arm() {
	k := g.tape.next()
	g.src.acquires, g.src.releases = int(k&3), int(k>>2&3)
	if k&16 != 0 {
		g.src.acquires = -1
	}
	if k&32 != 0 {
		g.src.releases = -1
	}
}

func (g *ground) disarm() { g.src.acquires, g.src.releases = 0, 0 }

func (g *ground) check() {
	g.t.Helper()
	for _, b := range g.raw {
		if !allBytes(b, 0xEE) {
			g.t.Fatal("memory beside the arenas was overwritten")
		}
	}
	if err := g.al.Check(); err != nil {
		g.t.Fatal(err)
	}
}

// end asserts that with nothing live nothing is held.
func (g *ground) end() {
	g.t.Helper()
	g.disarm()
	for _, b := range g.raw {
		g.al.Free(b)
	}
	g.raw = nil
	if live := g.al.Stats().Live; live != 0 {
		g.t.Fatalf("%d bytes are live", live)
	}
	g.al.Trim()
	if held := g.al.Stats().Held; held != 0 {
		g.t.Fatalf("%d bytes are held", held)
	}
	g.check()
	if err := g.al.Close(); err != nil {
		g.t.Fatal(err)
	}
	if err := errors.Join(g.count.Leaks(), g.count.Misuse()); err != nil {
		g.t.Fatal(err)
	}
}

// refuses returns the misuse that f panics with, after asserting that nothing
// has changed.
func (g *ground) refuses(f func()) (kind slab.Misuse) {
	before := g.al.Stats()
	defer func() {
		if err, ok := recover().(*slab.MisuseError); ok {
			kind = err.Misuse
		}
		if g.al.Stats() != before {
			g.t.Fatalf("misuse %v changed\n%+v to\n%+v", kind, before, g.al.Stats())
		}
	}()
	f()
	return 0
}

// A side is an arena of some type and what is known about it.
type side interface {
	do(op byte, other side)
	check()
	drop()   // after Allocator.Reset
	finish() // frees everything
	pointer(k int) (unsafe.Pointer, bool)
}

type object[T any] struct {
	p *T
	h arena.Handle[T]
	v byte
}

type sideOf[T any] struct {
	g       *ground
	a       *arena.Arena[T]
	live    []object[T]
	spent   []arena.Handle[T]
	dead    []*T // where objects were
	retired int
	next    byte
}

func newSide[T any](g *ground) side {
	s := &sideOf[T]{g: g}
	s.open()
	return s
}

func (s *sideOf[T]) open() {
	var err error
	if s.a, err = arena.New[T](s.g.al); err != nil {
		s.g.t.Fatal(err)
	}
}

func (s *sideOf[T]) fatal(format string, args ...any) {
	s.g.t.Helper()
	s.g.t.Fatalf(format, args...)
}

func (s *sideOf[T]) enter(p *T, h arena.Handle[T]) {
	s.next++
	fill(bytesOf(p), s.next)
	s.live = append(s.live, object[T]{p, h, s.next})
}

// lose notes that live object i is gone.
func (s *sideOf[T]) lose(i int, retired bool) {
	o := s.live[i]
	if retired && generationOf(o.h) == arena.LastGeneration {
		s.retired++
	}
	s.spent = append(s.spent, o.h)
	s.dead = append(s.dead, o.p)
	if n := len(s.spent); n > 2000 {
		s.spent = slices.Delete(s.spent, 0, n/2)
		s.dead = slices.Delete(s.dead, 0, n/2)
	}
	s.live = slices.Delete(s.live, i, i+1)
}

func (s *sideOf[T]) loseAll(retired bool) {
	for len(s.live) > 0 {
		s.lose(len(s.live)-1, retired)
	}
}

func (s *sideOf[T]) drop() {
	s.loseAll(false)
	s.retired = s.a.Stats().Retired
}

func (s *sideOf[T]) index(h arena.Handle[T]) int {
	return slices.IndexFunc(s.live, func(o object[T]) bool { return o.h == h })
}

func (s *sideOf[T]) indexOf(p *T) int {
	return slices.IndexFunc(s.live, func(o object[T]) bool { return addressOf(o.p) == addressOf(p) })
}

func (s *sideOf[T]) pointer(k int) (unsafe.Pointer, bool) {
	if len(s.live) == 0 {
		return nil, false
	}
	return unsafe.Pointer(s.live[k%len(s.live)].p), true
}

func (s *sideOf[T]) insert() {
	if len(s.live) > 600 {
		return
	}
	var v T
	fill(bytesOf(&v), s.next+1)
	h, err := s.a.Insert(v)
	if s.g.refused(err) {
		if !h.IsZero() {
			s.fatal("a handle beside an error")
		}
		return
	}
	p, ok := s.a.Get(h)
	if !ok || !allBytes(bytesOf(p), s.next+1) {
		s.fatal("%x is not what was inserted", h.Bits())
	}
	s.enter(p, h)
}

func (s *sideOf[T]) alloc() {
	if len(s.live) > 600 {
		return
	}
	p, err := s.a.Alloc()
	if s.g.refused(err) {
		return
	}
	if !allBytes(bytesOf(p), 0) {
		s.fatal("%p is not zero", p)
	}
	s.enter(p, s.a.Handle(p))
}

func (s *sideOf[T]) insertN(n int) {
	if len(s.live)+n > 900 {
		return
	}
	vs := make([]T, n)
	for i := range vs {
		fill(bytesOf(&vs[i]), s.next+1+byte(i))
	}
	before := s.a.Stats()
	hs, err := s.a.InsertN(vs, nil)
	if s.g.refused(err) {
		if len(hs) != 0 || !s.unchanged(before) {
			s.fatal("InsertN failed half way: %+v, then %+v", before, s.a.Stats())
		}
		return
	}
	if len(hs) != n {
		s.fatal("%d handles for %d objects", len(hs), n)
	}
	for _, h := range hs {
		p, ok := s.a.Get(h)
		if !ok || !allBytes(bytesOf(p), s.next+1) {
			s.fatal("%x is not what was inserted", h.Bits())
		}
		s.enter(p, h)
	}
}

// unchanged tells whether no object came or went. Empty slabs may go.
func (s *sideOf[T]) unchanged(before slab.PoolStats) bool {
	now := s.a.Stats()
	now.Free, now.Slabs, now.Bytes = before.Free, before.Slabs, before.Bytes
	return now == before
}

// reserve asserts that what was reserved is there, whatever the source says.
func (s *sideOf[T]) reserve(n, use int) {
	before := s.a.Stats()
	if s.g.refused(s.a.Reserve(n)) {
		if !s.unchanged(before) {
			s.fatal("Reserve failed half way: %+v, then %+v", before, s.a.Stats())
		}
		return
	}
	acquires := s.g.src.acquires
	s.g.src.acquires = -1
	was := len(s.live)
	if use = min(use, n); use%2 == 0 {
		s.insertN(use)
	} else {
		for i := range use {
			if i%2 == 0 {
				s.insert()
			} else {
				s.alloc()
			}
		}
	}
	if len(s.live)-was != use && len(s.live) <= 600 {
		s.fatal("%d were reserved, but of %d only %d could be made", n, use, len(s.live)-was)
	}
	s.g.src.acquires = acquires
}

func (s *sideOf[T]) remove(i int) {
	if !s.a.Remove(s.live[i].h) {
		s.fatal("%x was refused", s.live[i].h.Bits())
	}
	s.lose(i, true)
}

func (s *sideOf[T]) free(i int) {
	fill(bytesOf(s.live[i].p), 0xFF)
	s.a.Free(s.live[i].p)
	s.lose(i, true)
}

// try looks h up, whoever made it.
func (s *sideOf[T]) try(h arena.Handle[T]) {
	p, ok := s.a.Get(h)
	i := s.index(h)
	if ok != (i >= 0) || ok && p != s.live[i].p || !ok && p != nil {
		s.fatal("%x gives %p, but is live object %d", h.Bits(), p, i)
	}
	if !ok && s.a.Remove(h) {
		s.fatal("%x was removed, but is not live", h.Bits())
	}
}

// bad asserts that p is refused.
func (s *sideOf[T]) bad(p *T, kinds ...slab.Misuse) {
	before := s.a.Stats()
	for _, f := range []func(){func() { s.a.Free(p) }, func() { s.a.Handle(p) }} {
		if kind := s.g.refuses(f); !slices.Contains(kinds, kind) {
			s.fatal("%p is refused with %v, not %v", p, kind, kinds)
		}
	}
	if s.a.Owns(p) || s.a.Stats() != before {
		s.fatal("%p is refused, but %+v became %+v", p, before, s.a.Stats())
	}
}

// walk runs through the objects while the tape says what becomes of them.
func (s *sideOf[T]) walk(other side, depth int) {
	tape := &s.g.tape
	missed := map[arena.Handle[T]]bool{}
	for _, o := range s.live {
		missed[o.h] = true
	}
	last, left, n := int64(-1), false, 0
	for h, p := range s.a.All() {
		i := s.index(h)
		if i < 0 || addressOf(s.live[i].p) != addressOf(p) || left {
			s.fatal("visit %d: %x at %p is live object %d; left: %t", n, h.Bits(), p, i, left)
		}
		if at := int64(uint32(h.Bits())); at <= last {
			s.fatal("visit %d: slot %x after %x", n, at, last)
		} else {
			last = at
		}
		delete(missed, h)
		if n++; n > 10_000 {
			s.fatal("the loop does not end")
		}
		switch op := tape.next(); op % 16 {
		case 0, 1, 2, 3, 4:
		case 5, 6:
			s.remove(i)
		case 7:
			s.free(tape.below(len(s.live)))
		case 8:
			s.free(i)
			s.insert()
		case 9:
			s.insert()
		case 10:
			for range min(tape.below(100), len(s.live)) {
				s.remove(tape.below(len(s.live)))
			}
		case 11:
			s.g.al.Trim()
		case 12:
			s.g.toggle()
		case 13:
			if depth < 2 {
				s.walk(other, depth+1)
			}
		case 14:
			s.rare(tape.next(), other)
		default:
			left = op > 200
		}
		if left {
			break
		}
	}
	if !left {
		for h := range missed {
			if s.index(h) >= 0 {
				s.fatal("%x was missed", h.Bits())
			}
		}
	}
}

// runs is walk for Chunks.
func (s *sideOf[T]) runs(other side) {
	tape := &s.g.tape
	missed := map[arena.Handle[T]]bool{}
	for _, o := range s.live {
		missed[o.h] = true
	}
	n := 0
	for run := range s.a.Chunks() {
		if n += len(run); n > 10_000 {
			s.fatal("the loop does not end")
		}
		if unsafe.Sizeof(run[0]) == 0 {
			continue // its elements all have one address
		}
		for i := range run {
			k := s.indexOf(&run[i])
			if k < 0 {
				s.fatal("element %d of a run of %d is not live", i, len(run))
			}
			delete(missed, s.live[k].h)
		}
		switch tape.next() % 8 {
		case 0, 1, 2:
		case 3:
			for i := range run {
				s.remove(s.indexOf(&run[i]))
			}
		case 4:
			for range min(tape.below(50), len(s.live)) {
				s.free(tape.below(len(s.live)))
			}
		case 5:
			s.insert()
		case 6:
			s.g.al.Trim()
		default:
			s.rare(tape.next(), other)
		}
	}
	if n == 0 && len(s.live) > 0 {
		s.fatal("no runs, but %d objects", len(s.live))
	}
	for h := range missed {
		var t T
		if s.index(h) >= 0 && unsafe.Sizeof(t) > 0 {
			s.fatal("%x was missed", h.Bits())
		}
	}
}

// rare does what ends everything, so that there is something to end most times.
func (s *sideOf[T]) rare(k byte, other side) {
	switch {
	case k < 100:
		s.a.Reset()
		s.loseAll(true)
	case k < 140:
		s.g.al.Reset()
		s.drop()
		other.drop()
		s.g.raw = nil
	case k < 180:
		if err := s.a.Close(); err != nil {
			s.fatal("%v", err)
		}
		s.loseAll(false)
		// Handles of the arena before are not worth checking one by one: they
		// stand a chance of one in 2^30 each.
		s.spent, s.dead, s.retired = nil, nil, 0
		s.open()
	default:
		s.g.al.Trim()
	}
}

func (s *sideOf[T]) do(op byte, other side) {
	tape := &s.g.tape
	if n := len(s.live); n > 0 {
		switch op % 32 {
		case 0, 1:
			s.remove(tape.below(n))
			return
		case 2, 3:
			s.free(tape.below(n))
			return
		case 4:
			for range min(tape.below(200), n) {
				s.free(tape.below(len(s.live)))
			}
			return
		case 5: // bits near those of a live object
			h := s.live[tape.below(n)].h
			s.try(arena.HandleFromBits[T](h.Bits() ^ 1<<tape.below(64)))
			s.try(arena.HandleFromBits[T](h.Bits() + tape.uint64()))
			return
		case 6:
			i := tape.below(n)
			p := s.live[i].p
			s.free(i)
			s.bad(p, slab.DoubleFree, slab.Foreign)
			return
		case 7: // inside
			var t T
			if size := unsafe.Sizeof(t); size > 1 {
				p := s.live[tape.below(n)].p
				s.bad((*T)(unsafe.Add(unsafe.Pointer(p), 1+tape.below(int(size)-1))), slab.Interior)
			}
			return
		case 8: // the end of a slot's lives
			i := tape.below(n)
			if gen := arena.LastGeneration - 2*uint32(tape.below(3)); gen > generationOf(s.live[i].h) {
				s.spent = append(s.spent, s.live[i].h)
				s.dead = append(s.dead, s.live[i].p)
				s.live[i].h = arena.SetGeneration(s.a, s.live[i].h, gen)
			}
			return
		}
	}
	switch op % 32 {
	case 9:
		if n := len(s.dead); n > 0 {
			if p := s.dead[tape.below(n)]; s.indexOf(p) < 0 {
				s.bad(p, slab.DoubleFree, slab.Foreign, slab.Interior)
			}
		}
	case 10:
		if n := len(s.spent); n > 0 {
			s.try(s.spent[tape.below(n)])
		}
		s.try(arena.HandleFromBits[T](tape.uint64()))
	case 11:
		if p, ok := other.pointer(tape.below(256)); ok {
			s.bad((*T)(p), slab.Foreign)
		}
		s.bad(new(T), slab.Foreign)
	case 12, 13:
		s.walk(other, 0)
	case 14:
		s.runs(other)
	case 15, 16:
		s.insertN(tape.below(200))
	case 17:
		s.reserve(tape.below(300), tape.below(300))
	case 18:
		s.rare(tape.next(), other)
	case 19:
		s.g.toggle()
	case 20:
		s.g.arm()
	case 21:
		s.g.disarm()
	case 22, 23, 24:
		s.alloc()
	default:
		s.insert()
	}
}

func (s *sideOf[T]) check() {
	stats := s.a.Stats()
	if s.a.Len() != len(s.live) || stats.Live != len(s.live) || stats.Retired != s.retired || stats.Free < 0 {
		s.fatal("%d live, %d retired, but %+v", len(s.live), s.retired, stats)
	}
	for _, o := range s.live {
		p, ok := s.a.Get(o.h)
		if !ok || p != o.p || s.a.Handle(p) != o.h || !s.a.Owns(p) {
			s.fatal("%x is not at %p any more", o.h.Bits(), o.p)
		}
		if !allBytes(bytesOf(p), o.v) {
			s.fatal("%x was overwritten", o.h.Bits())
		}
	}
	for _, h := range s.spent {
		if _, ok := s.a.Get(h); ok {
			s.fatal("%x was freed and is back", h.Bits())
		}
	}
	n := 0
	for range s.a.All() {
		n++
	}
	for run := range s.a.Chunks() {
		n += len(run)
	}
	if n != 2*len(s.live) {
		s.fatal("%d visits of %d objects", n, len(s.live))
	}
}

func (s *sideOf[T]) finish() {
	for len(s.live) > 0 {
		if n := len(s.live) - 1; n%2 == 0 {
			s.free(n)
		} else {
			s.remove(n)
		}
	}
	s.check()
}

var newSides = []func(g *ground) side{
	newSide[[24]byte], newSide[[600]byte], newSide[uint16], newSide[hollow],
	newSide[[3000]byte], newSide[byte],
}

// FuzzArena plays a tape on two arenas of one allocator and compares them with
// what must be so.
func FuzzArena(f *testing.F) {
	addTapes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newGround(t, b)
		a := newSides[g.tape.below(len(newSides))](g)
		b2 := newSides[g.tape.below(len(newSides))](g)
		for n := 0; !g.tape.over(); n++ {
			op := g.tape.next()
			if op < 128 {
				a.do(op, b2)
			} else {
				b2.do(op, a)
			}
			if n%16 == 0 {
				a.check()
				b2.check()
				g.check()
			}
		}
		g.disarm()
		a.finish()
		b2.finish()
		g.end()
	})
}

// FuzzRegion plays a tape on a region, with marks good and bad.
func FuzzRegion(f *testing.F) {
	addTapes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newGround(t, b)
		r, err := arena.NewRegion(g.al)
		if err != nil {
			t.Fatal(err)
		}
		other, err := arena.NewRegion(g.al)
		if err != nil {
			t.Fatal(err)
		}
		s := &scribe{t: t, r: r}
		type mark struct {
			m    arena.Mark
			n    int  // values that there were
			size int  // bytes of them
			low  int  // of those values, how many there have been all along
			past bool // no rewind went behind it
			gone bool // one did, by more than values of no size
		}
		var marks []mark
		// back notes that all but n values are gone.
		back := func(n int) {
			s.made = s.made[:n]
			size := s.size()
			for i := range marks {
				m := &marks[i]
				m.past = m.past && m.n <= n
				m.gone = m.gone || m.size > size
				m.low = min(m.low, n)
			}
		}
		for n := 0; !g.tape.over(); n++ {
			switch op := g.tape.next(); op % 32 {
			case 0, 1, 2:
				marks = append(marks, mark{s.r.Mark(), len(s.made), s.size(), len(s.made), true, false})
			case 3, 4, 5:
				if len(marks) == 0 {
					break
				}
				m := marks[g.tape.below(len(marks))]
				if m.past {
					s.r.Rewind(m.m)
					back(m.n)
					break
				}
				now := s.r.Mark()
				switch kind := g.refuses(func() { s.r.Rewind(m.m) }); kind {
				case slab.BadMark:
					if s.r.Mark() != now {
						t.Fatal("a bad mark moved the region")
					}
				case 0:
					if m.gone {
						t.Fatal("a mark of a time that was rewound was accepted")
					}
					back(m.low)
				default:
					t.Fatal(kind)
				}
			case 6:
				if g.refuses(func() { s.r.Rewind(other.Mark()) }) != slab.BadMark {
					t.Fatal("the mark of another region was accepted")
				}
			case 7:
				if op >= 128 {
					s.r.Reset()
					back(0)
				}
			case 8:
				if op >= 192 {
					g.al.Reset()
					g.raw, s.made, marks = nil, nil, nil
				}
			case 9:
				if op >= 192 {
					if err := s.r.Close(); err != nil {
						t.Fatal(err)
					}
					if s.r, err = arena.NewRegion(g.al); err != nil {
						t.Fatal(err)
					}
					s.made, marks = nil, nil
				}
			case 10:
				g.al.Trim()
			case 11:
				g.toggle()
			case 12:
				g.arm()
			case 13:
				g.disarm()
			case 14:
				_, err := arena.MakeSlice[uint16](other, g.tape.below(5000))
				g.refused(err)
			default:
				n := g.tape.below(40) - 20
				if g.tape.next() > 240 {
					n = g.tape.below(30_000)
				}
				kind := g.tape.below(len(kinds))
				if kind >= 8 { // the large ones
					n = min(n, 60)
				}
				held := s.r.Held()
				if g.refused(kinds[kind](s, n)) && s.r.Held() != held {
					t.Fatalf("%d bytes are held, and %d after an error", held, s.r.Held())
				}
			}
			if n%16 == 0 {
				s.verify()
				g.check()
			}
		}
		g.disarm()
		s.verify()
		if s.r.Close() != nil || other.Close() != nil {
			t.Fatal("not closed")
		}
		g.end()
	})
}
