//go:build !unix

package workload

import "time"

// cpuTime is 0: not known here.
func cpuTime() time.Duration { return 0 }
