package typed_test

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/vita-go/deblockator/typed"
)

type Texture struct{ Pixels []byte }

type Monster struct {
	HP     int32
	Skin   *Texture
	Name   string
	Spells [4]struct {
		Cost  int32
		Label string
	}
}

// Ghost is Monster without Go pointers.
type Ghost struct {
	HP     int32
	Skin   uint16   // an index into a []*Texture
	Name   [24]byte // padded with zeros
	Spells [4]struct {
		Cost int32
		ID   uint8 // an index into a []string
	}
}

func ExampleCheck() {
	fmt.Println(typed.Check[Monster]())
	fmt.Println(typed.Check[Ghost]())
	// Output:
	// typed: Monster cannot live outside the Go heap: Monster.Skin is *typed_test.Texture (also Monster.Name, Monster.Spells[].Label)
	// <nil>
}

func ExampleCheckType() {
	for _, v := range []any{7, "seven", [7]byte{}, []byte{7}} {
		fmt.Printf("%T: %v\n", v, typed.CheckType(reflect.TypeOf(v)) == nil)
	}
	// Output:
	// int: true
	// string: false
	// [7]uint8: true
	// []uint8: false
}

// A PointerError lists every field that has to change.
func ExamplePointerError() {
	err := typed.Check[Monster]()

	var refused *typed.PointerError
	if errors.As(err, &refused) {
		for _, path := range refused.Paths {
			fmt.Println(path)
		}
	}
	// Output:
	// Monster.Skin
	// Monster.Name
	// Monster.Spells[].Label
}

// A pool whose values live outside the Go heap says so in its constraint, and checks the
// type once, when it is made.
func ExamplePointerFree() {
	_, err := NewPool[Monster](nil)
	fmt.Println(err)
	_, err = NewPool[Ghost](nil)
	fmt.Println(err)
	// Output:
	// pool: typed: Monster cannot live outside the Go heap: Monster.Skin is *typed_test.Texture (also Monster.Name, Monster.Spells[].Label)
	// <nil>
}

type Pool[T typed.PointerFree] struct{ heap typed.Heap }

func NewPool[T typed.PointerFree](heap typed.Heap) (*Pool[T], error) {
	if err := typed.Check[T](); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	return &Pool[T]{heap: heap}, nil
}
