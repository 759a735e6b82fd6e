//go:build !tinygo

// Values that TinyGo cannot compile, for it loads an array byte by byte, nor, on 32
// bits, make slices of if they have more than 46 340 bytes.

package arena_test

func init() { newSides = append(newSides, newSide[[20_000]byte], newSide[[70_000]byte]) }
