package workload

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W15, heap efficiency, after talc's benchmark: random requests in a heap of fixed size
// until one finds no room. What counts is how much of the heap is in use by then.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:  "w15",
		Group: "fixed heap",
		Rank:  40,
		About: "heap efficiency: 50 % allocate 4 to 10 000 bytes, 10 % free, 40 % resize to 1 to 99 999 bytes, alignments from 8, " +
			"in 128 MiB, records included; bytes asked for and live when the first request is refused, in the mean of 300 rounds",
		Kind: bench.KindFit,
		Metrics: []bench.Metric{
			{Name: "used", Unit: "%", Higher: true, Format: "%.2f"},
			{Name: "least", Unit: "% used", Higher: true, Format: "%.2f"},
			{Name: "time", Unit: "ns", Format: "%.1f"},
		},
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			heap, rounds := 128<<20, 300
			if s == bench.Short {
				heap, rounds = 8<<20, 3
			}
			return fit(k.(bench.Fit), heap, rounds)
		},
	})
}

func fit(k bench.Fit, heap, rounds int) (out bench.Outcome, err error) {
	var total, least float64
	var spent time.Duration
	done := 0
	for round := range rounds {
		r, err := fitRound(k, rand.New(rand.NewPCG(15, uint64(round))), heap)
		if err != nil {
			return out, fmt.Errorf("round %d: %w", round, err)
		}
		out.Sum = 3*out.Sum + r.sum
		used := 100 * float64(r.used) / float64(heap)
		total += used
		if round == 0 || used < least {
			least = used
		}
		spent += r.took
		done += r.done
	}
	out.Values = map[string]float64{
		"used":  total / float64(rounds),
		"least": least,
		"time":  perOp(spent, done),
	}
	return out, nil
}

type fitted struct {
	sum        uint64 // of the whole tape
	used, done int    // bytes and operations until one was refused
	took       time.Duration
}

// fitRound checks the sum itself: how far a candidate gets is what is measured, and differs.
func fitRound(k bench.Fit, r *rand.Rand, heap int) (f fitted, err error) {
	ops, slots := fitTape(r, heap)
	if err := k.Open(heap, slots); err != nil {
		return f, err
	}
	defer func() { err = closing(k, err) }()
	start := time.Now()
	done, sum, err := k.Run(ops)
	f.took = time.Since(start)
	if err != nil {
		return f, err
	}
	if done == len(ops) {
		return f, errors.New("more was live than the heap is large, and all of it had room")
	}
	want, used := fitModel(ops[:done])
	if sum != want {
		return f, fmt.Errorf("wrong checksum %d of %d operations, should be %d", sum, done, want)
	}
	f.done, f.used = done, used
	f.sum, _ = fitModel(ops)
	return f, nil
}

// fitTape returns operations that end as soon as more bytes are live than the heap has.
func fitTape(r *rand.Rand, heap int) (ops []bench.FitOp, slots int) {
	var sizes []uint32        // by slot
	var live, unused []uint32 // slots
	for total := 0; total <= heap; {
		switch action := r.IntN(10); {
		case action < 5:
			op := bench.FitOp{
				Slot:  uint32(len(sizes)),
				Size:  4 + r.Uint32N(12+r.Uint32N(10_000-16)),
				Align: 8 << (bits.TrailingZeros32(r.Uint32()|1<<16) / 2),
			}
			if n := len(unused); n > 0 {
				op.Slot, unused = unused[n-1], unused[:n-1]
			} else {
				sizes = append(sizes, 0)
			}
			sizes[op.Slot] = op.Size
			live = append(live, op.Slot)
			ops = append(ops, op)
			total += int(op.Size)
		case len(live) == 0:
		case action == 5:
			i := r.IntN(len(live))
			s := live[i]
			live = slices.Delete(live, i, i+1)
			unused = append(unused, s)
			total -= int(sizes[s])
			ops = append(ops, bench.FitOp{Slot: s})
		default:
			s := live[r.IntN(len(live))]
			n := 1 + r.Uint32N(99_999)
			total += int(n) - int(sizes[s])
			sizes[s] = n
			ops = append(ops, bench.FitOp{Slot: s, Size: n})
		}
	}
	return ops, len(sizes)
}

// fitModel returns the right sum after ops, and the bytes that are live.
func fitModel(ops []bench.FitOp) (sum uint64, used int) {
	sizes := map[uint32]uint32{}
	for _, op := range ops {
		x := uint64(byte(op.Slot))
		switch old, resize := sizes[op.Slot]; {
		case op.Size == 0:
			sum = 3*sum + 2*x
			delete(sizes, op.Slot)
			used -= int(old)
			continue
		case resize:
			sum = 3*sum + x
			used -= int(old)
		}
		sizes[op.Slot] = op.Size
		used += int(op.Size)
	}
	return sum, used
}
