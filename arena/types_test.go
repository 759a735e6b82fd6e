//go:build !tinygo

// TinyGo's package reflect does not know which types convert to which.

package arena_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

// The types tell the garbage collector and go vet what those need to know.
func TestTypesAreWhatTheySay(t *testing.T) {
	locker := reflect.TypeFor[sync.Locker]()
	for _, typ := range []reflect.Type{reflect.TypeFor[arena.Arena[int]](), reflect.TypeFor[arena.Region]()} {
		found := false
		for i := range typ.NumField() {
			found = found || reflect.PointerTo(typ.Field(i).Type).Implements(locker)
		}
		assert.True(t, found, "go vet must find copies of %v", typ)
	}
	h := reflect.TypeOf(arena.Handle[enemy]{})
	assert.Equal(t, uintptr(8), h.Size())
	assert.True(t, h.Comparable())
	assert.NoError(t, typed.CheckType(h))
	assert.False(t, h.ConvertibleTo(reflect.TypeFor[arena.Handle[int]]()))
	assert.False(t, h.ConvertibleTo(reflect.TypeFor[slab.Handle]()))
}

// Each type is looked at once for each arena and each region, not once for each object: a
// refusal is the same one again, and a look at a type would be an allocation.
func TestEachTypeIsLookedAtOnce(t *testing.T) {
	on, _ := newAllocator(t, nil)
	r := arena.Must(arena.NewRegion(on))
	var bad arena.Arena[badOne]
	for name, try := range map[string]func() error{
		"arena":  func() error { _, err := bad.Alloc(); return err },
		"region": func() error { _, err := arena.Make[badOne](r); return err },
	} {
		var first, second *typed.PointerError
		require.ErrorAs(t, try(), &first, name)
		require.ErrorAs(t, try(), &second, name)
		assert.Same(t, first, second, name)
	}

	if slow {
		return // a Check allocates
	}
	type pair [2]uint64
	good := arena.Must(arena.New[pair](on))
	mark := r.Mark()
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		good.Free(arena.Must(good.Alloc()))
		good.Remove(arena.Must(good.Insert(pair{})))
		arena.Must(arena.Make[pair](r))
		arena.Must(arena.MakeSlice[uint64](r, 2))
		r.Rewind(mark)
	}))
	require.NoError(t, r.Close())
}
