// What the tests of arenas share.

package arena_test

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// slow tells whether every operation takes longer: under the race detector, or with a full
// check after each.
var slow = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-race" && s.Value == "true" || s.Key == "-tags" && strings.Contains(s.Value, "slabcheck")
	})
}()

// fewer returns n, or few where a test has to be quick.
func fewer(n, few int) int {
	if testing.Short() || slow {
		return few
	}
	return n
}

// soiled returns blocks that are not zero, and does not claim that they are.
type soiled struct{ blocksrc.GoHeap }

func (s *soiled) Acquire(size, align int) ([]byte, error) {
	block, err := s.GoHeap.Acquire(size, align)
	for i := range block {
		block[i] = 0xA5
	}
	return block, err
}

func (s *soiled) Zeroed() bool { return false }

// sources are the kinds of memory that matter here.
var sources = []struct {
	name string
	make func() blocksrc.Source
}{
	{"heap", func() blocksrc.Source { return new(blocksrc.GoHeap) }},
	{"soiled", func() blocksrc.Source { return new(soiled) }},
	{"default", blocksrc.Default},
}

// newAllocator returns an allocator and the source that counts its blocks. At the test's end
// it asserts that the allocator leaves nothing behind. A nil src means plain.
func newAllocator(t testing.TB, src blocksrc.Source) (*slab.Allocator, *blocksrctest.Counting) {
	t.Helper()
	if src == nil {
		src = plain()
	}
	counting := &blocksrctest.Counting{Source: src}
	a, err := slab.New(slab.Config{Source: counting, Name: t.Name()})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, a.Check())
		assert.NoError(t, a.Close())
		assert.NoError(t, counting.Leaks())
		assert.NoError(t, counting.Misuse())
	})
	return a, counting
}

func newArena[T any](t testing.TB, a *slab.Allocator) *arena.Arena[T] {
	t.Helper()
	if a == nil {
		a, _ = newAllocator(t, nil)
	}
	r, err := arena.New[T](a)
	require.NoError(t, err)
	return r
}

// misused asserts that f panics with this misuse and changes nothing.
func misused(t testing.TB, a *slab.Allocator, want slab.Misuse, f func()) {
	t.Helper()
	var before slab.Stats
	if a != nil {
		before = a.Stats()
	}
	defer func() {
		t.Helper()
		err, ok := recover().(*slab.MisuseError)
		if assert.True(t, ok, "no panic with a *slab.MisuseError") {
			assert.Equal(t, want, err.Misuse, "%v", err)
			assert.NotEmpty(t, err.Op)
		}
		if a != nil {
			assert.Equal(t, before.Name, err.Name, "%v", err)
			assert.Equal(t, before, a.Stats())
			assert.NoError(t, a.Check())
		}
	}()
	f()
}

// bytesOf shows the memory of an object, padding included.
func bytesOf[T any](p *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)) }

func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

type enemy struct {
	HP     int32
	Target arena.Handle[enemy]
	Pos    [3]float32
}
