//go:build !tinygo

// What differs in TinyGo: its package reflect leaves type arguments and the signatures
// of functions out of names, and its sync types hold pointers.

package typed_test

import (
	"image"
	"reflect"
	"sort"
	"sync"
	"testing"
	"text/template"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

func init() {
	accepted = append(accepted, check[sync.Mutex](), check[sync.Once]())
	refused = append(refused, refusedCheck{
		check[Pair[int, Label]](), reflect.TypeFor[Label](), []string{"Pair[int,typed_test.Label].Second"},
	})
}

func TestPointerErrorNames(t *testing.T) {
	type local struct{ Name string }
	const refused = " cannot live outside the Go heap: "

	for _, c := range []struct {
		checkFunc
		want string
	}{
		{check[[2][3]func()](), "[2][3]func()" + refused + "[][] is func()"},

		// A name that does not tell the kind is explained.
		{check[Pair[int, Label]](), "Pair[int,typed_test.Label]" + refused +
			"Pair[int,typed_test.Label].Second is typed_test.Label, a string"},
		{check[Pair[int, sort.IntSlice]](), "Pair[int,sort.IntSlice]" + refused + "Pair[int,sort.IntSlice].Second is sort.IntSlice, a slice"},
		{check[Pair[int, Brain]](), "Pair[int,typed_test.Brain]" + refused +
			"Pair[int,typed_test.Brain].Second is typed_test.Brain, an interface"},
		{check[Pair[int, template.FuncMap]](), "Pair[int,template.FuncMap]" + refused +
			"Pair[int,template.FuncMap].Second is template.FuncMap, a map"},
		{check[Pair[int, Ref]](), "Pair[int,typed_test.Ref]" + refused +
			"Pair[int,typed_test.Ref].Second is typed_test.Ref, a pointer"},
		{check[Pair[int, error]](), "Pair[int,error]" + refused + "Pair[int,error].Second is error"},
		{check[Pair[int, unsafe.Pointer]](), "Pair[int,unsafe.Pointer]" + refused +
			"Pair[int,unsafe.Pointer].Second is unsafe.Pointer"},

		// Type arguments are written as in the source, not as for the linker.
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
