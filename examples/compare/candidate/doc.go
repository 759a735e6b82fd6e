// Package candidate has a file for each way to get memory that is compared. Each
// registers its candidates with package bench.
//
// The loops look alike on purpose: they are the same loop, written out for each
// candidate so that its calls compile as in a program, inlined where they can be.
package candidate
