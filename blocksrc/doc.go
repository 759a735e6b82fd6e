// Package blocksrc is where memory comes from: sources hand out blocks, and
// allocators cut blocks into whatever their callers need.
//
// A source is anything that keeps the contract of [Source]. It hands out a
// block, a contiguous range of bytes, and takes it back whole. It never looks
// into a block and keeps nothing of its own in one: all records are on the Go
// side, so a program that writes past the end of an object cannot harm its
// source, and a block can be discarded, protected or mapped to a device.
//
// # The sources
//
//	             memory from             granularity   fresh bytes  Discard
//	Mmap         the operating system    page, 64 KiB  zero         yes
//	                                     on Windows
//	GoHeap       make([]byte), one each  64            zero         no
//	Buffer       one slice of yours      16            unspecified  no
//	Limit        another source, never   as the other  as the       as the
//	             more than a budget                    other        other
//	Fallback     the first of several    the smallest  zero if all  as the
//	             that has room           of them       are          block's owner
//
// [Default] is [Mmap] where the system has it (with the build tag vita, what package vita
// sets), [GoHeap] elsewhere and under the race detector. Package vita adds the kernel of a
// console, package blocksrctest tests a source of your own.
//
// # Who owns what
//
// From Acquire until Release returns nil a block belongs to the caller, all of
// its len(block) bytes, which may be more than were asked for. Every source
// here returns blocks with cap(block) == len(block).
//
// Release wants the slice that Acquire returned. Every source here knows for
// certain what it has out, so a foreign slice, a piece of a block or a block
// already released is an error wrapping [ErrNotHeld] and nothing happens. One
// mistake no source can see: a stale slice whose address has been handed out
// again with the same length names the new block.
//
// A Release may fail, as munmap does with ENOMEM when it would have to split a
// mapping and the process has no mapping left. The block is then still held, as
// it was, and may be released again later. Not so after ErrNotHeld: whatever
// became of the block, the source has it out no more, and Limit, Fallback and an
// allocator above drop it as if it had been taken back.
//
// Drop every pointer into a block once it is released. The memory is gone, and
// the address may be Go's own the next time the collector meets it.
//
// # Goroutines
//
// Every source is safe for use by several goroutines at once. The bytes of a
// block are the caller's to guard. The race detector sees accesses to Go memory
// only: test concurrent code on [GoHeap], which is what Default does.
//
// # Errors
//
//	ErrInvalid               a size or alignment that makes no sense
//	ErrExhausted             no room for this request now
//	both of them             no room for it ever: beyond the source's reach
//	ErrNotHeld               not a block, or part of one, that is out
//	errors.ErrUnsupported    not on this system, or not by this source
//
// All are to be found with errors.Is through every layer. After an error
// nothing has changed: no memory is taken, and none is lost but what a system gave that
// was of no use, and then did not take back, which is in the error.
package blocksrc
