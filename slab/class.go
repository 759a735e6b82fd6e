package slab

// Size classes for requests that are served from slabs. There are eight to a
// doubling, so from 8 bytes on a request is rounded up by an eighth at most and by
// 4 % on average. They start at 4 bytes, and below 64 they step by less than 8,
// because alignment is asked for here, not assumed.
//
//	4 6 8 | 9 10 … 16 | 18 20 … 32 | 36 40 … 64 | 72 … 128 | … | 576 … 1024
//
// A slab starts at a multiple of 1 KiB, so a slot is aligned to the largest
// power of two in its size. Rounding a request up to a multiple of its
// alignment is therefore enough to find a class that is aligned: a class within
// a doubling that is not a multiple of the alignment lies between two that are,
// and the rounded request is one of those.

const (
	smallMin   = 4
	smallMax   = 1024
	tinyMax    = 8 // up to here classes step by 2
	tinies     = (tinyMax-smallMin)/2 + 1
	numClasses = tinies + 8*7
)

var (
	classSize [numClasses]uint16
	classOf   [smallMax + 1]uint8 // by request size
)

func init() {
	for c := range classSize {
		classSize[c] = uint16(smallMin + 2*c)
		if i := c - tinies; i >= 0 {
			k := i / 8
			classSize[c] = uint16(tinyMax<<k + (i%8+1)<<k)
		}
	}
	c := 0
	for n := range classOf {
		if n > int(classSize[c]) {
			c++
		}
		classOf[n] = uint8(c)
	}
}

// smallClass returns the class for size bytes at a multiple of align, and false
// if no class serves that. Size is not 0, align is a power of two.
func smallClass(size, align int) (int, bool) {
	if size > smallMax || align > smallMax {
		return 0, false
	}
	if n := (size + align - 1) & -align; n <= smallMax {
		return int(classOf[n]), true
	}
	return 0, false
}
