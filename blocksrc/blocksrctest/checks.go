// What Test checks: one function for each clause of the contract.

package blocksrctest

import (
	"bytes"
	"errors"
	"math"
	"math/bits"

	"github.com/vita-go/deblockator/blocksrc"
)

var checks = []struct {
	name  string
	check func(*suite)
}{
	{"sizes", (*suite).sizes},
	{"alignments", (*suite).alignments},
	{"optional interfaces", (*suite).optional},
	{"bad requests", (*suite).badRequests},
	{"enormous requests", (*suite).enormousRequests},
	{"bad releases", (*suite).badReleases},
	{"second releases", (*suite).secondReleases},
	{"reuse", (*suite).reuse},
	{"discarding", (*suite).discarding},
	{"populating", (*suite).populating},
	{"goroutines", (*suite).goroutines},
	{"releases at once", (*suite).releasesAtOnce},
}

// firstBlock: a source that can be tested has room for one byte.
func (s *suite) firstBlock() {
	mem, err := s.src.Acquire(1, 0)
	if err != nil {
		s.errorf("Acquire(1, 0): %w", err)
		return
	}
	s.enter(mem, 1, 0).fill()
}

// sizes: blocks of all sizes, out together, do not overlap, and keep their contents while
// others come and go.
func (s *suite) sizes() {
	u := s.unit
	var kept []*block
	for i, size := range []int{1, u, 2, 3*u + 1, 7, u + 1, 64, u - 1, 100, 4096, 4097, 10_007, 1 << 16, 100_003, 1 << 20, 1<<20 + 1} {
		if size <= 0 || !s.fits(size) {
			continue
		}
		b := s.acquire(size, 0)
		if b == nil {
			continue
		}
		if i%2 == 0 {
			kept = append(kept, b)
			continue
		}
		s.release(b)
		if b = s.acquire(size, 1); b != nil {
			kept = append(kept, b)
		}
	}
	for i := 0; i < len(kept); i += 2 {
		s.release(kept[i])
		s.verifyAll()
	}
	for i := 0; i < len(kept); i += 2 {
		s.acquire(i*1000+1, 0)
	}
	s.verifyAll()
}

// alignments: every power of two that there is room for, and those up to 1 MiB also of a block
// that many sources take from elsewhere.
func (s *suite) alignments() {
	for align := 1; align <= 4<<20; align <<= 1 {
		for _, size := range []int{1, s.unit + 1} {
			if s.fits(align + size) {
				s.acquire(size, align)
			}
		}
		if align <= 1<<20 {
			if b := s.acquire(100_003, align); b != nil {
				s.release(b)
			}
		}
	}
	s.verifyAll()
}

// optional: what the source says of itself makes sense and does not change. Whether it is
// true is checked with every block.
func (s *suite) optional() {
	if g, ok := s.src.(blocksrc.Granular); ok {
		n := g.Granularity()
		if n < 1 || bits.OnesCount(uint(n)) != 1 {
			s.errorf("a granularity of %d, which is no power of two", n)
		}
		if n != s.unit && n > 0 {
			s.errorf("a granularity of %d, then of %d", s.unit, n)
		}
		if again := g.Granularity(); again != n {
			s.errorf("a granularity of %d, then of %d", n, again)
		}
	}
	if again := blocksrc.Zeroed(s.src); again != s.zeroed {
		s.errorf("Zeroed is %v, then %v", s.zeroed, again)
	}
}

// badRequests: an error that wraps ErrInvalid, and no block.
func (s *suite) badRequests() {
	sizes := []int{0, -1, -4096, math.MinInt}
	aligns := []int{-1, -8, 3, 24, 4097, math.MaxInt, math.MinInt}
	for _, size := range sizes {
		s.refuse(size, 0)
		s.refuse(size, 64)
	}
	for _, align := range aligns {
		s.refuse(1, align)
		s.refuse(s.unit, align)
	}
	s.refuse(0, 3)
}

func (s *suite) refuse(size, align int) {
	mem, err := s.src.Acquire(size, align)
	switch {
	case err == nil:
		s.errorf("Acquire(%d, %d) returned %d bytes and no error", size, align, len(mem))
		_ = s.src.Release(mem)
	case !errors.Is(err, blocksrc.ErrInvalid):
		s.errorf("Acquire(%d, %d): the error does not wrap ErrInvalid: %w", size, align, err)
	case mem != nil:
		s.errorf("Acquire(%d, %d) returned both a block and an error", size, align)
	}
}

// enormousRequests: sizes at which careless arithmetic wraps are an error; such
// alignments are an error or are kept. The requests come several times, so that a finite
// source that loses memory at each has less room afterwards.
func (s *suite) enormousRequests() {
	const top = 1 << (bits.UintSize - 2)
	for range 4 {
		for _, size := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt - 15, math.MaxInt - 4095, math.MaxInt - s.unit + 1, math.MaxInt - s.unit} {
			for _, align := range []int{0, 1, 16, 1 << 16, top} {
				b, err := s.acquireOr(size, align)
				if b != nil {
					s.errorf("Acquire(%d, %d) returned a block", size, align)
				} else if bits.UintSize == 64 && errors.Is(err, blocksrc.ErrExhausted) && !blocksrc.Never(err) {
					// With 32 bits, a system may have as much some day.
					s.errorf("Acquire(%d, %d): the error does not say that there never will be room: %w", size, align, err)
				}
			}
		}
		for _, size := range []int{1, s.unit + 1} {
			if b := s.acquire(size, top); b != nil {
				s.release(b)
			}
		}
	}
}

// badReleases: to release what is not a held block is an error and changes nothing.
func (s *suite) badReleases() {
	b := s.acquire(2*s.unit+2, 0)
	s.acquire(1, 0) // which is checked at the end, as b is
	if b == nil {
		return
	}
	mem, n := b.mem, len(b.mem)
	s.repel("nil", nil)
	s.repel("an empty slice", []byte{})
	s.repel("a foreign slice", make([]byte, n))
	s.repel("a foreign slice of one byte", make([]byte, 1))
	s.repel("the start of a block", mem[:n/2])
	s.repel("a block's first granule", mem[:s.unit])
	s.repel("a block's last granule", mem[n-s.unit:])
	s.repel("a block less its last byte", mem[:n-1])
	s.repel("a block less its last byte and its capacity", mem[:n-1:n-1])
	s.repel("a block less its first byte", mem[1:])
	s.repel("the end of a block", mem[n/2:])
	s.repel("nothing of a block", mem[:0])
	s.repel("nothing of a block's end", mem[n:])
}

func (s *suite) repel(what string, mem []byte) {
	if err := s.src.Release(mem); err == nil {
		s.errorf("Release of %s returned no error", what)
	} else if !errors.Is(err, blocksrc.ErrNotHeld) {
		s.errorf("Release of %s: the error does not wrap ErrNotHeld: %w", what, err)
	}
}

// secondReleases: a block can be released once; a second release does not make it two.
func (s *suite) secondReleases() {
	size := 2 * s.unit
	first, second, third := s.acquire(size, 0), s.acquire(size, 0), s.acquire(size, 0)
	for _, b := range []*block{second, first} {
		if b == nil {
			continue
		}
		s.release(b)
		s.repel("a block already released", b.mem)
	}
	for range 8 {
		s.acquire(size, 0) // must not overlap
	}
	if third != nil {
		s.verify(third)
	}
}

// reuse: memory that others have written is as good as new, and is zero again if that was
// promised. The latter is checked with every block.
func (s *suite) reuse() {
	for i := range 12 {
		b := s.acquire(1+i%4*s.unit+i%3*20_000, 0)
		if b == nil {
			continue
		}
		for rest := b.mem; len(rest) > 0; {
			rest = rest[copy(rest, dirt):]
		}
		b.fill()
		s.release(b)
	}
}

var dirt = bytes.Repeat([]byte{0xA5}, 1024)

// discarding: Discard touches nothing outside part, leaves of part what was there or zeros, and
// part stays usable.
func (s *suite) discarding() {
	d, ok := s.src.(blocksrc.Discarder)
	if !ok {
		return
	}
	b := s.acquire(max(4*s.unit, 40_000), 0)
	if b == nil {
		return
	}
	n := len(b.mem)
	from, to := n/4+3, n-n/4-5
	discard := func(part []byte) bool {
		err := d.Discard(part)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			s.errorf("Discard of %d bytes of a block: %w", len(part), err)
		}
		return err == nil
	}
	beside := func(do func(i int)) {
		for i := range near {
			do(from - 1 - i)
			do(to + i)
		}
	}
	beside(func(i int) { b.mem[i] = b.want(i) })
	went := discard(b.mem[from:to])
	beside(func(i int) {
		if b.mem[i] != b.want(i) {
			s.errorf("Discard of bytes %d to %d of a block changed byte %d", from, to, i)
		}
	})
	if !went {
		s.verify(b)
	} else if a, z := b.spoilt(0, from), b.spoilt(to, n); a >= 0 || z >= 0 {
		s.errorf("Discard of bytes %d to %d of a block changed byte %d", from, to, max(a, z))
	} else {
		s.verifyDiscarded(b, from, to)
	}
	b.fill()
	s.verify(b)
	if discard(b.mem) {
		s.verifyDiscarded(b, 0, n)
	}
	b.fill()
	discard(b.mem[5:5])
	discard(b.mem[:1])
	discard(b.mem[n-1:])
	if at := b.spoilt(1, n-1); at >= 0 {
		s.errorf("Discard of a block's ends changed byte %d", at)
	}
	b.fill()
	discard(nil)
	s.ownOnly("Discard", d.Discard, b)
}

func (s *suite) verifyDiscarded(b *block, from, to int) {
	b.each(from, to, func(i int) bool {
		ok := b.mem[i] == 0 || b.mem[i] == b.want(i)
		if !ok {
			s.errorf("Discard of bytes %d to %d of a block: byte %d is neither what it was nor zero", from, to, i)
		}
		return ok
	})
}

// ownOnly releases b, and checks the errors of a call for memory that is not held.
func (s *suite) ownOnly(name string, call func(part []byte) error, b *block) {
	spare := func(what string, part []byte) {
		if err := call(part); err == nil {
			s.errorf("%s of %s returned no error", name, what)
		} else if !errors.Is(err, blocksrc.ErrNotHeld) && !errors.Is(err, errors.ErrUnsupported) {
			s.errorf("%s of %s: the error does not wrap ErrNotHeld: %w", name, what, err)
		}
	}
	n := len(b.mem)
	foreign := make([]byte, 4*n)
	spare("a foreign slice", foreign[n:2*n])
	s.release(b)
	spare("a released block", b.mem)
}

// populating: Populate changes nothing, whatever it returns.
func (s *suite) populating() {
	p, ok := s.src.(blocksrc.Populator)
	if !ok {
		return
	}
	b := s.acquire(max(4*s.unit, 40_000), 0)
	if b == nil {
		return
	}
	n := len(b.mem)
	for _, part := range [][]byte{b.mem[n/4+3 : n-n/4-5], b.mem, b.mem[:1], b.mem[n-1:]} {
		_ = p.Populate(part)
	}
	for _, part := range [][]byte{nil, b.mem[5:5]} {
		if err := p.Populate(part); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			s.errorf("Populate of 0 bytes: %w", err)
		}
	}
	s.verify(b)
	s.ownOnly("Populate", p.Populate, b)
}
