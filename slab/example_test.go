package slab_test

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Messages of any size live within a budget of 1 MiB: half of it is set aside at start-up,
// the rest comes from Go's heap. When there is no room, the oldest messages go.
func Example() {
	reserved := blocksrc.NewBuffer(make([]byte, 512<<10))
	more := blocksrc.Limit(new(blocksrc.GoHeap), 512<<10)
	a, err := slab.New(slab.Config{Name: "messages", Source: blocksrc.Fallback(reserved, more)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()

	var messages [][]byte
	dropped := 0
	for i := range 2000 {
		size := 100 + i*7%2000
		b, err := a.Alloc(size, 1)
		for errors.Is(err, slab.ErrExhausted) && !blocksrc.Never(err) && len(messages) > 0 {
			a.Free(messages[0])
			messages, dropped = messages[1:], dropped+1
			b, err = a.Alloc(size, 1)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		messages = append(messages, b)
	}
	s := a.Stats()
	fmt.Println("some were dropped:", dropped > 0, "most of the budget is in use:", s.Live > 768<<10, "and no more:", s.Held <= 1<<20)

	// Realloc keeps the bytes, whether it shortens or lengthens. (An append beyond the
	// capacity would move them to Go's heap.)
	messages[0][0] = '!'
	if messages[0], err = a.Realloc(messages[0], 50); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%c\n", messages[0][0])
	for _, b := range messages {
		a.Free(b)
	}
	fmt.Println("live:", a.Stats().Live, "check:", a.Check())
	// Output:
	// some were dropped: true most of the budget is in use: true and no more: true
	// !
	// live: 0 check: <nil>
}

// A wrong free is a panic that says what was wrong.
func ExampleMisuseError() {
	a, err := slab.New(slab.Config{Name: "messages", Source: new(blocksrc.GoHeap)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	b, err := a.Alloc(100, 8)
	if err != nil {
		fmt.Println(err)
		return
	}
	a.Free(b)

	defer func() {
		var wrong *slab.MisuseError
		if err, ok := recover().(error); ok && errors.As(err, &wrong) {
			fmt.Println(wrong.Op, "in", wrong.Name, "-", wrong.Misuse)
		}
	}()
	a.Free(b)
	// Output: Allocator.Free in messages - double free
}

// A pool hands out slots of one size. A handle tells when its slot has been freed.
func ExampleNewPool() {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close() // which is enough for the pool
	p, err := slab.NewPool(a, 24, 8)
	if err != nil {
		fmt.Println(err)
		return
	}
	q, h, err := p.Insert()
	if err != nil {
		fmt.Println(err)
		return
	}
	clear(unsafe.Slice((*byte)(q), 24)) // Insert leaves what was there before
	p.Free(q)
	_, ok := p.Get(h)
	fmt.Println(p.Len(), ok)
	// Output: 0 false
}

// Blocks and their chunks, as a dump shows them.
func ExampleAllocator_Blocks() {
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap), MetaSource: new(blocksrc.GoHeap), BlockSize: 64 << 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	for _, size := range []int{5000, 3000, 7000} {
		b, err := a.Alloc(size, 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		if size == 3000 {
			a.Free(b)
		}
	}
	for b := range a.Blocks() {
		fmt.Println(b.Size, "bytes")
		for c := range b.Chunks() {
			fmt.Println(c.Offset, c.Size, c.Kind)
		}
	}
	// Output:
	// 65536 bytes
	// 0 5008 live
	// 5008 7008 live
	// 12016 53520 hole
}
