// The kernel's blocks as a blocksrc.Source, which does the rounding, checking, naming and
// remembering that the kernel leaves to its callers.

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
// A block is committed memory from the start and goes back whole. Acquiring one costs two
// system calls and a kernel object: ask for 1 MiB and more, and hold tens of blocks, not
// thousands. To use several pools in order of preference, put [blocksrc.Fallback] over a
// Source for each.
//
// Errors are [*Error], which errors.As finds. If a block could neither be used nor be given
// back, the error joins two of them. The exception is the error that there is no console.
type Source struct {
	// Kernel is where blocks come from; nil means the console's own, see Native.
	Kernel Kernel

	// Type is the type of the blocks; 0 means UserRW. Read-only types are refused.
	Type MemType

	// Name is what the names of blocks begin with: at most 22 bytes, none of them zero. 9
	// bytes are added that make each name unique in the program. "" means "deblockator".
	Name string

	mu      sync.Mutex
	out     map[uintptr]lease // by the address of the caller's slice
	orphans []UID             // not handed out, and not yet taken back by the kernel
	stats   SourceStats
}

// A lease is a block that the caller has.
type lease struct {
	uid   UID
	len   int // of the caller's slice
	whole int // of the kernel's block
}

// SourceStats is what a Source holds and what it has done. Sizes are in bytes.
type SourceStats struct {
	Blocks   int // that the caller has
	Held     int // memory of the kernel that they take
	PeakHeld int
	Acquired int // blocks since the start
	Refused  int // requests that the kernel failed to serve
	Orphans  int // blocks that nobody has and the kernel has not taken back yet
	Lost     int // blocks that the kernel no longer knew when they were to be freed
}

const (
	defaultName = "deblockator"
	suffix      = 9 // bytes: a dash and a number
)

// number makes the names of blocks unique across all sources.
var number atomic.Uint32

// Acquire implements [blocksrc.Source]. It costs two system calls. The contents of a new
// block are unspecified. If the kernel does not tell the block's address, or tells one that
// cannot be right, the block is freed; if that fails as well, the error joins both.
//
// Acquire asks the kernel for an alignment above the granule, except for PHYCONT, where
// consoles have refused one: there it takes align bytes more, less a granule.
func (s *Source) Acquire(size, align int) ([]byte, error) {
	t := s.memType()
	fail := func(call Call, code Code, err error) error {
		if err == nil && code.Exhausted() {
			err = blocksrc.ErrExhausted
		}
		return &Error{Call: call, Type: t, Size: size, Code: code, Err: err}
	}
	if err := blocksrc.CheckRequest(size, align); err != nil {
		return nil, fail(CallAlloc, InvalidArgument, err)
	}
	if !t.Known() {
		return nil, fail(CallAlloc, IllegalMemBlockType, blocksrc.ErrInvalid)
	}
	if !t.Writable() {
		return nil, fail(CallAlloc, IllegalMemBlockType, errReadOnly)
	}
	name, ok := s.blockName()
	if !ok {
		return nil, fail(CallAlloc, UIDNameTooLong, errName)
	}
	sh, code := shapeOf(t, size, align)
	if code < 0 {
		return nil, fail(CallAlloc, code, errBeyond)
	}
	k, err := s.kernel()
	if err != nil {
		return nil, err
	}
	s.dropOrphans(k)
	uid, code := k.Alloc(name, t, uint32(sh.whole), uint32(sh.option))
	if code < 0 {
		s.refuse()
		return nil, fail(CallAlloc, code, nil)
	}
	base, code := k.Base(uid)
	if code < 0 {
		return nil, s.abandon(k, uid, sh.whole, fail(CallBase, code, nil))
	}
	skip := int(-uintptr(base) & uintptr(sh.align-1))
	if base == nil || uintptr(base) > -uintptr(sh.whole) || skip > sh.whole-sh.len {
		return nil, s.abandon(k, uid, sh.whole, fail(CallBase, OK, errBase))
	}
	block := unsafe.Slice((*byte)(base), sh.whole)[skip : skip+sh.len : skip+sh.len]
	s.lend(block, lease{uid, sh.len, sh.whole})
	return block, nil
}

// Release implements [blocksrc.Source]. It costs one system call, which frees the block by
// the UID that it was made with.
//
// If the kernel no longer knows that UID, somebody else has freed the block. The Source
// then forgets it, and the error wraps [blocksrc.ErrNotHeld]: another attempt might free a
// later block that has the same UID.
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
	// take comes first: once the block is free, another goroutine may get its address.
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

// Stats returns the current figures.
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

// blockName returns a name that no other block has, or false if the name would be too long
// or, as a C string, be cut short by a zero byte.
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

// A shape is what to ask the kernel for to serve a request.
//
//	whole  ├───────────────────────────────┤   the kernel's block
//	len         ├──────────────────────┤       the caller's, at a multiple of align
type shape struct {
	len    int
	align  int
	whole  int
	option int // alignment to ask for, 0 for none
}

// maxSize is the largest size of a block that no kernel can take for negative.
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

// abandon frees a block of size bytes that cannot be handed out because of err. It returns
// err, joined with the error of the free if that fails too.
func (s *Source) abandon(k Kernel, uid UID, size int, err error) error {
	s.refuse()
	if code := s.drop(k, uid); code < 0 {
		err = errors.Join(err, &Error{Call: CallFree, Type: s.memType(), Size: size, Code: code})
	}
	return err
}

// drop frees a block that nobody has. If the kernel refuses, the block is an orphan; if the
// kernel does not know the block, it is lost.
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

// dropOrphans offers the kernel again the blocks that it has not taken back. The first
// refusal was returned as an error; later ones show in Stats only.
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

// lend records that the caller has a block.
func (s *Source) lend(block []byte, l lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		s.out = make(map[uintptr]lease)
	}
	// A block still recorded at this address was freed behind the Source's back.
	s.stats.Held -= s.out[address(block)].whole
	s.out[address(block)] = l
	s.stats.Acquired++
	s.stats.Held += l.whole
	s.stats.PeakHeld = max(s.stats.PeakHeld, s.stats.Held)
}

// take forgets a block, which must be exactly as it was lent. Of two goroutines that
// release the same block, one gets its lease.
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
	s.stats.PeakHeld = max(s.stats.PeakHeld, s.stats.Held) // others may have been lent meanwhile
}

func (s *Source) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Refused++
}
