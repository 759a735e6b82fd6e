//go:build !tinygo

// On 32 bits TinyGo makes no slice whose elements have more than 46 340 bytes.

package arena_test

func init() { newSides = append(newSides, newSide[[70_000]byte]) }
