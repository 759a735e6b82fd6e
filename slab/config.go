package slab

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
)

// Errors for what a program may run into. What it does wrong with memory is a panic with a
// *MisuseError instead.
var (
	// ErrExhausted is blocksrc.ErrExhausted: there is no memory for the request. If
	// blocksrc.Never says that there never will be, freeing something does not help.
	ErrExhausted = blocksrc.ErrExhausted
	// ErrClosed is returned by everything that allocates, after Close.
	ErrClosed = errors.New("slab: closed")
	// ErrTooLarge is returned for a size or an alignment that no block can have: 64 GiB and
	// more, or on 32-bit systems 2 GiB and more. It is also returned by a pool that would
	// need more slabs than handles can tell apart, a million.
	ErrTooLarge = errors.New("slab: request is too large")
	// ErrInvalid is returned for a negative size, an alignment that is not a
	// power of two, and a Config that contradicts itself. What a source says it can never
	// serve is blocksrc.ErrInvalid instead.
	ErrInvalid = errors.New("slab: invalid argument")
	// ErrBadSource is returned when a source breaks its contract: a block too
	// small, misaligned, or overlapping memory that the allocator still holds. So is a block
	// of more than 64 GiB, or one with which more is held than an int can count.
	ErrBadSource = errors.New("slab: source broke its contract")
)

// because returns err with the numbers that led to it.
func because(err error, format string, n ...int) error {
	args := []any{err} // in one place: at the callers, each number would be 30 bytes of code
	for _, n := range n {
		args = append(args, n)
	}
	return fmt.Errorf("%w: "+format, args...)
}

// maxBlockBytes is the largest size of a block: 32 bits of granules, and no more than
// fits in an int.
const maxBlockBytes = min(1<<32-1, uint64(maxInt)>>granuleShift) << granuleShift

const maxInt = int(^uint(0) >> 1)

// Config says where an Allocator gets memory and in what portions. The zero
// value is ready to use: the default source, and defaults that suit a server and a
// game alike. Sizes are in bytes.
type Config struct {
	// Source is where blocks come from; nil means blocksrc.Default(). It must not panic, nor
	// call the allocator or anything on it: the allocator is in the middle of an operation
	// when it calls the source.
	Source blocksrc.Source
	// MetaSource is where the allocator's own records live; nil means Source and, when that
	// has no more, holes in the memory that came from it. Set it when Source is memory that a
	// CPU should not work in, such as uncached or device memory. Records take half a percent of
	// the memory that they describe where chunks are large, and 4 bytes and a bit for each slot
	// of a pool: 7 % of 64 bytes.
	MetaSource blocksrc.Source

	// BlockSize is the size of the first blocks, 4 KiB or more, rounded down to a multiple
	// of 16; 0 means 64 KiB. Later ones have the largest power of two that is no more than a
	// tenth of what is held, if that is more, up to MaxBlockSize. They are smaller where the
	// source has no room for that. Records start with a block of up to 32 KiB, so a fixed
	// buffer should have 256 KiB at least: of 64 KiB they take half.
	BlockSize int
	// MaxBlockSize bounds that growth, is no less than BlockSize, and is rounded in the
	// same way; 0 means 2 MiB, or BlockSize or 4*LargeSize if one of those is larger.
	MaxBlockSize int
	// BlockAlign is the alignment of blocks, a power of two; 0 means the
	// source's own granularity.
	BlockAlign int

	// LargeSize is the size from which a request gets a block of its own: more than
	// 1 KiB and up to MaxBlockSize. Such a block pins nothing else, and can go back to the
	// source when it is freed, but see Retain. 0 means a quarter of MaxBlockSize (and not
	// of BlockSize, or every 16 KiB would cost two system calls and page faults). Raise it, and
	// MaxBlockSize, for requests that come and go with sizes from half a MiB to a few: a block that
	// was kept serves only what is shorter by up to an eighth, and each other one is a new block. A
	// smaller request gets a block of its own too if its alignment makes it too large for
	// MaxBlockSize.
	LargeSize int
	// LargeAlign is the least alignment of such a block, a power of two; 0
	// means the source's own granularity. If the source cannot align that far, the request
	// takes a hole of another block.
	LargeAlign int

	// Retain says what becomes of blocks in which nothing is live any more.
	//
	//	0           one stays, and as many bytes more as turned out to be needed again
	//	            after they had gone, those of large requests included
	//	n > 0       up to n bytes stay, but none of a large request, and up to n of records
	//	negative    none stays; of records, one, and those in which any is needed (see Trim)
	//
	// All others go back to the source at once; those that stay go with Trim. Where several
	// allocators share a budget, none can have what another keeps.
	//
	// A block that an empty slab lies in counts as live, and stays: each size class and each pool
	// keeps one such slab for its next need, unless most of what is held is empty.
	Retain int

	// Name appears in Stats, in a MisuseError, and in what says that a source refused.
	Name string
}

const (
	defaultBlockSize    = 64 << 10
	defaultMaxBlockSize = 2 << 20
	minBlockSize        = 4 << 10
)

// validate returns an error that wraps ErrInvalid and names the field if c
// contradicts itself.
func (c *Config) validate() error {
	names := [...]string{"BlockSize", "MaxBlockSize", "LargeSize", "BlockAlign", "LargeAlign"}
	for i, n := range [...]int{c.BlockSize, c.MaxBlockSize, c.LargeSize, c.BlockAlign, c.LargeAlign} {
		bad := ""
		switch {
		case n < 0:
			bad = "less than 0"
		case uint64(n) > maxBlockBytes:
			bad = "more than a block can have"
		case i >= 3 && n&(n-1) != 0: // the last two are alignments
			bad = "not a power of two"
		}
		if bad != "" {
			return fmt.Errorf("%w: Config.%s is %d, %s", ErrInvalid, names[i], n, bad)
		}
	}
	bad := func(format string, n, bound int) error { return because(ErrInvalid, "Config."+format, n, bound) }
	switch {
	case c.BlockSize != 0 && c.BlockSize < minBlockSize:
		return bad("BlockSize is %d, less than %d", c.BlockSize, minBlockSize)
	case c.MaxBlockSize != 0 && c.MaxBlockSize < minBlockSize:
		return bad("MaxBlockSize is %d, less than %d", c.MaxBlockSize, minBlockSize)
	case c.MaxBlockSize != 0 && c.BlockSize > c.MaxBlockSize:
		return bad("BlockSize is %d, more than MaxBlockSize, %d", c.BlockSize, c.MaxBlockSize)
	case c.LargeSize != 0 && c.LargeSize <= smallMax:
		return bad("LargeSize is %d, but requests of up to %d bytes are served from slabs", c.LargeSize, smallMax)
	case c.MaxBlockSize != 0 && c.LargeSize > c.MaxBlockSize:
		return bad("LargeSize is %d, more than MaxBlockSize, %d", c.LargeSize, c.MaxBlockSize)
	}
	return nil
}

// withDefaults returns c, which is valid, with every 0 replaced.
func (c Config) withDefaults() Config {
	if c.Source == nil {
		c.Source = blocksrc.Default()
	}
	if c.MetaSource == nil {
		c.MetaSource = c.Source
	}
	if c.BlockSize == 0 {
		c.BlockSize = defaultBlockSize
		if c.MaxBlockSize != 0 {
			c.BlockSize = min(c.BlockSize, c.MaxBlockSize)
		}
	}
	c.BlockSize &^= granule - 1 // down, so that MaxBlockSize is a bound
	c.MaxBlockSize &^= granule - 1
	if c.MaxBlockSize == 0 {
		c.MaxBlockSize = max(defaultMaxBlockSize, c.BlockSize)
		if c.LargeSize > c.MaxBlockSize/4 {
			c.MaxBlockSize = int(min(uint64(c.LargeSize)*4, maxBlockBytes))
		}
	}
	if c.LargeSize == 0 {
		c.LargeSize = max(c.MaxBlockSize/4, smallMax+1)
	}
	c.LargeSize = min(c.LargeSize, c.MaxBlockSize)
	return c
}

// blockAlign returns the alignment to ask of src; an align of 0 means the source's
// granularity.
func blockAlign(src blocksrc.Source, align int) int {
	if align == 0 {
		align = blocksrc.Granularity(src)
	}
	return max(align, granule)
}
