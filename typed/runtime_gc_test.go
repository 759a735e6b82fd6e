//go:build gc && !tinygo

// What gc records of a type for its collector; TinyGo records something else.

package typed_test

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// runtimeSaysPointerFree reports whether the collector would skip values of type t. The
// second result is false where that cannot be known.
//
// The descriptor of a type begins with two words, internal/abi.Type's Size_ and
// PtrBytes, "number of (prefix) bytes in the type that can contain pointers". The
// second decides. The first, which reflect exports too, tells whether the layout is
// still this one.
func runtimeSaysPointerFree(t reflect.Type) (free, ok bool) {
	type iface struct{ tab, data unsafe.Pointer }
	descriptor := (*[2]uintptr)((*iface)(unsafe.Pointer(&t)).data)
	return descriptor[1] == 0, descriptor[0] == t.Size()
}

// TestRuntimeAgrees asks the authority: the collector itself.
func TestRuntimeAgrees(t *testing.T) {
	agree := func(typ reflect.Type, want bool) {
		t.Helper()
		free, ok := runtimeSaysPointerFree(typ)
		if assert.True(t, ok, "type descriptors have changed") {
			assert.Equal(t, want, free, "%v", typ)
		}
	}
	for _, k := range kinds {
		agree(k.typ, k.ok)
	}
	for _, c := range accepted {
		agree(c.typ, true)
	}
	for _, c := range refused {
		agree(c.typ, false)
	}
}
