package blocksrc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

// Against a map, with enough blocks for many runs, in random order and in the two orders
// that are worst for a sorted list.
func TestLedgerAgainstAMap(t *testing.T) {
	const n, unit = 10 * blocksrc.MaxRun, 8
	mem := make([]byte, n*unit)
	block := func(i int) []byte { return mem[i*unit : i*unit+unit-1] } // a byte between them is nobody's
	random := rand.New(rand.NewPCG(1, 2)).Perm(n)
	up, down := make([]int, n), make([]int, n)
	for i := range n {
		up[i], down[n-1-i] = i, i
	}
	for _, order := range [][]int{random, up, down} {
		var l blocksrc.Ledger
		in := map[int]bool{}
		check := func(i int) {
			part := block(i)[2:5]
			got, err := l.Around(part)
			if in[i] {
				require.NoError(t, err)
				require.Equal(t, blocksrc.Address(block(i)), blocksrc.Address(got))
			} else {
				require.ErrorIs(t, err, blocksrc.ErrNotHeld)
			}
			_, err = l.Around(mem[i*unit+unit-1 : i*unit+unit])
			require.ErrorIs(t, err, blocksrc.ErrNotHeld, "the byte between blocks")
			_, err = l.Take(block(i)[:3])
			require.ErrorIs(t, err, blocksrc.ErrNotHeld)
			_, err = l.Take(block(i)[1:])
			require.ErrorIs(t, err, blocksrc.ErrNotHeld)
		}
		for _, i := range order {
			l.Add(block(i), i)
			in[i] = true
			check(random[i])
		}
		held, err := l.Check()
		require.NoError(t, err)
		require.Equal(t, n, held)
		assert.LessOrEqual(t, l.Runs(), 2*n/blocksrc.MaxRun+1)
		for k, i := range random {
			note, err := l.Take(block(i))
			require.NoError(t, err)
			require.Equal(t, i, note)
			_, err = l.Take(block(i))
			require.ErrorIs(t, err, blocksrc.ErrNotHeld)
			delete(in, i)
			check(order[k])
			if k%100 == 0 {
				held, err := l.Check()
				require.NoError(t, err)
				require.Equal(t, n-1-k, held)
				require.LessOrEqual(t, l.Runs(), max(1, 4*(n-k)/blocksrc.MaxRun)+1, "sparse runs are joined")
			}
		}
		assert.Zero(t, l.Runs())
	}
}

func TestLedgerPartAcrossTwoBlocks(t *testing.T) {
	mem := make([]byte, 64)
	var l blocksrc.Ledger
	l.Add(mem[:32], 1)
	l.Add(mem[32:], 2)
	_, err := l.Around(mem[30:34])
	assert.ErrorIs(t, err, blocksrc.ErrNotHeld)
	for _, part := range [][]byte{mem[:1], mem[31:32], mem[:32]} {
		got, err := l.Around(part)
		require.NoError(t, err)
		assert.Equal(t, blocksrc.Address(mem), blocksrc.Address(got))
	}
	got, err := l.Around(mem[63:])
	require.NoError(t, err)
	assert.Equal(t, blocksrc.Address(mem[32:]), blocksrc.Address(got))
}
