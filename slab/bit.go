package slab

import (
	"math/bits"
	"runtime"
	"unsafe"
)

// Single bits in 64-bit words. With 32-bit registers, shifting such a word by a variable
// takes a dozen instructions, and comparing it with zero takes nine. There, a bit is looked
// for in its half of the word, so that work done for each object costs what it does
// elsewhere. Work done for each word does without.

const (
	narrow    = unsafe.Sizeof(uintptr(0)) == 4
	highFirst = runtime.GOARCH == "mips" // Go's only 32-bit port with big-endian words
)

// half returns the half word that has bit i of the words, as its bit i%32.
func half(words *uint64, i uint32) *uint32 {
	n := i >> 5
	if highFirst {
		n ^= 1
	}
	return (*uint32)(unsafe.Add(unsafe.Pointer(words), n<<2))
}

// word returns the word that has bit i of the words, as its bit i%64.
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

// ones returns the number of bits that are set.
func ones(word uint64) int {
	if narrow {
		return manyOnes(word)
	}
	return bits.OnesCount64(word)
}

// manyOnes counts without an instruction for it, which takes 170 bytes of code.
//
//go:noinline
func manyOnes(word uint64) int { return bits.OnesCount64(word) }
