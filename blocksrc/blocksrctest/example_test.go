package blocksrctest_test

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
)

// pages is a source of eight pages that are set aside at start-up.
type pages struct {
	mu  sync.Mutex
	mem []byte // aligned to a page
	out [8]int // pages of the block that begins here, or 0
}

const page = 4096

func newPages() *pages {
	mem := make([]byte, 9*page)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % page
	return &pages{mem: mem[skip:][:8*page]}
}

func (p *pages) Acquire(size, align int) ([]byte, error) {
	if err := blocksrc.CheckRequest(size, align); err != nil {
		return nil, err
	}
	if size > len(p.mem) || align > page { // never
		return nil, fmt.Errorf("%d bytes aligned to %d: %w: %w", size, align, blocksrc.ErrExhausted, blocksrc.ErrInvalid)
	}
	n := (size + page - 1) / page
	p.mu.Lock()
	defer p.mu.Unlock()
	for first := 0; first+n <= len(p.out); first += max(1, p.out[first]) {
		if free := p.out[first:][:n]; slices.Max(free) == 0 {
			free[0] = n
			return p.mem[first*page:][: n*page : n*page], nil
		}
	}
	return nil, blocksrc.ErrExhausted
}

func (p *pages) Release(block []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for first, n := range p.out {
		if n > 0 && n*page == len(block) && &p.mem[first*page] == &block[0] {
			p.out[first] = 0
			return nil
		}
	}
	return blocksrc.ErrNotHeld
}

// Granularity is an optional promise. Zeroed is another, which this source cannot make.
func (p *pages) Granularity() int { return page }

// careless is a source that forgets about the alignment.
type careless struct{ *pages }

func (c careless) Acquire(size, align int) ([]byte, error) {
	block, err := c.pages.Acquire(size, align)
	if err != nil {
		return nil, err
	}
	return block[16:], nil
}

// A source of your own, and what Test says of one with a mistake.
func ExampleTest() {
	fmt.Println(blocksrctest.Test(newPages()))
	err := blocksrctest.Test(careless{newPages()})
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}

func ExampleCounting() {
	src := &blocksrctest.Counting{Source: blocksrc.NewBuffer(make([]byte, 8192))}
	first, _ := src.Acquire(1000, 0)
	_, _ = src.Acquire(3000, 0)
	_ = src.Release(first)
	fmt.Printf("%+v\n", src.Counts())
	fmt.Println(src.Leaks() != nil)
	// Output:
	// {Acquires:2 Releases:1 Discards:0 Populated:0 Refused:0 Stuck:0 Live:1 Held:3008 Peak:4016}
	// true
}
