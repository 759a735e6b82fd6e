//go:build !gc || tinygo

package typed_test

import "reflect"

// runtimeSaysPointerFree knows nothing of this compiler's type descriptors.
func runtimeSaysPointerFree(reflect.Type) (free, ok bool) { return false, false }
