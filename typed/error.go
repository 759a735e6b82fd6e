package typed

import (
	"reflect"
	"strconv"
	"strings"
)

// A PointerError says that a type holds Go pointers, and where.
//
// A path reads like the Go expression for the field, starting at the name of the
// type: "Enemy.Sprite", "Event.When.loc". Embedded fields are spelled out. "[]"
// stands for every element of an array: "Enemy.Slots[].Name". For a type without a
// name the path starts at its fields ("Sprite") or elements ("[].Sprite"). For a type
// that is itself a pointer, a string and so on, the path is empty.
type PointerError struct {
	Type      reflect.Type // the type that was refused
	Path      string       // its first pointer
	Offending reflect.Type // the type of what is at Path, such as *ebiten.Image
	Paths     []string     // all its pointers, in the order of the fields; Paths[0] is Path
}

// shownPaths is how many further paths a message lists; it only counts the rest.
const shownPaths = 4

// Error names the first pointer with its type and the others without:
//
//	typed: Enemy cannot live outside the Go heap: Enemy.Sprite is *ebiten.Image (also Enemy.Name)
func (e *PointerError) Error() string {
	name := rootName(e.Type)
	if name == "" {
		name = readable(e.Type.String())
	}
	s := "typed: " + name + " cannot live outside the Go heap: "
	if e.Path == "" {
		return s + holds(e.Offending.Kind())
	}
	s += e.Path + " is " + describe(e.Offending)
	if len(e.Paths) > 1 {
		others := e.Paths[1:]
		shown := others[:min(len(others), shownPaths)]
		s += " (also " + strings.Join(shown, ", ")
		if more := len(others) - len(shown); more > 0 {
			s += " and " + strconv.Itoa(more) + " more"
		}
		s += ")"
	}
	return s
}

// holds says why a value of kind k is refused.
func holds(k reflect.Kind) string {
	if k == reflect.Pointer || k == reflect.UnsafePointer {
		return "it is a Go pointer"
	}
	return article(k) + " holds a Go pointer"
}

// describe names t, and its kind where the name alone does not tell.
func describe(t reflect.Type) string {
	name := readable(t.String())
	if t.PkgPath() == "" || name == t.Kind().String() {
		return name
	}
	return name + ", " + article(t.Kind())
}

func article(k reflect.Kind) string {
	switch k {
	case reflect.Pointer:
		return "a pointer"
	case reflect.Interface, reflect.UnsafePointer:
		return "an " + k.String()
	}
	return "a " + k.String()
}
