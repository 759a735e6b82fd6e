package workload

import (
	"errors"
	"fmt"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// count writes a number as names have it: 10k, 1M.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1_000 && n%1_000 == 0:
		return fmt.Sprintf("%dk", n/1_000)
	}
	return fmt.Sprint(n)
}

// perOp is nanoseconds.
func perOp(d time.Duration, ops int) float64 { return float64(d.Nanoseconds()) / float64(ops) }

// closing closes a kernel whatever err is.
func closing(k bench.Kernel, err error) error { return errors.Join(err, k.Close()) }
