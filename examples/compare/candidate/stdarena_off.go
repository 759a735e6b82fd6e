//go:build !goexperiment.arenas

package candidate

import "github.com/vita-go/deblockator/examples/compare/bench"

// hasArenas reports whether this program was built with the experiment.
const hasArenas = false

// The kernels of the other build refuse to be opened in this one.

func newStdTrees() bench.Kernel { return noStdTrees{} }
func newStdHold() bench.Kernel  { return noStdHold{} }

type (
	noStdTrees struct{ bench.Trees }
	noStdHold  struct{ bench.Hold }
)

func (noStdTrees) Open() error   { return errNoArenas }
func (noStdHold) Open(int) error { return errNoArenas }

var errNoArenas = bench.Cannot("built without GOEXPERIMENT=arenas")
