package arena_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// Many objects at once: all of them or, with an error, none.

func TestInsertN(t *testing.T) {
	a := newArena[uint32](t, nil)
	zero, err := a.InsertN(nil, nil)
	require.NoError(t, err)
	assert.Empty(t, zero)
	keep := arena.Must(a.Insert(77))
	hs := []arena.Handle[uint32]{keep}
	next := uint32(0)
	for _, n := range []int{1, 63, 64, 65, 200, 5000, 3} {
		vs := make([]uint32, n)
		for i := range vs {
			vs[i] = next
			next++
		}
		// Gaps of all lengths, so that runs are short and long.
		for i := 1; i < len(hs); i += 1 + i%7 {
			require.Equal(t, !hs[i].IsZero(), a.Remove(hs[i]))
			hs[i] = arena.Handle[uint32]{}
		}
		was := len(hs)
		hs, err = a.InsertN(vs, hs)
		require.NoError(t, err)
		require.Len(t, hs, was+n)
		for i, h := range hs[was:] {
			p, ok := a.Get(h)
			require.True(t, ok)
			require.Equal(t, vs[i], *p)
		}
	}
	p, ok := a.Get(hs[0])
	require.True(t, ok)
	assert.Equal(t, uint32(77), *p)
	live := 0
	for _, h := range hs {
		if !h.IsZero() {
			live++
		}
	}
	assert.Equal(t, live, a.Len())
}

// Objects that were stored together go like others: when the last of them is freed their
// slabs go, except one.
func TestInsertNKeepsNothing(t *testing.T) {
	slabs := func(insert func(a *arena.Arena[enemy], n int)) int {
		a := newArena[enemy](t, nil)
		insert(a, 20_000)
		for h := range a.All() {
			require.True(t, a.Remove(h))
		}
		arena.Must(a.Insert(enemy{}))
		return a.Stats().Slabs
	}
	one := slabs(func(a *arena.Arena[enemy], n int) {
		for range n {
			arena.Must(a.Insert(enemy{}))
		}
	})
	all := slabs(func(a *arena.Arena[enemy], n int) { arena.Must(a.InsertN(make([]enemy, n), nil)) })
	assert.LessOrEqual(t, one, 2)
	assert.LessOrEqual(t, all, 2)
}

// Whichever call of the source fails, InsertN stores all or none and changes nothing that was
// there.
func TestInsertNUnderFailure(t *testing.T) {
	for _, persist := range []bool{false, true} {
		for k := 1; ; k++ {
			failing := &blocksrctest.Failing{Source: new(soiled), At: k, Persist: persist, On: blocksrctest.Acquires}
			al, _ := newAllocator(t, failing)
			a := newArena[[700]byte](t, al)
			h, err := a.Insert([700]byte{1})
			if err == nil {
				vs := make([][700]byte, 500)
				for i := range vs {
					vs[i] = [700]byte{byte(i), 699: byte(i)}
				}
				before := a.Stats()
				hs, err := a.InsertN(vs, []arena.Handle[[700]byte]{h})
				if err != nil {
					assert.ErrorIs(t, err, blocksrctest.ErrInjected)
					assert.ErrorIs(t, err, blocksrc.ErrExhausted)
					assert.Equal(t, before, a.Stats())
					assert.Equal(t, []arena.Handle[[700]byte]{h}, hs)
				} else {
					require.Len(t, hs, 501)
					for i, h := range hs[1:] {
						p, ok := a.Get(h)
						require.True(t, ok)
						require.Equal(t, vs[i], *p)
					}
				}
				p, ok := a.Get(h)
				require.True(t, ok)
				assert.Equal(t, [700]byte{1}, *p)
			}
			require.NoError(t, al.Check())
			if failing.Failed() == 0 {
				break
			}
		}
	}
}

// flaky is a source that can be told to fail at any time.
type flaky struct {
	blocksrc.Source
	acquires, releases int // the call to fail, counted from now on; -1 fails all
}

var errFlaky = fmt.Errorf("flaky: %w", blocksrc.ErrExhausted)

func due(n *int) bool {
	if *n > 0 {
		*n--
		return *n == 0
	}
	return *n < 0
}

func (f *flaky) Acquire(size, align int) ([]byte, error) {
	if due(&f.acquires) {
		return nil, errFlaky
	}
	return f.Source.Acquire(size, align)
}

func (f *flaky) Release(block []byte) error {
	if due(&f.releases) {
		return errFlaky
	}
	return f.Source.Release(block)
}

func (f *flaky) Granularity() int { return blocksrc.Granularity(f.Source) }

func (f *flaky) Zeroed() bool { return blocksrc.Zeroed(f.Source) }
