package blocksrctest_test

import (
	"errors"
	"math"
	"math/bits"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// Every single comparison in Test, alone.

// More ways to break the contract, each found by only one comparison in Test.
var brokeOtherwise = []struct {
	name string
	src  func() blocksrc.Source
	want string
}{
	{"writes to a block's first byte", func() blocksrc.Source { return spoiler(0) }, "sizes: byte 0 of 4160 at"},
	{"writes to a block's last byte", func() blocksrc.Source { return spoiler(4159) }, "sizes: byte 4159 of 4160 at"},
	{"writes to a block when others go", func() blocksrc.Source {
		var pairs [][]byte // of two granules, which only one check acquires
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err == nil && size == 128 && align == 0 {
				pairs = append(pairs, block)
			}
			return block, err
		}, release: func(src blocksrc.Source, block []byte) error {
			if len(pairs) == 11 {
				pairs[10][0] = 0
				pairs = nil
			}
			return src.Release(block)
		}}
	}, "second releases: byte 0 of 128 at"},
	{"overlaps from below", func() blocksrc.Source { return overlapping(16<<10, 8<<10) }, "sizes: Acquire(10007, 0): 10048 bytes at"},
	{"overlaps from above", func() blocksrc.Source { return overlapping(0, 4<<10) }, "sizes: Acquire(10007, 0): 10048 bytes at"},
	{"dirty in the middle", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err == nil && size == 10_007 {
				block[5000] = 7
			}
			return block, err
		}}
	}, "byte 5000 is 0x7 in a block that should be zeroed"},
	{"dirty when used again", func() blocksrc.Source {
		return &broken{src: buffer(), zeroed: func() bool { return true }}
	}, "reuse: Acquire("},
	{"ignores large alignments", func() blocksrc.Source {
		lying := &blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Misaligned}
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if align > 1<<16 && align <= 4<<20 {
				return lying.Acquire(size, align)
			}
			return src.Acquire(size, align)
		}, release: func(src blocksrc.Source, block []byte) error {
			if err := lying.Release(block); err == nil {
				return nil
			}
			return src.Release(block)
		}}
	}, "alignments: Acquire(1, 131072): address"},
	{"block and error for bad requests", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if err := blocksrc.CheckRequest(size, align); err != nil {
				return []byte{0}, err
			}
			return src.Acquire(size, align)
		}}
	}, "bad requests: Acquire(0, 0) returned both a block and an error"},
	{"block and error when full", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if errors.Is(err, blocksrc.ErrExhausted) {
				return []byte{0}, err
			}
			return block, err
		}}
	}, "0) returned both a block and an error"},
	{"the least granularity of all", func() blocksrc.Source {
		return &broken{src: heap(), granularity: func() int { return math.MinInt }}
	}, "which is no power of two"},
	{"releases no more than one", func() blocksrc.Source {
		var n atomic.Int32
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if n.Add(1) > 1 {
				return errors.New("no")
			}
			return src.Release(block)
		}}
	}, "neither of two goroutines could release a block: no"},
	{"nameless error for second releases", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if src.Release(block) != nil {
				return errors.New("no")
			}
			return nil
		}}
	}, "releases at once: the second release's error does not wrap ErrNotHeld: no"},
	{"panics under goroutines", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if align == 32 && size > 1000 {
				panic("not this one")
			}
			return src.Acquire(size, align)
		}}
	}, "goroutines: panic: not this one"},
	{"discards what it says it does not", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			clear(part)
			return errors.ErrUnsupported
		}}
	}, "discarding: byte"},
	{"discards anything", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(blocksrc.Source, []byte) error { return nil }}
	}, "Discard of a released block returned no error"},
	{"nameless error for what is not to be discarded", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			if len(part) > 0 && cap(part) == 3*len(part) { // as Test's foreign slice has
				return errors.New("no such block")
			}
			return nil
		}}
	}, "Discard of a foreign slice: the error does not wrap ErrNotHeld: no such block"},
	{"discards whole words", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			for len(part) > 8 && len(part) < cap(part) && (uintptr(unsafe.Pointer(&part[0]))+uintptr(len(part)))%8 != 0 {
				part = part[:len(part)+1]
			}
			clear(part)
			return nil
		}}
	}, "discarding: Discard of bytes"},
	{"poisons what it discards", func() blocksrc.Source {
		return &broken{src: heap(), discard: scribble(func([]byte) bool { return true })}
	}, "neither what it was nor zero"},
	{"poisons whole blocks that it discards", func() blocksrc.Source {
		return &broken{src: heap(), discard: scribble(func(part []byte) bool { return len(part) == cap(part) })}
	}, "neither what it was nor zero"},
	{"ignores the alignment of large blocks", func() blocksrc.Source {
		moved := new(ledger)
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if size < 64<<10 || size > 1<<30 || align <= 64 || align > 4<<20 {
				return src.Acquire(size, align)
			}
			block, err := src.Acquire(size+64, align)
			if err != nil {
				return nil, err
			}
			return moved.swap(block, block[64:len(block):len(block)]), nil
		}, release: func(src blocksrc.Source, block []byte) error { return src.Release(moved.back(block)) }}
	}, "alignments: Acquire(100003, 128): address"},
	{"gives up when it is full", func() blocksrc.Source {
		return &broken{src: buffer(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if errors.Is(err, blocksrc.ErrExhausted) {
				err = errors.Join(blocksrc.ErrExhausted, blocksrc.ErrInvalid)
			}
			return block, err
		}}
	}, "room: Acquire(4096, 0): the error says that there never will be room, as there was before"},
	{"a granularity that grows", func() blocksrc.Source {
		var used atomic.Bool
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			used.Store(true)
			return src.Acquire(size, align)
		}, granularity: func() int {
			if used.Load() {
				return 64
			}
			return 16
		}}
	}, "optional interfaces: a granularity of 16, then of 64"},
	{"keeps a link in its blocks", func() blocksrc.Source {
		return &broken{src: heap(), acquire: linking()}
	}, "has changed by itself"},
	{"discards from the start of a word", func() blocksrc.Source {
		return &broken{src: heap(), discard: func(_ blocksrc.Source, part []byte) error {
			if len(part) > 8 {
				part = unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&part[0]), -int(blocksrctest.Address(part)%8))), 8)
			}
			clear(part)
			return nil
		}}
	}, "discarding: Discard of bytes"},
	{"dirty where a block was full", func() blocksrc.Source {
		var full atomic.Bool // no other check writes neighbours alike in the middle of a large block
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if err == nil && full.Swap(false) {
				block[0] = 7
			}
			return block, err
		}, release: func(src blocksrc.Source, block []byte) error {
			n := len(block)
			if n > 16<<10 && block[n/2] != 0 && block[n/2] == block[n/2+1] && block[n/2] == block[n/2+2] {
				full.Store(true)
			}
			return src.Release(block)
		}}
	}, "reuse: Acquire("},
	{"a block of no bytes, if it is aligned", func() blocksrc.Source {
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			if size == 0 && align == 64 {
				return nil, nil
			}
			return src.Acquire(size, align)
		}}
	}, "bad requests: Acquire(0, 64) returned 0 bytes and no error"},
	{"nameless error for pieces", func() blocksrc.Source {
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			if len(block)%64 != 0 {
				return errors.New("no")
			}
			return src.Release(block)
		}}
	}, "bad releases: Release of a foreign slice of one byte: the error does not wrap ErrNotHeld: no"},
	{"copies a block over another", func() blocksrc.Source {
		var last, one []byte
		return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
			block, err := src.Acquire(size, align)
			if align <= 1 { // as no two goroutines ask for at once
				if len(last) == len(one) {
					copy(last, one)
				}
				last, one = one, block
			}
			return block, err
		}}
	}, "sizes: byte 0 of 64 at"},
	{"releases one at a time", func() blocksrc.Source {
		var n atomic.Int32
		return &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
			n.Add(1)
			defer n.Add(-1)
			for range 10 {
				runtime.Gosched()
				if n.Load() > 1 {
					return errors.New("busy")
				}
			}
			return src.Release(block)
		}}
	}, "goroutines: Release of"},
	{"takes pieces", func() blocksrc.Source {
		return &broken{src: heap(), granularity: func() int { return 64 }, release: func(src blocksrc.Source, block []byte) error {
			if len(block) == 64 && cap(block) > 64 {
				return nil // one of the granules that are out
			}
			return src.Release(block)
		}}
	}, "Release of a block's first granule returned no error"},
}

// scribble returns a Discard that fills the parts of which is tells.
func scribble(is func(part []byte) bool) func(blocksrc.Source, []byte) error {
	return func(_ blocksrc.Source, part []byte) error {
		for i := range part {
			if is(part) {
				part[i] = 0xEE
			}
		}
		return nil
	}
}

// linking returns an Acquire that, when it returns a large block, writes into the last
// one, behind its first word.
func linking() func(src blocksrc.Source, size, align int) ([]byte, error) {
	var mu sync.Mutex
	var last []byte
	return func(src blocksrc.Source, size, align int) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		block, err := src.Acquire(size, align)
		if err == nil && len(block) > 4<<10 {
			if last != nil {
				last[8]++
			}
			last = block
		}
		return block, err
	}
}

func TestTestFindsSourcesBrokenOtherwise(t *testing.T) {
	for _, tt := range brokeOtherwise {
		t.Run(tt.name, func(t *testing.T) {
			assert.ErrorContains(t, blocksrctest.Test(tt.src()), tt.want)
		})
	}
}

// A source that never says that there never will be room is found where all agree that some
// requests are enormous.
func TestTestFindsSourcesThatNeverSayNever(t *testing.T) {
	err := blocksrctest.Test(&broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		block, err := src.Acquire(size, align)
		if blocksrc.Never(err) {
			err = blocksrc.ErrExhausted
		}
		return block, err
	}})
	if bits.UintSize == 64 {
		assert.ErrorContains(t, err, "0): the error does not say that there never will be room")
	} else {
		assert.NoError(t, err)
	}
}

// spoiler writes to a block of 4097 bytes, which stays out for a while, at the next Acquire.
func spoiler(at int) blocksrc.Source {
	var victim []byte
	return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		if victim != nil {
			victim[at] = 0
			victim = nil
		}
		block, err := src.Acquire(size, align)
		if err == nil && size == 4097 {
			victim = block
		}
		return block, err
	}}
}

// overlapping puts blocks of 4097 and 10007 bytes at these offsets of the same
// memory.
func overlapping(small, large int) blocksrc.Source {
	mem, err := new(blocksrc.GoHeap).Acquire(32<<10, 4096)
	if err != nil {
		panic(err)
	}
	lo := blocksrctest.Address(mem)
	return &broken{src: heap(), acquire: func(src blocksrc.Source, size, align int) ([]byte, error) {
		switch {
		case size == 4097 && align == 0:
			return mem[small : small+4160 : small+4160], nil
		case size == 10_007 && align == 0:
			return mem[large : large+10_048 : large+10_048], nil
		}
		return src.Acquire(size, align)
	}, release: func(src blocksrc.Source, block []byte) error {
		if at := blocksrctest.Address(block); len(block) > 4096 && at >= lo && at < lo+32<<10 {
			return nil
		}
		return src.Release(block)
	}, zeroed: func() bool { return false }}
}

// Test does not look into a block that overlaps another: what it holds is the other's.
func TestTestDoesNotTouchWhatOverlaps(t *testing.T) {
	err := blocksrctest.Test(&blocksrctest.Lying{Source: heap(), Lie: blocksrctest.Overlapping})
	require.ErrorContains(t, err, "overlap")
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "goroutines: ") { // there the other may be gone meanwhile
			assert.NotContains(t, line, "should be zeroed")
			assert.NotContains(t, line, "changed by itself")
		}
	}
}

// Each piece of a block that Release must not take, told by its place: the block has
// 192 bytes at a multiple of 64.
func TestTestFindsEachBadRelease(t *testing.T) {
	for what, accepts := range map[string]func(at uintptr, length, capacity int) bool{
		"the start of a block":                        func(at uintptr, n, c int) bool { return at == 0 && n == 96 && c == 192 },
		"a block less its last byte":                  func(at uintptr, n, c int) bool { return at == 0 && n == 191 && c == 192 },
		"a block less its last byte and its capacity": func(at uintptr, n, c int) bool { return at == 0 && n == 191 && c == 191 },
		"a block less its first byte":                 func(at uintptr, n, c int) bool { return at == 1 && n == 191 },
		"the end of a block":                          func(at uintptr, n, c int) bool { return at == 32 && n == 96 },
		"nothing of a block":                          func(at uintptr, n, c int) bool { return at == 0 && n == 0 && c == 192 },
		"nothing of a block's end":                    func(at uintptr, n, c int) bool { return n == 0 && c == 0 },
		"nil":                                         func(at uintptr, n, c int) bool { return n == 0 && c == 0 },
		"an empty slice":                              func(at uintptr, n, c int) bool { return n == 0 && c == 0 },
		"a block's first granule":                     func(at uintptr, n, c int) bool { return at == 0 && n == 64 && c == 192 },
		"a block's last granule":                      func(at uintptr, n, c int) bool { return at == 0 && n == 64 && c == 64 },
	} {
		t.Run(what, func(t *testing.T) {
			src := &broken{src: heap(), release: func(src blocksrc.Source, block []byte) error {
				if accepts(blocksrctest.Address(block)%64, len(block), cap(block)) {
					return nil
				}
				return src.Release(block)
			}}
			assert.ErrorContains(t, blocksrctest.Test(src), "bad releases: Release of "+what+" returned no error")
		})
	}
}
