// Package blocksrc is where memory comes from: sources hand out blocks, and
// allocators cut blocks into whatever their callers need.
//
// A source is anything that keeps the contract of [Source]. It hands out a block, a
// contiguous range of bytes, and takes it back whole. It neither reads a block nor keeps
// data of its own there: all records are on the Go side. So a program that writes past
// the end of an object cannot harm its source, and a block can be discarded, protected or
// mapped to a device.
//
// # The sources
//
//	             memory from             granularity   fresh bytes  Discard
//	Mmap         the operating system    page, 64 KiB  zero         yes; on Linux
//	                                     on Windows                 Populate too
//	GoHeap       make([]byte), one each  64            zero         no
//	Buffer       one slice of yours      16            unspecified  no
//	Limit        another source, never   as the other  as the       as the
//	             more than a budget                    other        other
//	Fallback     the first of several    the smallest  zero if all  as the
//	             that has room           of them       are          block's owner
//
// [Default] is [Mmap] where the system has it, and [GoHeap] elsewhere and under the race
// detector. With the build tag vita it is what the program sets. Package vita adds the
// kernel of a console; package blocksrctest tests a source of your own.
//
// # Who owns what
//
// From Acquire until Release returns nil the caller owns the block: all of its len(block)
// bytes, which may be more than it asked for. Every source here returns blocks with
// cap(block) == len(block).
//
// Release takes the slice that Acquire returned. Every source here knows exactly what it
// has out, so for a foreign slice, a piece of a block or a block already released it
// returns an error wrapping [ErrNotHeld] and changes nothing. No source can see one
// mistake: a stale slice names the new block once its address has been handed out again with
// the same length.
//
// A Release may fail, as munmap does with ENOMEM when it would have to split a mapping
// and the process has no mapping left. The block is then still held, unchanged, and may
// be released again later. ErrNotHeld is different: whatever became of the block, it is
// no longer out, and Limit, Fallback and an allocator above drop it as if it had been
// taken back.
//
// Drop every pointer into a block once it is released. The memory is gone, and when the
// collector next meets such a pointer, the address may be part of Go's own heap.
//
// # Goroutines
//
// Every source is safe for use by several goroutines at once. Callers guard the bytes of
// their blocks. The race detector sees only accesses to Go memory: test concurrent code
// on [GoHeap], which Default returns under the detector.
//
// # Errors
//
//	ErrInvalid               a size or alignment that makes no sense
//	ErrExhausted             no room for this request now
//	both of them (Never)     no room for it ever: beyond the source's reach
//	ErrNotHeld               not a block, or part of one, that is out
//	errors.ErrUnsupported    not on this system, or not by this source
//
// errors.Is finds each of them through every layer. After an error nothing has changed:
// no memory is taken and none is lost. The exception is memory that a system gave, that
// was of no use, and that the system then did not take back; the error says so.
package blocksrc
