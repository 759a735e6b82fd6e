package slab_test

import (
	"bytes"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// The sources of the model's memory.

// faultySource is a source with a budget that counts and can be told to fail.
type faultySource struct {
	*blocksrctest.Failing // for Release; the outermost source
	acquires              *blocksrctest.Failing
	counting              *blocksrctest.Counting
	budget                int    // the most bytes that it can give in one block when nothing is out
	pieces                bool   // it is a fixed buffer: what is free may be in pieces
	beside                []byte // memory right behind that of the source, nil if there is none to show
}

func newFaultySource(base blocksrc.Source, budget int) *faultySource {
	s := &faultySource{counting: &blocksrctest.Counting{Source: base}, budget: budget}
	s.acquires = &blocksrctest.Failing{Source: s.counting, On: blocksrctest.Acquires}
	s.Failing = &blocksrctest.Failing{Source: s.acquires, On: blocksrctest.Releases}
	return s
}

// newBufferSource returns a source of n bytes that are not zero, none of them at a multiple of
// 1 GiB.
func newBufferSource(n int) *faultySource {
	mem := bytes.Repeat([]byte{0xA5}, n+64)
	for -address(mem)%(1<<30) < uintptr(n) {
		mem = bytes.Repeat([]byte{0xA5}, n+64)
	}
	s := newFaultySource(blocksrc.NewBuffer(mem[:n:n]), n)
	s.pieces, s.beside = true, mem[n:]
	return s
}

func arm(f *blocksrctest.Failing, k int, persist bool) {
	f.At, f.Persist = f.Calls()+k, persist
}

func disarm(f *blocksrctest.Failing) { f.At, f.Persist = 0, false }

func armed(f *blocksrctest.Failing) bool { return f.At > f.Calls() || f.At > 0 && f.Persist }

func (s *faultySource) disarm() {
	disarm(s.Failing)
	disarm(s.acquires)
}

func (s *faultySource) held() int { return s.counting.Counts().Held }
