package slab_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Sources that break their contract, or make use of all that it allows. An
// allocator must not build on the former and must bear the latter.

// wrapped is a source of which a test can replace either call.
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

// requests are one for each way to a source.
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

// refuse runs a request against an allocator on a source that is honest until
// bad is set, and expects it to fail and to change nothing.
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
				return src.Acquire(max(1, size-short)&^63-64, align)
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

// TestSourceFails: the source's own error is in the allocator's, whatever comes
// with it.
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

// TestSourceUnreleasable: a bad block that the source does not want back either
// is reported with both errors.
func TestSourceUnreleasable(t *testing.T) {
	bad := false
	errOdd := errors.New("the moon is in the wrong phase")
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if bad {
			return make([]byte, 16), nil
		}
		return src.Acquire(size, align)
	}
	src.release = func(src blocksrc.Source, mem []byte) error {
		if len(mem) == 16 {
			return errOdd
		}
		return src.Release(mem)
	}
	for _, r := range requests[:5] {
		bad = false
		s := newFaultySource(src, math.MaxInt)
		m := newModel(t, slab.Config{MaxBlockSize: 256 << 10}, s, s)
		bad = true
		err := r.do(m)
		require.ErrorIs(t, err, slab.ErrBadSource, r.name)
		require.ErrorIs(t, err, errOdd, r.name)
		bad = false
		require.NoError(t, m.a.Check())
		require.Zero(t, m.a.Stats().Held)
		require.NoError(t, m.a.Close())
	}
}

// TestSourceOverlapping: memory that is the allocator's already must not become
// so twice, nor go back to the source while it is in use.
func TestSourceOverlapping(t *testing.T) {
	type block struct{ mem []byte }
	for _, c := range []struct {
		name string
		pick func(held []block, size int) []byte // what is returned instead
	}{
		{"the same block", func(held []block, size int) []byte {
			for _, b := range held {
				if len(b.mem) >= size {
					return b.mem
				}
			}
			return nil
		}},
		// It is too short as well, and must not be released for that.
		{"a smaller block", func(held []block, size int) []byte {
			for _, b := range held {
				if len(b.mem) < size {
					return b.mem
				}
			}
			return nil
		}},
		{"part of a block", func(held []block, size int) []byte {
			for _, b := range held {
				if len(b.mem) >= size+1024 {
					return b.mem[1024:]
				}
			}
			return nil
		}},
		{"start of a block", func(held []block, size int) []byte {
			for _, b := range held {
				if len(b.mem) > size {
					return b.mem[:size:size]
				}
			}
			return nil
		}},
	} {
		for _, r := range requests {
			t.Run(c.name+", "+r.name, func(t *testing.T) {
				var held []block
				bad, lied := false, false
				released := 0
				src := &wrapped{Source: new(blocksrc.GoHeap)}
				src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
					if bad {
						for _, b := range held {
							if mem := c.pick([]block{b}, size); mem != nil && uintptr(unsafe.Pointer(&mem[0]))&uintptr(max(align, 1)-1) == 0 {
								lied = true
								return mem, nil
							}
						}
					}
					mem, err := src.Acquire(size, align)
					if err == nil {
						held = append(held, block{mem})
					}
					return mem, err
				}
				src.release = func(src blocksrc.Source, mem []byte) error {
					if bad {
						released++
					}
					at := slices.IndexFunc(held, func(b block) bool { return &b.mem[0] == &mem[0] && len(b.mem) == len(mem) })
					if at < 0 {
						return blocksrc.ErrNotHeld
					}
					held = slices.Delete(held, at, at+1)
					return src.Release(mem)
				}
				a, err := slab.New(slab.Config{Source: src, MaxBlockSize: 256 << 10})
				require.NoError(t, err)
				m := &model{t: t, a: a, cfg: slab.Config{}, src: newFaultySource(src, math.MaxInt)}
				m.meta = m.src
				for _, size := range []int{600_000, 10, 1000, 5000, 30_000, 900_000} {
					require.True(t, m.alloc(size, 0, true))
				}
				for b := range m.a.Blocks() { // use up what there is
					for c := range b.Chunks() {
						if c.Kind == slab.ChunkHole && c.Size >= 2048 {
							require.True(t, m.alloc(c.Size-32, 0, true))
						}
					}
				}
				before := m.a.Stats()
				owned := len(held)
				bad = true
				err = r.do(m)
				bad = false
				if !lied {
					t.Skip("this request does not get so far")
					return // which Skip does not under TinyGo
				}
				require.NoError(t, m.a.Check())
				m.verifyAll()
				assert.ErrorIs(t, err, slab.ErrBadSource)
				if err != nil {
					before.Pools = m.a.Stats().Pools
					m.sameState(before, "a request")
				}
				assert.GreaterOrEqual(t, len(held), owned, "a block in use went back")
				assert.Zero(t, released)
				require.NoError(t, m.a.Close())
				require.Zero(t, len(held))
			})
		}
	}
}

// TestSourceOverlapsRecords: the same, where the user's memory would come to lie
// on the allocator's own records, and the other way round.
func TestSourceOverlapsRecords(t *testing.T) {
	for _, c := range []string{"user on records", "records on user"} {
		t.Run(c, func(t *testing.T) {
			bad := false
			var held [][]byte // by the honest one
			honest, liar := &wrapped{Source: new(blocksrc.GoHeap)}, &wrapped{Source: new(blocksrc.GoHeap)}
			honest.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
				mem, err := src.Acquire(size, align)
				if err == nil {
					held = append(held, mem)
				}
				return mem, err
			}
			liar.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
				for _, mem := range held {
					if bad && len(mem) >= size {
						return mem, nil
					}
				}
				return src.Acquire(size, align)
			}
			cfg := slab.Config{Source: liar, MetaSource: honest, BlockSize: 32 << 10, MaxBlockSize: 32 << 10}
			if c == "records on user" {
				cfg.Source, cfg.MetaSource = honest, liar
			}
			a, err := slab.New(cfg)
			require.NoError(t, err)
			_, err = a.Alloc(1025, 0)
			require.NoError(t, err)
			bad = true
			for range 2000 {
				if _, err = a.Alloc(1025, 0); err != nil {
					break
				}
			}
			bad = false
			require.NoError(t, a.Check())
			require.ErrorIs(t, err, slab.ErrBadSource)
			_, err = a.Alloc(1025, 0)
			require.NoError(t, err)
			require.NoError(t, a.Close())
		})
	}
}

// TestSourceOverlapsStuck: memory that the source has refused to take back is not
// its own to give. It must not be used, nor offered again once it is.
func TestSourceOverlapsStuck(t *testing.T) {
	src := newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	bad := false
	var stuck [][]byte
	liar := &wrapped{Source: new(blocksrc.GoHeap)}
	liar.release = func(src blocksrc.Source, mem []byte) error {
		if bad {
			stuck = append(stuck, mem)
			return errors.New("not now")
		}
		return src.Release(mem)
	}
	liar.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		for _, mem := range stuck {
			if len(mem) >= size {
				return mem, nil
			}
		}
		return src.Acquire(size, align)
	}
	a, err := slab.New(slab.Config{Source: src, MetaSource: liar})
	require.NoError(t, err)
	b, err := a.Alloc(5000, 0)
	require.NoError(t, err)
	a.Free(b)
	bad = true
	a.Trim()
	require.NotEmpty(t, stuck)
	_, err = a.Alloc(5000, 0)
	if err != nil {
		require.ErrorIs(t, err, slab.ErrBadSource)
	}
	require.NoError(t, a.Check())
	bad, stuck = false, nil
	b, err = a.Alloc(5000, 0)
	require.NoError(t, err)
	a.Trim() // offers the stuck ones again
	require.NoError(t, a.Check())
	a.Free(b)
	require.NoError(t, a.Close())
	require.NoError(t, src.counting.Leaks())
}

// TestSourceGivesMore: blocks may be longer than was asked for, by any number of
// bytes, and all of them are of use.
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
		return // which Skip does not under TinyGo
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

// TestSourceBound: a source that calls a request beyond all it could ever serve
// may have room for a smaller one, and a block is only as large as it need be.
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

// TestSourceGranularity: what a source says of itself is not trusted beyond
// reason, and is not needed.
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

type granular struct {
	blocksrc.Source
	n int
}

func (g *granular) Granularity() int { return g.n }

// TestSourceReleaseFails: a block that the source does not take back is used
// further, counted, and offered again.
func TestSourceReleaseFails(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 16 << 10, MaxBlockSize: 16 << 10, LargeSize: 16 << 10, Retain: -1}, src, meta)
	fill := func(n int) {
		for range n {
			require.True(t, m.alloc(15<<10, 0, true))
		}
	}
	fill(5)
	arm(src.Failing, 1, true)
	for len(m.live) > 0 {
		m.free(0, false)
		m.check()
	}
	require.Equal(t, 5*16<<10, src.held())
	require.Equal(t, 5, slab.Stuck(m.a))
	require.Equal(t, 5*16<<10, m.a.Stats().EmptyBlocks)
	require.NotZero(t, m.a.Stats().Refused)
	require.Zero(t, m.a.Stats().Failures)

	// They serve before anything new is acquired.
	n := src.acquires.Calls()
	fill(5)
	require.Equal(t, n, src.acquires.Calls())
	for len(m.live) > 0 {
		m.free(0, false)
	}
	// One release after the source has come to its senses, and all go.
	src.disarm()
	fill(1)
	m.free(0, false)
	require.Zero(t, src.held())
	require.Zero(t, slab.Stuck(m.a))

	// A large allocation's block too; it serves others meanwhile.
	require.True(t, m.alloc(100_000, 0, true))
	arm(src.Failing, 1, false)
	m.free(0, false)
	require.NotZero(t, src.held())
	m.check()
	fill(3)
	m.check()
	for len(m.live) > 0 {
		m.free(0, false)
	}
	require.Zero(t, src.held())

	// Close reports it, and may be tried again.
	fill(2)
	arm(src.Failing, 1, true)
	err := m.a.Close()
	require.ErrorIs(t, err, blocksrctest.ErrInjected)
	require.NoError(t, m.a.Check())
	require.Equal(t, m.held(), m.a.Stats().Held)
	_, err = m.a.Alloc(1, 0)
	require.ErrorIs(t, err, slab.ErrClosed)
	require.ErrorIs(t, m.a.Close(), blocksrctest.ErrInjected)
	src.disarm()
	require.NoError(t, m.a.Close())
	m.closed()
}

// TestSourceRecordsStuck: that the blocks of records cannot be released, however
// many they are, does no harm: the allocator goes on, and Close can be repeated.
func TestSourceRecordsStuck(t *testing.T) {
	src, meta := newFaultySource(new(blocksrc.GoHeap), math.MaxInt), newFaultySource(new(blocksrc.GoHeap), math.MaxInt)
	m := newModel(t, slab.Config{BlockSize: 32 << 10, MaxBlockSize: 32 << 10}, src, meta)
	p, err := slab.NewPool(m.a, 1, 1)
	require.NoError(t, err)
	const blocks = 200 // more than the table of chunks has records before it has any memory
	for i := 0; m.a.Stats().MetaBlocks < blocks; i++ {
		require.NoError(t, p.Reserve(p.Len()+i*10_000))
	}
	require.NoError(t, m.a.Check())
	arm(meta.Failing, 1, true)
	m.trim()
	require.NoError(t, m.a.Check())
	require.Zero(t, src.held())
	require.Equal(t, m.held(), m.a.Stats().Held)
	for i := range 100 {
		require.True(t, m.alloc(1+i*100, 0, true))
	}
	m.check()
	require.ErrorIs(t, m.a.Close(), blocksrctest.ErrInjected)
	require.NoError(t, m.a.Check())
	meta.disarm()
	require.NoError(t, m.a.Close())
	m.closed()
}
