//go:build !unix

package candidate

import "github.com/vita-go/deblockator/examples/compare/bench"

func refKernels(c *bench.Candidate) {
	for _, k := range bench.Kinds {
		c.Lacks[k] = "its module does not build on this system"
	}
}
