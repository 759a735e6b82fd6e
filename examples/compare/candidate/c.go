package candidate

import "github.com/vita-go/deblockator/examples/compare/bench"

// The allocators of C, called from C: what a program that is not written in Go could
// have. A call from Go would add some 40 ns to each operation, which these figures leave
// out. A Go process always has several threads, so the figures include what an allocator
// does for their sake.
func init() {
	bench.Register(cLibrary{which: cMalloc}.describe(&bench.Candidate{
		Name:  "malloc",
		About: "malloc and free of the C library that the program runs with; the loops are in C",
		Rank:  1, Colour: "#868e96",
		// Each of Go's threads would have an arena, unlike in a program with one
		// thread.
		Env: []string{"GLIBC_TUNABLES=glibc.malloc.arena_max=1"},
	}))
	bench.Register(cLibrary{cMimalloc, "libmimalloc.so.2", "libmimalloc2.0"}.describe(&bench.Candidate{
		Name:  "mimalloc",
		About: "mi_malloc and mi_free of libmimalloc.so.2, and mi_heap_destroy for all at once; the loops are in C",
		Rank:  2, Colour: "#c2255c",
	}))
	bench.Register(cLibrary{cJemalloc, "libjemalloc.so.2", "libjemalloc2"}.describe(&bench.Candidate{
		Name:  "jemalloc",
		About: "malloc and free of libjemalloc.so.2, and arena.<i>.reset for all at once; the loops are in C",
		Rank:  3, Colour: "#9c36b5",
		// It needs 2.6 KB of static TLS, thread-local storage at an offset that is
		// fixed when the program starts; glibc leaves room for 1.6 KB.
		Env: []string{"GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384"},
	}))
}

// cLibrary is where the functions of a candidate come from.
type cLibrary struct {
	which cAllocator
	// The file to load and Debian's package; none for the C library, which is loaded
	// already.
	file, debian string
}

type cAllocator int

const (
	cMalloc cAllocator = iota
	cMimalloc
	cJemalloc
)

// describe completes c with what all C candidates have in common.
func (l cLibrary) describe(c *bench.Candidate) *bench.Candidate {
	c.Family, c.Frees, c.Kernels = bench.C, true, bench.Kernels{}
	c.Missing = l.missing
	c.Lacks = lacks(bench.LacksAll("an address does not tell whether its object is alive", bench.KindECS),
		"not written: it would need an arena of its own (mimalloc), extent hooks (jemalloc), or cannot be limited (malloc)", bench.KindFit)
	if l.which == cMalloc {
		c.Lacks[bench.KindTreesBulk] = "it frees one object at a time"
	}
	l.kernels(c)
	return c
}
