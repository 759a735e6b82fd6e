package typed_test

import (
	"image"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/typed"
)

// Types of the shapes that users have.
type (
	Vec struct{ X, Y float32 }

	Enemy struct {
		Pos    Vec
		HP     int32
		Sprite *image.RGBA
		Name   string
	}

	// Handle is the shape of an arena's handle: tied to T, without a pointer to it.
	Handle[T any] struct {
		_          [0]*T
		Index, Gen uint32
	}

	Node struct {
		Key         int
		Left, Right Handle[Node]
	}

	Tree struct {
		Key         int
		Left, Right *Tree
	}
	Forest []Forest

	Slot  struct{ Name string }
	Squad struct{ Slots [4]Slot }

	Base struct {
		ID    uint64
		label string
	}
	Derived   struct{ Base }
	DerivedBy struct{ *Base }

	Pair[A, B any] struct {
		First  A
		Second B
	}
	Paired struct{ Pair[int, string] }

	Event struct {
		ID   uint64
		When time.Time
	}

	Label  string
	Ref    *int
	Flags  uint16
	Names  [3]string
	Matrix [4][4]float64
	Brain  interface{ Think() }
)

var _ = Base{}.label // read by reflection only

// kinds classifies every kind of type but arrays and structs.
var kinds = []struct {
	kind reflect.Kind
	typ  reflect.Type
	ok   bool
}{
	{reflect.Bool, reflect.TypeFor[bool](), true},
	{reflect.Int, reflect.TypeFor[int](), true},
	{reflect.Int8, reflect.TypeFor[int8](), true},
	{reflect.Int16, reflect.TypeFor[int16](), true},
	{reflect.Int32, reflect.TypeFor[int32](), true},
	{reflect.Int64, reflect.TypeFor[int64](), true},
	{reflect.Uint, reflect.TypeFor[uint](), true},
	{reflect.Uint8, reflect.TypeFor[uint8](), true},
	{reflect.Uint16, reflect.TypeFor[uint16](), true},
	{reflect.Uint32, reflect.TypeFor[uint32](), true},
	{reflect.Uint64, reflect.TypeFor[uint64](), true},
	{reflect.Uintptr, reflect.TypeFor[uintptr](), true},
	{reflect.Float32, reflect.TypeFor[float32](), true},
	{reflect.Float64, reflect.TypeFor[float64](), true},
	{reflect.Complex64, reflect.TypeFor[complex64](), true},
	{reflect.Complex128, reflect.TypeFor[complex128](), true},
	{reflect.Chan, reflect.TypeFor[chan int](), false},
	{reflect.Func, reflect.TypeFor[func()](), false},
	{reflect.Interface, reflect.TypeFor[any](), false},
	{reflect.Map, reflect.TypeFor[map[int]int](), false},
	{reflect.Pointer, reflect.TypeFor[*int](), false},
	{reflect.Slice, reflect.TypeFor[[]byte](), false},
	{reflect.String, reflect.TypeFor[string](), false},
	{reflect.UnsafePointer, reflect.TypeFor[unsafe.Pointer](), false},
}

// TestKindsAreClassified fails when a release of Go adds a kind, so that somebody
// classifies it. Until then CheckType refuses it.
func TestKindsAreClassified(t *testing.T) {
	known := map[reflect.Kind]bool{
		reflect.Invalid: true, // no type has it
		reflect.Array:   true, // depends on its elements
		reflect.Struct:  true, // depends on its fields
	}
	for _, k := range kinds {
		require.Equal(t, k.kind, k.typ.Kind())
		known[k.kind] = true
	}
	k := reflect.Kind(0)
	// A kind unknown to package reflect prints as "kind" and its number.
	for ; !strings.HasPrefix(k.String(), "kind"); k++ {
		assert.True(t, known[k], "reflect.%v is not classified", k)
	}
	assert.Len(t, known, int(k))
}

// checkFunc is Check[T] with its T, for tables.
type checkFunc struct {
	check func() error
	typ   reflect.Type
}

func check[T any]() checkFunc { return checkFunc{typed.Check[T], reflect.TypeFor[T]()} }

var accepted = []checkFunc{
	check[Vec](),
	check[Flags](),
	check[Matrix](),
	check[Handle[Enemy]](),
	check[Node](),
	check[[8]Node](),
	check[struct{}](),
	check[[1000]struct{}](),
	check[[0]string](),
	check[[7][0]string](),
	check[[0][7]string](),
	check[struct{ _ [0]*Tree }](),
	check[struct {
		a [0]func() // keeps == away
		b uintptr
	}](),
	check[Pair[int, Pair[[0]string, Flags]]](),
	check[time.Duration](),
	check[time.Month](),
	check[atomic.Int64](),
	check[image.Rectangle](),
}

type refusedCheck struct {
	checkFunc
	offending reflect.Type
	paths     []string
}

var refused = []refusedCheck{
	{check[Enemy](), reflect.TypeFor[*image.RGBA](), []string{"Enemy.Sprite", "Enemy.Name"}},
	{check[Tree](), reflect.TypeFor[*Tree](), []string{"Tree.Left", "Tree.Right"}},
	{check[Forest](), reflect.TypeFor[Forest](), []string{""}},
	{check[*Node](), reflect.TypeFor[*Node](), []string{""}},
	{check[string](), reflect.TypeFor[string](), []string{""}},
	{check[any](), reflect.TypeFor[any](), []string{""}},
	{check[unsafe.Pointer](), reflect.TypeFor[unsafe.Pointer](), []string{""}},

	// An array counts once, however long and deep.
	{check[Squad](), reflect.TypeFor[string](), []string{"Squad.Slots[].Name"}},
	{check[Names](), reflect.TypeFor[string](), []string{"Names[]"}},
	{check[[9]Squad](), reflect.TypeFor[string](), []string{"[].Slots[].Name"}},
	{check[[1 << 9][1 << 9][1 << 9]*int](), reflect.TypeFor[*int](), []string{"[][][]"}},
	{check[struct{ Grid [2][3]Names }](), reflect.TypeFor[string](), []string{"Grid[][][]"}},

	// Embedded fields are fields.
	{check[Derived](), reflect.TypeFor[string](), []string{"Derived.Base.label"}},
	{check[DerivedBy](), reflect.TypeFor[*Base](), []string{"DerivedBy.Base"}},
	{check[Paired](), reflect.TypeFor[string](), []string{"Paired.Pair.Second"}},

	// So are blank fields, and those of a struct without a name.
	{check[struct{ _ *int }](), reflect.TypeFor[*int](), []string{"_"}},
	{check[struct{ A, B string }](), reflect.TypeFor[string](), []string{"A", "B"}},
	{
		check[struct {
			In struct {
				_    int
				_, F func()
			}
			_ [0]*int
			E error
		}](),
		reflect.TypeFor[func()](),
		[]string{"In._", "In.F", "E"},
	},

	{check[Event](), reflect.TypeFor[*time.Location](), []string{"Event.When.loc"}},

	// The paths into these are the standard library's own business.
	{check[netip.Addr](), nil, nil},
	{check[sync.Cond](), nil, nil},
	{check[atomic.Value](), nil, nil},
	{check[atomic.Pointer[Vec]](), nil, nil},
	{check[weak.Pointer[Vec]](), nil, nil},
	{check[unique.Handle[string]](), nil, nil},
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		assert.NoError(t, c.check())
		assert.NoError(t, typed.CheckType(c.typ))
	}
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.typ.String(), func(t *testing.T) {
			var got *typed.PointerError
			require.ErrorAs(t, c.check(), &got)
			assert.Equal(t, c.typ, got.Type)
			require.NotEmpty(t, got.Paths)
			assert.Equal(t, got.Paths[0], got.Path)
			if c.paths != nil {
				assert.Equal(t, c.offending, got.Offending)
				assert.Equal(t, c.paths, got.Paths)
			}
			assert.Equal(t, got, typed.CheckType(c.typ))
		})
	}
}

// watchedType counts how often a walk descends into a type.
type watchedType struct {
	reflect.Type
	steps *int
}

func (w watchedType) Elem() reflect.Type {
	*w.steps++
	return watchedType{w.Type.Elem(), w.steps}
}

func (w watchedType) NumField() int {
	*w.steps++
	return w.Type.NumField()
}

func TestWalkIsShort(t *testing.T) {
	for _, c := range []struct {
		typ   reflect.Type
		steps int
	}{
		{reflect.TypeFor[byte](), 0},
		{reflect.TypeFor[[1 << 10][1 << 10][1 << 8]byte](), 3}, // not per element
		{reflect.TypeFor[[1 << 20]Vec](), 2},
		{reflect.TypeFor[*[4]byte](), 0},                // not behind a pointer
		{reflect.TypeFor[[1 << 20]struct{}](), 0},       // not where there is nothing
		{reflect.TypeFor[struct{ a, b [0]Enemy }](), 0}, // nor there
	} {
		steps := 0
		_ = typed.CheckType(watchedType{c.typ, &steps})
		assert.Equal(t, c.steps, steps, "%v", c.typ)
	}
}

// A struct has as many fields as it likes, and the last one counts.
func TestLastOfManyFields(t *testing.T) {
	type many struct {
		A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S int
		Last                                                    string
	}
	var got *typed.PointerError
	require.ErrorAs(t, typed.Check[many](), &got)
	assert.Equal(t, []string{"many.Last"}, got.Paths)
	assert.Equal(t, reflect.TypeFor[string](), got.Offending)
}
