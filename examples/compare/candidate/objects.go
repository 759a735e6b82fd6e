package candidate

import (
	"encoding/binary"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// What the loops of several candidates have in common: the objects, and how bytes
// are stamped. All of it is inlined.

// object is the type of an object of the fixed workloads.
type object interface {
	[2]uint64 | [8]uint64 | [32]uint64
}

// slots returns a table of n empty slots. Its memory is resident, so that it does not
// count as memory of the candidate's objects.
func slots[T any](n int) []T {
	s := make([]T, n)
	clear(s)
	return s
}

// stamp writes the first and the last word of an object.
func stamp(b []byte, first, last uint64) {
	binary.NativeEndian.PutUint64(b, first)
	binary.NativeEndian.PutUint64(b[len(b)-8:], last)
}

// stamps returns the exclusive or of both words.
func stamps(b []byte) uint64 {
	return binary.NativeEndian.Uint64(b) ^ binary.NativeEndian.Uint64(b[len(b)-8:])
}

// read returns the sum of the touched bytes of an object.
func read(b []byte, touch bench.Touch) uint64 {
	sum := uint64(b[len(b)-1])
	if touch == bench.Ends {
		return sum + uint64(b[0])
	}
	for i := 0; i < len(b); i += 64 {
		sum += uint64(b[i])
	}
	return sum
}

// write sets the touched bytes of an object to x.
func write(b []byte, x byte, touch bench.Touch) {
	b[0], b[len(b)-1] = x, x
	if touch == bench.Lines {
		for i := 0; i < len(b); i += 64 {
			b[i] = x
		}
	}
}
