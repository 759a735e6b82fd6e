//go:build !tinygo

// TinyGo's package reflect does not know which types convert to which.

package arena_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

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
