package vita_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/vita"
)

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// onePerPool has a type of each pool, and one that cannot be written.
var onePerPool = []vita.MemType{vita.UserRW, vita.UserR, vita.PhycontRW, vita.CDRAMRW, vita.ToolRW}

// A Source of any type over any kernel keeps the contract, if the type is writable and the
// console has its pool.
func TestSourceKeepsTheContract(t *testing.T) {
	some, variants := types, onePerPool
	if testing.Short() {
		some, variants = onePerPool, onePerPool[:1]
	}
	for _, mt := range some {
		t.Run(mt.String(), func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k testKernel) {
				if strings.HasPrefix(k.name, "sim ") && !slices.Contains(variants, mt) {
					return // variants of the simulation treat all types of a pool alike
				}
				src := &vita.Source{Kernel: k, Type: mt, Name: "contract"}
				if mt.Writable() && (mt.Pool() != vita.ToolPool || k.name != "native") {
					require.NoError(t, blocksrctest.Test(src))
					assert.Zero(t, src.Stats().Blocks)
					assert.Zero(t, src.Stats().Held)
					return
				}
				_, err := src.Acquire(1, 0)
				if mt.Writable() {
					require.ErrorIs(t, err, blocksrc.ErrExhausted)
					require.ErrorIs(t, err, vita.SysmemAddressSpaceError, "no development kit")
					return
				}
				require.ErrorIs(t, err, blocksrc.ErrInvalid)
				require.ErrorContains(t, err, "read only")
			})
		})
	}
}

// Vita3K takes main memory for the types that it does not know, but aligns it by its size.
func TestSourceInVita3K(t *testing.T) {
	some := types
	if testing.Short() { // TinyGo takes minutes for the memory of all
		some = onePerPool
	}
	for _, mt := range some {
		if mt.Writable() {
			s := vita.NewSim(vita.Console{Profile: vita.Vita3K})
			require.NoError(t, blocksrctest.Test(&vita.Source{Kernel: s, Type: mt}), mt)
			require.NoError(t, s.Leaks(), mt)
		}
	}
}

// A Source keeps the contract with as much memory as a console has.
func TestSourceOfAWholeConsole(t *testing.T) {
	some := []vita.MemType{vita.PhycontRW, vita.UserRW, vita.CDRAMRW}
	if testing.Short() { // likewise
		some = some[:1]
	}
	for _, mt := range some {
		s := vita.NewSim(vita.Console{})
		require.NoError(t, blocksrctest.Test(&vita.Source{Kernel: s, Type: mt}), mt)
		require.NoError(t, s.Leaks())
	}
}

// A spy is a kernel that remembers what it was asked for, and whose bases a test may
// change. A wrong Free fails the test.
type spy struct {
	vita.Kernel
	t     *testing.T
	size  uint32
	align uint32
	names []string
	base  func(unsafe.Pointer) unsafe.Pointer
}

func (s *spy) Alloc(name string, t vita.MemType, size, align uint32) (vita.UID, vita.Code) {
	s.size, s.align, s.names = size, align, append(s.names, name)
	return s.Kernel.Alloc(name, t, size, align)
}

func (s *spy) Base(uid vita.UID) (unsafe.Pointer, vita.Code) {
	p, code := s.Kernel.Base(uid)
	if s.base != nil {
		p = s.base(p)
	}
	return p, code
}

func (s *spy) Free(uid vita.UID) vita.Code {
	code := s.Kernel.Free(uid)
	assert.NotContains(s.t, []vita.Code{vita.InvalidUID, vita.IllegalBlockID}, code, "freed what is not there")
	return code
}

// What a Source asks the kernel for, and what the caller gets.
func TestSourceShape(t *testing.T) {
	for _, c := range []struct {
		mt            vita.MemType
		size, align   int
		asked, option uint32
		got           int
	}{
		{vita.UserRW, 1, 0, 4 * kib, 0, 4 * kib},
		{vita.UserRW, 4 * kib, 0, 4 * kib, 0, 4 * kib},
		{vita.UserRW, 4*kib + 1, 0, 8 * kib, 0, 8 * kib},
		{vita.UserRW, 1, 1, 4 * kib, 0, 4 * kib},
		{vita.UserRW, 1, 4 * kib, 4 * kib, 0, 4 * kib},
		{vita.UserRW, 1, 8 * kib, 4 * kib, 8 * kib, 4 * kib},
		{vita.CDRAMRW, 1, 0, 256 * kib, 0, 256 * kib},
		{vita.CDRAMRW, 256*kib + 1, 64 * kib, 512 * kib, 0, 512 * kib},
		{vita.CDRAMRW, 1, 512 * kib, 256 * kib, 512 * kib, 256 * kib},
		{vita.PhycontRW, 1, 0, mib, 0, mib},
		{vita.PhycontRW, mib + 1, mib, 2 * mib, 0, 2 * mib},
		{vita.PhycontRW, 1, 2 * mib, 2 * mib, 0, mib}, // PHYCONT: no alignment is asked for
		{vita.PhycontNCRW, 2 * mib, 4 * mib, 5 * mib, 0, 2 * mib},
	} {
		t.Run(fmt.Sprint(c.mt, " ", c.size, " at ", c.align), func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k testKernel) {
				kernel := &spy{Kernel: k, t: t}
				src := &vita.Source{Kernel: kernel, Type: c.mt}
				block, err := src.Acquire(c.size, c.align)
				require.NoError(t, err)
				assert.Equal(t, c.asked, kernel.size, "size asked of the kernel")
				assert.Equal(t, c.option, kernel.align, "alignment asked of the kernel")
				assert.Equal(t, c.got, len(block))
				assert.Equal(t, c.got, cap(block))
				assert.Zero(t, address(block)&uintptr(max(c.align, c.mt.Granule())-1))
				assert.Equal(t, vita.SourceStats{Blocks: 1, Held: int(c.asked), PeakHeld: int(c.asked), Acquired: 1}, src.Stats())
				require.NoError(t, src.Release(block))
			})
		})
	}
}

// Names of blocks are short enough, and no two are alike, also across sources.
func TestSourceNames(t *testing.T) {
	s := vita.NewSim(testConsole(vita.Hardware))
	for _, name := range []string{"", "world", "world", strings.Repeat("w", 22)} {
		src := &vita.Source{Kernel: s, Name: name}
		for range 20 {
			_, err := src.Acquire(1, 0)
			require.NoError(t, err)
		}
	}
	seen := make(map[string]bool)
	for _, b := range s.Blocks() {
		assert.LessOrEqual(t, len(b.Name), 31)
		assert.False(t, seen[b.Name], b.Name)
		seen[b.Name] = true
	}
	assert.Len(t, seen, 80)

	// However many there were.
	n := 70_000 // more than 16 bits count
	if testing.Short() {
		n = 300
	}
	k := &spy{Kernel: s, t: t}
	src := &vita.Source{Kernel: k, Name: "one by one"}
	for range n {
		block, err := src.Acquire(1, 0)
		if err != nil || src.Release(block) != nil {
			t.Fatal(err)
		}
		seen[k.names[len(k.names)-1]] = true
	}
	assert.Len(t, seen, 80+n)
}

// Every request that makes no sense is refused with an *Error that says so, and does not go
// to the kernel.
func TestSourceRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		mt          vita.MemType
		name        string
		size, align int
		code        vita.Code
		is          []error
	}{
		"no size":                {size: 0, code: vita.InvalidArgument, is: []error{blocksrc.ErrInvalid}},
		"a negative size":        {size: math.MinInt, code: vita.InvalidArgument, is: []error{blocksrc.ErrInvalid}},
		"a crooked alignment":    {size: 1, align: 12, code: vita.InvalidArgument, is: []error{blocksrc.ErrInvalid}},
		"a negative alignment":   {size: 1, align: -8, code: vita.InvalidArgument, is: []error{blocksrc.ErrInvalid}},
		"the largest size":       {size: math.MaxInt, code: vita.IllegalMemBlockSize, is: []error{blocksrc.ErrInvalid, blocksrc.ErrExhausted}},
		"2 GiB less a byte":      {size: math.MaxInt32, code: vita.IllegalMemBlockSize, is: []error{blocksrc.ErrInvalid, blocksrc.ErrExhausted}},
		"2 GiB of CDRAM":         {mt: vita.CDRAMRW, size: math.MaxInt32 - 256*kib + 2, code: vita.IllegalMemBlockSize, is: []error{blocksrc.ErrInvalid, blocksrc.ErrExhausted}},
		"2 GiB with alignment":   {mt: vita.PhycontRW, size: 1<<30 + 2*mib, align: 1 << 30, code: vita.IllegalMemBlockSize, is: []error{blocksrc.ErrInvalid, blocksrc.ErrExhausted}},
		"an unknown type":        {mt: 0x0C20D061, size: 1, code: vita.IllegalMemBlockType, is: []error{blocksrc.ErrInvalid}},
		"a type that is no type": {mt: 1, size: 1, code: vita.IllegalMemBlockType, is: []error{blocksrc.ErrInvalid}},
		"a type that is RX":      {mt: 0x0C20D050, size: 1, code: vita.IllegalMemBlockType, is: []error{blocksrc.ErrInvalid}},
		"a type that is R":       {mt: vita.UserR, size: 1, code: vita.IllegalMemBlockType, is: []error{blocksrc.ErrInvalid}},
		"a long name":            {name: strings.Repeat("n", 23), size: 1, code: vita.UIDNameTooLong, is: []error{blocksrc.ErrInvalid}},
		"a name with a zero":     {name: "zero\x00", size: 1, code: vita.UIDNameTooLong, is: []error{blocksrc.ErrInvalid}},
	} {
		t.Run(what, func(t *testing.T) {
			s := vita.NewSim(vita.Console{})
			src := &vita.Source{Kernel: s, Type: c.mt, Name: c.name}
			block, err := src.Acquire(c.size, c.align)
			assert.Nil(t, block)
			var failure *vita.Error
			require.ErrorAs(t, err, &failure)
			mt := c.mt
			if mt == 0 {
				mt = vita.UserRW
			}
			assert.Equal(t, vita.Error{Call: vita.CallAlloc, Type: mt, Size: c.size, Code: c.code, Err: failure.Err}, *failure)
			require.ErrorIs(t, err, c.code)
			for _, is := range c.is {
				require.ErrorIs(t, err, is)
			}
			if len(c.is) == 1 {
				require.NotErrorIs(t, err, blocksrc.ErrExhausted)
			}
			assert.Zero(t, s.Calls(vita.AnyCall))
		})
	}
	if math.MaxInt > math.MaxInt32 {
		big := math.MaxInt/2 + 1
		_, err := (&vita.Source{Kernel: vita.NewSim(vita.Console{})}).Acquire(1, big)
		require.ErrorIs(t, err, vita.IllegalAlignment)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
	}
}

// Exhaustion is ErrExhausted, and errors.As still finds the pool's own code.
func TestSourceExhausted(t *testing.T) {
	eachKernel(t, func(t *testing.T, k testKernel) {
		if k.profile == vita.Vita3K {
			return // it has no budgets
		}
		for mt, want := range map[vita.MemType]vita.Code{
			vita.UserRW: vita.NoFreePhysicalPage, vita.PhycontRW: vita.NoFreePhysicalPage, vita.CDRAMRW: vita.NoFreePhysicalPageCDRAM,
		} {
			src := &vita.Source{Kernel: k, Type: mt}
			var blocks [][]byte
			block, err := src.Acquire(2*mib, 0)
			for ; err == nil; block, err = src.Acquire(2*mib, 0) {
				blocks = append(blocks, block)
			}
			var failure *vita.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, vita.Error{Call: vita.CallAlloc, Type: mt, Size: 2 * mib, Code: want, Err: blocksrc.ErrExhausted}, *failure)
			var code vita.Code
			require.ErrorAs(t, err, &code)
			assert.Equal(t, want, code)
			require.ErrorIs(t, err, blocksrc.ErrExhausted)
			require.NotErrorIs(t, err, blocksrc.ErrInvalid, "there may be room later")
			for _, text := range []string{string(vita.CallAlloc), mt.String(), "2097152", want.Name()} {
				require.ErrorContains(t, err, text)
			}
			for _, b := range blocks {
				require.NoError(t, src.Release(b))
			}
		}
	})
}

// Three pools serve in order of preference, and each block goes back to its own.
func TestSourceFallback(t *testing.T) {
	eachKernel(t, func(t *testing.T, k testKernel) {
		if k.profile == vita.Vita3K {
			return // the first pool would never end
		}
		user, phycont, cdram := &vita.Source{Kernel: k, Type: vita.UserRW}, &vita.Source{Kernel: k, Type: vita.PhycontRW}, &vita.Source{Kernel: k, Type: vita.CDRAMRW}
		src := blocksrc.Fallback(user, phycont, cdram)
		require.NoError(t, blocksrctest.Test(src))
		var blocks [][]byte
		for range (testUser + testPhycont + testCDRAM) / (2 * mib) {
			block, err := src.Acquire(2*mib, 0)
			require.NoError(t, err)
			blocks = append(blocks, block)
		}
		assert.Equal(t, []int{testUser, testPhycont, testCDRAM}, []int{user.Stats().Held, phycont.Stats().Held, cdram.Stats().Held})
		_, err := src.Acquire(1, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
		require.ErrorIs(t, err, vita.NoFreePhysicalPage)
		require.ErrorIs(t, err, vita.NoFreePhysicalPageCDRAM, "what each has said")
		for _, b := range blocks {
			require.NoError(t, src.Release(b))
		}
		assert.Equal(t, []int{0, 0, 0}, []int{user.Stats().Held, phycont.Stats().Held, cdram.Stats().Held})
	})
}

// Goroutines share a source over a small pool.
func TestSourceGoroutines(t *testing.T) {
	eachKernel(t, func(t *testing.T, k testKernel) {
		src := &vita.Source{Kernel: k, Type: vita.UserRW}
		var done sync.WaitGroup
		for id := range 8 {
			done.Add(1)
			go func() {
				defer done.Done()
				for i := range 60 {
					block, err := src.Acquire(1+i%5*300*kib, 0)
					if err != nil {
						assert.ErrorIs(t, err, blocksrc.ErrExhausted)
						continue
					}
					block[0], block[len(block)-1] = byte(id), byte(id)
					assert.NoError(t, src.Release(block))
				}
			}()
		}
		done.Wait()
	})
}

// A Source without a Kernel uses the console's, and says so if there is none.
func TestSourceOfTheConsole(t *testing.T) {
	k, err := vita.Native()
	for _, src := range []blocksrc.Source{new(vita.Source), vita.Default()} {
		block, acquire := src.Acquire(1, 0)
		if k != nil {
			require.NoError(t, err)
			require.NoError(t, acquire)
			require.NoError(t, src.Release(block))
			continue
		}
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, acquire, errors.ErrUnsupported)
		require.ErrorContains(t, acquire, "build tag vita")
		require.ErrorIs(t, src.Release(make([]byte, 1)), blocksrc.ErrNotHeld)
	}
	require.Same(t, vita.Default(), vita.Default(), "one source, however often it is asked for")
	_, err = new(vita.Source).Acquire(0, 0)
	require.ErrorIs(t, err, blocksrc.ErrInvalid)
}
