package typed_test

import (
	"image"
	"net"
	"testing"
	"text/template"
	"unsafe"

	"github.com/stretchr/testify/assert"
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

		// The list of the others ends after four, then it counts.
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
		{check[[2][3]func()](), "[2][3]func()" + refused + "[][] is func()"},

		// A name that does not tell is explained.
		{check[Pair[int, Label]](), "Pair[int,typed_test.Label]" + refused +
			"Pair[int,typed_test.Label].Second is typed_test.Label, a string"},
		{check[Pair[int, net.IP]](), "Pair[int,net.IP]" + refused + "Pair[int,net.IP].Second is net.IP, a slice"},
		{check[Pair[int, Brain]](), "Pair[int,typed_test.Brain]" + refused +
			"Pair[int,typed_test.Brain].Second is typed_test.Brain, an interface"},
		{check[Pair[int, template.FuncMap]](), "Pair[int,template.FuncMap]" + refused +
			"Pair[int,template.FuncMap].Second is template.FuncMap, a map"},
		{check[Pair[int, Ref]](), "Pair[int,typed_test.Ref]" + refused +
			"Pair[int,typed_test.Ref].Second is typed_test.Ref, a pointer"},
		{check[Pair[int, error]](), "Pair[int,error]" + refused + "Pair[int,error].Second is error"},
		{check[Pair[int, unsafe.Pointer]](), "Pair[int,unsafe.Pointer]" + refused +
			"Pair[int,unsafe.Pointer].Second is unsafe.Pointer"},

		// Type arguments are written as in source, not as for the linker.
		{check[Pair[Vec, *local]](), "Pair[typed_test.Vec,*typed_test.local]" + refused +
			"Pair[typed_test.Vec,*typed_test.local].Second is *typed_test.local"},
		{check[*Pair[image.Point, Handle[Enemy]]](),
			"*typed_test.Pair[image.Point,typed_test.Handle[typed_test.Enemy]]" + refused + "it is a Go pointer"},
		{check[func(Pair[func(...template.Template) <-chan template.Template, int])](),
			"func(typed_test.Pair[func(...template.Template) <-chan template.Template,int])" + refused +
				"a func holds a Go pointer"},
		{check[[]Pair[struct {
			A int `go:"a/b\"c/d %2e"`
			B template.FuncMap
		}, assert.Assertions]](),
			`[]typed_test.Pair[struct { A int "go:\"a/b\\\"c/d %2e\""; B template.FuncMap },assert.Assertions]` +
				refused + "a slice holds a Go pointer"},
	} {
		assert.EqualError(t, c.check(), "typed: "+c.want)
	}
}
