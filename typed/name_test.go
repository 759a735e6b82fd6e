package typed_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/typed"
)

func TestReadable(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"", ""},
		{"int", "int"},
		{"game.Enemy", "game.Enemy"},
		{"Pair[int,string]", "Pair[int,string]"},
		{"Pair[example.com/game.Enemy,*example.com/game.Item]", "Pair[game.Enemy,*game.Item]"},
		{"Pair[main.local·1,main.local·12]", "Pair[main.local,main.local]"},

		// Versions are not part of a package's name.
		{"List[example.com/game/v2.Enemy]", "List[game.Enemy]"},
		{"List[example.com/game/v2/vec.Enemy]", "List[vec.Enemy]"},
		{"List[example.com/v2.Enemy]", "List[example.Enemy]"},
		{"List[gopkg.in/yaml%2ev3.Node]", "List[yaml.Node]"},
		{"List[example%2ecom.Node]", "List[example.Node]"},
		{"List[example.com/vec.V]", "List[vec.V]"},
		{"List[example.com/v.V]", "List[v.V]"},
		{"List[v2.V]", "List[v2.V]"},

		// Everything around the names stays.
		{"[]List[a/b.C]", "[]List[b.C]"},
		{"map[P[a/b.C]]a/d.E", "map[P[b.C]]d.E"},
		{"P[map[a/b.C][3]*a/b.C]", "P[map[b.C][3]*b.C]"},
		{"P[func(...a/b.C, int) (<-chan a/b.C, chan<- a/b.C)]", "P[func(...b.C, int) (<-chan b.C, chan<- b.C)]"},
		{"P[interface { a/b.do(a/b.C); Do() }]", "P[interface { b.do(b.C); Do() }]"},
		{`P[struct { A a/b.C "x:\"a/b.C·%2e\\\""; B a/b.C }]`, `P[struct { A b.C "x:\"a/b.C·%2e\\\""; B b.C }]`},
		{"P[Größe/b.Größe·1]", "P[b.Größe]"},

		// A name that makes no sense does not stop it either.
		{`a/b "`, `a/b "`},
		{`/.`, `.`},
		{"/", "/"},
		{"a/.b", ".b"},
	} {
		assert.Equal(t, c.want, typed.Readable(c.name), c.name)
	}
}

// If all of a path is one element, that is the package's name, even if it looks like a
// version.
func TestReadableOfAVersion(t *testing.T) {
	assert.Equal(t, "Pair[v2.Node,b.C]", typed.Readable("Pair[v2.Node,a/b.C]"))
	assert.Equal(t, "Pair[b.Node,b.C]", typed.Readable("Pair[a/b/v2.Node,a/b.C]"))
}
