// Package slab is the deblockator: an allocator that takes blocks from a source
// and hands out smaller pieces of them. The pieces lie where the source has its
// blocks, which can be outside the garbage collector's reach.
//
// # Words
//
//	source   hands out blocks; see package blocksrc
//	block    a contiguous range from a source
//	heap     the blocks of one source: the user's, or those of records
//	chunk    a live or free range of a block; chunks tile it
//	hole     a free chunk
//	granule  16 bytes, the unit of chunks
//	slab     a chunk that is a run of equal slots
//	slot     room for one object
//	cache    the slabs of one kind of slot: a size class's or a pool's
//	magazine free slots that a size class has at hand, see class_magazine.go
//	group    free slots that a pool has at hand, see pool_group.go
//	place    of a slab: its number in its pool, and what is known of it there
//	handle   an 8-byte name of a slot and its generation
//	live     allocated
//	held     taken from the source
//	fresh    never handed out, and so known to be zero if the source says that blocks are
//	spare    empty, but kept for the next need: a block or a slab
//	large    of a request: it gets a block of its own
//	record   memory of the allocator's own, in blocks of its own
//	lodger   a record in a block of the user's, since the source has no more
//	window   1 KiB of addresses, which has an entry in the address map
//	region   1 MiB of them, whose entries lie in one leaf (not an arena.Region)
//
// # Picture
//
//	source   ┌─────────────── block ────────────────┐ ┌──── block ────┐
//	         │ live │ hole │ slab        │ live │   │ │ large         │
//	         └──────┴──────┴─┬┬┬┬┬┬┬┬┬┬──┴──────┴───┘ └───────────────┘
//	                         └ slots
//	records  chunk table · slab bitmaps and generations · leaves of the address map
//
// The allocator keeps nothing of its own in the user's memory until the source has no more
// (allocator_lodger.go). So an overrun there cannot corrupt it, and every bad free is detected,
// except a second free of memory that has a new owner by now (only a handle can tell). Free
// pages can be given back, and the memory may be of a kind that a CPU should not work in.
//
// Records have no pointers, only 32-bit numbers of granules, chunks and slabs, so they live
// in blocks as well. Ten million objects leave some hundred kilobytes on the Go heap: the list
// of blocks and slabs, which holds the pointers that all others are derived from; pointers in
// magazines to the slots used next; the bins of holes and the first page of the chunk table,
// 11 KiB; and 128 bytes to 1 KiB for each MiB that the address map knows, or 8 KiB. A pool whose
// slots are looked up by pointer, as Free does, has a table besides (pool_lookaside.go): up to 0.8 %
// of the slots' bytes, four megabytes for these ten million, or 4 to 64 KiB if that is more.
//
// # How a request travels
//
// Alloc(size, align) with
//
//   - up to 1 KiB goes to a size class (class.go). The class has some slots at hand,
//     the one freed last on top (class_magazine.go). When it has none left, it takes the
//     lowest free ones of a slab (slab.go); a new slab is a chunk like any other.
//     If there is no room for a slab, the request takes a hole of 1 KiB, and if
//     there is none, a free slot of a larger class.
//   - more goes to the holes of all blocks at once (heap_hole.go): two-level segregated
//     fit finds one that is large enough with two bit scans, after a look at a few
//     in the request's own bin. The remainder stays a hole.
//   - LargeSize and more gets a block of its own, aligned as asked.
//
// If no hole will do, a block is acquired (heap.grow): a tenth of what is held, up to
// MaxBlockSize. If the source refuses, half of that is tried, and so on down to what
// the request needs. A large request that gets no block takes a hole.
//
// Free(b) asks the address map (addrmap.go) what is at b. A slot becomes the next at
// hand; when its class has too many, some go back to their slabs. A chunk coalesces
// with neighbouring holes at once. When that leaves one hole as long as the block, the
// block goes back to the source, except for what is kept for the next need: one block,
// and as much as was missed when others had gone (heap_retain.go).
//
// A [Pool] (pool.go) has slabs of its own and hands their slots out of a group
// (pool_group.go). Its slots have generations, so that handles can name them. Package arena
// adds types.
//
// # Cost
//
// Alloc and Free take constant time: a build with the tag slabcheck counts the records
// that one operation visits, and they are as few with a million chunks as with a thousand.
// That leaves out the clearing of what Alloc returns; calls of the source, each of which
// moves part of the list of blocks by address (4 bytes for each block above); and growth,
// which is amortised constant: of the Go slices that list slabs, of the table of regions,
// which shrinks too, of a pool's table of places by address, which a Trim drops, and of a
// region's leaf, which doubles once. Likewise amortised is a walk over all blocks that looks
// for those of no use (heap_retain.go).
//
// Where the source has no more, each refusal asks all pools on the allocator what they can do
// without, and the first one since there was room for it looks at all holes (searchAll). So do
// requests that are served there, all that need a slab together: each goes on where the last one
// found room. While the source refuses to take a block back, a Free that gives back another looks
// at all blocks.
//
// Records take 64 bytes for each slab and two bits for each slot (in a pool, a bit and 4
// bytes). A chunk takes 32 bytes. Finding things by address takes 2 bytes for each KiB, 4
// in a MiB with numbers above 32 767. Rounding costs up to an eighth, 4 % on average,
// from 8 bytes to 1 KiB, and up to 15 bytes above. A large request has what the source rounds it
// up to, or a kept block that is longer by up to an eighth.
//
// With a million allocations live, time is cache and TLB misses: at the address
// map, the slab's record and the slot, one after the other. Huge pages
// (blocksrc.Mmap) save an eighth of it, a quarter on another machine. Blocks smaller
// than such a page go without: when all were made that large, mixed sizes held up to
// twice as much, and memory that comes and goes took twice the time.
// (The source of this comment, doc.go, ends with what was tried and given up.)
//
// # Errors and panics
//
// What a program may run into is an error: no memory (errors.Is blocksrc.ErrExhausted), a
// closed allocator (ErrClosed), an impossible size (ErrInvalid, ErrTooLarge), a source that
// breaks its contract (ErrBadSource). Every step that can fail comes before the first
// change, so an error leaves everything as it was, with two exceptions. Empty slabs and
// blocks that were kept for the next need have gone back to the source, since that was the
// need. And what was had before the rest was refused may stay: a block, or a leaf of
// the address map. Before a request is refused, all holes are searched, however many, and
// for up to 1 KiB the free slots of larger classes: it is refused only if none would do, or
// if there is no room for its records.
//
// A program that lives on a budget frees something and asks again, unless
// blocksrc.Never tells that nothing will help. A freed slot serves requests of its own
// class and, as the last resort, smaller ones. Others are served only once a whole slab is
// free, or a hole long enough. So where the sizes of values change, nearly all of the old sizes
// may have to go for one value of a new one: half a million in a heap of 512 MiB, which takes
// half a second. A cache does better with an allocator for each range of sizes, with values in
// pieces of one size (ExampleNew_values of package arena), or with a count of its own that stays
// somewhat below the limit.
//
// Free cannot fail. What the program does wrong is a panic with a *MisuseError: a double
// free, or a free of what is not the allocator's or has another size. It too changes
// nothing. A source's refusal to take a block back (munmap may lack memory for it) is
// neither, though Close returns it: the block can still be used and is offered again later.
// A block that the source has lost to somebody else (blocksrc.ErrNotHeld) is dropped.
//
// # Checks
//
// Check verifies all records, Blocks shows them, Stats sums them up. With the
// build tag slabcheck, operations end with a Check, all of them while there is little
// to check and fewer as there is more, and freed memory is filled with 0xDF. The race
// detector does not see mapped memory; for tests under it use blocksrc.GoHeap, as
// blocksrc.Default does. GOEXPERIMENT=cgocheck2 stops a program that stores a Go
// pointer into mapped memory.
//
// # Pedigree
//
// The idea and the name are those of the Rust crate deblockator, made with
// vitallocator for the PS Vita; both derive from linked_list_allocator by Philipp
// Oppermann, whose pictures of merging holes live on in heap_hole.go. The index of
// holes is TLSF by Masmano, Ripoll, Crespo and Real; caches of slabs are
// Bonwick's; records apart from the memory, and one summary bitmap above another,
// are from the Go runtime, hardened_malloc and OffsetAllocator; blocks that
// grow, halve on refusal and keep one in reserve are VulkanMemoryAllocator's;
// generations that are odd while a name is good are slotmap's.
package slab

// The code is to stay small: a console has little memory for it, and TestCodeSize of
// examples/vita sees to it. That is the reason of remarks about code in this package and in
// blocksrc and vita, of structs that cannot be compared, and of functions that are not inlined.
//
// What was tried and given up, with what it cost or gave:
//
//   - Links and sizes in the chunks themselves: as fast while everything is in the
//     cache, half as fast with 50 000 live objects, and an overrun corrupts them.
//   - Rounding requests up to their bin, as first described: a percent less of a
//     full block in use than with a look at up to eight holes of the bin.
//   - Finding what is at an address by masking it to an aligned block: the Vita aligns
//     to 4 KiB and a fixed buffer not at all.
//   - A free list through the slots instead of a bitmap: no quicker once the slot
//     freed last is at hand, and it writes into free memory.
//   - In a pool, a stack of the slots freed last instead of one slot: each operation
//     reads and writes its counter, and waiting for that costs more than it saves. It
//     pays in classes: they are many, so two operations seldom use the same counter.
//   - A slab that was full at the head of its class's list: its one free slot is on a
//     cold page. At the tail, it has several by its turn: 25 % less time for a mix of
//     8 to 999 bytes with a thousand live, 10 % with a million.
//   - In a pool, always the lowest slab with a free slot, so that free slots gather at the
//     end. Then 200 000 particles, of which 5 000 die and are born in a frame, are 190 runs
//     of neighbours instead of 3 400, and a walk over them takes an eighth less. But freeing
//     and making them takes a third more, since most slabs are full before and each word
//     has only one or two slots: 3 % of the frame. Where a few are freed and made at a
//     time, it takes twice the time.
//   - Bitmap, summary and list of the slabs updated by every operation of a class: 190
//     instructions for a free and an allocation, instead of 120 with a magazine in
//     between. A magazine of slab and slot numbers instead of addresses took 150: no
//     difference with a thousand objects live, but half as much time again with 50 000.
//     What counts then is how many operations, each with its cache misses, fit in the
//     processor's window.
//   - Magazines of 16: 5 to 8 % more time for random sizes. Of 64: no further gain.
//   - The numbers of slab and slot in a magazine, which then takes half as much room again: 2 to 8 %
//     more time for random sizes. Without, what goes back has to be looked up, but only once for
//     all slots of a word, and where many go back they are neighbours.
//   - Frees counted in the word that counts what a magazine has, or live bytes not at all, or an
//     address map with one comparison fewer: up to ten instructions, but no time.
//   - Calls in the middle of Free and Alloc: what must outlive a call is spilled. All
//     rare cases share one call at the end, which works out again which one it is.
//   - Slots taken from the bitmap one by one for requests in a row. Instead, a pool
//     takes a word of it at once and counts all its slots as taken: a thousand objects
//     in a row take 4 ns each instead of 10, and freeing and making a tree of handles
//     (trees-18 of examples/compare) takes six tenths of the time.
//   - The slot freed last kept beside such a word and handed out first: two places to
//     look at, and each free but the first had to return the slot freed before to its
//     bitmap, by way of its index. Now each goes there itself, its record at hand.
//   - The index and the generation of the slot freed last, kept beside its address, in pools
//     without handles too. Without them, and without clearing what is known to be fresh,
//     freeing a slot and taking it again has three stores and three loads less: a fourteenth of
//     the time with ten thousand objects live, a quarter with a million. What counts then is
//     again what the processor has room for: instructions, and stores that wait their turn.
//   - For a slab in which no slot was freed, the one generation that all of them have, kept in
//     its place. It spares a random Get a cache miss: 7 % of its time with eight million
//     objects, 3 % with one. But then an arena's Get is too large to be inlined, which is a
//     fifth of its time.
//   - A generation that says that a slot is live, and so grows whenever one is taken or
//     freed: two cache misses for each of 200 000 particles that dies and is born anew,
//     a tenth of a game's frame. The bitmap is hot.
//   - Blocks and slabs as large as all before them: up to half of what is held is not
//     in use yet. With a tenth for blocks and a quarter for slabs, a mix of small sizes
//     (W8) holds 1.33 bytes for each live byte instead of 1.85. With smaller slabs it
//     holds more again: they have more records.
//   - To have more of a full heap (W15) in use, with the gain in percent of the heap:
//     growing into the holes on both sides, 0.01; moving what grows to a hole that it
//     fits better, 0.01; best fit among all holes and not among eight, 0.06; twice as
//     many bins, nothing; carving from the end of a hole instead of its start, for all
//     requests or only small or large ones, nothing; a free slot up to half as large
//     again, where a class has no slab yet, 0.07, and each allocation of such a class
//     takes the slow path.
//   - Always shrinking in place, whatever it leaves behind (allocator_realloc.go). With moving, a
//     full fixed heap of 16 MiB (W15) has 96.1 % in use instead of 94.3, and 96.3 with
//     records elsewhere.
//   - A page fault for each page of a new slab. One call for all of them (blocksrc.Populator)
//     takes half as long: the first million objects of 64 bytes take six tenths of the time.
//   - An address map in which neighbours share an entry if they can (addrmap.go).
