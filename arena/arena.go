package arena

import (
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"unsafe"

	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

// Arena keeps objects of type T outside the garbage collector's reach. It is the
// typed shell of a slab.Pool. The zero value is ready: on first use it makes an allocator
// of its own, with the default configuration. New takes one that may be shared.
//
// Objects are aligned as the elements of a []T are. On 32-bit systems use atomic.Uint64 and
// the like for atomic access: a plain uint64 is aligned only if its offset in T and the size
// of T are multiples of 8.
//
// An Arena must not be copied once it was used, nor moved, as in a slice that grows; it panics when
// it notices. It is not goroutine-safe, except for Get and Len; see the package comment. An Arena
// dropped without Close keeps its memory, for the collector does not see it.
type Arena[T typed.PointerFree] struct {
	_    noCopy
	pool slab.Shell
	own  *slab.Allocator // made and closed by the arena, nil if there is none
	err  error           // why there can be no pool
}

// New returns an arena on a, or on an allocator of its own if a is nil. Other arenas may be on
// a too, and then share its budget. Closing the arena leaves a open: its owner closes it,
// which is enough for all that is on it. The error is a *typed.PointerError if T holds a Go
// pointer, and otherwise that of slab.NewPool.
func New[T typed.PointerFree](a *slab.Allocator) (*Arena[T], error) {
	r := &Arena[T]{}
	if err := r.init(a); err != nil {
		return nil, err
	}
	return r, nil
}

// init makes the pool. It remembers only a failure that is due to T, which does not
// change.
func (a *Arena[T]) init(on *slab.Allocator) (err error) {
	t := reflect.TypeFor[T]()
	if a.err == nil {
		a.err = typed.CheckType(t)
	}
	if a.err != nil {
		return a.err
	}
	a.own, err = initPool(&a.pool, on, t)
	return err
}

// initPool makes p a pool for objects of type t. If on is nil it makes an allocator for the
// pool, named after the type for whoever reads a panic. (It is not generic, so a program
// contains it once.)
func initPool(p *slab.Shell, on *slab.Allocator, t reflect.Type) (own *slab.Allocator, err error) {
	if on == nil {
		if own, err = slab.New(slab.Config{Name: t.String()}); err != nil {
			return nil, err
		}
		on = own
	}
	if err := p.Init(on, t.String(), int(t.Size()), t.Align()); err != nil {
		return nil, err // own, if there is one, has acquired nothing
	}
	return own, nil
}

// ready makes the allocator of an arena that has none, on first use.
func (a *Arena[T]) ready() error {
	if a.pool.Allocator() != nil {
		return nil
	}
	return a.init(nil)
}

// Must returns v, and panics if err is not nil. It is for programs that cannot
// go on without the memory: p := arena.Must(particles.Alloc()). It takes the results of all
// functions here that have two.
func Must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// bigT is the size from which it pays to ask whether a slot is zero already.
const bigT = 256

// Alloc returns a pointer to a new T, which is zero. The error wraps that of the source, such
// as blocksrc.ErrExhausted, or is slab.ErrClosed, or is a *typed.PointerError if T holds a Go
// pointer. Without a blocksrc.Limit do not wait for ErrExhausted: most systems promise more
// memory than they have. From the first call on that makes a handle (Insert, InsertN,
// AllocHandle, Handle, All), even of one that fails, the arena keeps a generation for every
// object: Alloc and Free of one then take one and a half times as long.
func (a *Arena[T]) Alloc() (*T, error) {
	if unsafe.Sizeof(*new(T)) < bigT {
		q := take(&a.pool, stride[T]())
		if q == nil {
			q, _ = takeNamed(&a.pool, stride[T]())
		}
		if q != nil {
			p := (*T)(q)
			zero(p)
			return p, nil
		}
	}
	return a.allocCold()
}

// allocCold is Alloc where no slot is at hand, or T is large.
func (a *Arena[T]) allocCold() (p *T, err error) {
	if err := a.ready(); err != nil {
		return nil, err
	}
	if unsafe.Sizeof(*new(T)) >= bigT {
		q, err := a.pool.Alloc()
		return (*T)(q), err
	}
	q, err := a.pool.AllocUninitialized()
	if p = (*T)(q); err == nil {
		zero(p)
	}
	return p, err
}

// AllocUninitialized is Alloc without the clearing, which is most of the cost of a large T.
// The object has the bytes that were there before, which may make no sense as a T: write
// every field before you read it.
func (a *Arena[T]) AllocUninitialized() (*T, error) {
	q := take(&a.pool, stride[T]())
	if q == nil {
		q, _ = takeNamed(&a.pool, stride[T]())
	}
	if q != nil {
		return (*T)(q), nil
	}
	if err := a.ready(); err != nil {
		return nil, err
	}
	p, err := a.pool.AllocUninitialized()
	return (*T)(p), err
}

// Free frees the object at p, whose handle then names nothing. It panics with a
// *slab.MisuseError if p is nil or not a live object of a.
func (a *Arena[T]) Free(p *T) { a.pool.Free(unsafe.Pointer(p)) }

// Insert stores v as a new object and returns its handle. Errors are those of
// Alloc. A T of more than 128 KiB is copied by way of Go's heap: for that, AllocHandle and an
// assignment, or InsertN, take an eighth of the time.
func (a *Arena[T]) Insert(v T) (h Handle[T], err error) {
	// Small enough to be inlined, so that v is written straight to its slot and not to
	// the stack first.
	p, h, err := a.insert()
	if p != nil {
		*p = v
	}
	return
}

// AllocHandle is Alloc that also returns the object's handle, for objects that are linked to
// others as soon as they are made.
func (a *Arena[T]) AllocHandle() (*T, Handle[T], error) {
	if unsafe.Sizeof(*new(T)) < bigT {
		names(&a.pool)
		if q, h := takeNamed(&a.pool, stride[T]()); q != nil {
			p := (*T)(q)
			zero(p)
			return p, Handle[T]{h: h}, nil
		}
	}
	if err := a.ready(); err != nil {
		return nil, Handle[T]{}, err
	}
	p, h, err := a.pool.InsertZero()
	return (*T)(p), Handle[T]{h: h}, err
}

func (a *Arena[T]) insert() (*T, Handle[T], error) {
	names(&a.pool)
	if p, h := takeNamed(&a.pool, stride[T]()); p != nil {
		return (*T)(p), Handle[T]{h: h}, nil
	}
	return a.insertCold()
}

func (a *Arena[T]) insertCold() (*T, Handle[T], error) {
	if err := a.ready(); err != nil {
		return nil, Handle[T]{}, err
	}
	p, h, err := a.pool.Insert()
	return (*T)(p), Handle[T]{h: h}, err
}

// Get returns the object that h names, or nil and false if h names none any more. The
// pointer is good until the object is freed: no operation moves objects.
func (a *Arena[T]) Get(h Handle[T]) (p *T, ok bool) {
	q, ok := get(&a.pool.Pool, h.h)
	return (*T)(q), ok
}

// Remove frees the object that h names and returns true, or returns false if h names none
// any more. It takes constant time.
func (a *Arena[T]) Remove(h Handle[T]) bool { return a.pool.Remove(h.h) }

// Handle returns the handle of the live object at p, in constant time. It panics with a
// *slab.MisuseError if p is not one of a; Owns tells beforehand. From the first handle on, the
// arena names all its objects (see Alloc).
func (a *Arena[T]) Handle(p *T) Handle[T] {
	return Handle[T]{h: a.pool.Handle(unsafe.Pointer(p))}
}

// Owns tells, in constant time, whether p is a live object of a.
func (a *Arena[T]) Owns(p *T) bool { return a.pool.Owns(unsafe.Pointer(p)) }

// InsertN stores the objects vs and appends their handles to hs, in the same order. It
// stores all of them or, with an error, none. From some ten objects on it is faster than as many
// calls of Insert.
func (a *Arena[T]) InsertN(vs []T, hs []Handle[T]) ([]Handle[T], error) {
	err := a.ready()
	if err == nil {
		err = a.pool.Room(len(vs))
	}
	if err != nil {
		return hs, err
	}
	hs = slices.Grow(hs, len(vs))
	size := stride[T]()
	for len(vs) > 0 {
		g, err := a.pool.TakeGroup(len(vs))
		if err != nil {
			panic(fmt.Errorf("arena: there is no room for what room was made for: %w", err))
		}
		m, k := g.Slots, 0
		if m&(m+m&-m) == 0 {
			// Neighbours, as all slots of a new slab are. Scanning for each bit would
			// take longer than everything else.
			i := bits.TrailingZeros64(m)
			k = bits.TrailingZeros64(^(m >> i))
			off, gens, index := uintptr(i)*size, unsafe.Add(g.Gens, i*4), g.Index+uint32(i)
			made := hs[len(hs):][:k]
			for j := range made {
				*(*T)(unsafe.Add(g.Base, off)) = vs[j]
				made[j].h = handleAt(index+uint32(j), unsafe.Add(gens, j*4))
				off += size
			}
			hs, m = hs[:len(hs)+k], 0
		}
		for ; m != 0; m &= m - 1 {
			i := uintptr(bits.TrailingZeros64(m))
			*(*T)(unsafe.Add(g.Base, i*size)) = vs[k]
			hs = append(hs, Handle[T]{h: handleAt(g.Index+uint32(i), unsafe.Add(g.Gens, i*4))})
			k++
		}
		vs = vs[k:]
	}
	return hs, nil
}

// Reserve makes room for n more objects than are live now: until there are that many, making
// one cannot fail and does not call the source. The arena keeps the room even when objects
// are freed, until a Trim or Reset of its allocator. On Linux, most pages of the slabs that it
// makes come at once, so that no object there waits for a page fault (unless it has more than
// 256 KiB). Errors are those of Alloc, and slab.ErrInvalid or slab.ErrTooLarge for a senseless
// n; then nothing is reserved. Slabs are asked for one by one, so blocksrc.Never does not tell
// that n is too much for a budget.
func (a *Arena[T]) Reserve(n int) error {
	if err := a.ready(); err != nil {
		return err
	}
	return a.pool.Reserve(n)
}

// Len returns the number of live objects.
func (a *Arena[T]) Len() int { return a.pool.Len() }

// zero clears the object at p. If T is an array, compilers up to go1.26 turn the assignment
// into an array of zeros on the stack and a copy of it; on 32-bit processors they turn clear
// into a call.
func zero[T any](p *T) {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		*p = *new(T)
	} else {
		clear((*[1]T)(unsafe.Pointer(p))[:])
	}
}

// stride is the distance between neighbours: the size of T, or its alignment if it has no
// size, since such objects have addresses of their own too.
//
// (Here and elsewhere a size is that of *new(T), which is not evaluated. A variable of type T, even
// one that is only measured, would be allocated on Go's heap if T has more than 128 KiB.)
func stride[T any]() uintptr {
	if size := unsafe.Sizeof(*new(T)); size > 0 {
		return size
	}
	return unsafe.Alignof(*new(T))
}

// Reset frees all objects and keeps their slots for new ones. It takes time proportional to
// the number of live objects and, if those are in more than a slab or two, a little for each
// slab that there was.
func (a *Arena[T]) Reset() { a.pool.Reset() }

// Stats returns what the arena holds and what it did.
func (a *Arena[T]) Stats() slab.PoolStats { return a.pool.Stats() }

// Trim is Trim of the arena's allocator, and so affects all that is on it: what the allocator
// holds and does not need goes back to the source, and every reservation ends. It returns
// the number of bytes of the blocks that were released.
func (a *Arena[T]) Trim() (released int) { return a.pool.Trim() }

// Allocator returns the allocator that the arena is on, nil if it has none yet.
func (a *Arena[T]) Allocator() *slab.Allocator { return a.pool.Allocator() }

// Close frees all objects and gives their memory back: to the allocator that
// was given to New, or to the system. The error is that of a source that did not take a block of
// the arena's own allocator; a second call tries again, and otherwise does nothing.
func (a *Arena[T]) Close() error {
	if err := a.pool.Close(); err != nil || a.own == nil {
		return err
	}
	return a.own.Close()
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
