// Arithmetic on sizes and addresses: every overflow is caught before it happens, and
// every address is only a number.

package blocksrc

import (
	"math"
	"unsafe"
)

// address is where b begins, as a number to compare. Nothing here turns it back into a
// pointer.
func address(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// padding is how many bytes of b come before the first multiple of align.
func padding(b []byte, align int) int {
	return int(-address(b) & uintptr(align-1))
}

// roundUp returns the least multiple of unit, a power of two, that is at least
// n; false if an int cannot hold it.
func roundUp(n, unit int) (int, bool) {
	if n > math.MaxInt-(unit-1) {
		return 0, false
	}
	return (n + unit - 1) &^ (unit - 1), true
}
