//go:build !tinygo

// Types made at run time, which TinyGo's package reflect cannot do.

package typed_test

import (
	"errors"
	"image"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/typed"
)

func TestKinds(t *testing.T) {
	structOf := func(types ...reflect.Type) reflect.Type {
		fields := make([]reflect.StructField, len(types))
		for i, typ := range types {
			fields[i] = reflect.StructField{Name: string(rune('A' + i)), Type: typ}
		}
		return reflect.StructOf(fields)
	}
	byteType := reflect.TypeFor[byte]()
	for _, k := range kinds {
		t.Run(k.kind.String(), func(t *testing.T) {
			none := reflect.ArrayOf(0, k.typ)
			for _, made := range []struct {
				typ reflect.Type
				ok  bool
			}{
				{k.typ, k.ok},
				{reflect.ArrayOf(1, k.typ), k.ok},
				{reflect.ArrayOf(2, reflect.ArrayOf(3, k.typ)), k.ok},
				{structOf(k.typ), k.ok},
				{structOf(byteType, k.typ, byteType), k.ok},
				{reflect.ArrayOf(2, structOf(byteType, reflect.ArrayOf(1, k.typ))), k.ok},
				{none, true},
				{reflect.ArrayOf(5, none), true},
				{reflect.ArrayOf(0, structOf(k.typ)), true},
				{structOf(none), true},
				{structOf(none, byteType, none), true},
				{structOf(none, k.typ, none), k.ok},
				{reflect.PointerTo(k.typ), false},
				{reflect.SliceOf(k.typ), false},
			} {
				err := typed.CheckType(made.typ)
				if made.ok {
					assert.NoError(t, err)
				} else {
					assert.Error(t, err, "%v", made.typ)
				}
			}
		})
	}
}

// madeType is a type together with what CheckType must say about it, which is known
// from how the type was made and not from inspecting it.
type madeType struct {
	typ   reflect.Type
	paths []string // as in a PointerError
	size  bool     // its size is more than 0
}

// ready are the types to start from: one of each kind, and some with names.
var ready = append(func() (made []madeType) {
	for _, k := range kinds {
		m := madeType{typ: k.typ, size: true}
		if !k.ok {
			m.paths = []string{""}
		}
		made = append(made, m)
	}
	return made
}(),
	madeType{typ: reflect.TypeFor[struct{}]()},
	madeType{typ: reflect.TypeFor[Vec](), size: true},
	madeType{typ: reflect.TypeFor[Handle[Tree]](), size: true},
	madeType{typ: reflect.TypeFor[Matrix](), size: true},
	madeType{typ: reflect.TypeFor[image.Rectangle](), size: true},
	madeType{typ: reflect.TypeFor[time.Time](), size: true, paths: []string{".loc"}},
	madeType{typ: reflect.TypeFor[Enemy](), size: true, paths: []string{".Sprite", ".Name"}},
	madeType{typ: reflect.TypeFor[Names](), size: true, paths: []string{"[]"}},
	madeType{typ: reflect.TypeFor[Tree](), size: true, paths: []string{".Left", ".Right"}},
)

// makeType makes a type from a sequence of decisions. Its paths are relative: they start
// with a dot or a bracket, not with a name.
func makeType(next func() byte, depth int) madeType {
	choice := next()
	if depth == 0 {
		choice %= 4
	}
	switch choice % 8 {
	default:
		return ready[int(next())%len(ready)]

	case 4, 5:
		elem, n := makeType(next, depth-1), int(next()%4)
		made := madeType{typ: reflect.ArrayOf(n, elem.typ), size: elem.size && n > 0}
		if n > 0 {
			for _, p := range elem.paths {
				made.paths = append(made.paths, "[]"+p)
			}
		}
		return made

	case 6, 7:
		var made madeType
		fields := make([]reflect.StructField, next()%5)
		for i := range fields {
			name := string(rune('A' + i))
			f := makeType(next, depth-1)
			fields[i] = reflect.StructField{Name: name, Type: f.typ}
			made.size = made.size || f.size
			for _, p := range f.paths {
				made.paths = append(made.paths, "."+name+p)
			}
		}
		made.typ = reflect.StructOf(fields)
		return made
	}
}

// verify compares the verdict of CheckType with the expected one and with the runtime's.
func verify(t *testing.T, made madeType) {
	t.Helper()
	err := typed.CheckType(made.typ)
	if got, ok := runtimeSaysPointerFree(made.typ); ok && got != (err == nil) {
		t.Fatalf("%v: the runtime says pointer-free is %v, CheckType says: %v", made.typ, got, err)
	}
	if made.size != (made.typ.Size() > 0) {
		t.Fatalf("%v: expected to take room: %v", made.typ, made.size)
	}
	if len(made.paths) == 0 {
		if err != nil {
			t.Fatalf("%v was refused: %v", made.typ, err)
		}
		return
	}
	var pe *typed.PointerError
	if !errors.As(err, &pe) {
		t.Fatalf("%v: got %v, want a PointerError", made.typ, err)
	}
	want := slices.Clone(made.paths)
	for i := range want {
		switch name := made.typ.Name(); {
		case want[i] == "":
		case name != "":
			want[i] = name + want[i]
		case want[i][0] == '.':
			want[i] = want[i][1:]
		}
	}
	if !slices.Equal(want, pe.Paths) || pe.Path != want[0] {
		t.Fatalf("%v:\nwant %q\n got %q first %q", made.typ, want, pe.Paths, pe.Path)
	}
	if err.Error() == "" {
		t.Fatalf("%v: no message", made.typ)
	}
}

func TestRandomTypes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	next := func() byte { return byte(rng.Uint32()) }
	n, refused := 3000, 0
	for range n {
		made := makeType(next, 4)
		if len(made.paths) > 0 {
			refused++
		}
		verify(t, made)
	}
	// The test is worth its name only if both verdicts are common.
	if refused < n/10 || refused > n*9/10 {
		t.Errorf("%d of %d types held pointers", refused, n)
	}
}

func FuzzCheckType(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte{4, 0, 16, 0})                    // [0]chan int
	f.Add([]byte{6, 2, 0, 0, 0, 22})              // struct{ A bool; B string }
	f.Add([]byte{4, 6, 2, 0, 12, 4, 0, 29, 3, 2}) // [2]struct{ A float32; B [3]time.Time }
	f.Fuzz(func(t *testing.T, decisions []byte) {
		next := func() (b byte) {
			if len(decisions) > 0 {
				b, decisions = decisions[0], decisions[1:]
			}
			return b
		}
		verify(t, makeType(next, 5))
	})
}

type Raw unsafe.Pointer

func TestNamedUnsafePointer(t *testing.T) {
	assert.ErrorContains(t, check[Pair[int, Raw]]().check(), "Second is typed_test.Raw, an unsafe.Pointer")
}
