//go:build !vita

// The source that a program gets when it names none.

package blocksrc

// Default returns the source to use when there is no reason for another: [Mmap] where the
// system has it, else a [GoHeap] that all callers share.
//
// Under the race detector it is that GoHeap too. The detector watches only Go memory and
// does not report races on mapped memory.
//
// With the build tag vita there is no default until the program sets one.
func Default() Source {
	if haveMmap && !raceDetector {
		return Mmap{}
	}
	return &sharedHeap
}

var sharedHeap GoHeap
