package workload

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Operations are what their description says.

func TestPareto(t *testing.T) {
	const n, draws = 1 << 18, 400_000
	r := rand.New(rand.NewPCG(1, 0))
	counts := make([]int, n)
	hot := 0
	for range draws {
		i := pareto(r, n)
		counts[i]++
		if i < n/5 {
			hot++
		}
	}
	assert.InDelta(t, .8, float64(hot)/draws, .01, "in the first fifth")
	assert.InDelta(t, .262144, float64(sum(counts[:n/15625]))/draws, .02, "in the first fifth of each of six")
	assert.NotZero(t, sum(counts[n*4/5:]))
	for range 1_000 { // as small as can be
		assert.Less(t, pareto(r, 3), 3)
		assert.Zero(t, pareto(r, 1))
	}
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestInverseSquare(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	const draws = 300_000
	above := map[uint32]int{}
	for range draws {
		n := inverseSquare(r, 4, 32768)
		require.GreaterOrEqual(t, n, uint32(4))
		require.LessOrEqual(t, n, uint32(32768))
		for _, x := range []uint32{8, 64, 512} {
			if n >= x {
				above[x]++
			}
		}
	}
	for x, n := range above { // frequency ~ size^-2, so P(size ≥ x) ~ 4/x
		assert.InDelta(t, 4/float64(x), float64(n)/draws, .05*4/float64(x)+.001, "%d and more", x)
	}
}

func TestCfrac(t *testing.T) {
	c := newCfrac()
	steps, smooth := 0, 0
	c.watch = func() {
		steps++
		// The square of h is d, up to the sign, which alternates.
		x := new(big.Int).Mul(c.at(c.h), c.at(c.h))
		if steps%2 == 0 {
			x.Sub(x, c.at(c.d))
		} else {
			x.Add(x, c.at(c.d))
		}
		require.Zero(t, x.Rem(x, c.n).Sign(), "step %d", steps)
		if c.kept > smooth {
			smooth++
			require.Equal(t, c.kept, smooth)
			s := cfracYoung + (c.kept-1)%cfracKept
			require.Zero(t, c.at(s).Cmp(c.at(c.h)))
			rest := new(big.Int).Set(c.at(c.d))
			for _, p := range c.base {
				for new(big.Int).Rem(rest, p).Sign() == 0 {
					rest.Quo(rest, p)
				}
			}
			one := rest.Cmp(big.NewInt(1)) == 0
			require.True(t, one || rest.BitLen() <= cfracLarge && rest.ProbablyPrime(0), "%d is left of what was kept", rest)
		}
	}

	born := map[uint32]int{} // slot to the number of its allocation
	allocs, soon, stays, youngest := 0, 0, 0, 0
	least, most := uint32(1000), uint32(0)
	ops := make([]bench.Op, 3_000_000)
	for part := range slices.Chunk(ops, 9_999) {
		c.next(part)
	}
	for _, op := range ops {
		at, live := born[op.Slot]
		if op.Size == 0 {
			require.True(t, live, "nothing there to free")
			require.Less(t, op.Slot, uint32(cfracYoung))
			if allocs-at <= 32 {
				soon++
			}
			newest := true
			for s, n := range born {
				newest = newest && (s >= cfracYoung || n <= at)
			}
			if newest {
				youngest++
			}
			delete(born, op.Slot)
			continue
		}
		allocs++
		least, most = min(least, op.Size), max(most, op.Size)
		if op.Slot >= cfracYoung {
			stays++
		} else {
			require.False(t, live, "a number in a slot in use")
		}
		born[op.Slot] = allocs
	}
	t.Logf("%d steps, %d kept of %d numbers", steps, smooth, allocs)
	assert.Equal(t, []uint32{10, 28}, []uint32{least, most})
	assert.NotZero(t, smooth)
	assert.InDelta(t, smooth, stays, 1, "the last step may not be on the tape to its end")
	assert.Greater(t, float64(soon)/float64(allocs), .97, "die within 32 allocations")
	assert.Greater(t, float64(youngest)/float64(allocs), .5, "youngest first")
}

func TestFitTape(t *testing.T) {
	const heap = 1 << 20
	ops, slots := fitTape(rand.New(rand.NewPCG(4, 0)), heap)
	kinds := map[string]int{}
	live := map[uint32]bool{}
	for _, op := range ops {
		require.Less(t, int(op.Slot), slots)
		switch {
		case op.Size == 0:
			require.True(t, live[op.Slot])
			delete(live, op.Slot)
			kinds["free"]++
		case live[op.Slot]:
			require.LessOrEqual(t, op.Size, uint32(99_999))
			kinds["resize"]++
		default:
			require.GreaterOrEqual(t, op.Size, uint32(4))
			require.LessOrEqual(t, op.Size, uint32(10_000))
			require.Zero(t, op.Align&(op.Align-1))
			require.GreaterOrEqual(t, op.Align, uint32(8))
			live[op.Slot] = true
			kinds["alloc"]++
		}
	}
	_, used := fitModel(ops)
	assert.Greater(t, used, heap)
	_, used = fitModel(ops[:len(ops)-1])
	assert.LessOrEqual(t, used, heap)
	for _, kind := range []string{"alloc", "free", "resize"} {
		assert.NotZero(t, kinds[kind], kind)
	}
}

// lessFit has room for less of the tape in each round.
type lessFit struct {
	idleFit
	used []float64 // bytes, by round
}

func (f *lessFit) Run(ops []bench.FitOp) (int, uint64, error) {
	n := len(ops) / (2 + len(f.used))
	sum, used := fitModel(ops[:n])
	f.used = append(f.used, float64(used))
	return n, sum, nil
}

func TestFitRounds(t *testing.T) {
	const heap = 1 << 20
	f := &lessFit{}
	out, err := fit(f, heap, 3)
	require.NoError(t, err)
	require.Len(t, f.used, 3)
	assert.InDelta(t, 100*slices.Min(f.used)/heap, out.Values["least"], 1e-9)
	assert.InDelta(t, 100*(f.used[0]+f.used[1]+f.used[2])/3/heap, out.Values["used"], 1e-9)
	assert.Less(t, out.Values["least"], out.Values["used"])
}

func TestTiming(t *testing.T) {
	tm := timing{warm: 1, batches: 2, enough: 10 * time.Second}
	for range 5 {
		require.True(t, tm.next())
		require.NoError(t, tm.add(3*time.Second, 5, 5))
	}
	assert.False(t, tm.next())
	assert.Equal(t, 12*time.Second, tm.spent, "without the first")
	assert.Equal(t, 4, tm.timed)
	assert.EqualValues(t, (5*3+5)*3+5, tm.sum, "of the three that all do")
	assert.ErrorContains(t, tm.add(time.Second, 1, 2), "wrong checksum 1 in batch 5, should be 2")
}

// Each workload detects a kernel that is wrong, or that closes with an error.
func TestWrongKernels(t *testing.T) {
	boom := errors.New("boom")
	for _, w := range bench.Workloads() {
		_, err := w.Run(wrong(w.Kind, boom), bench.Short)
		assert.ErrorIs(t, err, boom, w.Name)
		_, err = w.Run(wrong(w.Kind, nil), bench.Short)
		assert.Error(t, err, w.Name)
	}
}

// wrong returns a kernel that does nothing, and closes with an error.
func wrong(k bench.Kind, err error) bench.Kernel {
	n := idle{err}
	switch k {
	case bench.KindFixed:
		return idleFixed{n}
	case bench.KindMixed:
		return idleMixed{n}
	case bench.KindFit:
		return idleFit{n}
	case bench.KindTreesFree, bench.KindTreesBulk:
		return idleTrees{n}
	case bench.KindFrame:
		return &idleFrame{idle: n}
	case bench.KindHold:
		return idleHold{n}
	}
	return idleECS{n}
}

type idle struct{ err error }

func (i idle) Close() error { return i.err }

type (
	idleFixed struct{ idle }
	idleMixed struct{ idle }
	idleFit   struct{ idle }
	idleTrees struct{ idle }
	idleFrame struct {
		idle
		n int
	}
	idleHold struct{ idle }
	idleECS  struct{ idle }
)

func (idleFixed) Open(int, int) error                           { return nil }
func (idleFixed) Replace([]uint32, uint64) (uint64, error)      { return 1, nil }
func (idleMixed) Open(int, int, bench.Touch) error              { return nil }
func (idleMixed) Run([]bench.Op, uint64) (uint64, error)        { return 1, nil }
func (idleFit) Open(int, int) error                             { return nil }
func (idleFit) Run(ops []bench.FitOp) (int, uint64, error)      { return len(ops) / 2, 1, nil }
func (idleTrees) Open() error                                   { return nil }
func (idleTrees) Keep(int) error                                { return nil }
func (idleTrees) Churn(int, int) (uint64, error)                { return 1, nil }
func (idleTrees) Kept() uint64                                  { return 1 }
func (f *idleFrame) Open(first []bench.Particle) error          { f.n = len(first); return nil }
func (f *idleFrame) Step(born []bench.Particle) (uint64, error) { return 0, nil }
func (f *idleFrame) Len() int                                   { return f.n }
func (idleHold) Open(int) error                                 { return nil }
func (idleHold) Look([]uint32) uint64                           { return 0 }
func (idleECS) Open(int) error                                  { return nil }
func (idleECS) Create() error                                   { return nil }
func (idleECS) Shuffle([]uint32)                                {}
func (idleECS) Delete() (int, error)                            { return 0, nil }
func (idleECS) Random(int) float64                              { return 1 }
func (idleECS) Others(int) error                                { return nil }
func (idleECS) Query() int                                      { return 0 }
