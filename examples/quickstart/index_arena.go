package main

import (
	"hash/maphash"
	"iter"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// arenaIndex is the same index in memory that the collector does not scan. Each pointer
// becomes a handle: a number, 8 bytes as well.
//
// Strings hold pointers too, so the bytes of the names are copied out of the Go heap, and
// the map's key is a hash of the name. A map of numbers to handles holds no pointers, and
// the collector skips it like a slice of bytes. It would scan a
// map[string]arena.Handle[arenaName] entry by entry.
type arenaIndex struct {
	mem    *slab.Allocator
	idents *arena.Arena[arenaName]
	places *arena.Arena[arenaPlace]
	text   text
	byHash map[uint64]arena.Handle[arenaName]
	hash   func(string) uint64
}

// arenaName is an identifier.
type arenaName struct {
	text     textRef
	count    uint32
	last     arena.Handle[arenaPlace]
	sameHash arena.Handle[arenaName] // another name with the same hash, or none
}

// arenaPlace is a place where an identifier occurs.
type arenaPlace struct {
	place
	previous arena.Handle[arenaPlace] // of the same identifier, zero for the first
}

// newArenaIndex puts all parts of the index on one allocator, so that there is one figure
// for what they hold, one place to limit it (cfg.Source), and one Close.
func newArenaIndex(cfg slab.Config) (*arenaIndex, error) {
	mem, err := slab.New(cfg)
	if err != nil {
		return nil, err
	}
	// These fail for a type that holds a Go pointer, and name the path to the field.
	idents, err := arena.New[arenaName](mem)
	if err != nil {
		return nil, err
	}
	places, err := arena.New[arenaPlace](mem)
	if err != nil {
		return nil, err
	}
	bytes, err := arena.NewRegion(mem)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	return &arenaIndex{
		mem: mem, idents: idents, places: places, text: text{region: bytes},
		byHash: make(map[uint64]arena.Handle[arenaName]),
		hash:   func(s string) uint64 { return maphash.String(seed, s) },
	}, nil
}

// add can fail where the index with pointers would end the program: if there is no
// memory, or if a limit on it is reached.
func (ix *arenaIndex) add(name string, p place) error {
	n := ix.lookup(name)
	if n == nil {
		var err error
		if n, err = ix.addName(name); err != nil {
			return err
		}
	}
	h, err := ix.places.Insert(arenaPlace{place: p, previous: n.last})
	if err != nil {
		return err
	}
	n.last = h
	n.count++
	return nil
}

func (ix *arenaIndex) addName(name string) (*arenaName, error) {
	ref, err := ix.text.add(name)
	if err != nil {
		return nil, err
	}
	n, err := ix.idents.Alloc()
	if err != nil {
		return nil, err
	}
	hash := ix.hash(name)
	*n = arenaName{text: ref, sameHash: ix.byHash[hash]}
	ix.byHash[hash] = ix.idents.Handle(n)
	return n, nil
}

// lookup returns the record of name, or nil. The zero handle names nothing, so Get
// returns false at the end of a chain and for a hash that is not in the map. The pointer
// is good for as long as the record lives: nothing here moves.
func (ix *arenaIndex) lookup(name string) *arenaName {
	h := ix.byHash[ix.hash(name)]
	for {
		n, ok := ix.idents.Get(h)
		if !ok {
			return nil
		}
		if string(ix.text.bytes(n.text)) == name { // compares without copying
			return n
		}
		h = n.sameHash
	}
}

func (ix *arenaIndex) find(name string) iter.Seq[place] {
	return func(yield func(place) bool) {
		n := ix.lookup(name)
		if n == nil {
			return
		}
		for p, ok := ix.places.Get(n.last); ok; p, ok = ix.places.Get(p.previous) {
			if !yield(p.place) {
				return
			}
		}
	}
}

func (ix *arenaIndex) names() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, n := range ix.idents.All() {
			if !yield(string(ix.text.bytes(n.text)), int(n.count)) {
				return
			}
		}
	}
}

func (ix *arenaIndex) objects() int { return ix.idents.Len() + ix.places.Len() }

// close returns all memory to the system at once. No handle can reach it any more, but a
// pointer that was kept can: that is the price of memory that is not collected.
func (ix *arenaIndex) close() error { return ix.mem.Close() }
