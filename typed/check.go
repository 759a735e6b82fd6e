package typed

import "reflect"

// Check reports whether values of type T may live outside the Go heap. It returns
// nil if T holds no Go pointer, and otherwise a [*PointerError] that names the fields
// that do.
//
// Check looks at types only, never at values. For a struct of ten fields it takes
// about half a microsecond and one small allocation, however long the arrays in it
// are. It is meant to be called once per arena or container, not once per object,
// so it caches nothing.
func Check[T any]() error {
	return CheckType(reflect.TypeFor[T]())
}

// CheckType is [Check] for a type known only at run time. It panics if t is nil.
func CheckType(t reflect.Type) error {
	w := walk{path: append(make([]byte, 0, 64), rootName(t)...)}
	w.visit(t)
	if len(w.paths) == 0 {
		return nil
	}
	return &PointerError{Type: t, Path: w.paths[0], Offending: w.offending, Paths: w.paths}
}

// elements stands for every element of an array in a path.
const elements = "[]"

// walk collects the pointers of a type. It ends for every type, because a Go type
// contains itself only through a pointer, and walk follows none.
type walk struct {
	path      []byte       // where the walk is; grows and shrinks with it
	paths     []string     // where pointers were found
	offending reflect.Type // what was found at paths[0]
}

func (w *walk) visit(t reflect.Type) {
	// A type of no size holds nothing: struct{}, [0]*T and all that is made of
	// them. The runtime takes the same view. This also bounds the walk: every field
	// that is left has at least one byte of T to itself.
	if t.Size() == 0 {
		return
	}
	switch t.Kind() {
	case reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Uintptr,
		reflect.Float32, reflect.Float64,
		reflect.Complex64, reflect.Complex128:

	case reflect.Array:
		// One visit serves all elements; hence no index in the path.
		w.step(elements, t.Elem())

	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			w.step(f.Name, f.Type)
		}

	default:
		// The kinds that are or hold a pointer, and any that a later Go may add:
		// refusing too much is an error at start-up, accepting too much is corruption.
		if len(w.paths) == 0 {
			w.offending = t
		}
		w.paths = append(w.paths, string(w.path))
	}
}

// step visits t, which is the type of the named field at the current path, or of its
// elements.
func (w *walk) step(name string, t reflect.Type) {
	n := len(w.path)
	if n > 0 && name != elements {
		w.path = append(w.path, '.')
	}
	w.path = append(w.path, name...)
	w.visit(t)
	w.path = w.path[:n]
}
