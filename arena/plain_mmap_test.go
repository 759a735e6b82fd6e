//go:build goexperiment.cgocheck2 && linux && !vita

// What the experiment looks at is pointers that are stored outside the Go heap, so
// with it blocks are mapped.

package arena_test

import "github.com/vita-go/deblockator/blocksrc"

// plain is where blocks come from in tests that do not care.
func plain() blocksrc.Source { return blocksrc.Mmap{} }
