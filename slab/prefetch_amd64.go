//go:build gc && !tinygo && !purego

package slab

import "unsafe"

const canPrefetch = true

// prefetch asks for the cache line at the start of each of the slots: bit i is for the slot
// that is i strides from base. It reads nothing and cannot fault.
//
//go:noescape
func prefetch(base unsafe.Pointer, stride uintptr, slots uint64)
