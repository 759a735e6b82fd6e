// Blocks from one fixed slice of the caller's: best fit, the lowest address among
// equals, immediate coalescing.

package blocksrc

import (
	"slices"
	"sort"
	"sync"
)

// Buffer hands out blocks of a byte slice: a static array, a budget fixed at start-up,
// memory mapped by somebody else. It is goroutine-safe. Fresh blocks hold whatever the
// slice holds: a Buffer writes nothing to the slice, so it may manage memory that must
// not be touched before its owner touches it.
//
// A block takes its size rounded up to 16 bytes. Acquire looks at every hole; there is at
// most one hole more than blocks that are out.
type Buffer struct {
	mem   []byte // begins and ends at a multiple of bufferGranularity
	mu    sync.Mutex
	holes []hole // ascending; never empty, never touching
	out   ledger
}

// A hole is a free range of the buffer.
type hole struct{ off, len int }

// Enough for every Go type and for vector instructions of up to 128 bits, and small
// enough for an allocator above to use a buffer to its last page.
const bufferGranularity = 16

// NewBuffer returns a source of blocks within buf, which it owns from now on. Alignment
// costs at most 15 bytes at either end. With a nil or empty buf the source is always
// exhausted.
//
//go:noinline
func NewBuffer(buf []byte) *Buffer {
	// Inlined, buf need not escape: a buffer on a goroutine's stack would move, and its blocks
	// would lose their alignment.
	skip := min(padding(buf, bufferGranularity), len(buf))
	n := (len(buf) - skip) &^ (bufferGranularity - 1)
	b := &Buffer{mem: buf[skip : skip+n : skip+n]}
	if n > 0 {
		b.holes = []hole{{0, n}}
	}
	return b
}

// Acquire implements [Source]. It takes the smallest hole that has room, and of equal
// ones the lowest.
func (b *Buffer) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	off, n, err := b.carve(size, max(align, bufferGranularity))
	if err != nil {
		return nil, err
	}
	block := b.mem[off : off+n : off+n]
	b.out.add(block, nil)
	return block, nil
}

// carve cuts an aligned range out of a hole.
//
//	before  ____XXX__________XX____
//	after   ____XXX__BBBBB___XX____      the front is alignment, the back is rest
func (b *Buffer) carve(size, align int) (off, n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := roundUp(size, bufferGranularity)
	best, front := -1, 0
	for i, h := range b.holes {
		if !ok || h.len < n || best >= 0 && h.len >= b.holes[best].len {
			continue
		}
		if pad := padding(b.mem[h.off:], align); pad <= h.len-n {
			best, front = i, pad
		}
	}
	if best < 0 {
		free, largest := b.room()
		never := !ok || n > len(b.mem) || padding(b.mem, align) > len(b.mem)-n
		return 0, 0, &refusal{
			format: "blocksrc: buffer of %[1]d bytes, %[2]d free, largest hole %[3]d, asked for %[4]d at a multiple of %[5]d: %[6]v",
			n:      [5]int{len(b.mem), free, largest, size, align}, err: exhausted(never),
		}
	}
	h := b.holes[best]
	off = h.off + front
	rest := make([]hole, 0, 2)
	if front > 0 {
		rest = append(rest, hole{h.off, front})
	}
	if back := h.len - front - n; back > 0 {
		rest = append(rest, hole{off + n, back})
	}
	b.holes = slices.Replace(b.holes, best, best+1, rest...)
	return off, n, nil
}

// Release implements [Source].
func (b *Buffer) Release(block []byte) error {
	if _, err := b.out.take(block); err != nil {
		return err
	}
	b.fill(hole{int(address(block) - address(b.mem)), len(block)})
	return nil
}

// fill frees a range and joins it with the holes that it touches.
//
//	before  XXX_____BBBBB___XXX          before  XXXBBBBBXXX
//	after   XXX_____________XXX          after   XXX_____XXX
func (b *Buffer) fill(h hole) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := sort.Search(len(b.holes), func(i int) bool { return b.holes[i].off > h.off })
	from, to := i, i
	if i < len(b.holes) && h.off+h.len == b.holes[i].off {
		h.len += b.holes[i].len
		to = i + 1
	}
	if i > 0 && b.holes[i-1].off+b.holes[i-1].len == h.off {
		h = hole{b.holes[i-1].off, b.holes[i-1].len + h.len}
		from = i - 1
	}
	b.holes = slices.Replace(b.holes, from, to, h)
}

// Available returns the number of free bytes, in all holes together. It costs a look at
// every hole.
func (b *Buffer) Available() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	free, _ := b.room()
	return free
}

// Largest returns the size of the largest block that Acquire would give now,
// alignment aside; 0 if there is none. It costs a look at every hole.
func (b *Buffer) Largest() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, largest := b.room()
	return largest
}

func (b *Buffer) room() (free, largest int) {
	for _, h := range b.holes {
		free += h.len
		largest = max(largest, h.len)
	}
	return free, largest
}

// Granularity implements [Granular]: 16.
func (b *Buffer) Granularity() int { return bufferGranularity }
