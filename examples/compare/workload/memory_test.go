package workload

import (
	"bytes"
	"math"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

func needsResident(t *testing.T) {
	t.Helper()
	if resident() < 0 || residentPeak() < 0 {
		t.Skip("this system does not say what is resident")
	}
}

// modelMixed does what a kernel must, without memory for the objects.
type modelMixed struct {
	idle
	*mixedModel
}

func (m *modelMixed) Open(slots, _ int, touch bench.Touch) error {
	m.mixedModel = newMixedModel(slots, touch)
	return nil
}

func (m *modelMixed) Run(ops []bench.Op, stamp uint64) (uint64, error) { return m.run(ops, stamp), nil }

// What becomes resident is the candidate's: nothing for one that has no memory. (Go's
// runtime may start a thread meanwhile. A batch not resident before would make it 0.36.)
func TestNothingElseBecomesResident(t *testing.T) {
	needsResident(t)
	for _, w := range bench.Workloads() {
		if w.Name != "w8" && w.Name != "w11-1M" { // in w11 little is live, and a page of Go's counts
			continue
		}
		out, err := w.Run(&modelMixed{}, bench.Full)
		require.NoError(t, err)
		assert.Less(t, out.Values["resident"], .2, w.Name)
		assert.Less(t, out.Values["held"], .2, w.Name)
	}
}

// keepsAll does what a kernel must, and frees nothing.
type (
	keepsAllMixed struct {
		modelMixed
		kept [][]byte
	}
	keepsAllFixed struct {
		idleFixed
		*fixedModel
		kept [][]byte
	}
)

func (k *keepsAllMixed) Run(ops []bench.Op, stamp uint64) (uint64, error) {
	for _, op := range ops {
		k.kept = append(k.kept, bytes.Repeat([]byte{1}, int(op.Size))) // touched, or it would not be resident
	}
	return k.run(ops, stamp), nil
}

func (k *keepsAllFixed) Open(_, live int) error {
	k.fixedModel = newFixedModel(live)
	return nil
}

func (k *keepsAllFixed) Replace(order []uint32, stamp uint64) (uint64, error) {
	for range order {
		k.kept = append(k.kept, bytes.Repeat([]byte{1}, 256))
	}
	return k.replace(order, stamp), nil
}

func TestWhoFreesNothing(t *testing.T) {
	needsResident(t)
	defer debug.FreeOSMemory()
	for _, w := range bench.Workloads() {
		var k bench.Kernel
		size := bench.Full
		switch w.Name {
		case "w11", "w19":
			k = &keepsAllMixed{}
		case "churn-256-1k":
			k, size = &keepsAllFixed{}, bench.Short
		default:
			continue
		}
		debug.FreeOSMemory() // what the one before has kept
		_, err := w.Run(k, size)
		assert.ErrorContains(t, err, "does not free", w.Name)
	}
}

// deathless says that it has removed all entities.
type deathless struct {
	idleECS
	n int
}

func (d *deathless) Open(n int) error     { d.n = n; return nil }
func (d *deathless) Random(n int) float64 { return float64(n) * float64(n-1) / 2 }
func (d *deathless) Delete() (int, error) { return d.n, nil }
func (d *deathless) Query() int           { return d.n }

func TestWhoRemovesNothing(t *testing.T) {
	for _, run := range []func(bench.ECS, int, int) (time.Duration, error){warmCreate, deleteAll} {
		_, err := run(&deathless{}, 5, 2)
		assert.ErrorContains(t, err, "5 entities are there after all were removed")
	}
}

// boundedMixed says that it holds far more than it does.
type boundedMixed struct{ modelMixed }

func (*boundedMixed) Held() int64  { return 1 << 40 }
func (*boundedMixed) Began() int64 { return 3 << 20 }

func TestBounder(t *testing.T) {
	needsResident(t)
	g := newGauge(&boundedMixed{})
	g.peak(1 << 20)
	out := bench.Outcome{Values: map[string]float64{}}
	g.report(&out)
	assert.InDelta(t, 3+out.Values["resident"], out.Values["held"], 1e-6, "what it began with, and what was added")
	assert.Less(t, out.Values["held"], 4.)
	assert.NotEmpty(t, out.Notes["held"])

	g.bounder = nil
	g.peak(1 << 20)
	g.report(&out)
	assert.EqualValues(t, 1<<20, out.Values["held"], "one that only counts what it has")
}

// brieflyLarge needs much memory for the first tree, and gives it back at once.
type brieflyLarge struct {
	idleTrees
	done bool
}

func (l *brieflyLarge) Churn(depth, trees int) (uint64, error) {
	if !l.done {
		l.done = true
		large := make([]byte, 64<<20)
		for i := 0; i < len(large); i += 4096 {
			large[i] = 1
		}
		debug.FreeOSMemory() // large is dead by now
	}
	return uint64(trees) * (2<<depth - 1), nil
}

func TestTreesPeak(t *testing.T) {
	needsResident(t)
	out, err := trees(&brieflyLarge{}, 6)
	require.NoError(t, err)
	assert.InDelta(t, 64, out.Values["resident"], 8, "MiB")
	if forgetPeak(); residentPeak()-resident() > 32<<20 {
		t.Skip("the system does not let a peak be forgotten")
	}
	out, err = trees(&brieflyLarge{done: true}, 6)
	require.NoError(t, err)
	assert.Less(t, out.Values["resident"], 8., "the peak of an earlier one is not that of this one")
}

// slowClose takes a millisecond to give a world up.
type slowClose struct {
	idleECS
	n int
}

func (s *slowClose) Open(n int) error   { s.n = n; return nil }
func (s *slowClose) Random(int) float64 { return float64(s.n) * float64(s.n-1) / 2 }
func (s *slowClose) Close() error       { time.Sleep(time.Millisecond); return nil }

func TestGivingUpAWorldIsTimed(t *testing.T) {
	const rounds = 3
	took, err := freshCreate(&slowClose{}, 16, rounds)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, took, rounds*time.Millisecond-time.Duration(2*rounds*clockCost))
}

// The cost of reading the clock is subtracted, and no more than that.
func TestStopwatch(t *testing.T) {
	best := math.Inf(1) // other load on the machine makes it more, and may have made clockCost more
	for range 50 {
		const rounds = 2_000
		var watch stopwatch
		for range rounds {
			watch.add(time.Now())
		}
		require.Greater(t, watch.total/rounds, -clockCost/2, "more is taken off than looking takes")
		best = min(best, watch.total/rounds)
	}
	assert.Less(t, best, clockCost/2)
	assert.Zero(t, (&stopwatch{-5}).time())
}

// leavesMuch leaves garbage when opened, like a table that grows by append.
type leavesMuch struct {
	idleHold
	kept []byte
}

func (l *leavesMuch) Open(n int) error {
	for size := 1 << 10; size <= 64*n; size *= 2 {
		l.kept = make([]byte, size)
		for i := range l.kept {
			l.kept[i] = 1
		}
	}
	return nil
}

// Look returns what it would if the objects were there.
func (*leavesMuch) Look(order []uint32) uint64 { return bench.Looked(order) }

func TestHoldWithoutWhatGrowingLeaves(t *testing.T) {
	needsResident(t)
	const n = 1 << 20 // so many that what Go itself takes, on many threads 6 MiB, is little beside them
	out, err := hold(&leavesMuch{}, n, 100)
	require.NoError(t, err)
	assert.InDelta(t, 64, out.Values["resident"], 8, "B/object")
}
