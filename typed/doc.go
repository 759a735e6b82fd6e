// Package typed defines which Go types may live in memory that the garbage collector
// does not scan, and checks types for it.
//
// # Why not every type
//
// The collector finds what is in use by following pointers from the stacks, the
// globals and the heap. Memory from the operating system, or from a Go slice of
// bytes, is not among the places it looks at. A Go pointer stored there keeps
// nothing alive: at the next collection the value it points to may be freed and
// its memory reused, while the pointer still looks valid.
//
//	type Enemy struct {
//		HP     int32
//		Sprite *ebiten.Image // in the arena, where the collector does not look
//	}
//
//	 off the Go heap         the Go heap
//	┌────┬────────┐         ┌──────────────┐
//	│ HP │ Sprite ┼─ ─ ─ ─▶ │ ebiten.Image │ nothing else points here: freed
//	└────┴────────┘         └──────────────┘
//
// What follows is not a crash but a wrong value, somewhere else, later. The
// compiler, go vet, checkptr and the race detector do not report it. One tool does:
// a program built with GOEXPERIMENT=cgocheck2 stops at the very store of a Go
// pointer into memory from the operating system. (It does not watch Go slices of
// bytes.) Run a program's tests under it now and then; it needs no cgo. Package
// typed is the other half, and comes first: it refuses the type.
//
// # Which types
//
// These types are pointer-free: bool, the integers including uintptr, the floats
// and the complex numbers; arrays and structs of such types; and every type of no
// size, such as [0]*T and struct{}. A type holds a pointer if it is or contains one of
//
//	*T, unsafe.Pointer, string, []T, map[K]V, chan T, func, interface
//
// at any depth, in embedded, unexported and blank fields too. It does not matter
// where the pointer would lead. Another object off the heap, C memory, a constant
// string: those would survive, but the type cannot promise that its pointers will
// never lead anywhere else, so it is refused.
//
// # What to store instead
//
//   - a pointer to an object in the same arena: its handle, or an index
//   - a pointer to something on the Go heap: an index into a Go slice that holds it
//   - a string: [N]byte and a length; or, where values repeat, a number that
//     indexes a table of them
//   - a slice: an array [N]T and a length; or the index of the first element in a
//     common array, and a count
//   - a slice of bytes of any length: pieces of one size in an arena of their own, linked by
//     handles
//   - an interface or a func: a small integer, and a switch on it
//   - [time.Time], which holds a [*time.Location]: int64 from its UnixNano
//
// A uintptr is accepted because to Go it is a number. For the same reason it must not
// hold the address of a Go object, which it would not keep alive either. Nor should it hold one to
// be turned into a pointer again, even if that is memory from here: blocks may be Go's own memory,
// as they are under the race detector, which then ends the program.
//
// # PointerFree
//
// Go cannot express "no pointers" in a constraint. [PointerFree] says it by its name:
// values of a type parameter that it constrains live off the heap. The compiler
// accepts any type there. [Check] enforces the rule at run time, once for each arena, region or
// container, before the first value is made there, and its [PointerError] names the field:
//
//	typed: Enemy cannot live outside the Go heap: Enemy.Sprite is *ebiten.Image
//
// Generic code that passes its own type parameter on should constrain it by
// PointerFree too, so that its users know the rule as well.
//
// # Heap
//
// [Heap] is what a container of such types asks of an allocator: bytes at an alignment,
// and a way to give them back. With it the container need not depend on one allocator,
// and this package depends on none. (There is no container in this module yet.)
package typed
