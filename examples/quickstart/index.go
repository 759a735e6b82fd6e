package main

import (
	"fmt"
	"iter"

	"github.com/vita-go/deblockator/slab"
)

// index maps every identifier to all places where it occurs. Both implementations make
// one object for each identifier and one for each place, and chain the places of an
// identifier.
type index interface {
	// add notes that name occurs at p.
	add(name string, p place) error
	// find visits the places where name occurs, the latest added first.
	find(name string) iter.Seq[place]
	// names visits the identifiers with the number of their places, in any order.
	names() iter.Seq2[string, int]
	// objects is the number of objects that the index consists of.
	objects() int
	// close gives the memory back.
	close() error
}

// place is where an identifier occurs, and as what.
type place struct {
	File uint32 // index into tree.files
	Line uint32
	Col  uint16 // in bytes, from 1; 65535 for all beyond
	Kind kind
}

// kind is what an identifier stands for at a place.
type kind uint8

const (
	use      kind = iota
	function      // or method
	typeName
	variable // or constant
	field    // or parameter
)

func (k kind) String() string {
	return [...]string{"use", "function", "type", "variable", "field"}[k]
}

// The names of the two indexes, as newIndex takes them.
const (
	withPointers = "pointers"
	withArena    = "arena"
)

func newIndex(which string) (index, error) {
	switch which {
	case withPointers:
		return newPointerIndex(), nil
	case withArena:
		return newArenaIndex(slab.Config{Name: "index"})
	}
	return nil, fmt.Errorf("there is no index %q", which)
}
