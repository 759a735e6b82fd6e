//go:build vita

package slab_test

import (
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// With this tag there is no default source until the program sets one. Here it is blocks of
// the kernel: the fake in C if that is built in, and otherwise the simulated one.
func init() {
	kernel, err := vita.Native()
	if err != nil {
		kernel = vita.NewSim(vita.Console{})
	}
	blocksrc.SetDefault(&vita.Source{Kernel: kernel, Name: "slab"})
}
