//go:build !vita

// The source that a program gets when it names none.

package blocksrc

// Default returns the source to use when there is no reason for another: [Mmap]
// where there is one, else a [GoHeap] that all callers share.
//
// Under the race detector it is the GoHeap too. The detector watches Go memory
// only: two goroutines racing on mapped memory go unreported.
//
// With the build tag vita there is no default until the program sets one.
func Default() Source {
	if haveMmap && !raceDetector {
		return Mmap{}
	}
	return &sharedHeap
}

var sharedHeap GoHeap
