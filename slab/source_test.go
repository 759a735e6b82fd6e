package slab_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Sources that break their contract, or use all that it allows. An allocator must not build
// on what the former give, and must cope with the latter.

// wrapped is a source whose Acquire and Release a test can replace.
type wrapped struct {
	blocksrc.Source
	acquire func(src blocksrc.Source, size, align int) ([]byte, error)
	release func(src blocksrc.Source, mem []byte) error
}

func (w *wrapped) Acquire(size, align int) ([]byte, error) {
	if w.acquire != nil {
		return w.acquire(w.Source, size, align)
	}
	return w.Source.Acquire(size, align)
}

func (w *wrapped) Release(mem []byte) error {
	if w.release != nil {
		return w.release(w.Source, mem)
	}
	return w.Source.Release(mem)
}

func (w *wrapped) Granularity() int { return blocksrc.Granularity(w.Source) }

// requests has one for each way that a request takes to a source.
var requests = []struct {
	name string
	do   func(m *model) error
}{
	{"small", func(m *model) error { _, err := m.a.Alloc(100, 0); return err }},
	{"medium", func(m *model) error { _, err := m.a.Alloc(5000, 0); return err }},
	{"large", func(m *model) error { _, err := m.a.Alloc(500_000, 0); return err }},
	{"aligned", func(m *model) error { _, err := m.a.Alloc(5000, 1<<15); return err }},
	{"large and aligned", func(m *model) error { _, err := m.a.Alloc(500_000, 1<<15); return err }},
	{"slot", func(m *model) error {
		if !m.newPool(48, 16) {
			return errors.New("no pool")
		}
		_, err := m.pools[len(m.pools)-1].Alloc()
		return err
	}},
	{"reserve", func(m *model) error {
		if !m.newPool(48, 16) {
			return errors.New("no pool")
		}
		return m.pools[len(m.pools)-1].Reserve(1000)
	}},
	{"realloc", func(m *model) error { _, err := m.a.Realloc(m.live[0].b, 700_000); return err }},
}

// refuse runs each of requests against an allocator on a source that is honest until bad is
// set, and expects it to fail and to change nothing.
func refuse(t *testing.T, base blocksrc.Source, bad *bool, wants ...error) {
	for _, retain := range []int{-1, 0} {
		for _, warm := range []bool{false, true} {
			for _, r := range requests {
				t.Run(fmt.Sprintf("%s, warm %t, retain %d", r.name, warm, retain), func(t *testing.T) {
					*bad = false
					src := newFaultySource(base, math.MaxInt)
					m := newModel(t, slab.Config{Retain: retain, MaxBlockSize: 256 << 10, Name: "Bob"}, src, src)
					if warm || r.name == "realloc" {
						for _, size := range []int{600_000, 1, 10, 100, 1000, 5000, 30_000, 600_000} {
							require.True(t, m.alloc(size, 0, true))
						}
						// Use up what there is.
						arm(src.acquires, 1, true)
						for _, size := range []int{30_000, 5000, 1025, 100} {
							for m.alloc(size, 0, false) {
							}
						}
						src.disarm()
					}
					before := m.a.Stats()
					*bad = true
					err := r.do(m)
					*bad = false
					require.Error(t, err)
					for _, want := range wants {
						require.ErrorIs(t, err, want)
					}
					assert.Regexp(t, "^slab: ", err.Error())
					assert.Greater(t, m.a.Stats().Refused, before.Refused)
					before.Pools = m.a.Stats().Pools
					m.sameState(before, "a request")
					m.check()
					m.verifyAll()
					require.NoError(t, r.do(m), "it works once the source does")
					require.NoError(t, m.a.Check())
					require.NoError(t, m.a.Close())
					require.NoError(t, m.a.Check())
				})
			}
		}
	}
}

func TestSourceTooShort(t *testing.T) {
	for _, short := range []int{1, 16, 4000} {
		bad := false
		src := &wrapped{Source: new(blocksrc.GoHeap)}
		src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
			if bad {
				return src.Acquire(max(1, (size-short)&^63-64), align)
			}
			return src.Acquire(size, align)
		}
		refuse(t, src, &bad, slab.ErrBadSource)
	}
}

func TestSourceEmptyBlock(t *testing.T) {
	for _, block := range [][]byte{nil, {}} {
		bad := false
		src := &wrapped{Source: new(blocksrc.GoHeap)}
		src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
			if bad {
				return block, nil
			}
			return src.Acquire(size, align)
		}
		refuse(t, src, &bad, slab.ErrBadSource)
	}
}

func TestSourceMisaligned(t *testing.T) {
	bad := false
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		mem, err := src.Acquire(size+64, align)
		if bad && err == nil {
			mem = mem[8:]
		}
		return mem, err
	}
	src.release = func(src blocksrc.Source, mem []byte) error {
		if uintptr(unsafe.Pointer(&mem[0]))%64 == 8 {
			return nil // the whole is lost, as is only right
		}
		return src.Release(mem)
	}
	refuse(t, src, &bad, slab.ErrBadSource)
}

// TestSourceFails: the allocator's error wraps the source's own, whatever memory comes with
// that.
func TestSourceFails(t *testing.T) {
	stray := make([]byte, 1<<20)
	errOdd := errors.New("the moon is in the wrong phase")
	for _, e := range []error{errOdd, blocksrc.ErrExhausted, fmt.Errorf("%w: %w", blocksrc.ErrInvalid, blocksrc.ErrExhausted)} {
		for _, with := range [][]byte{nil, stray} {
			bad := false
			src := &wrapped{Source: new(blocksrc.GoHeap)}
			src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
				if bad {
					return with, e
				}
				return src.Acquire(size, align)
			}
			refuse(t, src, &bad, e)
		}
	}
}

// TestSourceGivesMore: blocks may be longer than was asked for, by any number of bytes. All of
// these are of use, except a rest of less than a granule.
func TestSourceGivesMore(t *testing.T) {
	for _, more := range []int{1, 15, 16, 17, 1000, 100_000} {
		src := &wrapped{Source: new(blocksrc.GoHeap)}
		whole := make(map[*byte][]byte)
		src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
			mem, err := src.Acquire(size+more, align)
			if err != nil {
				return nil, err
			}
			whole[&mem[0]] = mem
			return mem[: size+more : size+more], nil
		}
		src.release = func(src blocksrc.Source, mem []byte) error {
			w := whole[&mem[0]]
			if w == nil || len(mem)%16 != more%16 && len(mem) < more {
				return blocksrc.ErrNotHeld
			}
			delete(whole, &mem[0])
			return src.Release(w)
		}
		s := newFaultySource(src, math.MaxInt)
		m := newModel(t, slab.Config{LargeSize: 20_000}, s, s)
		for i := range 300 {
			require.True(t, m.alloc(1+i*131%40_000, 0, true))
		}
		m.check()
		stats := m.a.Stats()
		if more < 16 {
			require.Positive(t, stats.Lost)
		}
		for _, o := range m.live {
			if len(o.b) >= 20_000 {
				require.GreaterOrEqual(t, cap(o.b), len(o.b)+more-more%16-15, "a large allocation has all of its block")
			}
		}
		m.finish()
		require.Zero(t, len(whole))
	}
}

// TestSourceTooBig: a block beyond what the allocator can address is refused and
// goes back. Only its length is looked at.
func TestSourceTooBig(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("there are no such blocks")
		return // under TinyGo, Skip does not
	}
	if _, err := (blocksrc.Mmap{}).Acquire(1, 0); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no address space without memory here")
	}
	src := &wrapped{Source: blocksrc.Mmap{}}
	src.acquire = func(src blocksrc.Source, _, align int) ([]byte, error) {
		return src.Acquire(maxBlockBytes+1<<20, align)
	}
	counting := &blocksrctest.Counting{Source: src}
	if probe, err := counting.Acquire(1, 0); err != nil {
		t.Skip(err)
	} else {
		require.NoError(t, counting.Release(probe))
	}
	a, err := slab.New(slab.Config{Source: counting})
	require.NoError(t, err)
	_, err = a.Alloc(5000, 0)
	require.ErrorIs(t, err, slab.ErrBadSource)
	require.NoError(t, a.Check())
	require.NoError(t, counting.Leaks())
	require.NoError(t, a.Close())
}

// TestSourceBound: a source that can never serve a request may have room for a smaller one, and
// then a block is only as large as it need be.
func TestSourceBound(t *testing.T) {
	const bound = 20_000
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if size > bound {
			return nil, fmt.Errorf("%w: %w", blocksrc.ErrInvalid, blocksrc.ErrExhausted)
		}
		return src.Acquire(size, align)
	}
	s := newFaultySource(src, math.MaxInt)
	m := newModel(t, slab.Config{}, s, s)
	for i := range 100 {
		require.True(t, m.alloc(1+i*100, 0, true), "Alloc(%d)", 1+i*100)
	}
	m.finish()
}

// TestSourceGranularity: what a source says of its granularity is not trusted beyond reason,
// and is not needed.
func TestSourceGranularity(t *testing.T) {
	for _, g := range []int{0, 1, 3, 8, 16, 64, 4096, 1 << 16, -1, -4096, math.MinInt, math.MaxInt} {
		s := newFaultySource(&granular{Source: new(blocksrc.GoHeap), n: g}, math.MaxInt)
		m := newModel(t, slab.Config{}, s, s)
		for i := range 20 {
			require.True(t, m.alloc(1+i*3000, 0, true), "granularity %d", g)
			require.True(t, m.alloc(1+i*3000, 4096, true), "granularity %d", g)
		}
		m.finish()
	}
}

// coarse rounds its blocks up to whole units, a power of two.
type coarse struct {
	blocksrc.GoHeap
	unit, asked int
}

func (s *coarse) Granularity() int { return s.unit }

func (s *coarse) Acquire(size, align int) ([]byte, error) {
	s.asked++
	return s.GoHeap.Acquire((size+s.unit-1)&^(s.unit-1), align)
}

type granular struct {
	blocksrc.Source
	n int
}

func (g *granular) Granularity() int { return g.n }
