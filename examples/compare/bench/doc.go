// Package bench is the interface between the two halves of the comparison:
// workloads, which say what to do, and candidates, which do it.
//
//	workload ── batch of operations ──▶ kernel of the candidate
//	    ▲                                    │ loops, allocates, frees, reads
//	    └────────── time, checksum ──────────┘
//
// The loop over the operations of a batch is in the candidate, so that no operation
// is measured with an interface call and the loops of C allocators are in C. This
// package specifies to the byte what a kernel must do for an operation. The checksum
// that it returns depends on everything it read, and on the order where that is
// specified, and is the same for all candidates. A candidate that does less, or hands
// out the same memory twice, returns another one.
//
// A candidate is a file in package candidate, a workload a file in package workload,
// and a new kind of kernel a file here; each registers itself.
package bench
