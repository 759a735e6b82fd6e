//go:build !goexperiment.cgocheck2 || !linux || vita

package slab_test

import "github.com/vita-go/deblockator/blocksrc"

// plain returns a source for tests that do not care where blocks come from.
func plain() blocksrc.Source { return new(blocksrc.GoHeap) }
