//go:build !(vita && cgo)

// No console.

package vita

import (
	"errors"
	"fmt"
)

// Native returns the kernel of the console that the program runs on. It is there
// with the build tag vita and cgo; elsewhere the error wraps
// errors.ErrUnsupported, and a [Sim] takes its place.
func Native() (Kernel, error) { return nil, errNoKernel }

var errNoKernel = fmt.Errorf("vita: no kernel without the build tag vita and cgo: %w", errors.ErrUnsupported)
