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
// Making a value costs an addition and the clearing, and for a type that is not one of the last
// eight a look-up of whether the type holds pointers. No pointer to a value may be used after the
// Reset or Rewind that freed the value; the build tag slabcheck makes such a use stand out.
// Values in a region have no handles: one refers to another by its index in a slice.
//
// Memory that a region holds but has nothing in is live to the allocator: neither others on
// it nor its Trim can have that memory, until the region's Trim.
//
// A Region is made by NewRegion, must not be copied, and is not goroutine-safe. A Region
// dropped without Close keeps its memory, for the collector does not see it.
type Region struct {
	_ noCopy
	a *slab.Allocator

	own    bool     // NewRegion made a, and Close closes it
	chunks [][]byte // from the allocator, in the order of their use; see usable
	at     int      // the chunk in use
	used   int      // bytes in use in it
	clean  int      // offset from which it is zero
	held   int      // bytes of all chunks
	closed bool

	cancel func() // set with the first chunk: cancels forget at the allocator's Reset

	rewinds uint64 // counts Rewind and Reset
	lows    []low  // where they went down to, see Rewind

	recent [8]any        // nil pointers to the types that were found to hold no pointers last
	found  uint          // how often one was, and so which of recent is the oldest
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
// nothing yet. The error is that of slab.New, or slab.ErrClosed if a is closed, or
// slab.ErrInvalid if slab.New has not made a.
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
	var t T
	if err := check[T](r); err != nil {
		return nil, err
	}
	p, err := r.alloc(unsafe.Sizeof(t), alignOf[T]())
	return (*T)(p), err
}

// MakeSlice returns a slice of n zero values in r, of capacity n. The errors are those of
// Make, and slab.ErrInvalid or slab.ErrTooLarge if n is negative or too large. Append beyond
// n makes another slice, on Go's heap, and leaves this one: make a slice of as many values as
// there may be, and append to its [:0].
func MakeSlice[T typed.PointerFree](r *Region, n int) ([]T, error) {
	var t T
	if err := check[T](r); err != nil {
		return nil, err
	}
	size := unsafe.Sizeof(t)
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

// alignOf returns the alignment of a T in a region, which is that of Go's allocations: 64
// bits that are accessed atomically must be aligned to 8 on 32-bit systems as well.
func alignOf[T any]() uintptr {
	var t T
	if unsafe.Sizeof(t) >= 8 {
		return max(unsafe.Alignof(t), 8)
	}
	return unsafe.Alignof(t)
}

var errRegion = fmt.Errorf("%w: region that NewRegion has not made", slab.ErrInvalid)

// check tells whether T may live in r. It examines each type once for each region.
func check[T typed.PointerFree](r *Region) error {
	// A nil pointer stands for its type: asking whether an any is a *T is one comparison, where
	// two reflect.Types take a call.
	for i := range r.recent {
		if _, ok := r.recent[i].(*T); ok {
			return nil
		}
	}
	return r.checkCold((*T)(nil), typed.Check[T])
}

// checkCold is check for a type that is not among the recent ones.
func (r *Region) checkCold(t any, examine func() error) error {
	if r.known == nil {
		return errRegion
	}
	err, ok := r.known[t]
	if !ok {
		err = examine()
		r.known[t] = err
	}
	if err == nil {
		r.recent[r.found%uint(len(r.recent))] = t
		r.found++
	}
	return err
}

// nowhere is where values of no size are, aligned for all of them.
var nowhere uint64

// alloc returns size bytes, all zero, at a multiple of align.
func (r *Region) alloc(size, align uintptr) (unsafe.Pointer, error) {
	if r.closed {
		return nil, slab.ErrClosed
	}
	if size == 0 { // takes no room in a chunk, so that an unused chunk stays empty
		if err := state(r.a); err != nil {
			return nil, err
		}
		return unsafe.Pointer(&nowhere), nil
	}
	if r.at < len(r.chunks) {
		if p := r.bump(size, align); p != nil {
			return p, nil
		}
	}
	if err := r.next(size, align); err != nil {
		return nil, err
	}
	return r.bump(size, align), nil
}

// bump takes size bytes of the chunk in use, and returns nil if it has no room for them.
func (r *Region) bump(size, align uintptr) unsafe.Pointer {
	c := r.chunks[r.at]
	base := unsafe.Pointer(unsafe.SliceData(c))
	pad := -(uintptr(base) + uintptr(r.used)) & (align - 1)
	room := uintptr(len(c) - r.used)
	if room < pad || room-pad < size {
		return nil
	}
	from := r.used + int(pad)
	r.used = from + int(size)
	if from < r.clean {
		clear(c[from:min(r.used, r.clean)])
	}
	r.clean = max(r.clean, r.used)
	return unsafe.Add(base, from)
}

// next goes on to a chunk with room for size bytes at a multiple of align: one that a Rewind
// left, if one is large enough, or else a new one, which replaces the first of those.
func (r *Region) next(size, align uintptr) error {
	at := r.at
	if at < len(r.chunks) && r.used > 0 {
		at++
	}
	if size > math.MaxInt-align-1 {
		return tooLarge(size, align)
	}
	need := int(size+align) + 1
	for i := at; i < len(r.chunks); i++ {
		if c := r.chunks[i]; cap(c) >= need {
			r.chunks[at], r.chunks[i] = c, r.chunks[at]
			r.at, r.used, r.clean = at, 0, len(c)
			return nil
		}
	}
	most := max(regionMin, min(r.held, regionMax))
	if at < len(r.chunks) {
		// A value that grows bit by bit must not take a new chunk each time.
		most = max(most, min(need, math.MaxInt/2)/4*5)
		r.drop(at, at+1)
	}
	c, err := r.a.AllocUpTo(most, need, 1)
	if errors.Is(err, slab.ErrExhausted) && at < len(r.chunks) {
		r.drop(at, len(r.chunks)) // all that is not in use
		c, err = r.a.Alloc(need, 1)
	}
	switch {
	case errors.Is(err, slab.ErrTooLarge):
		return tooLarge(size, align)
	case err != nil:
		return err
	}
	if r.cancel == nil {
		r.cancel = r.a.OnReset(r.forget)
	}
	r.chunks = append(r.chunks, nil)
	copy(r.chunks[at+1:], r.chunks[at:])
	r.chunks[at] = usable(c)
	r.held += cap(c)
	r.at, r.used, r.clean = at, 0, 0
	return nil
}

func tooLarge(size, align uintptr) error {
	return fmt.Errorf("%w: %d bytes aligned to %d", slab.ErrTooLarge, size, align)
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
	if from <= r.at && r.at < n {
		r.clean = len(r.chunks[r.at])
	}
}

// forget is called when all chunks are gone.
func (r *Region) forget() {
	r.chunks, r.at, r.used, r.clean, r.held, r.lows, r.cancel = nil, 0, 0, 0, 0, nil, nil
}

// Reset frees everything that was made; the memory stays with the region.
func (r *Region) Reset() {
	if cap(r.lows) > 1000 {
		r.lows = nil
	}
	r.down(place{})
}

// Trim gives the memory that the region does not use back to its allocator, for instance
// after a frame that was larger than the others.
func (r *Region) Trim() {
	at := r.at
	if r.used > 0 {
		at++
	}
	if at < len(r.chunks) {
		r.drop(at, len(r.chunks))
	}
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
