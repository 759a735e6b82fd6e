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

// One test for each weakness of the ancestor, the Rust crate deblockator, in
// regress_seed_test.go, and one for each class of bugs that allocators of this
// kind have shipped, in the files regress_field, regress_field2 and regress_pool.
// The numbers are those of our collection; the tests say what each is about.
// Some cannot happen here:
//
//	S15 one lock around the source   there is none; that a source's refusal is no panic is tested
//	S16 unconditional Send and Sync  no such thing in Go; that vet reports copies is tested
//	S19 tests that do not compile    these do
//	S20 nightly-only features        go.mod says what is needed, CI holds us to it
//	S21-S24 kernel calls             package vita
//	B11 sentinel of another width    0 is none everywhere; but in the list of unused splits,
//	                                 of 16 bits, which is for the tests of addrmap_test.go
//	B14 debug margins between chunks there are none
//	B15 defragmentation              nothing moves
//	B19 pointers made of integers    none are; the tests run with checkptr
//	B23 memory poisoned twice        no sanitizer is called
//	B24-B26 B35 threads              an allocator has one goroutine at a time; of what has
//	                                 several, TestLimitHoldsAgainstManyAtOnce is B35
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
	cfg.BlockAlign = 4 << 10 // as gc aligns them anyway, and the console
	a, _ := onCounting(t, cfg)
	return a
}

func startOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func endOf(b []byte) uintptr { return startOf(b) + uintptr(cap(b)) }

// granted allocates where that is not what the test is about.
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

// caught returns what f panics with, nil if it does not.
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

// stamp fills b with what tells it from others; stamped tells whether it is as
// stamp left it.
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
