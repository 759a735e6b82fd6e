// Blocks from the Go heap, one byte slice each: the source for systems without
// pages, for the race detector, and for tests.

package blocksrc

import "runtime"

// GoHeap makes each block with make([]byte, n). The zero value is ready; it is
// goroutine-safe and must not be copied.
//
// Go's collector never moves such a block and does not scan it, since bytes hold no
// pointers. But it counts the block as live: with GOGC=100 the process may grow by as
// much again before it collects, while with [Mmap] it collects as if the block were not
// there. A block stays until Release, even if nobody else refers to it. After Release it
// goes once nobody refers to it: a use after release is harmless here and fatal
// elsewhere.
//
// When the system refuses memory, Go ends the program before an error could be returned.
// Only a request beyond 1 TiB, alignment included (1 GiB with 32-bit addresses), is an
// error; put a [Limit] in front where it matters.
type GoHeap struct {
	out ledger
}

// A cache line of today's large cores, so that blocks of different goroutines share none.
// Blocks are much larger, so rounding costs nothing.
const goGranularity = 64

// The heap of gc gives whole pages to whatever is larger than its size classes. No
// document promises that, so Acquire checks the alignment. Elsewhere, as in TinyGo, it
// does not hold and is not tried: the attempt would be garbage.
const (
	goPage    = 8 << 10
	goClasses = 32 << 10
)

// Acquire implements [Source]. It costs the clearing of the block.
func (h *GoHeap) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	align = max(align, goGranularity)
	n, ok := roundUp(size, goGranularity)
	if !ok || n > maxGoBlock()-align {
		return nil, errBeyond(size, align)
	}
	var block []byte
	if runtime.Compiler == "gc" && n > goClasses && align <= goPage {
		block = make([]byte, n)
	}
	if block == nil || padding(block, align) != 0 {
		block = make([]byte, n+align-1)
		skip := padding(block, align)
		block = block[skip : skip+n : skip+n]
	}
	h.out.add(block, nil)
	return block, nil
}

// Release implements [Source].
func (h *GoHeap) Release(block []byte) error {
	_, err := h.out.take(block)
	return err
}

// Granularity implements [Granular]: 64.
func (h *GoHeap) Granularity() int { return goGranularity }

// Zeroed implements [Zeroer]: true.
func (h *GoHeap) Zeroed() bool { return true }

// maxGoBlock stays below what makes Go's make panic: 1 TiB, the least that the heap may
// span on any 64-bit system, and 1 GiB where pointers have 32 bits or, as on wasm,
// addresses do.
func maxGoBlock() int {
	if runtime.GOARCH == "wasm" {
		return 1 << 30
	}
	return 1 << (30 + 10*(^uint(0)>>63))
}
