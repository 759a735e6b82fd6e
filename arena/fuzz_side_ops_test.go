package arena_test

import (
	"slices"
	"unsafe"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// What a tape can do to a side.

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
	f, zeroed := s.a.Alloc, s.next%3 != 0
	if !zeroed {
		f = s.a.AllocUninitialized
	} else if s.next%2 != 0 {
		f = func() (*T, error) {
			p, h, err := s.a.AllocHandle()
			if err == nil && s.a.Handle(p) != h {
				s.fatal("%p has handle %x, not %x", p, s.a.Handle(p).Bits(), h.Bits())
			}
			return p, err
		}
	}
	p := made(s.g, zeroed, f)
	if p == nil {
		return
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

// reserve asserts that what was reserved is there, even if the source fails from then on.
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

// walk loops over All while the tape says what becomes of the objects.
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
