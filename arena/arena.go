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
// typed shell of a slab.Pool. The zero value is ready and makes an allocator of
// its own on first use, with the default configuration; New shares one.
//
// Objects are aligned as the elements of a []T are. On 32-bit systems use atomic.Uint64 and
// the like for what is accessed atomically: a plain uint64 is aligned only if its offset in T
// and the size of T are multiples of 8.
//
// An Arena must not be copied, and is not goroutine-safe but for Get and Len, see the
// package comment. One that is dropped without Close keeps its memory: the collector does
// not see it.
type Arena[T typed.PointerFree] struct {
	_    noCopy
	pool slab.Pool
	own  *slab.Allocator // made by the arena, and closed by it
	err  error           // why there can be no pool
}

// New returns an arena on an allocator, which other arenas may share, and with
// it its budget; nil makes one of its own. An allocator that is given stays open when the
// arena is closed: its owner closes it, which is enough for all that is on it. The error is
// a *typed.PointerError if T holds a Go pointer, and what slab.NewPool says otherwise.
func New[T typed.PointerFree](a *slab.Allocator) (*Arena[T], error) {
	r := &Arena[T]{}
	if err := r.init(a); err != nil {
		return nil, err
	}
	return r, nil
}

// init makes the pool. That it failed is remembered only for T, which does not
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

// initPool makes p a pool for objects of type t, on an allocator of its own, which has the
// type's name for who reads a panic, if on is nil. (Not generic, it is in a program once.)
func initPool(p *slab.Pool, on *slab.Allocator, t reflect.Type) (own *slab.Allocator, err error) {
	if on == nil {
		if own, err = slab.New(slab.Config{Name: t.String()}); err != nil {
			return nil, err
		}
		on = own
	}
	if err := p.Init(on, int(t.Size()), t.Align()); err != nil {
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
// go on without the memory: p := arena.Must(particles.Alloc()).
func Must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// bigT is the size from which it pays to ask whether a slot is zero already.
const bigT = 256

// Alloc returns a pointer to a new T that is zero. The error wraps what the
// source said, such as blocksrc.ErrExhausted, or is slab.ErrClosed, or says that
// T holds a Go pointer. Do not wait for ErrExhausted without a blocksrc.Limit: most systems
// promise more memory than they have.
func (a *Arena[T]) Alloc() (*T, error) {
	if unsafe.Sizeof(*new(T)) < bigT {
		if q := take(&a.pool); q != nil {
			p := (*T)(q)
			zero(p)
			return p, nil
		}
	}
	return a.allocCold()
}

func (a *Arena[T]) allocCold() (*T, error) {
	if err := a.ready(); err != nil {
		return nil, err
	}
	p, err := a.pool.Alloc()
	return (*T)(p), err
}

// AllocUninitialized is Alloc without the clearing, which is most of the cost of a
// large T: the object is what was there before, and as a T that may make no sense.
// Write every field before it is read.
func (a *Arena[T]) AllocUninitialized() (*T, error) {
	if q := take(&a.pool); q != nil {
		return (*T)(q), nil
	}
	if err := a.ready(); err != nil {
		return nil, err
	}
	p, err := a.pool.AllocUninitialized()
	return (*T)(p), err
}

// Free ends the life of the object at p: its slot is free, and its handle names
// nothing. It panics with a *slab.MisuseError if p is not a live object of a, nil included.
func (a *Arena[T]) Free(p *T) { a.pool.Free(unsafe.Pointer(p)) }

// Insert stores v as a new object and returns its handle. Errors are those of
// Alloc.
func (a *Arena[T]) Insert(v T) (h Handle[T], err error) {
	// Small enough to be inlined, so that v is written to its slot at once and
	// not to the stack first.
	p, h, err := a.insert()
	if p != nil {
		*p = v
	}
	return
}

// AllocHandle is Alloc that returns the object's handle as well, for objects that
// are linked to others as soon as they are made.
func (a *Arena[T]) AllocHandle() (*T, Handle[T], error) {
	names(&a.pool)
	if q, h := takeNamed(&a.pool); q != nil {
		p := (*T)(q)
		zero(p)
		return p, Handle[T]{h: h}, nil
	}
	p, h, err := a.insertCold()
	if err == nil {
		zero(p)
	}
	return p, h, err
}

func (a *Arena[T]) insert() (*T, Handle[T], error) {
	names(&a.pool)
	if p, h := takeNamed(&a.pool); p != nil {
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

// Get returns the object that h names, and false if it names none any more. The
// pointer is good until the object is freed; no other operation moves objects.
func (a *Arena[T]) Get(h Handle[T]) (p *T, ok bool) {
	p = (*T)(get(&a.pool, h.h))
	return p, p != nil
}

// Remove frees the object that h names and returns true, or returns false if it
// names none any more.
func (a *Arena[T]) Remove(h Handle[T]) bool { return a.pool.Remove(h.h) }

// Handle returns the handle of the live object at p. It panics with a
// *slab.MisuseError if p is not one of a; Owns tells that beforehand.
func (a *Arena[T]) Handle(p *T) Handle[T] {
	return Handle[T]{h: a.pool.Handle(unsafe.Pointer(p))}
}

// Owns tells whether p is a live object of a.
func (a *Arena[T]) Owns(p *T) bool { return a.pool.Owns(unsafe.Pointer(p)) }

// InsertN stores the objects vs and returns their handles, in the same order, appended to
// hs. It is faster than as many Inserts, and stores all or, with an error, none.
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
			// Neighbours, as all slots of a new slab are: to look for each takes longer
			// than all else.
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

// Reserve makes room for n more objects: until there are so many more, making one cannot
// fail and asks no source. From then on the arena keeps that room also when objects are
// freed, until a Trim or Reset of its allocator. On an error it reserves nothing.
func (a *Arena[T]) Reserve(n int) error {
	if err := a.ready(); err != nil {
		return err
	}
	return a.pool.Reserve(n)
}

// Len returns the number of live objects.
func (a *Arena[T]) Len() int { return a.pool.Len() }

// zero clears the object at p. Compilers to go1.26 make an array of zeros on the
// stack first, and copy it, where an assignment says the same of an array; on 32-bit
// processors what they make of clear is a call.
func zero[T any](p *T) {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		*p = *new(T)
	} else {
		clear((*[1]T)(unsafe.Pointer(p))[:])
	}
}

// stride is the distance of neighbours: the size of T, but for a T of no size,
// which has addresses of its own all the same.
func stride[T any]() uintptr {
	var t T
	if unsafe.Sizeof(t) == 0 {
		return unsafe.Alignof(t)
	}
	return unsafe.Sizeof(t)
}

// Reset frees all objects and keeps their slots for new ones. It takes time in
// proportion to the number of live objects, and a little for each slab.
func (a *Arena[T]) Reset() { a.pool.Reset() }

// Stats returns what the arena holds and what it did.
func (a *Arena[T]) Stats() slab.PoolStats { return a.pool.Stats() }

// Trim is that of the arena's allocator: what it holds and does not need goes back to the
// source, also of others that are on it. It ends what was reserved, there as well, and
// returns how many bytes of blocks were released.
func (a *Arena[T]) Trim() (released int) {
	if on := a.pool.Allocator(); on != nil {
		released = on.Trim()
	}
	return released
}

// Allocator returns the allocator that the arena is on, nil if it has none yet.
func (a *Arena[T]) Allocator() *slab.Allocator { return a.pool.Allocator() }

// Close frees all objects and gives their memory back: to the allocator that
// was given to New, or to the system. A second call does nothing, unless the
// first returned an error; then it tries again.
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
