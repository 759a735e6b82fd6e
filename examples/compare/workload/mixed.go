package workload

import (
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// mix is a workload of objects of many sizes.
type mix struct {
	slots   int
	maxSize int
	touch   bench.Touch
	fill    int // batches that are not timed
	batches int
	batch   int // operations
	perTime int // operations that the time is given for: 1, or 2 for a pair
	next    func(ops []bench.Op)
}

// run measures it: time, and if held is set what is held at the peak. Filling and
// warming up is not timed, but counts for the peak.
func (m *mix) run(k bench.Mixed, held bool) (out bench.Outcome, err error) {
	ops := make([]bench.Op, m.batch)
	sizes := make([]uint32, m.slots) // for what is live
	clear(sizes)
	if err := k.Open(m.slots, m.maxSize, m.touch); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	var g *gauge
	if held {
		g = newGauge(k)
	}
	var spent time.Duration
	live := int64(0)
	for i := range m.fill + m.batches {
		m.next(ops)
		for _, op := range ops {
			live += int64(op.Size) - int64(sizes[op.Slot])
			sizes[op.Slot] = op.Size
		}
		start := time.Now()
		sum, err := k.Run(ops, uint64(i)*0x9D)
		took := time.Since(start)
		if err != nil {
			return out, err
		}
		out.Sum = 3*out.Sum + sum
		if i >= m.fill {
			spent += took
		}
		if held {
			g.peak(live)
		}
	}
	// What is still there is looked at as well.
	for s := 0; s < m.slots; s += m.batch {
		n := min(m.batch, m.slots-s)
		for i := range n {
			ops[i] = bench.Op{Slot: uint32(s + i)}
		}
		sum, err := k.Run(ops[:n], 0)
		if err != nil {
			return out, err
		}
		out.Sum = 3*out.Sum + sum
	}
	out.Values = map[string]float64{"time": perOp(spent, m.batches*m.batch) * float64(m.perTime)}
	if held {
		g.report(&out)
	}
	return out, nil
}
