// Package slab is the deblockator: an allocator that takes blocks from a source
// and hands out smaller pieces of them. What it hands out lies where the source
// says, outside the garbage collector's reach if that is where the blocks are.
//
// # Words
//
//	source   hands out blocks; see package blocksrc
//	block    a contiguous range from a source
//	chunk    a live or free range of a block; chunks tile it
//	hole     a free chunk
//	granule  16 bytes, the unit of chunks
//	slab     a chunk that is a run of equal slots
//	slot     room for one object
//	magazine free slots that a size class has at hand, see magazine.go
//	group    free slots that a pool has at hand, see group.go
//	handle   an 8-byte name of a slot and its generation
//	live     allocated
//	held     taken from the source
//	large    said of a request that gets a block of its own
//	record   memory of the allocator's own, in blocks of its own
//	lodger   a record among what is the user's, for the source has no more
//
// # Picture
//
//	source   ┌─────────────── block ────────────────┐ ┌──── block ────┐
//	         │ live │ hole │ slab        │ live │   │ │ large         │
//	         └──────┴──────┴─┬┬┬┬┬┬┬┬┬┬──┴──────┴───┘ └───────────────┘
//	                         └ slots
//	records  chunk table · slab bitmaps and generations · leaves of the address map
//
// Nothing of the allocator's is in the user's memory, until the source has no more
// (lodger.go). An overrun there cannot corrupt it, every bad free is seen for certain (but
// that of what was freed before and is somebody else's now, which only a handle can tell),
// free pages can be given back, and the memory may be of a kind that a CPU should not work
// in. Records have no
// pointers, only 32-bit numbers of granules, chunks and slabs, so they live in
// blocks as well: ten million objects leave some hundred kilobytes on the Go heap,
// the list of blocks and slabs, which holds the pointers that all others are
// derived from, pointers to what will be used next, in magazines, the bins of holes and
// the first page of the chunk table, 11 KiB, and 32 bytes and more for each region of the
// address map. A pool whose slots
// are freed by pointer has a table of four megabytes more for them (aside.go).
//
// # How a request travels
//
// Alloc(size, align) with
//
//   - up to 1 KiB goes to a size class (class.go), which has some slots at hand, the
//     one freed last on top (magazine.go). When it has none left, it takes the
//     lowest free ones of a slab (slab.go); a new slab is a chunk like any other.
//     If there is no room for one, a hole of 1 KiB has to do for the request, and
//     if there is none, a free slot of a larger class.
//   - more goes to the holes of all blocks at once (hole.go): two-level segregated
//     fit finds one that is large enough with two bit scans, after a look at a few
//     in the request's own bin. What is left over stays a hole.
//   - LargeSize and more gets a block of its own, aligned as asked.
//
// If there is no hole, a block is acquired (block.go): a tenth of what is held,
// up to MaxBlockSize; if the source refuses, half of that, and so on down to what
// the request needs; and a large request that gets no block makes do with a hole.
//
// Free(b) asks the address map (addrmap.go) what is at b. A slot is at hand again,
// and back in its slab when its class has too many; a chunk merges with the holes
// at its sides at once, and when that leaves one hole as long as the block, the
// block goes back to the source, except for what is kept for the next need: one, and
// what was missed when others had gone (retain.go).
//
// A [Pool] (pool.go) has slabs of its own and hands their slots out of a group
// (group.go). Slots have generations, for those that are given a name, a handle.
// Package arena gives it types.
//
// # Cost
//
// Alloc and Free take constant time: the records that one operation visits are
// counted in a build with the tag slabcheck, and are as few with a million chunks
// as with a thousand. Not counted are the clearing of what Alloc returns, calls of
// the source, with each of which the list of blocks by address moves up or down (4
// bytes for each block above), and the growth of the Go slices that list slabs, of
// the table of regions, which shrinks too, and of a region's leaf, up to 36 KiB; that
// is constant on average.
//
// Records take 64 bytes for each slab and two bits for each slot, or in a pool a bit and 4
// bytes, 32 bytes for each chunk, and to find it by its address 4 bytes for each 8 KiB, 36 where more than
// one thing lies in those. Rounding costs up to an eighth, 4 % on average, from 8 bytes
// to 1 KiB, and up to 15 bytes above.
//
// What was tried and given up, with what it cost or gave:
//
//   - Links and sizes in the chunks themselves: as fast while everything is in the
//     cache, half as fast when 50 000 objects are live, and an overrun corrupts it.
//   - Rounding requests up to their bin, as first described: a percent less of a
//     full block in use than looking at up to eight holes of the bin.
//   - An address found by masking to an aligned block: the Vita aligns to 4 KiB
//     and a fixed buffer to nothing.
//   - A free list through the slots instead of a bitmap: no quicker once the slot
//     freed last is at hand, and it writes into free memory.
//   - In a pool, a stack of the slots freed last instead of one: its counter is read
//     and written by each operation, and waiting for that costs more than it saves.
//     A class is one of many, so that the counters of two operations are seldom the
//     same, and there it is well spent.
//   - A slab that was full first on its class's list: its one free slot is on a
//     page that is cold. Last, it has several by its turn: 25 % less time for a mix
//     of 8 to 999 bytes with a thousand live, 10 % with a million.
//   - In a pool, always the lowest slab with a free slot, so that what is free gathers at the
//     end: 200 000 particles of which 5 000 die and are born in a frame are 190 runs of
//     neighbours instead of 3 400, and going over them takes an eighth less, but to free and
//     make them a third more, for most slabs are full before and each word has one or two
//     slots: 3 % of the frame. Where a few are freed and made at a time, twice the time.
//   - Bitmap, summary and list of the slabs kept up to date by every operation of a
//     class: 190 instructions for a free and an allocation, instead of 120 with a
//     magazine in between. With the numbers of slab and slot in it, and not where
//     they are, it was 150: no difference with a thousand objects live, but half as
//     much time again with 50 000, since what counts then is how many operations are
//     in the processor's window, each with its cache misses.
//   - Magazines of 16: 5 to 8 % more time for sizes at random. Of 64: nothing more.
//   - Calls in the middle of Free and Alloc: what must outlive them is spilled. All
//     that is rare is one call at their end, which finds out again what is the matter.
//   - Slots taken from the bitmap one by one for requests in a row: a pool takes a
//     word of it at once, and counts them all as taken then. A thousand objects in
//     a row take 4 ns each instead of 10, and freeing and making a tree of handles
//     (trees-18 of examples/compare) six tenths of the time.
//   - The slot freed last beside such a word, always handed out first: two places
//     to look at, and each free but the first had to take the one before to its
//     bitmap by way of its index. It goes there itself, from the record at hand.
//   - Only generations to tell handles by: where no slot of a slab was ever freed
//     all have the same, and a look at random is a cache miss less.
//   - A generation that says that a slot is live, and so moves on whenever one is
//     taken or freed: two misses of the cache for each of 200 000 particles that dies
//     and is born anew, which are a tenth of a game's frame. The bitmap is hot.
//   - Blocks and slabs as large as all before them: up to half of what is held is
//     for no one yet. With a tenth for blocks and a quarter for slabs, a mix of small
//     sizes (W8) holds 1.33 bytes for each that is live instead of 1.85. Smaller slabs
//     hold more again: they have more records.
//   - For more of a full heap (W15), in percent of it: holes at both sides of what is to
//     grow 0.01; what grows moves to a hole that it fits better 0.01; the smallest of
//     all holes that would do, and not of eight, 0.06; twice as many bins, nothing; the end
//     of a hole instead of its start, for all or for what is small or large, nothing; a
//     free slot up to half as large again, where a class has no slab yet, 0.07, and each
//     allocation of such a class goes the long way.
//   - Shrinking in place whatever it leaves behind (realloc.go). A fixed heap of 16
//     MiB that is full (W15) has 96.1 % in use instead of 94.3, and 96.3 with
//     records elsewhere.
//   - An address map with an entry for each KiB (addrmap.go).
//
// With a million allocations live, time is cache and TLB misses: at the address
// map, the slab's record and the slot, one after the other. Huge pages
// (blocksrc.Mmap) take an eighth of it, a quarter on another machine. Blocks that are
// smaller than such a page go without: when all were made as large, with sizes mixed up
// to twice as much was held, and what comes and goes took twice the time.
//
// # Errors and panics
//
// What the world does is an error: no memory (errors.Is blocksrc.ErrExhausted), a
// closed allocator (ErrClosed), a size that cannot be (ErrInvalid, ErrTooLarge), a
// source that breaks its contract (ErrBadSource). Every step that can fail comes
// before the first change, so an error leaves everything as it was, but for what is
// kept for the next need: empty slabs and blocks have gone back to the source, since
// that was the need, and what came before the rest was refused may stay, a block or a
// larger leaf of the address map.
// Before it comes to that, all holes are looked at, however many, and for up to 1 KiB
// the free slots of larger classes: a request is refused only if none would do, or if
// there is no room for what has to be noted of it.
//
// A program that lives on a budget frees something and asks again, but not if the error is
// blocksrc.ErrInvalid too: then nothing will help. What it frees serves requests of the same
// class, and others only when all of a slab is free, or a hole long enough: where one budget
// has values of all sizes, thousands may have to go for one of another size. A cache does
// better with an allocator for each range of sizes, with values in pieces of one size, or
// with a count of its own that stays somewhat below the limit.
//
// Free cannot fail. What the program does wrong is a panic with a *MisuseError:
// freeing twice, freeing what is not the allocator's, or with another size. It too
// changes nothing. A source that refuses to take a block back (munmap may lack memory for
// it) is neither: the block stays in use and is offered again later. Nor is one that
// has lost the block to somebody else (blocksrc.ErrNotHeld): it is dropped.
//
// # Checks
//
// Check verifies all records, Blocks shows them, Stats sums them up. With the
// build tag slabcheck operations end with a Check, every one while there is little
// to check and the more seldom the more there is, and freed memory is filled with
// 0xDF. The race detector does not see memory that is mapped; for tests under it use
// blocksrc.GoHeap, which blocksrc.Default does. GOEXPERIMENT=cgocheck2 stops a
// program that stores a Go pointer into mapped memory.
//
// # Pedigree
//
// The idea and the name are those of the Rust crate deblockator, made with
// vitallocator for the PS Vita; both derive from linked_list_allocator by Philipp
// Oppermann, whose pictures of merging holes live on in hole.go. The index of
// holes is TLSF by Masmano, Ripoll, Crespo and Real; caches of slabs are
// Bonwick's; records apart from the memory, and one summary bitmap above another,
// are how the Go runtime, hardened_malloc and OffsetAllocator do it; blocks that
// grow, halve on refusal and keep one in reserve are VulkanMemoryAllocator's;
// generations that are odd while a name is good are slotmap's.
package slab
