package blocksrctest_test

import (
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// stack hands out the bytes of an array one after the other and never takes any
// back.
type stack struct {
	blocksrc.GoHeap
	free []byte
}

func (s *stack) Acquire(size, align int) ([]byte, error) {
	if size > len(s.free) {
		return nil, blocksrc.ErrExhausted
	}
	block := s.free[:size]
	s.free = s.free[size:]
	return block, nil
}

func ExampleTest() {
	err := blocksrctest.Test(&stack{free: make([]byte, 1000)})
	fmt.Println(err != nil)
	fmt.Println(blocksrctest.Test(new(blocksrc.GoHeap)))
	// Output:
	// true
	// <nil>
}

func ExampleCounting() {
	src := &blocksrctest.Counting{Source: blocksrc.NewBuffer(make([]byte, 8192))}
	first, _ := src.Acquire(1000, 0)
	_, _ = src.Acquire(3000, 0)
	_ = src.Release(first)
	fmt.Printf("%+v\n", src.Counts())
	fmt.Println(src.Leaks() != nil)
	// Output:
	// {Acquires:2 Releases:1 Discards:0 Refused:0 Stuck:0 Live:1 Held:3008 Peak:4016}
	// true
}
