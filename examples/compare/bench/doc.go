// Package bench is what the two halves of the comparison agree on: workloads,
// which say what is to be done, and candidates, which do it.
//
//	workload ── batch of operations ──▶ kernel of the candidate
//	    ▲                                    │ loops, allocates, frees, reads
//	    └────────── time, checksum ──────────┘
//
// The loop over the operations of a batch is in the candidate, so that no call
// through an interface is measured with each of them, and so that an allocator of
// C loops in C. What a kernel must do for an operation is laid down to the byte;
// the checksum it returns depends on everything it read, and the order where that is laid
// down, and is the same for all candidates. Who does less, or returns memory twice, has
// another one.
//
// A candidate is one file in package candidate, a workload one in package
// workload; both register themselves. So does a new kind of kernel, in a file here.
package bench
