//go:build race

package arena

// looksAhead is false under the race detector: a program may have its own locks for what is in
// its objects, and takes them in the body of the loop.
const looksAhead = false
