package workload

import (
	"errors"
	"fmt"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// timing counts batches: some to warm up, a number of timed ones that all candidates do,
// and then more until there is enough to measure. Checksums of the first two parts are
// compared. Every batch must return what a model of the objects says.
type timing struct {
	warm, batches int
	enough        time.Duration

	done, timed int // batches
	spent       time.Duration
	sum         uint64 // of those that all candidates do
}

// enough is the minimum time over which operations are timed.
const enough = 300 * time.Millisecond

// next reports whether there is another batch to do.
func (t *timing) next() bool {
	return t.done < t.warm+t.batches || t.spent < t.enough
}

// add records a batch.
func (t *timing) add(took time.Duration, sum, want uint64) error {
	if sum != want {
		return fmt.Errorf("wrong checksum %d in batch %d, should be %d", sum, t.done, want)
	}
	if t.done < t.warm+t.batches {
		t.sum = 3*t.sum + sum
	}
	if t.done >= t.warm {
		t.timed++
		t.spent += took
	}
	t.done++
	return nil
}

// perOp returns nanoseconds per operation.
func perOp(d time.Duration, ops int) float64 { return float64(d.Nanoseconds()) / float64(ops) }

// closing closes a kernel, whatever err is, and joins the errors.
func closing(k bench.Kernel, err error) error { return errors.Join(err, k.Close()) }
