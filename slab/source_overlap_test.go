package slab_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Sources that give memory out twice.

// TestSourceOverlapping: memory that the allocator holds already must not be taken in twice,
// nor go back to the source while it is in use.
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
						for range c.Slots - c.Used {
							require.True(t, m.alloc(c.Stride, 0, true))
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
					return // under TinyGo, Skip does not
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

// TestSourceOverlapsRecords: the same where the user's memory would overlap the allocator's
// own records, and the other way round.
func TestSourceOverlapsRecords(t *testing.T) {
	for _, c := range []string{"user on records", "records on user"} {
		t.Run(c, func(t *testing.T) {
			bad := false
			var held [][]byte // given out by the honest one
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

// TestSourceOverlapsStuck: memory that the source has refused to take back is not its own to
// give. The allocator must not accept it, nor offer it again once it is in use.
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

// Nor may a block reach from below into memory that the source did not take back.
func TestSourceOverlapsStuckFromBelow(t *testing.T) {
	room, err := new(blocksrc.GoHeap).Acquire(1<<20, 4096)
	require.NoError(t, err)
	at, most, refuse := 512<<10, 8<<10, false
	liar := &wrapped{Source: new(blocksrc.GoHeap)}
	liar.acquire = func(_ blocksrc.Source, size, _ int) ([]byte, error) {
		if size > most {
			return nil, slab.ErrExhausted
		}
		return room[at : at+size : at+size], nil
	}
	liar.release = func(blocksrc.Source, []byte) error {
		if refuse {
			return errors.New("not now")
		}
		return nil
	}
	a, err := slab.New(slab.Config{Source: liar, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	b, err := a.Alloc(5000, 0)
	require.NoError(t, err)
	a.Free(b)
	refuse = true
	a.Trim()
	at -= 4096
	most = len(room)
	_, err = a.Alloc(20_000, 0) // the refused block is too small for that
	require.ErrorIs(t, err, slab.ErrBadSource)
	refuse, at = false, 0
	b, err = a.Alloc(20_000, 0)
	require.NoError(t, err)
	require.NoError(t, a.Check())
	a.Free(b)
	require.NoError(t, a.Close())
}

// TestSourceOverlapsStuckRecords: nor may a block for the user overlap records that the other
// source did not take back.
func TestSourceOverlapsStuckRecords(t *testing.T) {
	var stuck []byte
	meta := onlyGives(new(blocksrc.GoHeap))
	meta.release = func(_ blocksrc.Source, mem []byte) error {
		stuck = mem
		return errNever
	}
	lies := false
	src := &wrapped{Source: new(blocksrc.GoHeap), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		if lies {
			return stuck[:min(size, len(stuck))], nil
		}
		return src.Acquire(size, align)
	}}
	a, err := slab.New(slab.Config{Source: src, MetaSource: meta, BlockSize: 4 << 10})
	require.NoError(t, err)
	a.Free(granted(t, a, 2000, 0))
	a.Trim()
	require.NotNil(t, stuck)
	lies = true
	refused := a.Stats().Refused
	_, err = a.Alloc(2000, 0)
	require.ErrorIs(t, err, slab.ErrBadSource)
	require.ErrorContains(t, err, "has not been given back")
	require.Equal(t, refused+1, a.Stats().Refused)
	lies = false
	a.Free(granted(t, a, 2000, 0))
	require.NoError(t, a.Check())
	require.ErrorIs(t, a.Close(), errNever)
}

// TestBadBlocksAreCounted: a block that the allocator rejects counts as a failed call.
func TestBadBlocksAreCounted(t *testing.T) {
	var held [][]byte
	bad := false
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if bad {
			return held[0], nil
		}
		mem, err := src.Acquire(size, align)
		held = append(held, mem)
		return mem, err
	}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	_, err = a.Alloc(1<<20, 1)
	require.NoError(t, err)
	bad = true
	for n := range 3 {
		_, err = a.Alloc(1<<20, 1)
		require.ErrorIs(t, err, slab.ErrBadSource)
		s := a.Stats()
		require.Equal(t, [...]int{n + 1, n + 1}, [...]int{int(s.Failures), int(s.Refused)})
	}
	bad = false
	require.NoError(t, a.Close())
}

// TestBadBlockThatIsGone: a bad block that the source does not know when it is given back does
// not count as held.
func TestBadBlockThatIsGone(t *testing.T) {
	src := &wrapped{Source: new(blocksrc.GoHeap)}
	src.acquire = func(blocksrc.Source, int, int) ([]byte, error) { return make([]byte, 16), nil }
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	_, err = a.Alloc(1<<20, 1)
	require.ErrorIs(t, err, slab.ErrBadSource)
	require.ErrorIs(t, err, blocksrc.ErrNotHeld)
	s := a.Stats()
	require.Zero(t, s.Held-s.Meta)
	require.Zero(t, s.Lost)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestSourceAdjacent: blocks may border on each other, and on one that the source has not taken back,
// but not share a byte with it.
func TestSourceAdjacent(t *testing.T) {
	const size = 64 << 10
	buf, err := new(blocksrc.GoHeap).Acquire(6*size, 4096)
	require.NoError(t, err)
	for _, refused := range []bool{false, true} {
		for _, c := range []struct {
			name     string
			from, to int
			ok       bool
		}{
			{"in front", 0, 2 * size, true}, {"behind", 3 * size, 5 * size, true},
			{"first granule", 16, 2*size + 16, false}, {"last granule", 3*size - 16, 5*size - 16, false}, {"around", size, 4 * size, false},
		} {
			next := buf[2*size : 3*size : 3*size]
			a, err := slab.New(slab.Config{BlockSize: size, MaxBlockSize: size, BlockAlign: 1, LargeAlign: 1, Retain: -1, MetaSource: new(blocksrc.GoHeap), Source: &wrapped{
				Source:  new(blocksrc.GoHeap),
				acquire: func(blocksrc.Source, int, int) ([]byte, error) { return next, nil },
				release: func(blocksrc.Source, []byte) error { return errors.New("not now") },
			}})
			require.NoError(t, err)
			b, err := a.Alloc(size-4096, 1)
			require.NoError(t, err)
			if refused {
				a.Free(b)
				a.Trim()
				require.Equal(t, 1, a.Stats().Blocks)
			}
			next = buf[c.from:c.to:c.to]
			_, err = a.Alloc(2*size-4096, 1)
			if c.ok {
				require.NoError(t, err, "%s, refused %t", c.name, refused)
			} else {
				require.ErrorIs(t, err, slab.ErrBadSource, "%s, refused %t", c.name, refused)
			}
			require.NoError(t, a.Check())
		}
	}
}
