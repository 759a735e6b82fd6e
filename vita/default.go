// The source for programs that do not choose one.

package vita

import "github.com/vita-go/deblockator/blocksrc"

// Default returns the source that suits most programs on the console: cached main memory
// and, once none is left, PHYCONT, which is cached too. All callers share it. With the
// build tag vita a program makes it the default of every package by
//
//	blocksrc.SetDefault(vita.Default())
//
// in a separate file with that tag, because SetDefault exists only with the tag. Without a
// console each Acquire returns an error wrapping errors.ErrUnsupported.
func Default() blocksrc.Source { return shared }

var shared = blocksrc.Fallback(&Source{Type: UserRW}, &Source{Type: PhycontRW})
