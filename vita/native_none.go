//go:build !(vita && cgo)

// Builds without a console's kernel.

package vita

import (
	"errors"
	"fmt"
)

// Native returns the kernel of the console that the program runs on. It needs the build
// tag vita and cgo; without them the error wraps errors.ErrUnsupported, and a [Sim] can
// take its place.
func Native() (Kernel, error) { return nil, errNoKernel }

var errNoKernel = fmt.Errorf("vita: no kernel without the build tag vita and cgo: %w", errors.ErrUnsupported)
