//go:build !amd64 || !gc || tinygo || purego

package slab

import "unsafe"

const canPrefetch = false

func prefetch(unsafe.Pointer, uintptr, uint64) {}
