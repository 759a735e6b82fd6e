package vita_test

import (
	"errors"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// What a Source remembers: blocks, orphans, statistics.

// Every code that says that there is no such block makes the Source forget the block.
func TestSourceForgetsByEveryCode(t *testing.T) {
	for code, lost := range map[vita.Code]bool{
		vita.InvalidUID: true, vita.IllegalBlockID: true, vita.UnknownUID: true,
		vita.BlockInUse: false, vita.InvalidArgument: false, vita.BlockError: false,
	} {
		s := vita.NewSim(testConsole(vita.Hardware))
		src := &vita.Source{Kernel: s}
		block, err := src.Acquire(1, 0)
		require.NoError(t, err)
		s.Fail(vita.CallFree, 1, code)
		err = src.Release(block)
		require.ErrorIs(t, err, code)
		assert.Equal(t, lost, errors.Is(err, blocksrc.ErrNotHeld), code)
		err = src.Release(block)
		if lost {
			require.ErrorIs(t, err, blocksrc.ErrNotHeld, code)
			assert.Equal(t, 1, s.Calls(vita.CallFree), "%v: the kernel is not asked again", code)
			assert.Zero(t, src.Stats().Held)
		} else {
			require.NoError(t, err, code)
			require.NoError(t, s.Leaks())
		}

		// The same goes for a block that was not handed out.
		s = vita.NewSim(testConsole(vita.Hardware))
		src = &vita.Source{Kernel: s}
		s.Fail(vita.CallBase, 1, vita.InvalidArgument)
		s.Fail(vita.CallFree, 1, code)
		_, err = src.Acquire(1, 0)
		require.ErrorIs(t, err, vita.InvalidArgument)
		want := 1
		if lost {
			want = 0
		}
		assert.Equal(t, want, src.Stats().Orphans, code)
	}
}

// Every block that the kernel has not taken back, one or several, is offered to it again at
// the next Acquire or Release.
func TestSourceOffersEveryOrphanAgain(t *testing.T) {
	for name, occasion := range map[string]func(src *vita.Source){
		"Acquire": func(src *vita.Source) {
			_, err := src.Acquire(1, 0)
			require.NoError(t, err)
		},
		"Release": func(src *vita.Source) { require.ErrorIs(t, src.Release(nil), blocksrc.ErrNotHeld) },
	} {
		s := vita.NewSim(testConsole(vita.Hardware))
		src := &vita.Source{Kernel: s}
		for n := 1; n <= 3; n++ {
			s.Fail(vita.CallBase, 1, vita.InvalidArgument)
			for k := 1; k <= n; k++ { // the earlier orphans and the new one
				s.Fail(vita.CallFree, k, vita.BlockInUse)
			}
			_, err := src.Acquire(1, 0)
			require.ErrorIs(t, err, vita.InvalidArgument)
			require.Equal(t, n, src.Stats().Orphans, name)
			require.Len(t, s.Blocks(), n)
		}
		occasion(src)
		assert.Zero(t, src.Stats().Orphans, name)
		assert.Len(t, s.Blocks(), src.Stats().Blocks, name)
	}
}

// Refused counts refusals by any call, and the peak stays.
func TestSourceStats(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	base := func(p unsafe.Pointer) unsafe.Pointer { return p }
	src := &vita.Source{Kernel: &spy{Kernel: s, t: t, base: func(p unsafe.Pointer) unsafe.Pointer { return base(p) }}}
	a, err := src.Acquire(16*kib, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	b, err := src.Acquire(4*kib, 0)
	require.NoError(t, err)
	assert.Equal(t, vita.SourceStats{Blocks: 1, Held: 4 * kib, PeakHeld: 16 * kib, Acquired: 2}, src.Stats())

	_, err = src.Acquire(0, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)
	assert.Zero(t, src.Stats().Refused, "the kernel was not asked")
	s.Fail(vita.CallAlloc, 1, vita.NoMemory)
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Equal(t, 1, src.Stats().Refused)
	s.Fail(vita.CallAlloc, 1, vita.InvalidArgument)
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, vita.InvalidArgument)
	assert.Equal(t, 2, src.Stats().Refused)
	s.Fail(vita.CallBase, 1, vita.InvalidArgument)
	_, err = src.Acquire(1, 0)
	require.ErrorIs(t, err, vita.InvalidArgument)
	assert.Equal(t, 3, src.Stats().Refused)
	base = func(unsafe.Pointer) unsafe.Pointer { return nil }
	_, err = src.Acquire(1, 0)
	require.ErrorContains(t, err, "not where its type")
	assert.Equal(t, vita.SourceStats{Blocks: 1, Held: 4 * kib, PeakHeld: 16 * kib, Acquired: 2, Refused: 4}, src.Stats())
	require.NoError(t, src.Release(b))
}

// freeing calls do during the first Free, and then refuses it.
type freeing struct {
	vita.Kernel
	do func()
}

func (f *freeing) Free(uid vita.UID) vita.Code {
	if f.do == nil {
		return f.Kernel.Free(uid)
	}
	f.do()
	f.do = nil
	return vita.BlockInUse
}

// A block that is not freed after all is held together with what was acquired meanwhile.
func TestSourcePeakOfWhatStays(t *testing.T) {
	k := &freeing{Kernel: vita.NewSim(testConsole(vita.Hardware))}
	src := &vita.Source{Kernel: k}
	a, err := src.Acquire(mib, 0)
	require.NoError(t, err)
	var b []byte
	k.do = func() { b, err = src.Acquire(mib, 0) }
	require.ErrorIs(t, src.Release(a), vita.BlockInUse)
	require.NoError(t, err)
	assert.Equal(t, [2]int{2 * mib, 2 * mib}, [2]int{src.Stats().Held, src.Stats().PeakHeld})
	require.NoError(t, src.Release(a))
	require.NoError(t, src.Release(b))
}

// The largest requests that still go to the kernel: it refuses them for lack of room, and
// there may be room later.
func TestSourceLargestRequests(t *testing.T) {
	for _, c := range []struct {
		mt          vita.MemType
		size, align int
	}{
		{vita.UserRW, math.MaxInt32 - 4*kib + 1, 0},
		{vita.CDRAMRW, math.MaxInt32 - 256*kib + 1, 0},
		{vita.PhycontRW, math.MaxInt32 - mib + 1, 0},
		{vita.PhycontRW, 1 << 30, 1 << 30},
	} {
		s := vita.NewSim(vita.Console{})
		src := &vita.Source{Kernel: s, Type: c.mt}
		_, err := src.Acquire(c.size, c.align)
		require.ErrorIs(t, err, blocksrc.ErrExhausted, c)
		require.NotErrorIs(t, err, blocksrc.ErrInvalid, c)
		assert.Equal(t, 1, s.Calls(vita.CallAlloc), c)
		_, err = src.Acquire(c.size+1, c.align)
		require.ErrorIs(t, err, blocksrc.ErrInvalid, c)
		assert.Equal(t, 1, s.Calls(vita.CallAlloc), c)
	}
}

// A block that was freed behind the Source's back no longer counts once the kernel has given
// its address to the next block.
func TestSourceCountsNoBlockThatWasReplaced(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	var fixed unsafe.Pointer
	src := &vita.Source{Kernel: &spy{Kernel: s, t: t, base: func(p unsafe.Pointer) unsafe.Pointer {
		if fixed == nil {
			fixed = p
		}
		return fixed
	}}}
	_, err := src.Acquire(8*kib, 0)
	require.NoError(t, err)
	require.Equal(t, vita.OK, s.Free(s.Blocks()[0].UID), "behind its back")
	block, err := src.Acquire(4*kib, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, src.Stats().Blocks)
	assert.Equal(t, 4*kib, src.Stats().Held)
	require.NoError(t, src.Release(block))
	assert.Zero(t, src.Stats().Held)
}
