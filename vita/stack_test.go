package vita_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/vita"
)

// Every call of the kernel fails in turn below an allocator, an arena and a region. Live
// objects stay intact, nothing leaks, and nothing is freed twice.
func TestStackEveryCallFails(t *testing.T) {
	for _, code := range []vita.Code{vita.NoFreePhysicalPage, vita.InvalidArgument, vita.BlockInUse} {
		for n := 1; ; n++ {
			sim := vita.NewSim(testConsole(vita.Hardware))
			sim.Fail(vita.AnyCall, n, code)
			useStack(t, sim)
			if sim.Calls(vita.AnyCall) < n {
				assert.Greater(t, n, 20, "calls of the kernel")
				break
			}
		}
	}
}

// useStack makes objects, a region and allocations on a kernel, and frees some of them, then
// everything.
func useStack(t *testing.T, sim *vita.Sim) {
	t.Helper()
	a, err := slab.New(slab.Config{
		Source:    &vita.Source{Kernel: &spy{Kernel: sim, t: t}, Type: vita.UserRW},
		BlockSize: 16 * kib, MaxBlockSize: 16 * kib, LargeSize: 12 * kib,
	})
	require.NoError(t, err)
	objects, err := arena.New[[100]uint32](a)
	require.NoError(t, err)
	frame, err := arena.NewRegion(a)
	require.NoError(t, err)

	at := make(map[arena.Handle[[100]uint32]]uint32)
	var raw [][]byte
	for round := range uint32(6) {
		for i := range uint32(20) {
			id := round<<8 | i
			if h, err := objects.Insert([100]uint32{id}); err == nil {
				at[h] = id
			}
		}
		if b, err := a.Alloc(int(5000*(round+1)), 0); err == nil { // the last are large
			b[0] = byte(len(raw))
			raw = append(raw, b)
		}
		if s, err := arena.MakeSlice[uint32](frame, 1500); err == nil {
			s[1499] = 1
		}
		require.NoError(t, a.Check())
		if round%2 == 1 {
			frame.Reset()
			for h, p := range objects.All() {
				require.Equal(t, at[h], p[0])
				if p[0]%3 != 0 {
					objects.Remove(h)
					delete(at, h)
				}
			}
			a.Trim()
			require.NoError(t, a.Check())
		}
	}
	require.Equal(t, len(at), objects.Len())
	for h, id := range at {
		p, ok := objects.Get(h)
		require.True(t, ok)
		require.Equal(t, id, p[0])
	}
	for i, b := range raw {
		require.Equal(t, byte(i), b[0])
		a.Free(b)
	}
	if a.Close() != nil {
		require.NoError(t, a.Close(), "what was refused is given back the second time")
	}
	require.NoError(t, sim.Leaks())
}
