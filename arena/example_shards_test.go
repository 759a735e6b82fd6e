package arena_test

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A cache for many goroutines, in shards. Each has a lock, an allocator and a budget of its own: what
// it evicts makes room for what it takes. On one budget for all, it might have to wait for
// others to give up whole blocks.
func Example_shards() {
	type Entry struct {
		Key   uint64
		Value [200]byte
	}
	type shard struct {
		sync.Mutex
		memory  *slab.Allocator
		entries *arena.Arena[Entry]
		byKey   map[uint64]arena.Handle[Entry]
		keys    []uint64 // the oldest first
	}
	var cache [4]shard
	for i := range cache {
		s := &cache[i]
		s.memory = arena.Must(slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 256<<10)}))
		defer s.memory.Close()
		s.entries = arena.Must(arena.New[Entry](s.memory))
		s.byKey = make(map[uint64]arena.Handle[Entry])
	}
	put := func(key uint64) error {
		s := &cache[key%uint64(len(cache))]
		s.Lock()
		defer s.Unlock()
		h, err := s.entries.Insert(Entry{Key: key})
		for errors.Is(err, slab.ErrExhausted) && !blocksrc.Never(err) && len(s.keys) > 0 {
			s.entries.Remove(s.byKey[s.keys[0]])
			delete(s.byKey, s.keys[0])
			s.keys = s.keys[1:]
			h, err = s.entries.Insert(Entry{Key: key})
		}
		if err != nil {
			return err
		}
		s.byKey[key], s.keys = h, append(s.keys, key)
		return nil
	}

	const workers, puts = 8, 5000
	var wait sync.WaitGroup
	var failed [workers]error
	for w := range workers {
		wait.Go(func() {
			for i := range puts {
				if err := put(uint64(i*workers + w)); err != nil {
					failed[w] = err
					return
				}
			}
		})
	}
	wait.Wait()

	held, least := 0, puts
	for i := range cache {
		held, least = held+cache[i].memory.Stats().Held, min(least, cache[i].entries.Len())
	}
	fmt.Println("failed:", errors.Join(failed[:]...))
	fmt.Println("within the budget:", held <= 1<<20, "each shard has a thousand:", least > 1000)
	// Output:
	// failed: <nil>
	// within the budget: true each shard has a thousand: true
}
