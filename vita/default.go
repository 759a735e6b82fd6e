// The source for programs that do not care.

package vita

import "github.com/vita-go/deblockator/blocksrc"

// Default returns the source that suits most programs on the console: cached main
// memory, and when there is none left PHYCONT, which is cached too. All callers
// share it. With the build tag vita a program makes it everybody's default,
//
//	blocksrc.SetDefault(vita.Default())
//
// in a file of its own with that tag, since SetDefault exists only there. Where
// there is no console each Acquire returns an error wrapping
// errors.ErrUnsupported.
func Default() blocksrc.Source { return shared }

var shared = blocksrc.Fallback(&Source{Type: UserRW}, &Source{Type: PhycontRW})
