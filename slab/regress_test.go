package slab_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// There is a test for each weakness (S) of the ancestor, the Rust crate deblockator, in the
// files regress_seed and regress_seed2, and one for each class of bugs (B) that allocators of
// this kind have shipped, in the files regress_field, regress_field2 and regress_pool. The
// numbers are this project's own; each test says what its number stands for. Some cannot
// happen here:
//
//	S15 one lock around the source   there is none; tested: a source's refusal does not panic
//	S16 unconditional Send and Sync  no such thing in Go; tested: vet reports copies
//	S19 tests that do not compile    these do
//	S20 nightly-only features        go.mod says what is needed, and CI enforces it
//	S21-S24 kernel calls             package vita
//	B11 sentinel of another width    0 is none everywhere; numbers that do not fit in the
//	                                 address map's 16 bits are in addrmap_test.go
//	B14 debug margins between chunks there are none
//	B15 defragmentation              nothing moves
//	B19 pointers made of integers    none are; the tests run with checkptr
//	B23 memory poisoned twice        no sanitizer is called
//	B24-B26 B35 threads              an allocator has one goroutine at a time; B35 on what has
//	                                 several is TestLimitHoldsAgainstManyAtOnce
//	B38 headers inside the memory    there are none; unaligned blocks are B33

// onCounting returns an allocator on a source that counts, and checks at the
// end of the test that the allocator is sound and gives everything back.
func onCounting(t testing.TB, cfg slab.Config) (*slab.Allocator, *blocksrctest.Counting) {
	t.Helper()
	if cfg.Source == nil {
		cfg.Source = plain()
	}
	src := &blocksrctest.Counting{Source: cfg.Source}
	cfg.Source = src
	a, err := slab.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, a.Check())
		assert.NoError(t, a.Close())
		assert.NoError(t, src.Leaks())
		assert.NoError(t, src.Misuse())
	})
	return a, src
}

// room returns an allocator on a fixed budget, with records elsewhere, so that a
// test can count what fits.
func room(t testing.TB, size int, cfg slab.Config) *slab.Allocator {
	t.Helper()
	cfg.Source = blocksrc.Limit(&blocksrc.GoHeap{}, size)
	cfg.MetaSource = &blocksrc.GoHeap{}
	cfg.BlockAlign = 4 << 10 // as gc and the console align them anyway
	a, _ := onCounting(t, cfg)
	return a
}

func startOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func endOf(b []byte) uintptr { return startOf(b) + uintptr(cap(b)) }

// granted allocates, which must succeed, where the test is about something else.
func granted(t testing.TB, a *slab.Allocator, size, align int) []byte {
	t.Helper()
	b, err := a.Alloc(size, align)
	require.NoError(t, err)
	require.Len(t, b, size)
	return b
}

// fillUp allocates until there is no room.
func fillUp(t testing.TB, a *slab.Allocator, size, align int) (got [][]byte) {
	t.Helper()
	for {
		b, err := a.AllocUninitialized(size, align)
		if err != nil {
			require.ErrorIs(t, err, blocksrc.ErrExhausted)
			return got
		}
		got = append(got, b)
	}
}

func freeAll(a *slab.Allocator, bs [][]byte) {
	for _, b := range bs {
		a.Free(b)
	}
}

// thin frees all of bs but each n-th, and returns those.
func thin(a *slab.Allocator, bs [][]byte, n int) (stay [][]byte) {
	for i, b := range bs {
		if i%n == n-1 {
			stay = append(stay, b)
		} else {
			a.Free(b)
		}
	}
	return stay
}

// caught returns the misuse that f panics with, or nil if it does not panic.
func caught(t testing.TB, f func()) (e *slab.MisuseError) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if e, ok = r.(*slab.MisuseError); !ok {
				panic(r)
			}
		}
	}()
	f()
	return nil
}

// stamp writes to b what tells it from others; stamped tells whether b is as stamp left it.
func stamp(b []byte, seed uint64) {
	r := rand.NewPCG(seed, uint64(len(b)))
	for i := range b {
		if i&7 == 0 || i == len(b)-1 {
			b[i] = byte(r.Uint64())
		}
	}
}

func stamped(b []byte, seed uint64) bool {
	r := rand.NewPCG(seed, uint64(len(b)))
	for i := range b {
		if (i&7 == 0 || i == len(b)-1) && b[i] != byte(r.Uint64()) {
			return false
		}
	}
	return true
}
