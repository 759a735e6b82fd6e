package arena_test

import (
	"slices"
	"unsafe"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// An arena of some type together with a model of it, for tapes, which know nothing of types.

// A side is an arena of some type and what is known about it.
type side interface {
	do(op byte, other side)
	check()
	drop()   // notes an Allocator.Reset
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

func (s *sideOf[T]) open() { s.a = arenaOn[T](s.g) }

// arenaOn returns an arena on the allocator of a tape.
func arenaOn[T any](g *ground) *arena.Arena[T] {
	a, err := arena.New[T](g.al)
	if err != nil {
		g.t.Fatal(err)
	}
	return a
}

// made returns what alloc makes, which has to be zero if zeroed is set; nil if it was refused.
func made[T any](g *ground, zeroed bool, alloc func() (*T, error)) *T {
	g.t.Helper()
	p, err := alloc()
	if g.refused(err) {
		return nil
	}
	if zeroed && !allBytes(bytesOf(p), 0) {
		g.t.Fatalf("%p is not zero", p)
	}
	return p
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

// unchanged tells whether no object came or went since before. Empty slabs may go.
func (s *sideOf[T]) unchanged(before slab.PoolStats) bool {
	now := s.a.Stats()
	now.Free, now.Slabs, now.Bytes = before.Free, before.Slabs, before.Bytes
	return now == before
}

// rare does what ends everything; it is rare so that most times there is something to end.
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
		// Handles of the arena before are not checked: each names an object of the next
		// one with a chance of one in 2^30.
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
	for range s.a.Values() {
		n++
	}
	for run := range s.a.Chunks() {
		n += len(run)
	}
	if n != 3*len(s.live) {
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
	newSide[[3000]byte], newSide[byte], newPlain[[24]byte], newPlain[[600]byte], newPlain[uint16],
}
