package candidate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Every kernel of every candidate is compared with what package bench says it must do,
// computed a second time without any memory to get wrong.

// each calls f with a new kernel of each candidate that has one, opened by open. It
// skips a candidate that cannot run here, or cannot do what open asks for, with the
// reason that it gives.
func each[K bench.Kernel](t *testing.T, kind bench.Kind, open func(k K) error, f func(t *testing.T, k K)) {
	t.Helper()
	n := 0
	for _, c := range bench.Candidates() {
		if !c.Has(kind) {
			require.NotEmpty(t, c.Why(kind), "candidate %s, kernel %s", c.Name, kind)
			continue
		}
		n++
		t.Run(c.Name, func(t *testing.T) {
			if c.Missing != nil {
				if reason := c.Missing(); reason != "" {
					t.Skip(reason)
				}
			}
			k := c.New(kind).(K)
			err := open(k)
			if reason, ok := bench.CannotReason(err); ok {
				t.Skip(reason)
			}
			require.NoError(t, err)
			defer func() { assert.NoError(t, k.Close()) }()
			f(t, k)
		})
	}
	assert.NotZero(t, n)
}

func TestFixed(t *testing.T) {
	for _, size := range []int{16, 64, 256} {
		const live = 300
		each(t, bench.KindFixed, func(k bench.Fixed) error { return k.Open(size, live) }, func(t *testing.T, k bench.Fixed) {
			var first, last [live]uint64
			for i := range first {
				first[i], last[i] = uint64(i), ^uint64(i)
			}
			r := rand.New(rand.NewPCG(1, 1))
			for round := range 20 {
				order := make([]uint32, 500)
				stamp, want := r.Uint64(), uint64(0)
				for j := range order {
					s := r.Uint32N(live)
					order[j] = s
					want = 3*want + (first[s] ^ last[s])
					first[s], last[s] = stamp+uint64(j), uint64(s)
				}
				sum, err := k.Replace(order, stamp)
				require.NoError(t, err)
				require.Equal(t, want, sum, "%d bytes, round %d", size, round)
			}
		})
	}
}

func TestMixed(t *testing.T) {
	for _, touch := range []bench.Touch{bench.Ends, bench.Lines} {
		const n, maxSize = 200, 100_000
		each(t, bench.KindMixed, func(k bench.Mixed) error { return k.Open(n, maxSize, touch) }, func(t *testing.T, k bench.Mixed) {
			var size [n]uint32
			var content [n]byte
			r := rand.New(rand.NewPCG(2, 2))
			for round := range 30 {
				ops := make([]bench.Op, 400)
				stamp, want := r.Uint64(), uint64(0)
				for j := range ops {
					op := bench.Op{Slot: r.Uint32N(n)}
					switch r.Uint32N(8) {
					case 0: // free; the slot may be empty
					case 1:
						op.Size = 1 + r.Uint32N(3)
					case 2:
						op.Size = 64 * (1 + r.Uint32N(4)) // the last byte is no line's first
					case 3:
						op.Size = 64*r.Uint32N(4) + 1 // … and here it is
					case 4:
						op.Size = 1 + r.Uint32N(maxSize)
					default:
						op.Size = 1 + r.Uint32N(1_000)
					}
					ops[j] = op
					if old := size[op.Slot]; old > 0 {
						bytes := uint32(2)
						if touch == bench.Lines {
							bytes = (old+63)/64 + 1
						}
						want = 3*want + uint64(content[op.Slot])*uint64(bytes)
					}
					size[op.Slot], content[op.Slot] = op.Size, byte(stamp+uint64(j))
				}
				sum, err := k.Run(ops, stamp)
				require.NoError(t, err)
				require.Equal(t, want, sum, "touch %d, round %d", touch, round)
				// Some count resident pages only, and not all pages are touched.
				if h, ok := k.(bench.Holder); ok && touch == bench.Lines {
					live := int64(0)
					for _, s := range size {
						live += int64(s)
					}
					require.GreaterOrEqual(t, h.Held(), live, "held and live")
				}
				if tr, ok := k.(bench.Trimmer); ok && round%10 == 0 {
					tr.Trim()
				}
			}
		})
	}
}

func TestFit(t *testing.T) {
	const heap, n = 4 << 20, 4_000
	each(t, bench.KindFit, func(k bench.Fit) error { return k.Open(heap, n) }, func(t *testing.T, k bench.Fit) {
		var size [n]uint32
		r := rand.New(rand.NewPCG(3, 3))
		for round, live := 0, 0; ; round++ {
			require.Less(t, live, heap, "more is live than the heap has")
			op := bench.FitOp{Slot: r.Uint32N(n), Align: 8 << r.Uint32N(6)}
			old := size[op.Slot]
			if old == 0 || r.Uint32N(3) > 0 {
				op.Size = 1 + r.Uint32N(6_000)
			}
			want := uint64(0)
			switch x := uint64(byte(op.Slot)); {
			case op.Size == 0:
				want = 2 * x
			case old > 0:
				want = x
			}
			done, sum, err := k.Run([]bench.FitOp{op})
			require.NoError(t, err)
			if done == 0 {
				assert.Greater(t, live, heap/2, "full with little in it")
				return
			}
			require.Equal(t, want, sum, "round %d", round)
			live += int(op.Size) - int(old)
			size[op.Slot] = op.Size
		}
	})
}

func TestTrees(t *testing.T) {
	for _, kind := range []bench.Kind{bench.KindTreesFree, bench.KindTreesBulk} {
		each(t, kind, func(k bench.Trees) error { return k.Open() }, func(t *testing.T, k bench.Trees) {
			churn := func(depth, trees int) {
				nodes, err := k.Churn(depth, trees)
				require.NoError(t, err)
				require.EqualValues(t, trees*(2<<depth-1), nodes, "%d trees of depth %d", trees, depth)
			}
			churn(12, 1)
			require.NoError(t, k.Keep(11))
			churn(0, 3)
			churn(10, 5)
			churn(3, 500)
			assert.EqualValues(t, 2<<11-1, k.Kept())
		})
	}
}

func TestFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	id := uint64(0)
	particles := func(n int) []bench.Particle {
		ps := make([]bench.Particle, n)
		for i := range ps {
			id++
			ps[i] = bench.Particle{X: r.Float32(), Y: r.Float32(), VX: r.Float32(), VY: r.Float32(), ID: id * bench.Mix, Life: 1 + r.Int32N(5)}
		}
		return ps
	}
	first := particles(500)
	var born [][]bench.Particle
	for range 40 {
		born = append(born, particles(r.IntN(200)))
	}
	open := func(k bench.Frame) error { return k.Open(append([]bench.Particle(nil), first...)) }
	each(t, bench.KindFrame, open, func(t *testing.T, k bench.Frame) {
		live := append([]bench.Particle(nil), first...)
		for i, b := range born {
			left, want := bench.Age(live)
			live = append(left, b...)
			mine := append([]bench.Particle(nil), b...)
			sum, err := k.Step(mine)
			clear(mine) // Step must not have kept it
			require.NoError(t, err)
			require.Equal(t, want, sum, "frame %d", i)
			require.Equal(t, len(live), k.Len(), "frame %d", i)
		}
	})
}

func TestHold(t *testing.T) {
	const n = 5_000
	each(t, bench.KindHold, func(k bench.Hold) error { return k.Open(n) }, func(t *testing.T, k bench.Hold) {
		r := rand.New(rand.NewPCG(5, 5))
		order := make([]uint32, 1_000)
		for j := range order {
			order[j] = r.Uint32N(n)
		}
		assert.Equal(t, bench.Looked(order), k.Look(order))
	})
}

func TestECS(t *testing.T) {
	const n = 700
	each(t, bench.KindECS, func(k bench.ECS) error { return k.Open(n) }, func(t *testing.T, k bench.ECS) {
		for round := range 3 {
			require.NoError(t, k.Create())
			if round == 0 {
				require.NoError(t, k.Others(50))
			}
			order := make([]uint32, n)
			for j, i := range rand.New(rand.NewPCG(6, uint64(round))).Perm(n) {
				order[j] = uint32(i)
			}
			k.Shuffle(order)
			assert.Equal(t, float64(n*(n-1)/2), k.Random(n))
			some := 0.0
			for _, i := range order[:10] {
				some += float64(i)
			}
			assert.Equal(t, some, k.Random(10), "of the first ten in the new order")
			assert.Equal(t, n, k.Query())
			assert.Equal(t, n, k.Query())
			assert.Equal(t, float64(n*(n-1)/2+2*n), k.Random(n))
			removed, err := k.Delete()
			require.NoError(t, err)
			assert.Equal(t, n, removed)
			assert.Zero(t, k.Query())
		}
	})
}
