package typed_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/typed"
)

func TestPointerErrorMessage(t *testing.T) {
	type local struct{ Name string }
	const refused = " cannot live outside the Go heap: "

	for _, c := range []struct {
		checkFunc
		want string
	}{
		{check[Enemy](), "Enemy" + refused + "Enemy.Sprite is *image.RGBA (also Enemy.Name)"},
		{check[Event](), "Event" + refused + "Event.When.loc is *time.Location"},
		{check[Squad](), "Squad" + refused + "Squad.Slots[].Name is string"},
		{check[local](), "local" + refused + "local.Name is string"},
		{check[DerivedBy](), "DerivedBy" + refused + "DerivedBy.Base is *typed_test.Base"},

		// The message lists four of the others and counts the rest.
		{
			check[struct{ A, B, C, D, E string }](),
			"struct { A string; B string; C string; D string; E string }" + refused +
				"A is string (also B, C, D, E)",
		},
		{
			check[struct {
				In   struct{ A, B, C [2]string }
				D    []byte
				E, F map[string]any
				g    chan<- struct{}
			}](),
			"struct { In struct { A [2]string; B [2]string; C [2]string }; D []uint8; " +
				"E map[string]interface {}; F map[string]interface {}; g chan<- struct {} }" + refused +
				"In.A[] is string (also In.B[], In.C[], D, E and 2 more)",
		},

		// A type that is itself a pointer has no path.
		{check[*Enemy](), "*typed_test.Enemy" + refused + "it is a Go pointer"},
		{check[unsafe.Pointer](), "unsafe.Pointer" + refused + "it is a Go pointer"},
		{check[string](), "string" + refused + "a string holds a Go pointer"},
		{check[Label](), "typed_test.Label" + refused + "a string holds a Go pointer"},
		{check[Forest](), "typed_test.Forest" + refused + "a slice holds a Go pointer"},
		{check[any](), "interface {}" + refused + "an interface holds a Go pointer"},
		{check[[4]Enemy](), "[4]typed_test.Enemy" + refused + "[].Sprite is *image.RGBA (also [].Name)"},
	} {
		assert.EqualError(t, c.check(), "typed: "+c.want)
	}
}

func TestOneMore(t *testing.T) {
	assert.ErrorContains(t, typed.Check[struct{ A, B, C, D, E, F string }](), "A is string (also B, C, D, E and 1 more)")
}
