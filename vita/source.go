// Blocks of the kernel as a blocksrc.Source: what the kernel leaves to its
// callers is rounded, checked, named and remembered here.

package vita

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
)

// Source takes blocks of one type from a kernel. The zero value takes USER_RW
// blocks from the console; set the fields before use. It is goroutine-safe and
// must not be copied.
//
// A block is committed memory from the start, goes back as a whole, and costs two
// system calls and a kernel object: ask for 1 MiB and more, and hold tens of
// blocks, not thousands. For several pools in order of preference put
// [blocksrc.Fallback] over a Source each.
//
// Errors are [*Error], to be found with errors.As: where a block could not be used, nor be
// given back, two of them joined. The one that says that there is no console is none.
type Source struct {
	// Kernel is where blocks come from; nil means the console's, see Native.
	Kernel Kernel

	// Type is what memory they are; 0 means UserRW. A type that is read only is
	// refused.
	Type MemType

	// Name is what the names of blocks begin with: at most 22 bytes, and 9 are
	// added that make each unique in the program. "" means "deblockator".
	Name string

	mu      sync.Mutex
	out     map[uintptr]lease // by address of what the caller has
	orphans []UID             // not handed out, but not taken back by the kernel
	stats   SourceStats
}

// A lease is a block that the caller has.
type lease struct {
	uid   UID
	len   int // of what the caller has
	whole int // of the kernel's block
}

// SourceStats is what a Source holds and what it did. Sizes are in bytes.
type SourceStats struct {
	Blocks   int // that the caller has
	Held     int // what they take of the kernel's memory
	PeakHeld int
	Acquired int // blocks since the beginning
	Refused  int // requests that the kernel failed
	Orphans  int // blocks that nobody has and the kernel has not taken back yet
	Lost     int // blocks that the kernel did not know any more when they were to go back
}

const (
	defaultName = "deblockator"
	suffix      = 9 // bytes: a dash and a number
)

// number makes names of blocks unique, between several sources, too.
var number atomic.Uint32

// Acquire implements [blocksrc.Source]. It costs two system calls. What blocks
// hold is unspecified. If the kernel does not say where a block is, the block goes
// back; if that fails as well, the error is both.
//
// An alignment above the granule is asked of the kernel, except of PHYCONT, where
// consoles have refused that: there up to align bytes more are taken.
func (s *Source) Acquire(size, align int) ([]byte, error) {
	t := s.memType()
	fail := func(call Call, code Code, err error) ([]byte, error) {
		return nil, &Error{Call: call, Type: t, Size: size, Code: code, Err: err}
	}
	if err := blocksrc.CheckRequest(size, align); err != nil {
		return fail(CallAlloc, InvalidArgument, err)
	}
	if !t.Known() {
		return fail(CallAlloc, IllegalMemBlockType, blocksrc.ErrInvalid)
	}
	if !t.Writable() {
		return fail(CallAlloc, IllegalMemBlockType, errReadOnly)
	}
	name, ok := s.blockName()
	if !ok {
		return fail(CallAlloc, UIDNameTooLong, errName)
	}
	sh, code := shapeOf(t, size, align)
	if code < 0 {
		return fail(CallAlloc, code, errBeyond)
	}
	k, err := s.kernel()
	if err != nil {
		return nil, err
	}
	s.dropOrphans(k)
	uid, code := k.Alloc(name, t, uint32(sh.whole), uint32(sh.option))
	if code < 0 {
		s.refuse()
		if code.Exhausted() {
			return fail(CallAlloc, code, blocksrc.ErrExhausted)
		}
		return fail(CallAlloc, code, nil)
	}
	base, code := k.Base(uid)
	if code < 0 {
		_, err := fail(CallBase, code, nil)
		return nil, s.abandon(k, uid, sh.whole, err)
	}
	skip := int(-uintptr(base) & uintptr(sh.align-1))
	if base == nil || skip > sh.whole-sh.len {
		_, err := fail(CallBase, OK, errBase)
		return nil, s.abandon(k, uid, sh.whole, err)
	}
	block := unsafe.Slice((*byte)(base), sh.whole)[skip : skip+sh.len : skip+sh.len]
	s.lend(block, lease{uid, sh.len, sh.whole})
	return block, nil
}

// Release implements [blocksrc.Source]. It costs a system call: the block is
// freed by the UID that it was made with.
//
// If the kernel does not know that UID any more, somebody else has freed the
// block. It is forgotten then, and the error wraps [blocksrc.ErrNotHeld], for to
// free it again might hit whoever has got the number.
func (s *Source) Release(block []byte) error {
	fail := func(code Code, err error) error {
		return &Error{Call: CallFree, Type: s.memType(), Size: len(block), Code: code, Err: err}
	}
	k, err := s.kernel()
	if err != nil {
		return fmt.Errorf("%w: %w", err, blocksrc.ErrNotHeld)
	}
	s.dropOrphans(k)
	l, ok := s.take(block)
	if !ok {
		return fail(IllegalBlockID, blocksrc.ErrNotHeld)
	}
	// Taken first: once it is free, another goroutine may get its address.
	switch code := k.Free(l.uid); {
	case code >= 0:
		return nil
	case code.unknown():
		s.mu.Lock()
		s.stats.Lost++
		s.mu.Unlock()
		return fail(code, blocksrc.ErrNotHeld)
	default:
		s.giveBack(block, l)
		return fail(code, nil)
	}
}

// Granularity implements [blocksrc.Granular]: the type's granule.
func (s *Source) Granularity() int { return s.memType().Granule() }

// Stats returns the figures of this moment.
func (s *Source) Stats() SourceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Blocks, st.Orphans = len(s.out), len(s.orphans)
	return st
}

func (s *Source) memType() MemType {
	if s.Type == 0 {
		return UserRW
	}
	return s.Type
}

func (s *Source) kernel() (Kernel, error) {
	if s.Kernel != nil {
		return s.Kernel, nil
	}
	return Native()
}

// blockName returns a name that no other block has, false if it would be too long
// or, being a C string, cut short.
func (s *Source) blockName() (string, bool) {
	name := s.Name
	if name == "" {
		name = defaultName
	}
	if len(name) > maxName-suffix || strings.IndexByte(name, 0) >= 0 {
		return "", false
	}
	return fmt.Sprintf("%s-%08x", name, number.Add(1)), true
}

// A shape is what to ask of the kernel for a request.
//
//	whole  ├───────────────────────────────┤   the kernel's block
//	len         ├──────────────────────┤       the caller's, at a multiple of align
type shape struct {
	len    int
	align  int
	whole  int
	option int // alignment to ask for, 0 for none
}

// maxSize is what a block may have so that no kernel takes its size for negative.
const maxSize = math.MaxInt32

func shapeOf(t MemType, size, align int) (shape, Code) {
	unit := t.Granule()
	if size > maxSize-(unit-1) {
		return shape{}, IllegalMemBlockSize
	}
	n := (size + unit - 1) &^ (unit - 1)
	sh := shape{len: n, align: max(align, unit), whole: n}
	switch {
	case align <= unit:
	case align > maxSize:
		return shape{}, IllegalAlignment
	case t.Pool() == PhycontPool:
		if n > maxSize-(align-unit) {
			return shape{}, IllegalMemBlockSize
		}
		sh.whole = n + align - unit
	default:
		sh.option = align
	}
	return sh, OK
}

// abandon frees a block of size bytes that will not be handed out because of err, and
// returns that with what the kernel says of it.
func (s *Source) abandon(k Kernel, uid UID, size int, err error) error {
	s.refuse()
	if code := s.drop(k, uid); code < 0 {
		err = errors.Join(err, &Error{Call: CallFree, Type: s.memType(), Size: size, Code: code})
	}
	return err
}

// drop frees a block that nobody has. If the kernel does not take it, it is an orphan, and
// lost if the kernel does not know it.
func (s *Source) drop(k Kernel, uid UID) Code {
	code := k.Free(uid)
	if code < 0 {
		s.mu.Lock()
		if code.unknown() {
			s.stats.Lost++
		} else {
			s.orphans = append(s.orphans, uid)
		}
		s.mu.Unlock()
	}
	return code
}

// dropOrphans offers the kernel again what it has not taken back. What it said was returned
// the first time; what it says now is in Stats.
func (s *Source) dropOrphans(k Kernel) {
	s.mu.Lock()
	orphans := s.orphans
	s.orphans = nil
	s.mu.Unlock()
	for _, uid := range orphans {
		_ = s.drop(k, uid)
	}
}

func address(block []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(block))) }

// lend notes that the caller has a block.
func (s *Source) lend(block []byte, l lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		s.out = make(map[uintptr]lease)
	}
	// What was there has been freed behind our back, if anything was.
	s.stats.Held -= s.out[address(block)].whole
	s.out[address(block)] = l
	s.stats.Acquired++
	s.stats.Held += l.whole
	s.stats.PeakHeld = max(s.stats.PeakHeld, s.stats.Held)
}

// take forgets a block, which must be just as it was lent: of two goroutines that
// release the same one, one gets it.
func (s *Source) take(block []byte) (lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.out[address(block)]
	if !ok || l.len != len(block) {
		return lease{}, false
	}
	delete(s.out, address(block))
	s.stats.Held -= l.whole
	return l, true
}

// giveBack undoes take.
func (s *Source) giveBack(block []byte, l lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out[address(block)] = l
	s.stats.Held += l.whole
	s.stats.PeakHeld = max(s.stats.PeakHeld, s.stats.Held) // others may have come meanwhile
}

func (s *Source) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Refused++
}
