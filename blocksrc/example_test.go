package blocksrc_test

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
)

// A budget of 1 MiB, whatever the memory behind it.
func ExampleLimit() {
	src := blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)

	block, err := src.Acquire(768<<10, 0)
	fmt.Println(len(block), err)

	_, err = src.Acquire(512<<10, 0)
	fmt.Println(err)
	fmt.Println(errors.Is(err, blocksrc.ErrExhausted))

	fmt.Println(src.Release(block))
	block, err = src.Acquire(512<<10, 0)
	fmt.Println(len(block), err)
	// Output:
	// 786432 <nil>
	// blocksrc: limit of 1048576 bytes, 786432 held, asked for 524288: source exhausted
	// true
	// <nil>
	// 524288 <nil>
}

// Memory set aside at start-up first, the heap for what does not fit.
func ExampleFallback() {
	reserved := blocksrc.NewBuffer(make([]byte, 1<<20))
	src := blocksrc.Fallback(reserved, new(blocksrc.GoHeap))

	var blocks [][]byte
	for range 3 {
		block, err := src.Acquire(400_000, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		blocks = append(blocks, block)
		fmt.Println("left of the reserve:", reserved.Available())
	}
	for _, block := range blocks { // each goes back to its own source
		if err := src.Release(block); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("left of the reserve:", reserved.Available())
	// Output:
	// left of the reserve: 648576
	// left of the reserve: 248576
	// left of the reserve: 248576
	// left of the reserve: 1048576
}

// A fixed array as the only memory there is. (Under an allocator it should have at least
// 256 KiB, since records start with 32 KiB.)
func ExampleNewBuffer() {
	var memory [4096]byte
	src := blocksrc.NewBuffer(memory[:])

	block, err := src.Acquire(3000, 0)
	fmt.Println(len(block), cap(block), err)

	_, err = src.Acquire(3000, 0)
	fmt.Println(errors.Is(err, blocksrc.ErrExhausted), src.Available() >= 1024)

	fmt.Println(src.Release(block[:100]) != nil) // not what Acquire returned
	fmt.Println(src.Release(block))
	fmt.Println(errors.Is(src.Release(block), blocksrc.ErrNotHeld))
	// Output:
	// 3008 3008 <nil>
	// true true
	// true
	// <nil>
	// true
}
