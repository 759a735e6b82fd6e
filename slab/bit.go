package slab

import (
	"runtime"
	"unsafe"
)

// One bit in words of 64. Where registers have 32 bits, to shift such a word by a
// variable takes a dozen instructions, and to ask whether it is zero takes nine. There
// a bit is looked for in its half of the word, so that what goes on for each object
// costs what it does elsewhere. What goes on for each word does without.

const (
	narrow    = unsafe.Sizeof(uintptr(0)) == 4
	highFirst = runtime.GOARCH == "mips" // of Go's ports to 32 bits, the one with big-endian words
)

// half returns the half that bit i of the words is in, as bit i%32 of it.
func half(words *uint64, i uint32) *uint32 {
	n := i >> 5
	if highFirst {
		n ^= 1
	}
	return (*uint32)(unsafe.Add(unsafe.Pointer(words), n<<2))
}

// word returns the word that bit i of the words is in, as bit i%64 of it.
func word(words *uint64, i uint32) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(words), uintptr(i>>6)*8))
}

func hasBit(words *uint64, i uint32) bool {
	if narrow {
		return *half(words, i)>>(i&31)&1 != 0
	}
	return *word(words, i)>>(i&63)&1 != 0
}

func setBit(words *uint64, i uint32) {
	if narrow {
		*half(words, i) |= 1 << (i & 31)
	} else {
		*word(words, i) |= 1 << (i & 63)
	}
}

func clearBit(words *uint64, i uint32) {
	if narrow {
		*half(words, i) &^= 1 << (i & 31)
	} else {
		*word(words, i) &^= 1 << (i & 63)
	}
}

// none tells whether no bit of the word is set.
func none(word uint64) bool {
	if narrow {
		return uint32(word)|uint32(word>>32) == 0
	}
	return word == 0
}
