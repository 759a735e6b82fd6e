package arena

import (
	"fmt"
	"strconv"

	"github.com/vita-go/deblockator/slab"
)

// Handle names an object of an Arena[T] for as long as the object lives. It has
// 8 bytes and no pointer, can be compared and used as a map key, and may be part
// of a T. The zero Handle names nothing. In another run of the program a handle means nothing, so
// packages encoding/binary and encoding/gob refuse it. Package encoding/json does not: it writes
// the text. To save objects, number them as the example of InsertN does.
type Handle[T any] struct {
	_ [0]*T // so that a handle does not convert to one of another type
	h slab.Handle
}

// Bits returns h as a number that HandleFromBits turns back.
func (h Handle[T]) Bits() uint64 { return h.h.Bits() }

// HandleFromBits returns the handle with these bits, or the zero Handle if the generation in
// them is even, which is no live object's. Bits that are not from a handle of the arena give a
// handle that names nothing or, by chance, a live object: like any handle, it never names memory
// that is not a live T.
func HandleFromBits[T any](bits uint64) Handle[T] {
	return Handle[T]{h: fromBits(bits)}
}

// String returns the bits of h in hexadecimal. (So print h with %v: %x is that of the text.)
func (h Handle[T]) String() string { return "0x" + strconv.FormatUint(h.Bits(), 16) }

// MarshalText returns the text of String, so that the program that made a handle can read it
// back from a message or from the key of a JSON object.
func (h Handle[T]) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText sets h to the handle with these bits, as HandleFromBits does. The text is a
// number in any base that Go's literals have. The error wraps that of strconv.ParseUint and
// leaves h unchanged.
func (h *Handle[T]) UnmarshalText(text []byte) error {
	bits, err := strconv.ParseUint(string(text), 0, 64)
	if err != nil {
		return fmt.Errorf("arena: not a handle: %w", err)
	}
	*h = HandleFromBits[T](bits)
	return nil
}

// IsZero tells whether h is the zero Handle.
func (h Handle[T]) IsZero() bool { return h.h == slab.Handle{} }
