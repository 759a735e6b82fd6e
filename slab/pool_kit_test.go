// What the tests of pools share.

package slab_test

import (
	"bytes"
	"math/bits"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// poolSlow tells whether every operation takes longer, under the race detector or
// with a full check after each.
var poolSlow = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true" || s.Key == "-tags" && strings.Contains(s.Value, "slabcheck")
	})
}()

// soiled gives blocks that are anything but zero, and does not claim otherwise.
type soiled struct{ blocksrc.GoHeap }

func (s *soiled) Acquire(size, align int) ([]byte, error) {
	block, err := s.GoHeap.Acquire(size, align)
	for i := range block {
		block[i] = 0xA5
	}
	return block, err
}

func (s *soiled) Zeroed() bool { return false }

// poolSources are the kinds of memory that matter to a pool.
var poolSources = []struct {
	name string
	make func() blocksrc.Source
}{
	{"heap", func() blocksrc.Source { return new(blocksrc.GoHeap) }},
	{"soiled", func() blocksrc.Source { return new(soiled) }},
	{"default", blocksrc.Default},
}

// takeSlots takes n slots of p.
func takeSlots(t testing.TB, p *slab.Pool, n int) (qs []unsafe.Pointer) {
	t.Helper()
	for range n {
		q, err := p.AllocUninitialized()
		require.NoError(t, err)
		qs = append(qs, q)
	}
	return qs
}

// newPool returns a pool and its source, which counts. The end of the test asserts that
// the pool leaves nothing behind.
func newPool(t testing.TB, size, align int, cfg slab.Config) (*slab.Pool, *blocksrctest.Counting) {
	t.Helper()
	if cfg.Source == nil {
		cfg.Source = new(blocksrc.GoHeap)
	}
	a, src := onCounting(t, cfg)
	p, err := slab.NewPool(a, size, align)
	require.NoError(t, err)
	t.Cleanup(func() { // before that of onCounting
		assert.NoError(t, a.Check())
		assert.NoError(t, p.Close())
	})
	return p, src
}

// slotBytes returns the n bytes of the slot at q.
func slotBytes(q unsafe.Pointer, n int) []byte { return unsafe.Slice((*byte)(q), n) }

func allBytes(b []byte, v byte) bool {
	return len(b) == 0 || b[0] == v && bytes.Equal(b[1:], b[:len(b)-1])
}

// poolMisuse asserts that f panics with the misuse, and changes nothing.
func poolMisuse(t testing.TB, p *slab.Pool, want slab.Misuse, f func()) {
	t.Helper()
	before, stats := p.Allocator().Stats(), p.Stats()
	defer func() {
		t.Helper()
		err, ok := recover().(*slab.MisuseError)
		if assert.True(t, ok, "no panic with a *MisuseError") {
			assert.Equal(t, want, err.Misuse, "%v", err)
			assert.Equal(t, before.Name, err.Name, "%v", err)
		}
		assert.Equal(t, before, p.Allocator().Stats())
		assert.Equal(t, stats, p.Stats())
		assert.NoError(t, p.Allocator().Check())
	}()
	f()
}

// visit visits the live slots of p, each with its handle.
func visit(p *slab.Pool, yield func(slab.Handle, unsafe.Pointer) bool) {
	slab.ShellOf(p).Names()
	visitSlots(p, func(q unsafe.Pointer, index uint32, gen unsafe.Pointer) bool {
		return yield(slab.HandleAt(index, gen), q)
	})
}

// visitSlots is the loop that a Scan is made for.
func visitSlots(p *slab.Pool, yield func(q unsafe.Pointer, index uint32, gen unsafe.Pointer) bool) {
	stride := p.Stats().Stride
	s := slab.ShellOf(p).Scan()
	for s.Next() {
		for w, m := 0, s.Live; ; m = s.Word(w) {
			for m != 0 {
				i := w<<6 | bits.TrailingZeros64(m)
				m &= m - 1
				if !yield(unsafe.Add(s.Base, i*stride), s.Index+uint32(i), unsafe.Add(s.Gens, i*4)) {
					return
				}
				if *s.Changes != s.Seen {
					m, w = s.Refresh(w, m), 0
				}
			}
			if w++; w >= s.Words {
				break
			}
		}
	}
}

// nextRun goes on to the next run of live slots, as the loop of arena.Chunks does.
func nextRun(s *slab.WordScan, stride int) (first unsafe.Pointer, n int) {
	if s.Live != 0 && *s.Changes != s.Seen {
		s.Live &= s.Refresh()
	}
	if s.Live == 0 && !s.Next() {
		return nil, 0
	}
	carry := s.Live + s.Live&-s.Live
	i := bits.TrailingZeros64(s.Live)
	n = bits.TrailingZeros64(carry) - i
	first = unsafe.Add(s.Base, i*stride)
	if s.Live &= carry; carry == 0 {
		n += s.Extend()
	}
	return first, n
}
