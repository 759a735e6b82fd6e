package arena

import (
	"unsafe"

	"github.com/vita-go/deblockator/slab"
)

// The methods of an Arena are compiled in the package that uses them. Compilers to
// go1.26 at least inline a function there only if that package imports the
// function's own: a program that imports arena and not slab would call what others
// have in line. What is in package arena, and not generic, is inlined in either;
// it brings what it calls along.

func take(p *slab.Pool) unsafe.Pointer { return p.Take() }

func names(p *slab.Pool) { p.Names() }

func takeNamed(p *slab.Pool) (unsafe.Pointer, slab.Handle) { return p.TakeNamed() }

func get(p *slab.Pool, h slab.Handle) unsafe.Pointer { return p.Get(h) }

func handleAt(index uint32, gen unsafe.Pointer) slab.Handle { return slab.HandleAt(index, gen) }

func fromBits(bits uint64) slab.Handle { return slab.HandleFromBits(bits) }
