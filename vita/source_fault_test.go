package vita_test

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/vita"
)

// Every call of the kernel fails in turn, with codes of all kinds. Nothing is lost and
// nothing is freed twice.
func TestSourceEveryCallFails(t *testing.T) {
	const calls = 9 // Alloc, Base and Free of three blocks
	for _, code := range []vita.Code{vita.NoFreePhysicalPage, vita.InvalidArgument, vita.BlockInUse, -1} {
		for n := 1; n <= calls+1; n++ {
			s := vita.NewSim(testConsole(vita.Hardware))
			src := &vita.Source{Kernel: &spy{Kernel: s, t: t}, Type: vita.CDRAMRW}
			s.Fail(vita.AnyCall, n, code)
			failed := 0
			check := func(call vita.Call, err error) {
				if err == nil {
					return
				}
				failed++
				var failure *vita.Error
				require.ErrorAs(t, err, &failure)
				if call != failure.Call {
					assert.Equal(t, []vita.Call{vita.CallAlloc, vita.CallBase}, []vita.Call{call, failure.Call})
				}
				assert.Equal(t, code, failure.Code)
				assert.Equal(t, vita.CDRAMRW, failure.Type)
				assert.Positive(t, failure.Size)
				assert.Equal(t, failure.Call != vita.CallFree && code.Exhausted(), errors.Is(err, blocksrc.ErrExhausted))
			}
			var blocks [][]byte
			for i := range 3 {
				block, err := src.Acquire(1+i*300*kib, 0)
				check(vita.CallAlloc, err)
				if err == nil {
					blocks = append(blocks, block)
				}
			}
			require.Len(t, s.Blocks(), len(blocks), "call %d", n)
			for _, block := range blocks {
				if err := src.Release(block); err != nil {
					check(vita.CallFree, err)
					require.NotErrorIs(t, err, blocksrc.ErrNotHeld, "it is still held")
					block[0]++
					require.NoError(t, src.Release(block), "and can be released again")
				}
				require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
			}
			require.NoError(t, s.Leaks(), "call %d", n)
			assert.Zero(t, src.Stats().Held)
			if n <= calls {
				require.Equal(t, 1, failed, "call %d", n)
			} else {
				require.Zero(t, failed, "there are no more calls")
			}
		}
	}
}

// A block whose base the kernel does not tell is freed at once or, if the kernel refuses
// that too, at the next call of the Source.
func TestSourceFreesAfterFailedBase(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	src := &vita.Source{Kernel: &spy{Kernel: s, t: t}, Type: vita.UserRW}
	s.Fail(vita.CallBase, 1, vita.InvalidArgument)
	_, err := src.Acquire(1, 0)
	require.ErrorIs(t, err, vita.InvalidArgument)
	require.ErrorContains(t, err, string(vita.CallBase))
	require.NoError(t, s.Leaks())

	for name, occasion := range map[string]func(){
		"Acquire": func() {
			block, err := src.Acquire(1, 0)
			require.NoError(t, err)
			require.NoError(t, src.Release(block))
		},
		"Release": func() { require.ErrorIs(t, src.Release(nil), blocksrc.ErrNotHeld) },
	} {
		s.Fail(vita.CallBase, 1, vita.InvalidArgument)
		s.Fail(vita.CallFree, 1, vita.BlockInUse)
		_, err = src.Acquire(1, 0)
		require.ErrorIs(t, err, vita.InvalidArgument, name)
		require.ErrorIs(t, err, vita.BlockInUse, name)
		require.Error(t, s.Leaks(), name)
		assert.Equal(t, 1, src.Stats().Orphans, name)
		occasion()
		require.NoError(t, s.Leaks(), name)
		assert.Zero(t, src.Stats().Orphans, name)
	}
}

// A kernel that has no room for what the call of the base needs is as exhausted as any: the next
// source is asked.
func TestSourceExhaustedByBase(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	first, second := &vita.Source{Kernel: s}, &vita.Source{Kernel: s, Type: vita.PhycontRW}
	s.Fail(vita.CallBase, 1, vita.NoMemory)
	block, err := blocksrc.Fallback(first, second).Acquire(1, 0)
	require.NoError(t, err)
	assert.Len(t, block, mib)
	assert.Equal(t, 1, first.Stats().Refused)
	require.NoError(t, second.Release(block))
	s.Fail(vita.CallBase, 1, vita.NoMemory)
	_, err = first.Acquire(1, 0)
	require.ErrorIs(t, err, blocksrc.ErrExhausted)
	require.ErrorIs(t, err, vita.NoMemory)
	require.NoError(t, s.Leaks())
}

// If Base fails, the error also has the status of the Free that follows, even if that says
// that there is no such block any more.
func TestSourceTellsEveryStatus(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	src := &vita.Source{Kernel: s, Type: vita.CDRAMRW}
	s.Fail(vita.CallBase, 1, vita.IllegalBlockID)
	s.Fail(vita.CallFree, 1, vita.IllegalBlockID)
	_, err := src.Acquire(1, 0)
	require.ErrorContains(t, err, string(vita.CallBase))
	require.ErrorContains(t, err, string(vita.CallFree))
	require.ErrorContains(t, err, "262144 bytes of USER_CDRAM_RW", "what was to go back")
	assert.Zero(t, src.Stats().Orphans)
	assert.Equal(t, 1, src.Stats().Lost)
	assert.Equal(t, 1, src.Stats().Refused)

	// If the kernel says so at the second attempt, Lost counts the block.
	s.Fail(vita.CallBase, 1, vita.InvalidArgument)
	s.Fail(vita.CallFree, 1, vita.BlockInUse)
	_, err = src.Acquire(1, 0)
	require.Error(t, err)
	assert.Equal(t, 1, src.Stats().Orphans)
	s.Fail(vita.CallFree, 1, vita.InvalidUID)
	block, err := src.Acquire(1, 0)
	require.NoError(t, err)
	assert.Zero(t, src.Stats().Orphans)
	assert.Equal(t, 2, src.Stats().Lost)
	s.Fail(vita.CallFree, 1, vita.UnknownUID)
	require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
	assert.Equal(t, 3, src.Stats().Lost)
}

// atTheEnd returns the last page of all addresses. It is no Go pointer, and made without one.
func atTheEnd(unsafe.Pointer) unsafe.Pointer {
	at := ^uintptr(0) &^ (8*kib - 1)
	return *(*unsafe.Pointer)(unsafe.Pointer(&at))
}

// A block that the kernel puts at a wrong address is freed.
func TestSourceChecksBase(t *testing.T) {
	for what, base := range map[string]func(unsafe.Pointer) unsafe.Pointer{
		"nowhere":       func(unsafe.Pointer) unsafe.Pointer { return nil },
		"between pages": func(p unsafe.Pointer) unsafe.Pointer { return unsafe.Add(p, 64) },
		"half aligned":  func(p unsafe.Pointer) unsafe.Pointer { return unsafe.Add(p, 4*kib) },
		"at the end":    atTheEnd,
	} {
		s := vita.NewSim(testConsole(vita.Hardware))
		src := &vita.Source{Kernel: &spy{Kernel: s, t: t, base: base}, Type: vita.UserRW}
		block, err := src.Acquire(16*kib, 8*kib)
		require.Nil(t, block)
		var failure *vita.Error
		require.ErrorAs(t, err, &failure, what)
		assert.Equal(t, vita.CallBase, failure.Call, what)
		require.NoError(t, s.Leaks(), what)
	}
}

// A block that somebody else has freed is forgotten: its UID may be another block's.
func TestSourceForgetsWhatTheKernelDoesNotKnow(t *testing.T) {
	for _, profile := range []vita.Profile{vita.Hardware, vita.Vita3K} {
		con := testConsole(profile)
		con.ReuseUID = true
		s := vita.NewSim(con)
		src := &vita.Source{Kernel: s, Type: vita.UserRW}
		block, err := src.Acquire(1, 0)
		require.NoError(t, err)
		require.Equal(t, vita.OK, s.Free(s.Blocks()[0].UID), "behind its back")
		err = src.Release(block)
		require.ErrorIs(t, err, blocksrc.ErrNotHeld)
		var code vita.Code
		require.ErrorAs(t, err, &code)
		assert.Contains(t, []vita.Code{vita.InvalidUID, vita.IllegalBlockID}, code)

		uid, _ := s.Alloc("another's", vita.UserRW, 4*kib, 0)
		require.ErrorIs(t, src.Release(block), blocksrc.ErrNotHeld)
		require.Len(t, s.Blocks(), 1, "the other's block is still there")
		require.Equal(t, vita.OK, s.Free(uid))
		assert.Zero(t, src.Stats().Held)
	}
}

// A source whose kernel keeps failing still keeps the contract, as far as the wrapper that
// tests allocators can tell.
func TestSourceUnderCounting(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	counting := &blocksrctest.Counting{Source: &vita.Source{Kernel: s}}
	for n := range 40 {
		s.Fail(vita.AnyCall, 1+n%3, vita.NoFreePhysicalPage)
		block, err := counting.Acquire(1, 0)
		if err == nil && counting.Release(block) != nil {
			require.NoError(t, counting.Release(block))
		}
		s.Fail(vita.AnyCall, 0, vita.NoMemory)
	}
	require.NoError(t, counting.Leaks())
	require.NoError(t, s.Leaks())
}

// An error names no call that succeeded.
func TestSourceNamesWhatFailed(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	src := &vita.Source{Kernel: s, Type: vita.UserRW}
	s.Fail(vita.CallBase, 1, vita.InvalidArgument)
	_, err := src.Acquire(1, 0)
	require.ErrorContains(t, err, string(vita.CallBase))
	require.NotContains(t, err.Error(), string(vita.CallFree))
}
