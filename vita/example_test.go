package vita_test

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

// Takes main memory first, and PHYCONT once none is left.
func Example() {
	sim := vita.NewSim(vita.Console{User: vita.Base256, Heap: 252 << 20}) // on a console: vita.Native()
	user := &vita.Source{Kernel: sim, Type: vita.UserRW, Name: "world"}
	phycont := &vita.Source{Kernel: sim, Type: vita.PhycontRW, Name: "world"}
	src := blocksrc.Fallback(user, phycont)

	for range 2 {
		block, err := src.Acquire(3<<20, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = src.Release(block) }()
	}
	fmt.Println("main memory:", user.Stats().Held>>20, "MiB, PHYCONT:", phycont.Stats().Held>>20, "MiB")

	_, err := user.Acquire(3<<20, 0)
	var failure *vita.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Call, failure.Type, failure.Size, failure.Code)
	}
	fmt.Println(errors.Is(err, blocksrc.ErrExhausted))
	// Output:
	// main memory: 3 MiB, PHYCONT: 3 MiB
	// sceKernelAllocMemBlock USER_RW 3145728 0x80024302 NO_FREE_PHYSICAL_PAGE
	// true
}

// Refuses a program its second block.
func ExampleSim_Fail() {
	sim := vita.NewSim(vita.Console{})
	src := &vita.Source{Kernel: sim, Type: vita.CDRAMRW}
	sim.Fail(vita.CallAlloc, 2, vita.NoFreePhysicalPageCDRAM)
	for range 3 {
		_, err := src.Acquire(1<<20, 0)
		fmt.Println(err)
	}
	fmt.Println(len(sim.Blocks()), "blocks")
	// Output:
	// <nil>
	// vita: sceKernelAllocMemBlock: 1048576 bytes of USER_CDRAM_RW: 0x80024309 NO_FREE_PHYSICAL_PAGE_CDRAM: source exhausted
	// <nil>
	// 2 blocks
}
