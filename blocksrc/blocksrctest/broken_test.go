// Sources that break the contract, each in its own way.

package blocksrctest_test

import (
	"runtime"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// broken is a sound source with some of its methods replaced.
type broken struct {
	src         blocksrc.Source
	acquire     func(src blocksrc.Source, size, align int) ([]byte, error)
	release     func(src blocksrc.Source, block []byte) error
	discard     func(src blocksrc.Source, part []byte) error
	populate    func(src blocksrc.Source, part []byte) error
	granularity func() int
	zeroed      func() bool
}

func (b *broken) Acquire(size, align int) ([]byte, error) {
	if b.acquire != nil {
		return b.acquire(b.src, size, align)
	}
	return b.src.Acquire(size, align)
}

func (b *broken) Release(block []byte) error {
	if b.release != nil {
		return b.release(b.src, block)
	}
	return b.src.Release(block)
}

func (b *broken) Discard(part []byte) error {
	if b.discard != nil {
		return b.discard(b.src, part)
	}
	return blocksrc.Discard(b.src, part)
}

func (b *broken) Populate(part []byte) error {
	if b.populate != nil {
		return b.populate(b.src, part)
	}
	return blocksrc.Populate(b.src, part)
}

func (b *broken) Granularity() int {
	if b.granularity != nil {
		return b.granularity()
	}
	return blocksrc.Granularity(b.src)
}

func (b *broken) Zeroed() bool {
	if b.zeroed != nil {
		return b.zeroed()
	}
	return blocksrc.Zeroed(b.src)
}

// ledger remembers what became of blocks.
type ledger struct {
	mu sync.Mutex
	m  map[*byte][]byte
}

func (l *ledger) swap(block, told []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[*byte][]byte{}
	}
	l.m[&told[0]] = block
	return told
}

func (l *ledger) back(told []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(told) > 0 {
		if block, ok := l.m[&told[0]]; ok && len(told) == len(block)-64 {
			delete(l.m, &told[0])
			return block
		}
	}
	return told
}

func (l *ledger) has(block []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(block) > 0 && l.m[&block[0]] != nil
}

// recycler keeps released blocks for the next Acquire without checking whether they are
// there already: what a double free does to an allocator.
type recycler struct {
	blocksrc.GoHeap
	mu   sync.Mutex
	mine map[*byte]int
	free [][]byte
}

func (r *recycler) Zeroed() bool { return false }

func (r *recycler) Acquire(size, align int) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.free) - 1; i >= 0 && blocksrc.CheckRequest(size, align) == nil; i-- {
		if block := r.free[i]; len(block) >= size && align <= 64 {
			r.free = append(r.free[:i], r.free[i+1:]...)
			return block, nil
		}
	}
	block, err := r.GoHeap.Acquire(size, align)
	if err == nil {
		if r.mine == nil {
			r.mine = map[*byte]int{}
		}
		r.mine[&block[0]] = len(block)
	}
	return block, err
}

func (r *recycler) Release(block []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(block) == 0 || r.mine[&block[0]] != len(block) {
		return blocksrc.ErrNotHeld
	}
	r.free = append(r.free, block)
	return nil
}

// hasty finds a free block under its lock, unlocks, and then takes it. Each step is safe
// by itself; together they give one block to two goroutines.
type hasty struct {
	mu     sync.Mutex
	blocks [64][]byte
	used   [64]int
}

func (h *hasty) Acquire(size, align int) ([]byte, error) {
	if err := blocksrc.CheckRequest(size, align); err != nil {
		return nil, err
	}
	if size > 8<<10 || align > 16 {
		return nil, blocksrc.ErrExhausted
	}
	h.mu.Lock()
	i := 0
	for i < len(h.used) && h.used[i] > 0 {
		i++
	}
	h.mu.Unlock()
	if i == len(h.used) {
		return nil, blocksrc.ErrExhausted
	}
	for range 10 {
		runtime.Gosched()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.blocks[i] == nil {
		h.blocks[i] = make([]byte, 8<<10)
	}
	h.used[i]++
	return h.blocks[i], nil
}

func (h *hasty) Release(block []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.blocks {
		if h.used[i] > 0 && len(block) == 8<<10 && &block[0] == &h.blocks[i][0] {
			h.used[i]--
			return nil
		}
	}
	return blocksrc.ErrNotHeld
}
