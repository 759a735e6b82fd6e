package slab_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// Room that was promised is there, whatever is freed meanwhile.

func TestPoolReserve(t *testing.T) {
	p, src := newPool(t, 100, 4, slab.Config{})
	require.NoError(t, p.Reserve(0))
	assert.Zero(t, src.Counts().Acquires)
	require.ErrorIs(t, p.Reserve(-1), slab.ErrInvalid)
	require.ErrorIs(t, p.Reserve(math.MinInt), slab.ErrInvalid)
	for _, n := range []int{1, 100, 5000} {
		require.NoError(t, p.Reserve(n))
		assert.GreaterOrEqual(t, p.Stats().Free, n)
		calls := src.Counts().Acquires
		for range n {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		assert.Equal(t, calls, src.Counts().Acquires)
		free := p.Stats().Free
		require.NoError(t, p.Reserve(free))
		assert.Equal(t, free, p.Stats().Free, "there was enough")
	}
}

// A number of slots that cannot be is refused at once, whatever is live already.
func TestPoolReserveTooMany(t *testing.T) {
	for _, live := range []int{0, 1, 2} {
		src := &blocksrctest.Counting{Source: blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)}
		p, _ := newPool(t, 100, 4, slab.Config{Source: src})
		for range live {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		before := p.Stats()
		for _, n := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt/100 + 1} {
			assert.Error(t, p.Reserve(n), "%d, with %d live", n, live)
			assert.Equal(t, before, p.Stats())
		}
		err := p.Reserve(20_000)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
		assert.Equal(t, before, p.Stats())
		assert.NoError(t, p.Allocator().Check())
	}
}

// Reserve is all or nothing, whichever call of the source fails.
func TestPoolReserveUnderFailure(t *testing.T) {
	for k := 1; ; k++ {
		failing := &blocksrctest.Failing{Source: new(blocksrc.GoHeap), At: k, Persist: k%2 == 0, On: blocksrctest.Acquires}
		p, _ := newPool(t, 3000, 8, slab.Config{Source: failing})
		_, h, err := p.Insert()
		if err == nil {
			before := p.Stats()
			err := p.Reserve(200)
			if err != nil {
				assert.ErrorIs(t, err, blocksrctest.ErrInjected)
				assert.Equal(t, before, p.Stats())
			} else {
				assert.GreaterOrEqual(t, p.Stats().Free, 200)
			}
			assert.NotNil(t, p.Get(h))
		}
		assert.NoError(t, p.Allocator().Check())
		if failing.Failed() == 0 {
			break
		}
	}
}

// What was reserved stays reserved when slots are freed: no order of frees costs
// slots that the promise counts on.
func TestPoolReserveIsKept(t *testing.T) {
	p, src := newPool(t, 20_000, 8, slab.Config{Retain: -1}) // two slots a slab
	var hs []slab.Handle
	for range 4 {
		_, h, err := p.Insert()
		require.NoError(t, err)
		hs = append(hs, h)
	}
	for _, h := range hs { // one empty slab is kept back, the other has the group
		require.True(t, p.Remove(h))
	}
	require.Equal(t, 1, p.AtHand())
	require.Zero(t, p.Len())
	n := p.Stats().Free
	require.NoError(t, p.Reserve(n))
	calls := src.Counts().Acquires
	got := 0
	for got < n {
		g, err := p.TakeGroup(n - got)
		require.NoError(t, err)
		got += bits.OnesCount64(g.Slots)
	}
	assert.Equal(t, calls, src.Counts().Acquires)
	assert.Equal(t, n, p.Stats().Live+p.Stats().Free)
}

func TestPoolTakeGroup(t *testing.T) {
	for _, size := range []int{0, 8, 100, 5000} {
		p, _ := newPool(t, size, 4, slab.Config{})
		stride := p.Stats().Stride
		live := map[slab.Handle]unsafe.Pointer{}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			n := rng.IntN(100)
			g, err := p.TakeGroup(n)
			require.NoError(t, err)
			require.LessOrEqual(t, bits.OnesCount64(g.Slots), n)
			require.Equal(t, n > 0, g.Slots != 0)
			for q, h := range slotsOf(g, stride) {
				require.Nil(t, live[h])
				require.Equal(t, q, p.Get(h))
				live[h] = q
			}
			for h, q := range live {
				if rng.IntN(3) > 0 {
					continue
				}
				require.Equal(t, q, p.Get(h))
				p.Free(q)
				delete(live, h)
			}
			require.Equal(t, len(live), p.Len())
		}
		g, err := p.TakeGroup(-5)
		assert.Zero(t, g)
		assert.NoError(t, err)
	}
}
