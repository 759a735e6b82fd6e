//go:build slabcheck

package slab

// Touches returns how many records were visited since its last call.
func Touches() int {
	n := int(touches.Swap(0))
	return n
}
