//go:build !goexperiment.cgocheck2 || !linux || vita

package slab_test

import "github.com/vita-go/deblockator/blocksrc"

// plain is where blocks come from in tests that do not care.
func plain() blocksrc.Source { return new(blocksrc.GoHeap) }
