//go:build !cgo || !linux

package candidate

import (
	"runtime"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

func (l cLibrary) missing() string {
	if runtime.GOOS != "linux" {
		return "shared libraries of C are looked up on Linux only"
	}
	return "built without cgo"
}

func (l cLibrary) kernels(c *bench.Candidate) {
	c.Lacks = bench.LacksAll(l.missing(), bench.Kinds...)
}
