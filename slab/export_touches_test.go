//go:build slabcheck

package slab

// Touches returns how many records were visited since its last call.
func Touches() int { return int(touches.Swap(0)) }
