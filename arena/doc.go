// Package arena keeps typed objects in memory that the garbage collector does not scan.
// Objects do not move, and are freed and reused one by one.
//
//	var enemies arena.Arena[Enemy] // the zero value is ready
//	defer enemies.Close()
//
//	h, err := enemies.Insert(Enemy{HP: 100}) // a handle, safe to keep
//	e, ok := enemies.Get(h)                  // false once it was removed
//	for h, e := range enemies.All() {        // in slot order
//		if e.HP <= 0 {
//			enemies.Remove(h) // legal while iterating
//		}
//	}
//
// # Pointers and handles
//
// An [Arena] gives out objects in two ways, over the same slots. Alloc and Free work with
// pointers: they are the fastest way to an object but, like a pointer into C memory, must not
// be used after Free. Insert, Get and Remove work with handles: 8 bytes, comparable, free of
// pointers, so that they can be stored in the objects themselves and in maps. Once the object
// is gone Get returns false, never garbage, even if its slot has a new owner. The two mix:
// Handle turns a pointer into a handle, Get turns a handle into a pointer, and either may free
// the object.
//
// An arena whose objects never get a handle is faster, for it maintains no generations.
// Insert, InsertN, AllocHandle, Handle and All make handles; Alloc, Free, Values and Chunks do
// not. A handle is good only in the run of the program that made it: written to a file and
// read back in another run, it names nothing.
//
// Keep an index into an arena free of pointers as well. The collector scans a
// map[string]Handle[T], a map[K]*T and a []*T entry by entry, although the objects are
// elsewhere; it skips a map[uint64]Handle[T] and a []Handle[T]. examples/quickstart has an
// index whose keys are strings. The map itself is on Go's heap, some 40 bytes an entry: no
// blocksrc.Limit counts it, and GOMEMLIMIT does.
//
// A [Region] gives out memory for values of any types, and frees them together: the scratch
// memory of a frame or a request.
//
// # What may be stored
//
// The collector does not look into an arena, so T must hold no Go pointer: no
// string, slice, map, channel, function, interface or pointer. Each arena checks this
// once, and the error names the field; see package typed. A pointer to another object
// becomes a Handle; a string becomes an array of bytes or an index into a table.
//
// # What a program gets wrong
//
//	mistake                                  what it gets
//	Free twice, at once or later             panic: double free, or not allocated here
//	                                         once the slab has gone back
//	Free of an address inside an object      panic: address inside an allocation
//	Free of memory from elsewhere, also of   panic: not allocated here
//	  another arena on the same allocator
//	Handle of an object that was freed       panic: free already, or not allocated here
//	                                         once the slab has gone back
//	Free or Handle after Close               panic; Remove, Get: false
//	Alloc, Insert, Reserve after Close       slab.ErrClosed: a closed arena stays closed
//	                                         (Reset empties one that is to be used again)
//	an arena, region or allocator that is    its memory stays until the program ends; in a
//	  dropped without Close                  test, Leaks of a blocksrctest.Counting tells
//	use of an arena that was copied, or      panic, at the latest when what was at hand is used
//	  moved with a slice that grew, since      up: until then, up to 64 objects that the other
//	  its first use                            has too, or a fault if the other was closed. One
//	                                           object may be freed. Keep a *Arena in such a slice
//	use of a Region that was copied          values in the same place as the other's; go vet
//	                                           finds the copy
//	two goroutines at once, without a lock   anything: a wrong Len, lost objects, any panic; the
//	                                         race detector finds it
//	SetFinalizer, AddCleanup or weak.Make    Go ends the program, or panics: what is here is
//	  of a *T                                no object of its heap
//	Get, Remove with a stale handle          false, for certain
//	… with a handle from a reused slot       false, for certain: a slot whose generation
//	                                         would wrap is retired (and counted in Stats)
//	… with a handle that was made up         false, unless it is that of a live object
//	… with a handle of another arena of T    false, but for a chance of one in 2^30
//	Free of an object that was freed and     frees the new owner's object; the owner's
//	  whose slot was reused since            own Free is then the one that panics
//	use of a *T after Free, or of such an    whatever is there now, or a fault once the
//	  element of a slice from Chunks         block has gone back; with the build tag
//	                                         slabcheck, bytes of 0xDF until it is reused
//	use of a value of a Region after a       whatever is made there next; with slabcheck,
//	  Reset or Rewind that freed it          bytes of 0xDF until then
//	a *T that is kept, and not used, after   mostly nothing; but if Go's heap gets that
//	  its block went back                    address, the collector ends the program with
//	                                         "found bad pointer in Go heap"
//
// Each panic carries a *slab.MisuseError and leaves everything as it was. Keep handles
// instead of pointers to what may be gone, or set such pointers to nil.
//
// # To find a double free
//
// The panic is in the second Free. If the slot had a new owner in between, that is the new
// owner's Free, which is the wrong one to look at. So:
//
//   - Test with the build tag slabcheck, which checks all records and fills what is freed. An
//     operation takes a thousand times as long, so test with little data, and not with -race too.
//   - Free by handle: Remove returns false exactly at the second free, even after reuse.
//   - "not allocated here" may also be a double free in a slab that has gone back. Reserve
//     makes an arena keep its slabs.
//   - The message contains the allocator's Config.Name, which is the same for all arenas that
//     share it. If an arena has an allocator of its own, that name is the name of T.
//
// # Cost
//
// Operations on one object take constant time, apart from calls of the source and from the table
// by which objects are found by their address. The table is made with the first look-up, and anew
// when it has become too small and after a Trim: a fraction of a millisecond for a million objects.
//
// The source is called when the arena grows, and when a second block becomes empty and goes back.
// Such a block stays if Reserve or slab.Config.Retain keeps it, or if blocks that went back before
// turned out to be missed. A source that refuses is asked for smaller blocks, some twenty times at
// most, and by the next request only for the smallest. Every other way out is tried too, which takes
// microseconds, and a quarter of one more for each ten arenas on the allocator. A cache that knows
// how many objects it may have does better to count them than to wait for slab.ErrExhausted.
//
// The first object of an arena with an allocator of its own waits for two blocks from the
// system, and Close gives them back. Where arenas of a few objects come and go, New with an
// allocator that stays takes a twentieth of the time, or less.
//
// An object takes its size, 4 bytes for its generation, a bit, and 0.4 % for finding it by
// its address, all outside the Go heap. Once an object is looked up by its pointer, in Free,
// Handle or Owns, up to 0.8 % more, or 4 to 64 KiB if that is more, is on the Go heap. Memory held
// for the next objects comes on top: an arena holds 96 KiB at least, and a tenth to a fifth more
// than what is live while that is a few MiB. With all of that, objects of 64 bytes take 1.19 times
// their size if there are a hundred thousand, 1.10 if a million, 1.07 if ten million; objects of 48
// bytes take 1.19, 1.10 and 1.09.
//
// # Goroutines
//
// Nothing here is goroutine-safe: an allocator, with all arenas and regions on it, belongs to
// one goroutine at a time. Goroutines that share a budget have an allocator each, on one
// blocksrc.Limit, which is goroutine-safe. Between allocators memory moves in whole blocks: while
// one has something live in each of its blocks, another gets nothing of what it frees. So a cache
// in shards, which evicts until there is room, needs a Limit for each shard: one that starts late
// on a common Limit may have nothing of its own to evict.
//
// Get and Len change nothing: any number of goroutines may call these two at once while
// nothing else runs on the same allocator, not even on another arena, since an arena that
// lacks memory takes it from the others. So use one sync.RWMutex for each allocator, not for
// each arena. All other operations need its write lock, even those that look like reading:
// All, Values, Chunks, Handle, Owns and Stats.
//
// A pointer from Get is good for as long as nobody can free the object: use it, or copy what you
// need, before you give up the read lock. What is in an object is yours to guard: to write a
// field that others read at the same time takes the write lock too, or atomics.
package arena
