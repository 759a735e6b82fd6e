//go:build goexperiment.cgocheck2 && linux && !vita

// The experiment looks at pointers that are stored outside the Go heap, so blocks are mapped
// under it.

package arena_test

import "github.com/vita-go/deblockator/blocksrc"

// plain returns the source of blocks for tests that do not care which it is.
func plain() blocksrc.Source { return blocksrc.Mmap{} }
