// What Test checks with several goroutines.

package blocksrctest

import (
	"errors"
	"slices"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// goroutines: several at once get blocks of their own. They start each round
// together: left to themselves they may run one after another, and never meet. A
// block that overlaps another is reported by its address and not written to, so
// that it is found without a data race.
func (s *suite) goroutines() {
	const workers, rounds, each = 4, 60, 3
	var all [workers][]*block
	for i := range rounds {
		s.together(workers, func(id int) {
			size := 1 + (i*7+id*13)%5*s.unit + i%4*1000
			if b := s.acquire(size, 16<<(i%4)); b != nil {
				all[id] = append(all[id], b)
			}
			if mine := all[id]; len(mine) == each {
				b := mine[i%each]
				all[id] = slices.Delete(mine, i%each, i%each+1)
				s.release(b)
			}
		})
	}
	s.together(workers, func(id int) {
		for _, b := range all[id] {
			s.release(b)
		}
	})
}

// releasesAtOnce: of two goroutines that release the same block one succeeds.
func (s *suite) releasesAtOnce() {
	for range 30 {
		b := s.acquire(s.unit, 0)
		if b == nil {
			return
		}
		s.out, s.held = nil, 0
		var errs [2]error
		s.together(2, func(id int) { errs[id] = s.src.Release(b.mem) })
		switch lost := errors.Join(errs[:]...); {
		case errs[0] == nil && errs[1] == nil:
			s.errorf("two goroutines have released the same block")
		case errs[0] != nil && errs[1] != nil:
			s.errorf("neither of two goroutines could release a block: %w", lost)
		case !errors.Is(lost, blocksrc.ErrNotHeld):
			s.errorf("the second release's error does not wrap ErrNotHeld: %w", lost)
		}
	}
}

func (s *suite) together(n int, f func(id int)) {
	start := make(chan struct{})
	var done sync.WaitGroup
	for id := range n {
		done.Add(1)
		go func() {
			defer done.Done()
			<-start
			s.guard(func() { f(id) })
		}()
	}
	close(start)
	done.Wait()
}
