package typed

// A Heap hands out memory, usually memory the garbage collector does not scan.
// Implementations need not be safe for concurrent use.
type Heap interface {
	// Alloc returns size zeroed bytes at an address that is a multiple of align, a
	// power of two. They stay where they are until they are freed. On an error
	// nothing has changed.
	Alloc(size, align int) ([]byte, error)

	// Free takes back b, exactly as Alloc returned it, once.
	Free(b []byte)
}
