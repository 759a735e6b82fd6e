// The contract: what a source promises, what it may offer beyond, how it fails.

package blocksrc

import (
	"errors"
	"fmt"
)

// A Source hands out blocks of memory. All methods are goroutine-safe.
//
// Blocks are meant to be large and few: expect a call to cost a system call,
// and a block to cost a record, and cut many objects from each.
//
// A source of your own begins Acquire with [CheckRequest], returns block[:n:n], and keeps a
// record of each block that is out, for Release has to know wrong ones. It locks, does not
// call an allocator that is built on it, and does not embed another source, whose Zeroed and
// Granularity it would promise. What it makes blocks of must stay where it is and have no Go
// pointers in it: memory from make([]byte) that it refers to until Release, never an array
// on the stack. Package blocksrctest tests it, and has an example.
type Source interface {
	// Acquire returns a block of at least size bytes whose address is a
	// multiple of align, a power of two; 0 stands for the source's own
	// granularity. The caller may use all len(block) bytes, and the capacity is no
	// more than that, so that no append reaches beyond. Contents are unspecified
	// unless the source is a [Zeroer] that says otherwise.
	//
	// A size below 1, or an alignment that is negative or no power of two, is
	// an error wrapping [ErrInvalid]; want of room is one wrapping
	// [ErrExhausted]; a request beyond anything the source could ever serve
	// wraps both. With an error nothing is taken.
	Acquire(size, align int) (block []byte, err error)

	// Release gives back a block exactly as Acquire returned it, once. For
	// anything else it returns an error wrapping [ErrNotHeld] and does
	// nothing. After any other error the block is still held, untouched, and
	// Release may be tried again. ErrNotHeld for a block that should be out says
	// that it is not, because somebody else has given it back behind the source:
	// it must not be used or released any more.
	Release(block []byte) error
}

// Granular is a source that knows the unit it works in.
type Granular interface {
	// Granularity is a power of two, the same at every call. Address and
	// length of every block are multiples of it: a smaller alignment gains
	// nothing, and a size in between is rounded up.
	Granularity() int
}

// Zeroer is a source that knows what fresh blocks hold.
type Zeroer interface {
	// Zeroed reports, the same at every call, whether each block reads as
	// zero when Acquire returns it, so that nobody has to clear it.
	Zeroed() bool
}

// Discarder is a source that can take back physical memory and leave the
// addresses with the caller.
type Discarder interface {
	// Discard gives back the memory of the whole pages within part, which lies
	// in one block that is held. Everything outside part is untouched. What
	// part holds afterwards is unspecified, page by page its old contents or
	// zeros, until it is written; it can be read and written at once, at the
	// price of a page fault.
	//
	// An empty part is fine. A part not inside one held block is an error
	// wrapping [ErrNotHeld]; an error wrapping errors.ErrUnsupported says that
	// this block's memory cannot be given back piecemeal. Neither has touched
	// anything. The block must not be released meanwhile.
	Discard(part []byte) error
}

// Errors that every source wraps; look for them with errors.Is.
var (
	// ErrExhausted: there is no room for this request.
	ErrExhausted = errors.New("source exhausted")

	// ErrInvalid: the request makes no sense, or not to this source; asking
	// again will not help.
	ErrInvalid = errors.New("invalid request")

	// ErrNotHeld: the bytes are no block that the source has out: foreign,
	// resliced, or already released.
	ErrNotHeld = errors.New("not a held block")
)

// stillHeld tells whether a source that returned err for the Release of one of its
// blocks has that block out as before.
func stillHeld(err error) bool { return err != nil && !errors.Is(err, ErrNotHeld) }

// CheckRequest returns an error wrapping [ErrInvalid] unless size is positive
// and align is 0 or a power of two. Every Acquire begins with it.
func CheckRequest(size, align int) error {
	if size <= 0 {
		return fmt.Errorf("blocksrc: size %d: %w", size, ErrInvalid)
	}
	if align < 0 || align&(align-1) != 0 {
		return fmt.Errorf("blocksrc: alignment %d is no power of two: %w", align, ErrInvalid)
	}
	return nil
}

// Granularity returns what src, if it is [Granular], says it works in, and 1 if
// it says nothing or nothing sensible.
func Granularity(src Source) int {
	if g, ok := src.(Granular); ok {
		if n := g.Granularity(); n > 0 && n&(n-1) == 0 {
			return n
		}
	}
	return 1
}

// Zeroed reports whether src is a [Zeroer] whose fresh blocks read as zero.
func Zeroed(src Source) bool {
	z, ok := src.(Zeroer)
	return ok && z.Zeroed()
}

// Discard is src.Discard(part) if src is a [Discarder], and otherwise returns an
// error wrapping errors.ErrUnsupported.
func Discard(src Source, part []byte) error {
	if d, ok := src.(Discarder); ok {
		return d.Discard(part)
	}
	return fmt.Errorf("blocksrc: %T keeps its pages: %w", src, errors.ErrUnsupported)
}
