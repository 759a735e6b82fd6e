//go:build vita

package arena_test

import (
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// There is no default source with this tag until the program sets one: here blocks
// of the kernel, which is the fake in C if that is built in, and simulated otherwise.
func init() {
	kernel, err := vita.Native()
	if err != nil {
		kernel = vita.NewSim(vita.Console{})
	}
	blocksrc.SetDefault(&vita.Source{Kernel: kernel, Name: "arena"})
}
