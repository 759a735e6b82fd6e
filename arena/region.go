package arena

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

// Region hands out memory for values of any pointer-free types, one behind the other, and
// frees them together: Reset frees all of them, Rewind those made since a Mark. It is for
// values that die at the same time: the scratch memory of a frame, the tokens of a line.
// Making a value costs an addition and the clearing, and once more than eight types are in use
// sometimes a look-up of whether the type holds pointers. No pointer to a value may be used
// after the Reset or Rewind that freed the value; the build tag slabcheck makes such a use
// stand out. Values in a region have no handles: one refers to another by its index in a slice.
//
// Memory that a region holds but has nothing in is live to the allocator: neither others on
// it nor its Trim can have that memory, until the region's Trim. It keeps its chunks and adds
// larger ones, so where each frame needs a slice longer than those before, it comes to hold three
// times the most that was in it at once. A MakeSlice of the longest in the first frame avoids that.
//
// A Region is made by NewRegion, must not be copied, and is not goroutine-safe. A Region
// dropped without Close keeps its memory, for the collector does not see it.
type Region struct {
	_ noCopy
	a *slab.Allocator

	base  unsafe.Pointer // of the chunk in use
	room  int            // bytes of it, 0 if there is none
	used  int            // how many of them are in use
	clean int            // the chunk is zero from here on, where it is not in use; see down

	at     int      // which chunk is in use
	chunks [][]byte // from the allocator, in the order of their use; see usable
	held   int      // bytes of all chunks
	own    bool     // NewRegion made a, and Close closes it
	closed bool

	cancel func() // set with the first chunk: cancels forget at the allocator's Reset

	rewinds uint64 // counts Rewind and Reset
	lows    []low  // where they went down to, see Rewind

	recent [8]any        // nil pointers to types that were found to hold no pointers
	losses uint          // how often a type took the place of another
	known  map[any]error // what was found about each type, by a nil pointer to it
}

// state returns why nothing can be allocated from a, nil if something can.
func state(a *slab.Allocator) error {
	_, err := a.Alloc(0, 1) // takes nothing
	return err
}

// regionMin is the size of a region's first chunk. Each further chunk is as large as all
// before it together, up to regionMax. A chunk is larger if a value needs it, and smaller if
// the allocator has no more.
const (
	regionMin = 4 << 10
	regionMax = 1 << 20
)

// usable returns a chunk without its last byte. So no slice that a program has from a region
// is a whole allocation, and the allocator's Free detects it as misuse.
func usable(c []byte) []byte { return c[:cap(c)-1] }

// NewRegion returns a region on a, or on an allocator of its own if a is nil. It allocates
// nothing yet. Keep a region for the next frame or request, and Reset it: a new one looks at each
// type again, which takes a tenth of a microsecond or more. The error is that of slab.New, or
// slab.ErrClosed if a is closed, or slab.ErrInvalid if slab.New has not made a.
func NewRegion(a *slab.Allocator) (*Region, error) {
	if a != nil {
		if err := state(a); err != nil {
			return nil, err
		}
	}
	r := &Region{a: a, own: a == nil, known: make(map[any]error)}
	if r.own {
		var err error
		if r.a, err = slab.New(slab.Config{Name: "region"}); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Make returns a new T in r, which is zero. The error is a *typed.PointerError if T holds a
// Go pointer, or that of slab.Allocator.Alloc. An error changes nothing that can be seen, but
// chunks that a Rewind left unused may have gone back.
func Make[T typed.PointerFree](r *Region) (*T, error) {
	if size := unsafe.Sizeof(*new(T)); 0 < size && size < bigT && atHome[T](r) {
		if q := bump(r, int(size), alignOf[T]()); q != nil {
			clear((*[1]T)(q)[:]) // the padding too
			return (*T)(q), nil
		}
	}
	return makeCold[T](r)
}

// makeCold is Make where T has no size, is large, or is not in its home, or the chunk in use has no
// room.
func makeCold[T typed.PointerFree](r *Region) (*T, error) {
	if err := check[T](r); err != nil {
		return nil, err
	}
	p, err := r.alloc(unsafe.Sizeof(*new(T)), alignOf[T]())
	return (*T)(p), err
}

// MakeSlice returns a slice of n zero values in r, of capacity n. The errors are those of
// Make, and slab.ErrInvalid or slab.ErrTooLarge if n is negative or too large. Append beyond
// n makes another slice, on Go's heap, and leaves this one: make a slice of as many values as
// there may be, and append to its [:0].
func MakeSlice[T typed.PointerFree](r *Region, n int) ([]T, error) {
	if err := check[T](r); err != nil {
		return nil, err
	}
	size := unsafe.Sizeof(*new(T))
	switch {
	case n < 0:
		return nil, fmt.Errorf("%w: slice of %d", slab.ErrInvalid, n)
	case size > 0 && uintptr(n) > math.MaxInt/size:
		return nil, fmt.Errorf("%w: slice of %d times %d bytes", slab.ErrTooLarge, n, size)
	}
	p, err := r.alloc(uintptr(n)*size, alignOf[T]())
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(p), n), nil
}

// regionAlign is the alignment of chunks, and so the most that a value in them can have. No type
// of Go needs more.
const regionAlign = 8

// alignOf returns the alignment of a T in a region, which is that of Go's allocations: 64
// bits that are accessed atomically must be aligned to 8 on 32-bit systems as well.
func alignOf[T any]() int {
	align := int(unsafe.Alignof(*new(T)))
	if unsafe.Sizeof(*new(T)) >= 8 {
		align = max(align, 8)
	}
	return align
}

var errRegion = fmt.Errorf("%w: region that NewRegion has not made", slab.ErrInvalid)

// home is which of Region.recent T has, unless another type came first. It is a constant, and
// differs between the types that a program is likely to make in turn.
func home[T any]() uintptr {
	return (unsafe.Sizeof(*new(T)) / 4) % uintptr(len(Region{}.recent))
}

// atHome tells whether T is in its home. A nil pointer stands for its type: asking whether an
// any is a *T is one comparison, where two reflect.Types take a call.
func atHome[T any](r *Region) bool {
	_, ok := r.recent[home[T]()].(*T)
	return ok
}

// check tells whether T may live in r. It examines each type once for each region.
func check[T typed.PointerFree](r *Region) error {
	if atHome[T](r) {
		return nil
	}
	for i := range r.recent {
		if _, ok := r.recent[i].(*T); ok {
			return nil
		}
	}
	return r.checkCold((*T)(nil), home[T](), typed.Check[T])
}

// checkCold is check for a type that is not among the recent ones.
func (r *Region) checkCold(t any, home uintptr, examine func() error) error {
	if r.known == nil {
		return errRegion
	}
	err, ok := r.known[t]
	if !ok {
		err = examine()
		r.known[t] = err
	}
	if err != nil {
		return err
	}
	at := home
	for r.recent[at] != nil {
		if at = (at + 1) % uintptr(len(r.recent)); at == home { // all are taken
			at = uintptr(r.losses) % uintptr(len(r.recent))
			r.losses++
			break
		}
	}
	r.recent[at] = t
	return nil
}

// nowhere is where values of no size are, aligned for all of them.
var nowhere uint64

// alloc returns size bytes, all zero, at a multiple of align.
func (r *Region) alloc(size uintptr, align int) (unsafe.Pointer, error) {
	switch {
	case r.closed:
		return nil, slab.ErrClosed
	case size == 0: // takes no room in a chunk, so that an unused chunk stays empty
		if err := state(r.a); err != nil {
			return nil, err
		}
		return unsafe.Pointer(&nowhere), nil
	case size >= math.MaxInt:
		return nil, fmt.Errorf("%w: %d bytes", slab.ErrTooLarge, size)
	}
	p := bump(r, int(size), align)
	if p == nil {
		if err := r.next(int(size)); err != nil {
			return nil, err
		}
		p = bump(r, int(size), align)
	}
	if from := r.used - int(size); from < r.clean {
		clear(unsafe.Slice((*byte)(p), min(int(size), r.clean-from)))
	}
	return p, nil
}

// bump takes size bytes of the chunk in use, whatever is in them, and returns nil if it has no
// room for them. It is a few instructions, so that it can be inlined.
func bump(r *Region, size, align int) unsafe.Pointer {
	from := (r.used + align - 1) &^ (align - 1)
	if size > r.room-from {
		return nil
	}
	r.used = from + size
	return unsafe.Add(r.base, from)
}

// dirty is the clean of a chunk that may hold anything.
const dirty = math.MaxInt

// enter makes a chunk, from its start, the one in use, which is zero from clean on. If there is no
// such chunk, none is in use.
func (r *Region) enter(at, clean int) {
	r.at, r.used, r.clean = at, 0, clean
	r.base, r.room = nil, 0
	if at < len(r.chunks) {
		r.base, r.room = unsafe.Pointer(unsafe.SliceData(r.chunks[at])), len(r.chunks[at])
	}
}

// next goes on to a chunk with room for size bytes: one that a Rewind left, if one is large
// enough, or else a new one, which replaces the first of those.
func (r *Region) next(size int) error {
	at, need := r.empty(), size+1
	for i := at; i < len(r.chunks); i++ {
		if c := r.chunks[i]; cap(c) >= need {
			r.chunks[at], r.chunks[i] = c, r.chunks[at]
			r.enter(at, dirty)
			return nil
		}
	}
	most := max(regionMin, min(r.held, regionMax))
	if at < len(r.chunks) {
		// A value that grows bit by bit must not take a new chunk each time.
		most = max(most, min(need, math.MaxInt/2)/4*5)
		r.drop(at, at+1)
	}
	c, err := r.a.AllocUpTo(most, need, regionAlign)
	if errors.Is(err, slab.ErrExhausted) && at < len(r.chunks) {
		r.drop(at, len(r.chunks)) // all that is not in use
		c, err = r.a.Alloc(need, regionAlign)
	}
	if err != nil {
		return err
	}
	if r.cancel == nil {
		r.cancel = r.a.OnReset(r.forget)
	}
	r.chunks = append(r.chunks, nil)
	copy(r.chunks[at+1:], r.chunks[at:])
	r.chunks[at] = usable(c)
	r.held += cap(c)
	r.enter(at, 0)
	return nil
}

// drop gives empty chunks back to the allocator. If the chunk in use is among them, another
// may take its place, which counts as dirty.
func (r *Region) drop(from, to int) {
	for _, c := range r.chunks[from:to] {
		r.held -= cap(c)
		r.a.Free(c)
	}
	n := from + copy(r.chunks[from:], r.chunks[to:])
	clear(r.chunks[n:])
	r.chunks = r.chunks[:n]
	if from <= r.at {
		r.enter(r.at, dirty)
	}
}

// forget is called when all chunks are gone.
func (r *Region) forget() {
	r.chunks, r.held, r.lows, r.cancel = nil, 0, nil, nil
	r.enter(0, 0)
}

// Reset frees everything that was made; the memory stays with the region.
func (r *Region) Reset() {
	if cap(r.lows) > 1000 {
		r.lows = nil
	}
	r.down(place{})
}

// Trim gives the memory that the region does not use back to its allocator, for instance
// after a frame that was larger than the others. Values and marks stay good.
func (r *Region) Trim() {
	if at := r.empty(); at < len(r.chunks) {
		r.drop(at, len(r.chunks))
	}
}

// empty returns which chunk is the first in which nothing is in use, whether there is one or not.
func (r *Region) empty() int {
	if r.used > 0 {
		return r.at + 1
	}
	return r.at
}

// Allocator returns the allocator that the region is on.
func (r *Region) Allocator() *slab.Allocator { return r.a }

// Held returns the bytes that the region has from its allocator.
func (r *Region) Held() int { return r.held }

// Close gives the memory back. The error is that of a source that did not take a block of the
// region's own allocator; a second call tries again, and otherwise does nothing.
func (r *Region) Close() error {
	if r.cancel != nil {
		r.cancel()
		r.drop(0, len(r.chunks))
	}
	r.forget()
	r.closed = true
	if r.own {
		return r.a.Close()
	}
	return nil
}
