package arena_test

import (
	"slices"
	"unsafe"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// An arena whose objects never get a handle. It maintains no generations, so much of it works
// differently from what sideOf sees.

type plainOf[T any] struct {
	g    *ground
	a    *arena.Arena[T]
	live []plainObject[T]
	dead []*T
	next byte
}

type plainObject[T any] struct {
	p *T
	v byte
}

func newPlain[T any](g *ground) side {
	s := &plainOf[T]{g: g}
	s.open()
	return s
}

func (s *plainOf[T]) open() { s.a = arenaOn[T](s.g) }

func (s *plainOf[T]) make() {
	if len(s.live) > 600 {
		return
	}
	f, zeroed := s.a.Alloc, s.next%3 != 0
	if !zeroed {
		f = s.a.AllocUninitialized
	}
	p := made(s.g, zeroed, f)
	if p == nil {
		return
	}
	s.next++
	fill(bytesOf(p), s.next)
	s.live = append(s.live, plainObject[T]{p, s.next})
}

func (s *plainOf[T]) free(i int) {
	o := s.live[i]
	fill(bytesOf(o.p), 0xFF)
	s.a.Free(o.p)
	s.dead = append(s.dead, o.p)
	if n := len(s.dead); n > 500 {
		s.dead = slices.Delete(s.dead, 0, n/2)
	}
	s.live = slices.Delete(s.live, i, i+1)
}

func (s *plainOf[T]) indexOf(p *T) int {
	return slices.IndexFunc(s.live, func(o plainObject[T]) bool { return addressOf(o.p) == addressOf(p) })
}

func (s *plainOf[T]) pointer(k int) (unsafe.Pointer, bool) {
	if len(s.live) == 0 {
		return nil, false
	}
	return unsafe.Pointer(s.live[k%len(s.live)].p), true
}

func (s *plainOf[T]) bad(p *T, kinds ...slab.Misuse) {
	if kind := s.g.refuses(func() { s.a.Free(p) }); !slices.Contains(kinds, kind) {
		s.g.t.Fatalf("%p is refused with %v, not %v", p, kind, kinds)
	}
	if s.a.Owns(p) {
		s.g.t.Fatalf("%p is refused and owned", p)
	}
}

func (s *plainOf[T]) do(op byte, other side) {
	tape := &s.g.tape
	switch n := len(s.live); op % 16 {
	case 0, 1, 2, 3:
		if n > 0 {
			s.free(tape.below(n))
		}
	case 4:
		for range min(tape.below(200), n) {
			s.free(tape.below(len(s.live)))
		}
	case 5:
		if n > 0 {
			p := s.live[tape.below(n)].p
			s.free(s.indexOf(p))
			s.bad(p, slab.DoubleFree, slab.Foreign)
		}
	case 6:
		if n := len(s.dead); n > 0 {
			if p := s.dead[tape.below(n)]; s.indexOf(p) < 0 {
				s.bad(p, slab.DoubleFree, slab.Foreign, slab.Interior)
			}
		}
		if p, ok := other.pointer(tape.below(256)); ok {
			s.bad((*T)(p), slab.Foreign)
		}
	case 7:
		s.walk()
	case 8:
		for range tape.below(200) {
			s.make()
		}
	case 9:
		s.rare(tape.next(), other)
	case 10:
		s.g.arm()
	case 11:
		s.g.disarm()
	default:
		s.make()
	}
}

// rare does what ends everything; it is rare so that most times there is something to end.
func (s *plainOf[T]) rare(k byte, other side) {
	switch {
	case k < 100:
		s.a.Reset()
		s.live = nil
	case k < 120:
		s.g.al.Reset()
		s.drop()
		other.drop()
		s.g.raw = nil
	case k < 160:
		if err := s.a.Close(); err != nil {
			s.g.t.Fatal(err)
		}
		s.live, s.dead = nil, nil
		s.open()
	case k < 200:
		s.g.toggle()
	default:
		s.a.Trim()
	}
}

// walk loops over Values while the tape says what becomes of the objects.
func (s *plainOf[T]) walk() {
	tape := &s.g.tape
	seen := map[uintptr]bool{}
	missed := map[uintptr]bool{}
	for _, o := range s.live {
		missed[addressOf(o.p)] = true
	}
	visits := 0
	for p := range s.a.Values() {
		i := s.indexOf(p)
		if i < 0 {
			s.g.t.Fatalf("visit %d: %p is not live", visits, p)
		}
		if seen[addressOf(p)] {
			s.g.t.Fatalf("visit %d: %p was visited before", visits, p)
		}
		seen[addressOf(p)] = true
		delete(missed, addressOf(p))
		if visits++; visits > 10_000 {
			s.g.t.Fatal("the loop does not end")
		}
		switch tape.next() % 8 {
		case 0, 1:
			s.free(i)
		case 2:
			k := tape.below(len(s.live))
			delete(missed, addressOf(s.live[k].p))
			s.free(k)
		case 3:
			s.make() // perhaps ahead of the loop, perhaps not
		}
	}
	for at := range missed {
		if slices.ContainsFunc(s.live, func(o plainObject[T]) bool { return addressOf(o.p) == at }) {
			s.g.t.Fatalf("%x was missed", at)
		}
	}
}

func (s *plainOf[T]) check() {
	stats := s.a.Stats()
	if s.a.Len() != len(s.live) || stats.Live != len(s.live) || stats.Retired != 0 || stats.Free < 0 {
		s.g.t.Fatalf("%d live, but %+v", len(s.live), stats)
	}
	for _, o := range s.live {
		if !s.a.Owns(o.p) || !allBytes(bytesOf(o.p), o.v) {
			s.g.t.Fatalf("%p was overwritten, or is not live any more", o.p)
		}
	}
	n := 0
	for p := range s.a.Values() {
		if s.indexOf(p) < 0 {
			s.g.t.Fatalf("%p is visited, and not live", p)
		}
		n++
	}
	for run := range s.a.Chunks() {
		n += len(run)
	}
	if n != 2*len(s.live) {
		s.g.t.Fatalf("%d visits of %d objects", n, len(s.live))
	}
}

func (s *plainOf[T]) drop() { s.live = nil }

func (s *plainOf[T]) finish() {
	for len(s.live) > 0 {
		s.free(len(s.live) - 1)
	}
	s.check()
}
