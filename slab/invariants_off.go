//go:build !slabcheck

package slab

// invariants says whether operations end with a Check; see invariants_on.go.
const invariants = false

const narrowBits = 16 // see narrowMost

// touch counts a visit to a record; see invariants_on.go.
func touch() {}

// after is called at the end of every operation. In a function that must be inlined the call
// stands under if invariants: of the compiler's budget, even an empty call takes a twentieth.
func (a *Allocator) after() {}

// poison fills memory that is free from now on.
func poison([]byte) {}
