package arena

import (
	"iter"
	"math/bits"
	"unsafe"
)

// Three loops over the live objects, each on a slab.Scan, which shows stretches of slots, and in
// each stretch 64 slots at a time. Each is written out and not built on another: inlined in the
// caller it takes a few instructions for an object, and a function in between would be a call.

// A processor does not foresee the end of the 64 slots of a word, and only once it has taken the
// wrong turn there does it ask for what comes next. With objects of 64 bytes that is just where a
// page ends, behind which nothing is fetched in advance. So where many slots are live, All and
// Values read a byte of the first object of the next word before they begin with a word. Over a
// million objects that saves up to two fifths of the time where memory is slow. (Where one slot in
// ten is live, most objects are a cache miss anyway, and it gains nothing.)

// All visits the live objects in slot order, which within a slab is the order in memory. Like
// any call that makes a handle, it makes an arena that has made none name its objects from
// then on (see Alloc); Values does not. The loop may free the current object or any other, and
// may make new ones: an object freed before its turn is not visited, a new one may or may not
// be. The loop may also call Reset, Trim and Close, of the arena or of its allocator: after that,
// nothing that was there before is visited. Like everything but Get and Len, All is for one
// goroutine at a time.
func (a *Arena[T]) All() iter.Seq2[Handle[T], *T] {
	return func(yield func(Handle[T], *T) bool) {
		size := stride[T]()
		names(&a.pool)
		s := a.pool.Scan() // not in the loop header, which would copy it each time
		changes := s.Changes
		for s.Next() {
			base, gens, index, seen := s.Base, s.Gens, s.Index, s.Seen
			for w, m := 0, s.Live; ; m = word(&s, w) {
				lookAhead(&s, w, m, base, 64*size)
				for m != 0 {
					i := lowest(m)
					m &= m - 1
					slot := w<<6 | i
					h := Handle[T]{h: handleAt(index+uint32(slot), unsafe.Add(gens, slot*4))}
					if !yield(h, (*T)(unsafe.Add(base, uintptr(i)*size))) {
						return
					}
					if *changes != seen {
						m = s.Refresh(w, m)
						base, gens, index, seen, w = s.Base, s.Gens, s.Index, s.Seen, 0
					}
				}
				if w++; w >= s.Words {
					break
				}
				base = unsafe.Add(base, 64*size)
			}
		}
	}
}

// Values visits what All visits, in the same order, but makes no handles. It is for arenas
// whose objects are used by pointer only: there Alloc and Free take less time.
func (a *Arena[T]) Values() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		size := stride[T]()
		s := a.pool.Scan()
		changes := s.Changes
		for s.Next() {
			base, seen := s.Base, s.Seen
			for w, m := 0, s.Live; ; m = word(&s, w) {
				lookAhead(&s, w, m, base, 64*size)
				for m != 0 {
					i := lowest(m)
					m &= m - 1
					if !yield((*T)(unsafe.Add(base, uintptr(i)*size))) {
						return
					}
					if *changes != seen {
						m = s.Refresh(w, m)
						base, seen, w = s.Base, s.Seen, 0
					}
				}
				if w++; w >= s.Words {
					break
				}
				base = unsafe.Add(base, 64*size)
			}
		}
	}
}

// Chunks visits the live objects as slices of neighbours, in slot order. It is the fastest way
// to visit all; where few slots are live, All and Values are faster. A slice ends at a slot
// that is not live and at the end of a slab. It is fixed before the loop sees it: objects that
// the loop makes are not in it. Objects that the loop frees still are, but must not be touched,
// for the memory may be gone. The loop may do what a loop over All may. Objects of no size have
// addresses of their own; the elements of a slice of them do not.
func (a *Arena[T]) Chunks() iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		size := stride[T]()
		s := a.pool.Scan()
		changes := s.Changes
		for s.Next() {
			base, seen := s.Base, s.Seen
			for w, m := 0, s.Live; ; m = word(&s, w) {
				for m != 0 {
					carry := m + m&-m // its lowest bit is the first one past the first run
					i := lowest(m)
					n := bits.TrailingZeros64(carry) - i
					run := unsafe.Add(base, uintptr(i)*size)
					if m &= carry; carry == 0 {
						n += s.Extend(w)
						base, m, w = s.Base, s.Live, 0
					}
					if !yield(unchecked[T](run, n)) {
						return
					}
					if *changes != seen {
						m = s.Refresh(w, m)
						base, seen, w = s.Base, s.Seen, 0
					}
				}
				if w++; w >= s.Words {
					break
				}
				base = unsafe.Add(base, 64*size)
			}
		}
	}
}

// unchecked is unsafe.Slice without the check of n. The three branches of the check cost more
// than everything else where few slots are live: with one in ten of a million, Chunks took
// two and a half times as long.
func unchecked[T any](p unsafe.Pointer, n int) []T {
	s := struct {
		at       unsafe.Pointer
		len, cap int
	}{p, n, n}
	return *(*[]T)(unsafe.Pointer(&s))
}
