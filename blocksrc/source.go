// The contract: what a source promises, what else it may offer, how it fails.

package blocksrc

import (
	"errors"
	"fmt"
)

// A Source hands out blocks of memory. All methods are goroutine-safe.
//
// Blocks are meant to be large and few. Expect a call to cost a system call, and a block
// to cost a record; cut many objects from each block.
//
// A source of your own begins Acquire with [CheckRequest], returns block[:n:n], and keeps
// a record of each block that is out, so that Release can tell wrong ones. It locks, does
// not call an allocator that is built on it, and does not panic: that would leave the
// allocator in the middle of an operation. It does not embed another source, whose
// Zeroed and Granularity it would promise. The memory of its blocks must not move and
// must hold no Go pointers: use memory from make([]byte) that the source refers to until
// Release, never an array on the stack. Package blocksrctest tests it, and has an
// example.
type Source interface {
	// Acquire returns a block of at least size bytes whose address is a multiple of align,
	// a power of two; 0 stands for the source's own granularity. The caller may use all
	// len(block) bytes. The capacity is the length, so that no append reaches beyond the
	// block. Contents are unspecified unless the source is a [Zeroer] that says otherwise.
	//
	// A size below 1, or an alignment that is negative or not a power of two, is an error
	// wrapping [ErrInvalid]. Lack of room is an error wrapping [ErrExhausted]. The error
	// for a request that the source could never serve wraps both, see [Never]. With an error
	// nothing is taken.
	Acquire(size, align int) (block []byte, err error)

	// Release gives back a block exactly as Acquire returned it, once. For anything else
	// it returns an error wrapping [ErrNotHeld] and does nothing. After any other error
	// the block is still held, untouched, and Release may be tried again. ErrNotHeld for a
	// block that should be out means that somebody else gave it back behind the source's
	// back: it must not be used or released any more.
	Release(block []byte) error
}

// Granular is a source that knows the unit it works in.
type Granular interface {
	// Granularity is a power of two, the same at every call. The address and the length of
	// every block are multiples of it: a smaller alignment gains nothing, and a size in
	// between is rounded up.
	Granularity() int
}

// Zeroer is a source that knows what fresh blocks hold.
type Zeroer interface {
	// Zeroed reports whether each block reads as zero when Acquire returns it, so that
	// nobody has to clear it. The answer is the same at every call.
	Zeroed() bool
}

// Discarder is a source that can take back physical memory and leave the
// addresses with the caller.
type Discarder interface {
	// Discard gives back the memory of the whole pages within part, which lies in one held
	// block. Everything outside part is untouched. Until part is written its contents are
	// unspecified: each page holds its old contents or zeros. It can be read and written
	// at once, at the price of a page fault.
	//
	// An empty part is fine. A part that is not inside one held block is an error wrapping
	// [ErrNotHeld]. An error wrapping errors.ErrUnsupported says that this block's memory
	// cannot be given back piecemeal. Neither error has touched anything. The block must
	// not be released during the call.
	Discard(part []byte) error
}

// Populator is a source whose blocks get physical memory page by page, when each is touched,
// but also in one go.
type Populator interface {
	// Populate gets physical memory for all pages that part lies on, which is in one held
	// block. It changes no contents and is a wish: whatever it returns, all of the block
	// can be read and written as before.
	//
	// An empty part is fine. A part that is not inside one held block is an error wrapping
	// [ErrNotHeld]. An error wrapping errors.ErrUnsupported says that this block's memory
	// cannot be had in advance. The block must not be released during the call.
	Populate(part []byte) error
}

// Errors that every source wraps; look for them with errors.Is.
var (
	// ErrExhausted: there is no room for this request.
	ErrExhausted = errors.New("source exhausted")

	// ErrInvalid: the request makes no sense, at least to this source; asking again will
	// not help.
	ErrInvalid = errors.New("invalid request")

	// ErrNotHeld: the slice is not a block that the source has out, but foreign, resliced
	// or already released.
	ErrNotHeld = errors.New("not a held block")
)

// stillHeld tells whether a block is still out after its source returned err for its
// Release.
func stillHeld(err error) bool { return err != nil && !errors.Is(err, ErrNotHeld) }

// errNever is for a request that no state of the source could serve.
var errNever = fmt.Errorf("beyond this source, whatever is given back (%w, %w)", ErrInvalid, ErrExhausted)

// exhausted is the error for lack of room: for now, or for ever if never is set.
func exhausted(never bool) error {
	if never {
		return errNever
	}
	return ErrExhausted
}

// errBeyond is errNever for a request that is too large by itself.
func errBeyond(size, align int) error {
	return fmt.Errorf("blocksrc: %d bytes at a multiple of %d: %w", size, align, errNever)
}

// Never tells whether err says that the source could never serve the request, whatever is given
// back: it wraps both ErrExhausted and ErrInvalid. A program that makes room and tries again
// asks this first, and still gives up when it has nothing left to free: false does not promise
// that there will be room. Limit, say, does not know what an allocator needs besides for its
// records, nor that a block is only the first of many.
func Never(err error) bool { return errors.Is(err, ErrExhausted) && errors.Is(err, ErrInvalid) }

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

// Granularity returns the granularity that src reports if it is [Granular], and 1 if src
// reports none or one that is not a power of two.
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

// Discard is src.Discard(part) if src is a [Discarder], and otherwise returns
// errors.ErrUnsupported.
func Discard(src Source, part []byte) error {
	if d, ok := src.(Discarder); ok {
		return d.Discard(part)
	}
	return errors.ErrUnsupported
}

// Populate is src.Populate(part) if src is a [Populator], and otherwise returns
// errors.ErrUnsupported.
func Populate(src Source, part []byte) error {
	if p, ok := src.(Populator); ok {
		return p.Populate(part)
	}
	return errors.ErrUnsupported
}
