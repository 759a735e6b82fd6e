package workload

import (
	"fmt"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// count formats a number as in names: 10k, 1M.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1_000 && n%1_000 == 0:
		return fmt.Sprintf("%dk", n/1_000)
	}
	return fmt.Sprint(n)
}

var timeMetrics = []bench.Metric{{Name: "time", Unit: "ns", Format: "%.1f"}}
