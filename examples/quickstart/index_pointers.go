package main

import "iter"

// pointerIndex is the index as one writes it in Go: structs, and pointers from one to the
// next. In every cycle the collector follows every pointer in it to keep it alive, and
// counts it in the heap's size.
type pointerIndex struct {
	byName map[string]*pointerName
	places int
}

// pointerName is an identifier.
type pointerName struct {
	text  string
	count int
	last  *pointerPlace
}

// pointerPlace is a place where an identifier occurs.
type pointerPlace struct {
	place
	previous *pointerPlace // of the same identifier, nil for the first
}

func newPointerIndex() *pointerIndex {
	return &pointerIndex{byName: make(map[string]*pointerName)}
}

func (ix *pointerIndex) add(name string, p place) error {
	n := ix.byName[name]
	if n == nil {
		n = &pointerName{text: name}
		ix.byName[name] = n
	}
	n.last = &pointerPlace{place: p, previous: n.last}
	n.count++
	ix.places++
	return nil
}

func (ix *pointerIndex) find(name string) iter.Seq[place] {
	return func(yield func(place) bool) {
		n := ix.byName[name]
		if n == nil {
			return
		}
		for p := n.last; p != nil; p = p.previous {
			if !yield(p.place) {
				return
			}
		}
	}
}

func (ix *pointerIndex) names() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, n := range ix.byName {
			if !yield(n.text, n.count) {
				return
			}
		}
	}
}

func (ix *pointerIndex) objects() int { return len(ix.byName) + ix.places }

// close drops the pointers; the rest is the collector's business.
func (ix *pointerIndex) close() error {
	*ix = pointerIndex{}
	return nil
}
