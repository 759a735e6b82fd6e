package typed

// A Heap hands out memory, usually memory that the garbage collector does not scan. A
// *slab.Allocator is one. Implementations need not be safe for concurrent use.
type Heap interface {
	// Alloc returns size zeroed bytes at an address that is a multiple of align, a
	// power of two. They do not move until they are freed. An error changes nothing.
	Alloc(size, align int) ([]byte, error)

	// Free takes back b, exactly as Alloc returned it, once.
	Free(b []byte)
}
