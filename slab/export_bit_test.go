package slab

// Single bits in words, for tests.

func HasBit(words *uint64, i uint32) bool { return hasBit(words, i) }
func SetBit(words *uint64, i uint32)      { setBit(words, i) }
func ClearBit(words *uint64, i uint32)    { clearBit(words, i) }
func None(word uint64) bool               { return none(word) }
