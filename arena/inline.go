package arena

import (
	"math/bits"
	"unsafe"

	"github.com/vita-go/deblockator/slab"
)

// The methods of an Arena are generic and so compiled in the package that uses them. There,
// compilers up to go1.26 at least inline a function only if that package imports the
// function's package: a program that imports arena but not slab would call functions that are
// inlined in other programs. A function of package arena that is not generic is inlined in
// both, together with what it calls.

func take(p *slab.Shell, stride uintptr) unsafe.Pointer { return p.Take(stride) }

func names(p *slab.Shell) { p.Names() }

func takeNamed(p *slab.Shell, stride uintptr) (unsafe.Pointer, slab.Handle) {
	return p.TakeNamed(stride)
}

func get(p *slab.Pool, h slab.Handle) (q unsafe.Pointer, ok bool) {
	q, ok = p.Get(h) // returned at once, the two would count for more
	return
}

func handleAt(index uint32, gen unsafe.Pointer) slab.Handle { return slab.HandleAt(index, gen) }

func word(s *slab.Scan, w int) uint64 { return s.Word(w) }

// lookAhead is called before a loop begins with word w at base, of whose slots these are live. If
// the first eight are, the next word is worth it; see iterate.go.
func lookAhead(s *slab.Scan, w int, live uint64, base unsafe.Pointer, bytes uintptr) {
	if looksAhead && uint8(live) == 0xFF && w+1 < s.Words && s.Word(w+1)&1 != 0 {
		s.Touch(unsafe.Add(base, bytes))
	}
}

// lowest returns the position of the lowest bit of m, which must have one.
//
// It sets the highest too, which changes no result but the choice of registers. On amd64 the
// instruction for this waits for what was in the register that it writes, because it leaves it alone if
// m is 0. If that is where the body of a loop has just read an object to, the next object is not
// asked for before this one has come: with one slot in ten live, loops compiled by go1.27 took
// 150 ns for an object instead of 7. With a bit to set, the compiler makes a copy of m, in a
// register that a loop's body has no claim to, and leaves the result there.
func lowest(m uint64) int { return bits.TrailingZeros64(m | 1<<63) }

func fromBits(bits uint64) slab.Handle { return slab.HandleFromBits(bits) }
