package workload

import (
	"fmt"
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
	perTime int // operations that the time is reported for: 1, or 2 for a pair
	next    func(ops []bench.Op)
}

// run measures time and, if held is set, what is held at the peak. Filling and warming up
// are not timed, but count for the peak.
func (m *mix) run(k bench.Mixed, s bench.Size, held bool) (out bench.Outcome, err error) {
	ops := make([]bench.Op, m.batch)
	clear(ops) // resident from now on: a batch is a third of all that is live in w8
	model := newMixedModel(m.slots, m.touch)
	if err := k.Open(m.slots, m.maxSize, m.touch); err != nil {
		return out, err
	}
	defer func() { err = closing(k, err) }()
	var g *gauge
	if held {
		g = newGauge(k)
	}
	kept := newHoard()
	t := timing{warm: m.fill, batches: m.batches, enough: enough}
	if s == bench.Short {
		t.enough = 0
	}
	for t.next() {
		m.next(ops)
		stamp := uint64(t.done) * 0x9D
		want := model.run(ops, stamp)
		start := time.Now()
		sum, err := k.Run(ops, stamp)
		took := time.Since(start)
		if err == nil {
			err = t.add(took, sum, want)
		}
		if err != nil {
			return out, err
		}
		// The peak covers only the batches that all candidates do.
		if held && t.done <= m.fill+m.batches {
			g.peak(model.live)
		}
	}
	kept.made = model.made
	if err := kept.check(model.peak); err != nil {
		return out, err
	}
	// The objects that are still live are freed and checked as well.
	for s := 0; s < m.slots; s += m.batch {
		n := min(m.batch, m.slots-s)
		for i := range n {
			ops[i] = bench.Op{Slot: uint32(s + i)}
		}
		want := model.run(ops[:n], 0)
		sum, err := k.Run(ops[:n], 0)
		if err == nil && sum != want {
			err = fmt.Errorf("wrong checksum %d of what was left, should be %d", sum, want)
		}
		if err != nil {
			return out, err
		}
	}
	out.Sum = t.sum
	out.Values = map[string]float64{"time": perOp(t.spent, t.timed*m.batch) * float64(m.perTime)}
	if held {
		g.report(&out)
	}
	return out, nil
}

// mixedModel knows what is in the slots.
type mixedModel struct {
	touch   bench.Touch
	size    []uint32
	content []byte
	live    int64 // bytes
	peak    int64 // the most that were live after an operation
	made    int64 // bytes of all objects
}

func newMixedModel(slots int, touch bench.Touch) *mixedModel {
	m := &mixedModel{touch: touch, size: make([]uint32, slots), content: make([]byte, slots)}
	clear(m.size) // resident from now on
	clear(m.content)
	return m
}

// run returns the sum that a kernel must return.
func (m *mixedModel) run(ops []bench.Op, stamp uint64) (sum uint64) {
	for k, op := range ops {
		old := m.size[op.Slot]
		if old > 0 {
			touched := uint64(2)
			if m.touch == bench.Lines {
				touched = (uint64(old)+63)/64 + 1
			}
			sum = 3*sum + touched*uint64(m.content[op.Slot])
		}
		m.size[op.Slot], m.content[op.Slot] = op.Size, byte(stamp+uint64(k))
		m.live += int64(op.Size) - int64(old)
		m.made += int64(op.Size)
		m.peak = max(m.peak, m.live)
	}
	return sum
}
