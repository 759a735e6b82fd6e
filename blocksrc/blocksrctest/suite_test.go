package blocksrctest_test

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

func heap() blocksrc.Source { return new(blocksrc.GoHeap) }

// buffer returns an aligned buffer; memory from TinyGo's make may not be aligned.
func buffer() blocksrc.Source {
	mem, err := new(blocksrc.GoHeap).Acquire(200_000, 4096)
	if err != nil {
		panic(err)
	}
	return blocksrc.NewBuffer(mem[:200_000:200_000])
}

// Every way to break the contract that Test is there for, and what Test says of it.
var broke = []struct {
	name string
	src  func() blocksrc.Source
	want string
}{
	{"nothing at all", func() blocksrc.Source { return blocksrc.NewBuffer(nil) }, "first block: Acquire(1, 0)"},
	{"too short", func() blocksrc.Source {
		return &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.TooShort}
	}, "returned only 0 bytes"},
	{"too short later", func() blocksrc.Source {
		return &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.TooShort, From: 10}
	}, "returned only"},
	{"misaligned", func() blocksrc.Source {
		return &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Misaligned, From: 2}
	}, "is no multiple of"},
	{"overlapping", func() blocksrc.Source {
		return &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Overlapping}
	}, "overlap"},
	{"dirty", func() blocksrc.Source {
		return &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Dirty, From: 2}
	}, "should be zeroed"},
	{"dirty when used again", func() blocksrc.Source {
		return &broken{src: buffer(), zeroed: func() bool { return true }}
	}, "should be zeroed"},
	{"ignores alignment", func() blocksrc.Source {
		return &broken{src: buffer(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if err := blocksrc.CheckRequest(size, align); err != nil {
				return nil, err
			}
			return src.Acquire(size, 0)
		}}
	}, "alignments: Acquire(1, 32): address"},
	{"wraps around", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if size > math.MaxInt-64 {
				return src.Acquire(64, align)
			}
			return src.Acquire(size, align)
		}}
	}, "enormous requests: Acquire(9223372036854775807, 0) returned only 64 bytes"},
	{"capacity beyond length", func() blocksrc.Source {
		var tails ledger
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err != nil || len(block) < 128 {
				return block, err
			}
			return tails.swap(block, block[:len(block)-64]), nil
		}, release: func(src blocksrc.Source, block []byte) error { return src.Release(tails.back(block)) }}
	}, "differs from len"},
	{"accepts anything", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if size < 1 {
				size = 1
			}
			if align < 0 || align&(align-1) != 0 {
				align = 0
			}
			return src.Acquire(size, align)
		}}
	}, "bad requests: Acquire(0, 0) returned 64 bytes and no error"},
	{"nameless error for bad requests", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if blocksrc.CheckRequest(size, align) != nil {
				return nil, errors.New("no")
			}
			return src.Acquire(size, align)
		}}
	}, "does not wrap ErrInvalid"},
	{"nameless error when full", func() blocksrc.Source {
		return &broken{src: buffer(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err != nil && blocksrc.CheckRequest(size, align) == nil {
				err = errors.New("full")
			}
			return block, err
		}}
	}, "does not wrap ErrExhausted: full"},
	{"block and error", func() blocksrc.Source {
		return &broken{src: buffer(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err != nil {
				return []byte{0}, err
			}
			return block, nil
		}}
	}, "both a block and an error"},
	{"panics", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if len(block) == 0 {
				panic("nothing to release")
			}
			return src.Release(block)
		}}
	}, "bad releases: panic: nothing to release"},
	{"accepts foreign releases", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if err := src.Release(block); !errors.Is(err, blocksrc.ErrNotHeld) {
				return err
			}
			return nil
		}}
	}, "Release of a foreign slice returned no error"},
	{"looks at the length only", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if len(block) > 0 && len(block) == cap(block) {
				return src.Release(block)
			}
			return nil
		}}
	}, "Release of a block less its last byte returned no error"},
	{"nameless error for foreign releases", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if src.Release(block) != nil {
				return errors.New("no")
			}
			return nil
		}}
	}, "does not wrap ErrNotHeld"},
	{"releases twice", func() blocksrc.Source { return new(recycler) }, "second releases: Acquire(128, 0): "},
	{"releases one twice at once", func() blocksrc.Source {
		var mu sync.Mutex
		seen := map[*byte]int{}
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				seen[&block[0]] = 0
			}
			return block, err
		}, release: func(src blocksrc.Source, block []byte) error {
			err := src.Release(block)
			if err != nil && len(block) == 64 {
				mu.Lock()
				defer mu.Unlock()
				if n, ok := seen[&block[0]]; ok && n == 0 {
					seen[&block[0]]++
					return nil
				}
			}
			return err
		}}
	}, "two goroutines have released the same block"},
	{"one block for two goroutines", func() blocksrc.Source { return new(hasty) }, "overlap"},
	{"releases that fail", func() blocksrc.Source {
		return &blocksrctest.Failing{Source: heap(), On: blocksrctest.Releases, At: 5}
	}, "injected failure"},
	{"forgets releases", func() blocksrc.Source {
		n := 0
		var mu sync.Mutex
		var gone ledger
		return &broken{src: buffer(), release: func(src blocksrc.Source, block []byte) error {
			if gone.has(block) {
				return blocksrc.ErrNotHeld
			}
			mu.Lock()
			n++
			forget := n%50 == 0 && len(block) > 0
			mu.Unlock()
			if forget {
				gone.swap(block, block)
				return nil
			}
			return src.Release(block)
		}}
	}, "some room is lost"},
	{"loses what it cannot align", func() blocksrc.Source {
		return &broken{src: buffer(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err != nil && align > 1<<20 {
				_, _ = src.Acquire(1<<10, 0)
			}
			return block, err
		}}
	}, "giving back: 200000 bytes fit at first"},
	{"odd granularity", func() blocksrc.Source {
		return &broken{src: heap(), granularity: func() int { return 48 }}
	}, "granularity of 48, which is no power of two"},
	{"granularity beyond the truth", func() blocksrc.Source {
		return &broken{src: heap(), granularity: func() int { return 1 << 16 }}
	}, "no multiple of the granularity 65536"},
	{"granularity that changes", func() blocksrc.Source {
		n := 8
		return &broken{src: heap(), granularity: func() int { n = 24 - n; return n }}
	}, "a granularity of 8, then of 16"},
	{"zeroed that changes", func() blocksrc.Source {
		z := false
		return &broken{src: heap(), zeroed: func() bool { z = !z; return z }}
	}, "Zeroed is true, then false"},
	{"discards beyond the part", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			clear(part[:cap(part)])
			return nil
		}}
	}, "changed byte"},
	{"discards a block's ends", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			if len(part) == 1 {
				clear(part[:cap(part)])
			}
			return nil
		}}
	}, "Discard of a block's ends changed byte"},
	{"discards anything", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(blocksrc.Source, []byte) error { return nil }}
	}, "Discard of a foreign slice returned no error"},
	{"fails to discard", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(blocksrc.Source, []byte) error { return errors.New("no") }}
	}, "Discard of 0 bytes of a block: no"},
	{"populates with zeros", func() blocksrc.Source {
		return &broken{src: heap(), populate: func(_ blocksrc.Source, part []byte) error {
			clear(part)
			return errors.ErrUnsupported
		}}
	}, "populating: byte"},
	{"populates anything", func() blocksrc.Source {
		return &broken{src: heap(), populate: func(blocksrc.Source, []byte) error { return nil }}
	}, "Populate of a foreign slice returned no error"},
	{"populates what was released", func() blocksrc.Source {
		return &broken{src: heap(), populate: func(_ blocksrc.Source, part []byte) error {
			if len(part) > 0 && cap(part) == 3*len(part) { // as Test's foreign slice has
				return blocksrc.ErrNotHeld
			}
			return nil
		}}
	}, "Populate of a released block returned no error"},
	{"fails to populate nothing", func() blocksrc.Source {
		return &broken{src: heap(), populate: func(_ blocksrc.Source, part []byte) error {
			if len(part) == 0 {
				return errors.New("no")
			}
			return errors.ErrUnsupported
		}}
	}, "Populate of 0 bytes: no"},
}

func TestTestFindsBrokenSources(t *testing.T) {
	for _, tt := range broke {
		t.Run(tt.name, func(t *testing.T) {
			err := blocksrctest.Test(tt.src())
			require.Error(t, err)
			want := tt.want
			if math.MaxInt == math.MaxInt32 && tt.name == "wraps around" {
				want = "enormous requests: Acquire(2147483647, 0) returned only 64 bytes"
			}
			assert.ErrorContains(t, err, want)
		})
	}
}

func TestTestPassesSoundSources(t *testing.T) {
	assert.NoError(t, blocksrctest.Test(heap()))
	assert.NoError(t, blocksrctest.Test(buffer()))
	assert.NoError(t, blocksrctest.Test(&broken{src: heap()}), "as sound as what it wraps")
	assert.NoError(t, blocksrctest.Test(new(clearing)))
}

// clearing is a sound source whose Discard clears every byte.
type clearing struct {
	blocksrc.GoHeap
	mu   sync.Mutex
	held map[uintptr]int
}

func (c *clearing) Acquire(size, align int) ([]byte, error) {
	block, err := c.GoHeap.Acquire(size, align)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held == nil {
			c.held = map[uintptr]int{}
		}
		c.held[blocksrctest.Address(block)] = len(block)
	}
	return block, err
}

func (c *clearing) Release(block []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.GoHeap.Release(block)
	if err == nil {
		delete(c.held, blocksrctest.Address(block))
	}
	return err
}

func (c *clearing) Discard(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := blocksrctest.Address(part)
	for lo, n := range c.held {
		if lo <= at && at+uintptr(len(part)) <= lo+uintptr(n) {
			clear(part)
			return nil
		}
	}
	return blocksrc.ErrNotHeld
}

func TestTestKeepsTheCause(t *testing.T) {
	refusing := &broken{src: heap(), acquire: func(blocksrc.Source, int, int) ([]byte, error) {
		return nil, errors.ErrUnsupported
	}}
	assert.ErrorIs(t, blocksrctest.Test(refusing), errors.ErrUnsupported)
}

// Test leaves no goroutines behind.
func TestTestEndsItsGoroutines(t *testing.T) {
	if runtime.Compiler != "gc" {
		return
	}
	before := runtime.NumGoroutine()
	require.NoError(t, blocksrctest.Test(heap()))
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

// TestTestOfASourceThatEndsGoroutines: a source written for a test may have a require
// that fails, which ends the goroutine that called it. Test goes on.
func TestTestOfASourceThatEndsGoroutines(t *testing.T) {
	if runtime.Compiler != "gc" { // TinyGo does not report callers
		return
	}
	var ended atomic.Int32
	end := func() {
		if strings.Contains(string(debug.Stack()), "blocksrctest.(*team)") && ended.Add(1)%5 == 0 {
			runtime.Goexit()
		}
	}
	assert.NoError(t, blocksrctest.Test(&broken{
		src: heap(),
		acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			end()
			return src.Acquire(size, align)
		},
	}))
	assert.Greater(t, ended.Load(), int32(200), "calls from goroutines")
}

// Sources that fail to discard nothing, be it nil or an empty part of a block.
func TestTestFindsSourcesThatFailToDiscardNothing(t *testing.T) {
	for name, bad := range map[string]func(part []byte) bool{
		"nil":        func(part []byte) bool { return part == nil },
		"of a block": func(part []byte) bool { return part != nil && len(part) == 0 },
	} {
		err := blocksrctest.Test(&broken{src: heap(), discard: func(src blocksrc.Source, part []byte) error {
			if bad(part) {
				return errors.New("no")
			}
			return blocksrc.Discard(src, part)
		}})
		assert.ErrorContains(t, err, "Discard of 0 bytes of a block: no", name)
	}
}

// TestTestFindsBlocksOffTheGranularity: a source that promises a granularity has it for addresses
// too, where nobody asks for an alignment. (The lengths are right.)
func TestTestFindsBlocksOffTheGranularity(t *testing.T) {
	mem, err := new(blocksrc.GoHeap).Acquire(200_000, 4096)
	assert.NoError(t, err)
	src := &broken{src: blocksrc.NewBuffer(mem[16:200_000:200_000]), granularity: func() int { return 64 }}
	src.acquire = func(src blocksrc.Source, size, align int) ([]byte, error) {
		if size > 0 && size <= 1<<30 {
			size = (size + 63) &^ 63
		}
		return src.Acquire(size, align)
	}
	assert.ErrorContains(t, blocksrctest.Test(src), "is no multiple of 64")
}
