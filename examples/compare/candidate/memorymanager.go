package candidate

import "github.com/vita-go/deblockator/examples/compare/bench"

// Typed references to memory outside Go's heap, safe for several goroutines at
// once, sizes rounded up to powers of two. Each use of a reference is checked.
func init() {
	c := &bench.Candidate{
		Name:   "memorymanager",
		About:  "fmstephe/memorymanager v0.0.3: offheap.AllocObject, AllocSlice and Free, not cleared, references checked",
		Family: bench.Module, Rank: 6, Colour: "#c49c94", Frees: true, Slow: true,
		Kernels: bench.Kernels{}, // where its module builds
		Lacks: map[bench.Kind]string{
			bench.KindFit:       "no heap of a fixed size",
			bench.KindTreesBulk: "objects are freed one by one; a store is not used again after Destroy",
			bench.KindECS:       "a reference to an entity that is gone panics, it cannot be asked",
		},
	}
	refKernels(c)
	bench.Register(c)
}
