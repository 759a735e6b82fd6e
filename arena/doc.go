// Package arena keeps typed objects in memory that the garbage collector does
// not scan, in stable places, to be freed and reused one by one.
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
// An [Arena] gives out objects in two ways, over the same slots. Alloc and Free
// speak of pointers: they are the fastest way to an object, and like a pointer
// into C memory they are yours to not use after Free. Insert, Get and Remove
// speak of handles: 8 bytes, comparable, without a pointer in them, so that they
// may be stored in the objects themselves and in maps. Get says false, never garbage,
// once the object is gone, even if its slot has a new owner. The two mix: Handle turns a
// pointer into a handle, Get a handle into a pointer, and either may free the object.
//
// An arena whose objects never get a handle is faster, for it maintains no generations.
// Insert, AllocHandle, Handle and All make handles; Alloc, Free, Values and Chunks do not.
// A handle is good in the program that made it: written to a file and read back in another
// run, it names nothing.
//
// Keep an index into an arena free of pointers as well. The collector scans a
// map[string]Handle[T], a map[K]*T and a []*T entry by entry, although the objects are
// elsewhere; it skips a map[uint64]Handle[T] and a []Handle[T]. examples/quickstart has an
// index whose keys are strings.
//
// A [Region] gives out memory for values of any types that are freed together:
// the scratch memory of a frame or a request.
//
// # What may be stored
//
// The collector does not look into an arena, so T must hold no Go pointer: no
// string, slice, map, channel, function, interface or pointer. That is checked
// once for each arena, and the error names the field; see package typed. What
// would be a pointer to another object becomes a Handle, a string an array of
// bytes or a number in a table.
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
// The panics carry a *slab.MisuseError, and nothing has changed when they occur. Keep
// handles instead of pointers to what may be gone, or set such pointers to nil.
//
// # To find a double free
//
// The panic names the second Free. If the slot had a new owner in between, it is that
// owner's, which is the wrong one to look at. So:
//
//   - Test with the build tag slabcheck, which checks all records and fills what is freed.
//   - Free by handle: Remove returns false exactly at the second free, even after reuse.
//   - "not allocated here" may be a double free too, whose slab has gone back. An arena
//     keeps its slabs with Reserve.
//   - Arenas that share an allocator share its Config.Name, which is in the message; one
//     with an allocator of its own has the name of T there.
//
// # Cost
//
// Operations on one object take constant time, apart from calls of the source. The source
// is called when the arena grows, and when a second block has become empty and goes back:
// not if Reserve or slab.Config.Retain keeps it, or if it was missed when it had gone before.
// Where the source refuses, it is asked for smaller blocks, a dozen times at most, and every
// other way out is tried, which takes ten microseconds and more: a cache that knows how many
// objects it may have does better to count them than to wait for slab.ErrExhausted.
//
// The first object of an arena with an allocator of its own waits for two blocks from the
// system, and closing gives them back. Where arenas come and go, New with an allocator that
// stays takes a twentieth of the time, or less, for a few objects.
//
// An object takes its size, 4 bytes for its generation, a bit, and 0.4 % for finding it by
// its address; that is outside the Go heap, but for up to 0.8 % more, 4 KiB at least, once
// an object is looked up by its pointer: by Free, Handle or Owns. Besides, there is what is held for the next: 128 KiB at
// least, and a tenth to a fifth of what is live while that is a few MiB. Objects of 64
// bytes, with all of that, take 1.19 times as much if there are a hundred thousand, 1.10 if
// a million, 1.07 if ten million; of 48 bytes 1.19, 1.10 and 1.09.
//
// # Goroutines
//
// Nothing here is goroutine-safe: an arena or a region, and all of them on one allocator,
// belong to one goroutine at a time. Goroutines that share a budget have an allocator each,
// on one blocksrc.Limit, which is goroutine-safe.
//
// Get and Len change nothing: any number of goroutines may call these two at once, provided
// that nothing else runs on the same allocator, be it of another arena, for what one lacks
// the others give. So there is one sync.RWMutex for each allocator, not for each arena, and
// all else needs its write lock, also what looks like reading: All, Values, Chunks, Handle,
// Owns and Stats.
package arena
