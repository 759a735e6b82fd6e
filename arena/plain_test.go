//go:build !goexperiment.cgocheck2 || !linux || vita

package arena_test

import "github.com/vita-go/deblockator/blocksrc"

// plain returns the source of blocks for tests that do not care which it is.
func plain() blocksrc.Source { return new(blocksrc.GoHeap) }
