// Package blocksrctest tests sources of memory blocks, and whatever stands on
// top of them.
//
// [Test] checks a source of your own against the contract of [blocksrc.Source].
// The other three wrap a source and are sources themselves:
//
//	Counting  counts calls, blocks and bytes; finds leaks and wrong releases
//	Failing   fails the k-th call, to walk through every error path
//	Lying     breaks the contract, to test code that does not trust its source
//
// They nest in any order, are goroutine-safe, and forward the optional interfaces
// of the source they wrap.
//
// This loop tests that an allocator takes every failure in turn and leaves nothing
// behind:
//
//	for k := 1; ; k++ {
//		counting := &blocksrctest.Counting{Source: new(blocksrc.GoHeap)}
//		failing := &blocksrctest.Failing{Source: counting, At: k}
//		use(failing)
//		if err := counting.Leaks(); err != nil {
//			t.Fatalf("call %d failing: %v", k, err)
//		}
//		if failing.Failed() == 0 {
//			break // fewer than k calls: each of them has failed once
//		}
//	}
package blocksrctest
