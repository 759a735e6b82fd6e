package slab_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Every call of a source fails once, in every workload (W24). A refused operation has
// changed nothing, works when it is tried again, and leaves nothing behind.

// A script is a workload. It passes each operation that may be refused to do, which
// tries it again then. The operation returns false if it was refused.
type script struct {
	name string
	run  func(m *model, do func(op func() bool))
}

var scripts = []script{
	{"small", func(m *model, do func(func() bool)) {
		for i := range 300 {
			do(func() bool { return m.alloc(1+i*37%smallMax, 1<<(i%5), i&1 == 0) })
			if i%3 == 2 {
				m.free(len(m.live)/2, false)
			}
		}
	}},
	{"medium", func(m *model, do func(func() bool)) {
		for i := range 60 {
			do(func() bool { return m.alloc(1025+i*379%9000, 1<<(i%13), i&1 == 0) })
			if i%4 == 3 {
				m.free(len(m.live)/2, false)
			}
		}
	}},
	{"large", func(m *model, do func(func() bool)) {
		for i := range 12 {
			do(func() bool { return m.alloc(40_000+i*10_000, 1<<i, i&1 == 0) })
			if i%2 == 1 {
				m.free(0, false)
			}
		}
	}},
	{"realloc", func(m *model, do func(func() bool)) {
		for i := range 8 {
			do(func() bool { return m.alloc(1+i*100, 1<<i, true) })
		}
		for _, size := range []int{100, 3000, 1200, 6000, 50_000, 70_000, 30_000, 500, 20} {
			for i := range m.live {
				do(func() bool { return m.realloc(i, size+i) })
			}
		}
	}},
	{"pool", func(m *model, do func(func() bool)) {
		do(func() bool { return m.newPool(40, 8) })
		do(func() bool { return m.newPool(5000, 1) })
		p, big := m.pools[0], m.pools[1]
		for i := range 2500 {
			do(func() bool { return m.take(p, i) })
			if i%5 == 4 {
				m.give(p, len(p.live)/2, i&1 == 0)
			}
			if i%100 == 0 {
				do(func() bool { return m.take(big, i) })
			}
		}
		do(func() bool { return m.takeGroup(p, 64) })
		m.resetPool(p)
		do(func() bool { return m.takeGroup(big, 3) })
	}},
	{"reserve", func(m *model, do func(func() bool)) {
		do(func() bool { return m.newPool(100, 4) })
		p := m.pools[0]
		do(func() bool { return m.take(p, 0) })
		do(func() bool { return m.reserve(p, 3000) })
		// Reserved slots are there, whatever the source says.
		arm(m.src.acquires, 1, true)
		arm(m.meta.acquires, 1, true)
		m.give(p, 0, true)
		for n := len(p.live) + 3000; len(p.live) < n; {
			if len(p.live)%3 == 0 && !m.take(p, len(p.live)) || !m.takeGroup(p, n-len(p.live)) && len(p.live) < n {
				m.fatalf("a reserved slot was refused")
			}
		}
		m.disarm()
		do(func() bool { return m.reserve(p, 500) })
		m.closePool(0)
	}},
	{"reset and trim", func(m *model, do func(func() bool)) {
		do(func() bool { return m.newPool(16, 16) })
		for range 3 {
			for i := range 20 {
				do(func() bool { return m.alloc(1+i*977, 0, true) })
				do(func() bool { return m.take(m.pools[0], i) })
			}
			for i := len(m.live) - 1; i > 0; i -= 2 {
				m.free(i, false)
			}
			m.trim()
			do(func() bool { return m.alloc(5000, 0, true) })
			m.reset()
			do(func() bool { return m.alloc(5000, 0, true) })
			m.reset()
			m.trim()
		}
		for i := range 5 {
			do(func() bool { return m.alloc(60_000+i, 0, true) })
		}
	}},
	{"a little of all", func(m *model, do func(func() bool)) {
		do(func() bool { return m.newPool(24, 8) })
		p := m.pools[0]
		for i := range 40 {
			do(func() bool { return m.alloc(1+i*i*i%30_000, 1<<(i%11), true) })
			do(func() bool { return m.take(p, i) })
			if i%3 == 1 {
				do(func() bool { return m.realloc(i%len(m.live), 1+i*i*7%20_000) })
			}
			if i%7 == 6 {
				m.free(i%len(m.live), false)
				m.give(p, i%len(p.live), true)
			}
			if i%13 == 12 {
				m.trim()
			}
		}
	}},
}

// faultCases are configurations that differ in when they call a source.
func faultCases() (cases []func(t testing.TB) *model) {
	for _, retain := range []int{0, -1, 100_000} {
		for _, apart := range []bool{false, true} {
			cases = append(cases, func(t testing.TB) *model {
				src := newFaultySource(blocksrc.Limit(new(blocksrc.GoHeap), 64<<20), 64<<20)
				meta := src
				if apart {
					meta = newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
				}
				return newModel(t, slab.Config{BlockSize: 8 << 10, MaxBlockSize: 64 << 10, LargeSize: 32 << 10, Retain: retain}, src, meta)
			})
		}
	}
	return cases
}

// everyFault runs f for each script, configuration and source, with k from 1 on, until
// the run ends before the k-th call, which f makes fail.
func everyFault(t *testing.T, f func(t *testing.T, m *model, s *faultySource, script script, k int) (met bool)) {
	for _, script := range scripts {
		t.Run(script.name, func(t *testing.T) {
			for n, open := range faultCases() {
				if n > 0 && testing.Short() {
					break
				}
				for apart := range 2 {
					for k := 1; ; k++ {
						m := open(t)
						s := m.src
						if apart == 1 {
							if m.src == m.meta {
								break
							}
							s = m.meta
						}
						if !f(t, m, s, script, k) {
							break
						}
						if k > 10_000 {
							t.Fatal("there is no end to it")
						}
						if slow() {
							k += k / 3
						}
					}
				}
			}
		})
	}
}

// TestFaultAcquire: the k-th block is refused.
func TestFaultAcquire(t *testing.T) {
	everyFault(t, func(t *testing.T, m *model, s *faultySource, script script, k int) bool {
		arm(s.acquires, k, false)
		refusals := 0
		script.run(m, func(op func() bool) {
			if op() {
				return
			}
			if refusals++; refusals > 1 || s.acquires.Failed() != 1 {
				m.fatalf("call %d fails, and this is refusal %d", k, refusals)
			}
			m.check()
			m.verifyAll()
			if !op() {
				m.fatalf("call %d fails, and its operation again", k)
			}
		})
		met := s.acquires.Failed() > 0
		m.check()
		m.finish()
		return met
	})
}

// TestFaultAcquireFromThere: the k-th block and all after it are refused, until
// the workload cannot go on without one.
func TestFaultAcquireFromThere(t *testing.T) {
	everyFault(t, func(t *testing.T, m *model, s *faultySource, script script, k int) bool {
		arm(s.acquires, k, true)
		met := false
		script.run(m, func(op func() bool) {
			for range 3 {
				if op() {
					return
				}
				if s.acquires.Failed() == 0 {
					m.fatalf("refused, and no call has failed")
				}
				met = true
			}
			m.check()
			m.disarm()
			if !op() {
				m.fatalf("refused after the source is well again")
			}
			arm(s.acquires, k, true)
		})
		m.disarm()
		m.check()
		m.finish()
		return met
	})
}

// TestFaultRelease: the source does not take the k-th block back. No operation fails
// because of that, the block stays usable, and in the end it goes.
func TestFaultRelease(t *testing.T) {
	for _, persist := range []bool{false, true} {
		everyFault(t, func(t *testing.T, m *model, s *faultySource, script script, k int) bool {
			arm(s.Failing, k, persist)
			script.run(m, func(op func() bool) {
				if !op() {
					m.fatalf("release %d fails, and an operation", k)
				}
			})
			m.check()
			met := s.Failed() > 0
			if k%2 == 0 {
				m.finish()
			} else {
				m.close()
			}
			return met
		})
	}
}

// TestFaultClose: Close returns the error of a block that was not taken back, and gives
// the block back when it is called again.
func TestFaultClose(t *testing.T) {
	everyFault(t, func(t *testing.T, m *model, s *faultySource, script script, k int) bool {
		script.run(m, func(op func() bool) { require.True(t, op()) })
		arm(s.Failing, k, k%2 == 0)
		err := m.a.Close()
		met := s.Failed() > 0
		if !met {
			require.NoError(t, err)
			m.closed()
			return false
		}
		require.NoError(t, m.a.Check())
		require.Equal(t, m.held(), m.a.Stats().Held)
		require.Zero(t, m.a.Stats().Live)
		if m.held() > 0 {
			require.ErrorIs(t, err, blocksrctest.ErrInjected)
			require.Regexp(t, "^slab: ", err.Error())
		}
		_, err = m.a.Alloc(1, 0)
		require.ErrorIs(t, err, slab.ErrClosed)
		_, err = slab.NewPool(m.a, 1, 1)
		require.ErrorIs(t, err, slab.ErrClosed)
		for _, p := range m.pools {
			_, err := p.Alloc()
			require.ErrorIs(t, err, slab.ErrClosed)
			require.ErrorIs(t, p.Reserve(1), slab.ErrClosed)
			require.NoError(t, p.Close())
		}
		s.disarm()
		require.NoError(t, m.a.Close())
		m.closed()
		return true
	})
}

// TestFaultHoldsNoMore: what a refused request has acquired on its way may be kept, like
// any empty block. But it does not add up over refusals, and Trim gives it back.
func TestFaultHoldsNoMore(t *testing.T) {
	for _, retain := range []int{0, -1} {
		for _, r := range requests {
			t.Run(fmt.Sprintf("%s, retain %d", r.name, retain), func(t *testing.T) {
				for k := 1; ; k++ {
					src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
					m := newModel(t, slab.Config{BlockSize: 8 << 10, Retain: retain}, src, meta)
					if r.name == "realloc" {
						require.True(t, m.alloc(600_000, 0, true))
					}
					before := m.a.Stats()
					s := src
					if k%2 == 0 {
						s = meta
					}
					arm(s.acquires, (k+1)/2, true)
					err := r.do(m)
					if s.acquires.Failed() == 0 {
						require.NoError(t, err)
						break
					}
					if err == nil {
						continue // a smaller block did as well
					}
					once := m.a.Stats()
					if retain < 0 {
						require.Equal(t, before.Blocks, once.Blocks)
					}
					require.LessOrEqual(t, once.Blocks, before.Blocks+1)
					require.LessOrEqual(t, once.MetaBlocks, before.MetaBlocks+1)
					for range 5 {
						arm(s.acquires, (k+1)/2, true)
						if r.do(m) == nil {
							break // what was kept has made up for it
						}
						require.LessOrEqual(t, m.a.Stats().Held, once.Held)
					}
					m.trim()
					m.disarm()
					m.check()
					require.NoError(t, m.a.Close())
				}
			})
		}
	}
}
