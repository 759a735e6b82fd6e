package slab_test

import (
	"errors"
	"math"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// What must hold between operations of the model.

// held returns how many bytes the sources have given.
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

// modelState is the state that an operation finds.
type modelState struct {
	slab.Stats
	room int // a request for less than that must succeed
}

func (m *model) state() modelState {
	// Room counts only with a wide margin, in one piece, and with no fault ahead.
	s := modelState{Stats: m.a.Stats()}
	margin := 256<<10 + m.cfg.MaxBlockSize
	if !m.src.pieces && !m.meta.pieces && !m.faultAhead() && m.meta.budget-m.meta.held() > margin {
		s.room = m.src.budget - m.src.held() - margin
	}
	return s
}

// check compares the model with what the allocator says of itself.
func (m *model) check() {
	if err := m.a.Check(); err != nil {
		m.fatalf("%v", err)
	}
	m.totals()
}

func (m *model) totals() {
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

// sameState fails if a refused request has changed anything that is live or counted, except
// for the failures. Memory that was kept for the next need may have gone back. A block that
// was acquired on the way may be kept, empty, as any block may, and so may records.
func (m *model) sameState(before slab.Stats, what string) {
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

func (m *model) verify(o *modelObject) {
	if !o.intact(o.b[:cap(o.b)]) {
		m.fatalf("an object of %d bytes at %#x is damaged", cap(o.b), o.addr())
	}
}

func (m *model) verifyAll() {
	for _, o := range m.byAddr {
		m.verify(o)
	}
}

// refused checks the error of a request for n bytes in all. The request must not fail if
// there was room for it.
func (m *model) refused(err error, before modelState, n uint64, what string) {
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
