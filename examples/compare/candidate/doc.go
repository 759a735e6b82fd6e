// Package candidate has one file for each way to get memory that is compared.
// Each registers itself with package bench.
//
// The loops look alike on purpose: they are the same loop, written out for each
// candidate so that its calls are compiled as they are in a program, inlined where
// they can be.
package candidate
