// Test and the state its checks share: what is out, what it should hold, what
// went wrong.

package blocksrctest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// Test checks that src keeps the contract of [blocksrc.Source], and of the optional
// interfaces that it implements. It returns an error that lists the breaches it found, at
// most five from each check, or nil. If src fails to give even a first block as it
// should, Test asks it for no more. It needs no testing.T, so a program can call it too.
//
// Test takes a second or so and holds some 20 MiB; both grow in proportion to a
// granularity beyond 1 MiB. It writes to the blocks it gets, and gives all of them back.
// Nobody else may use src meanwhile. A source that lacks room for something is not at
// fault if it says so with [blocksrc.ErrExhausted], unless it cannot give a single byte.
// A source that forgets to take blocks back is found out only if it is finite, with room
// for at most 256 KiB. Run Test under the race detector on sources made of Go memory.
func Test(src blocksrc.Source) error {
	s := &suite{src: src, unit: blocksrc.Granularity(src), zeroed: blocksrc.Zeroed(src)}
	if !s.run("first block", (*suite).firstBlock) {
		return s.verdict()
	}
	room := 0
	s.run("room", func(s *suite) { room = s.room() })
	for _, c := range checks {
		s.run(c.name, c.check)
	}
	s.run("giving back", func(s *suite) {
		if again := s.room(); again < room {
			s.errorf("%d bytes fit at first and %d at the end: some room is lost", room, again)
		}
	})
	return s.verdict()
}

type suite struct {
	src    blocksrc.Source
	unit   int
	zeroed bool

	mu     sync.Mutex
	name   string // of the check that runs
	faults int    // found by that check
	errs   []error
	out    []*block
	held   int
	turn   int // blocks so far; makes their contents differ
}

const (
	maxFaults = 5        // reported from one check
	maxHeld   = 16 << 20 // beyond it fits allows only two blocks
)

// run runs one check, turning a panic of the source into a fault, then releases what the
// check has left. It tells whether there was no fault.
func (s *suite) run(name string, check func(*suite)) bool {
	s.name, s.faults = name, 0
	s.guard(func() { check(s) })
	for _, b := range append([]*block(nil), s.out...) {
		s.guard(func() { s.release(b) })
	}
	s.out, s.held = nil, 0
	return s.faults == 0
}

func (s *suite) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.errorf("panic: %v", v)
		}
	}()
	f()
}

func (s *suite) errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults++; s.faults <= maxFaults {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", s.name, fmt.Errorf(format, args...)))
	}
}

func (s *suite) verdict() error {
	if len(s.errs) == 0 {
		return nil
	}
	return fmt.Errorf("blocksrctest: %T breaks the contract:\n%w", s.src, errors.Join(s.errs...))
}

// A block is one that is out, with the contents that Test has given it.
type block struct {
	mem  []byte
	lo   uintptr
	seed byte
	bad  bool // overlaps another or is empty: not to be touched
}

// acquire acquires a block, checks what has to be true of every block, and fills it. It
// returns nil if there was no room or nothing usable.
func (s *suite) acquire(size, align int) *block {
	b, _ := s.acquireOr(size, align)
	return b
}

// acquireOr is acquire that also returns the error of the source.
func (s *suite) acquireOr(size, align int) (*block, error) {
	mem, err := s.src.Acquire(size, align)
	if err != nil {
		if !errors.Is(err, blocksrc.ErrExhausted) {
			s.errorf("Acquire(%d, %d): the error does not wrap ErrExhausted: %w", size, align, err)
		} else if mem != nil {
			s.errorf("Acquire(%d, %d) returned both a block and an error", size, align)
		}
		return nil, err
	}
	b := s.enter(mem, size, align)
	if b.bad {
		return nil, nil
	}
	if at := firstNonZero(mem); s.zeroed && at >= 0 {
		s.errorf("Acquire(%d, %d): byte %d is %#x in a block that should be zeroed", size, align, at, mem[at])
	}
	b.fill()
	return b, nil
}

// enter checks a new block's shape against the request, and its place against all others.
func (s *suite) enter(mem []byte, size, align int) *block {
	b := &block{mem: mem, lo: address(mem), bad: len(mem) == 0}
	if len(mem) < size {
		s.errorf("Acquire(%d, %d) returned only %d bytes", size, align, len(mem))
	}
	if cap(mem) != len(mem) {
		s.errorf("Acquire(%d, %d): cap %d differs from len %d", size, align, cap(mem), len(mem))
	}
	if a := uintptr(max(align, s.unit)); b.lo%a != 0 {
		s.errorf("Acquire(%d, %d): address %#x is no multiple of %d", size, align, b.lo, a)
	}
	if len(mem)%s.unit != 0 {
		s.errorf("Acquire(%d, %d): %d bytes are no multiple of the granularity %d", size, align, len(mem), s.unit)
	}
	s.mu.Lock()
	var hit *block
	for _, other := range s.out {
		if b.lo < other.lo+uintptr(len(other.mem)) && other.lo < b.lo+uintptr(len(mem)) {
			b.bad, hit = true, other
		}
	}
	s.turn++
	b.seed = byte(s.turn * 37)
	s.out = append(s.out, b)
	s.held += len(mem)
	s.mu.Unlock()
	if hit != nil {
		s.errorf("Acquire(%d, %d): %d bytes at %#x overlap %d at %#x", size, align, len(mem), b.lo, len(hit.mem), hit.lo)
	}
	return b
}

// release checks that a block holds what it should, and gives it back. Its record goes
// first: once src has the block, others may get its place.
func (s *suite) release(b *block) {
	s.verify(b)
	s.mu.Lock()
	for i, other := range s.out {
		if other == b {
			s.out = append(s.out[:i], s.out[i+1:]...)
			s.held -= len(b.mem)
			break
		}
	}
	s.mu.Unlock()
	if err := s.src.Release(b.mem); err != nil {
		s.errorf("Release of %d bytes at %#x: %w", len(b.mem), b.lo, err)
	}
}

func (s *suite) verify(b *block) {
	if at := b.spoilt(0, len(b.mem)); at >= 0 {
		s.errorf("byte %d of %d at %#x has changed by itself", at, len(b.mem), b.lo)
	}
}

func (s *suite) verifyAll() {
	for _, b := range s.out {
		s.verify(b)
	}
}

// fits tells whether a check should still ask for size more bytes.
func (s *suite) fits(size int) bool { return len(s.out) < 2 || size <= maxHeld-s.held }

// room counts the bytes that fit into src: 64 blocks of 4096 or, if src is full before
// that, ever smaller ones until nothing fits.
func (s *suite) room() (sum int) {
	for _, size := range []int{4096, 512, 64, 1} {
		for n := 0; s.fits(size); n++ {
			if n == 64 {
				return sum
			}
			mem, err := s.src.Acquire(size, 0)
			if err != nil {
				if n > 0 && blocksrc.Never(err) {
					s.errorf("Acquire(%d, 0): the error says that there never will be room, as there was before: %w", size, err)
				}
				break
			}
			s.enter(mem, size, 0).bad = true // not filled, so not to be verified
			sum += len(mem)
		}
	}
	return sum
}

// fill and spoilt write and check a pattern: every byte of a small block; of a large one
// every 127th, so that no page is left out, and every byte near its ends, where a source
// might write.
func (b *block) fill() {
	b.each(0, len(b.mem), func(i int) bool { b.mem[i] = b.want(i); return true })
}

func (b *block) spoilt(from, to int) (at int) {
	at = -1
	b.each(from, to, func(i int) bool {
		if b.mem[i] != b.want(i) {
			at = i
		}
		return at < 0
	})
	return at
}

func (b *block) want(i int) byte { return b.seed + byte(i) ^ byte(i>>8) | 1 }

func (b *block) each(from, to int, f func(int) bool) {
	if b.bad || from >= to {
		return
	}
	n := len(b.mem)
	for i := from; i < to && f(i); {
		if i++; n > 4<<10 && i > near && i < n-near {
			i = min((i+126)/127*127, n-near)
		}
	}
}

// near is how close to an end, or to what is discarded, every byte is checked.
const near = 64

var zeros [4096]byte

func firstNonZero(mem []byte) int {
	for i := 0; i < len(mem); i += len(zeros) {
		row := mem[i:min(i+len(zeros), len(mem))]
		if bytes.Equal(row, zeros[:len(row)]) {
			continue
		}
		for k, c := range row {
			if c != 0 {
				return i + k
			}
		}
	}
	return -1
}

// address is where mem begins, as a number to compare.
func address(mem []byte) uintptr { return reflect.ValueOf(mem).Pointer() }
