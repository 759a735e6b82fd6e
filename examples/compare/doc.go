// Package compare measures deblockator against what a program could use instead.
// It is a module of its own, so that the library requires none of its peers.
//
//	go test -bench . -count 10
package compare
