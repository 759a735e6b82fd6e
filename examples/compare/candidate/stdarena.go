package candidate

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// The standard library's arena, an experiment that was put on hold. It needs another
// build of this program, which buildWithArenas makes.
func init() {
	c := bench.Candidate{
		Name:   "std arena",
		About:  "the standard library's arena, GOEXPERIMENT=arenas: arena.New and Free of all",
		Family: bench.Go, Rank: 6, Colour: "#5c7080",
		Env: []string{"GOGC=100"},
		Kernels: bench.Kernels{
			bench.KindTreesBulk: newStdTrees,
			bench.KindHold:      newStdHold,
		},
		Lacks: bench.LacksAll("no free of single objects", bench.KindFixed, bench.KindMixed, bench.KindFit,
			bench.KindTreesFree, bench.KindFrame, bench.KindECS),
	}
	if !hasArenas {
		c.Program = buildWithArenas
	}
	bench.Register(&c)
}

// buildWithArenas needs the go command, and must be run within this module.
func buildWithArenas(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "compare-arenas")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/vita-go/deblockator/examples/compare")
	// An interrupt, which has go stop its compilers too; where there is none, Wait kills it.
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.WaitDelay = 2 * time.Second
	build.Env = append(os.Environ(), "GOEXPERIMENT=arenas")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build with GOEXPERIMENT=arenas (from within this module only): %w: %s", err, out)
	}
	return path, nil
}
