// What Test checks with several goroutines.

package blocksrctest

import (
	"errors"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// goroutines: several at once get blocks of their own. A block that overlaps
// another is reported by its address and not written to, so that it is found
// without a data race.
func (s *suite) goroutines() {
	const workers, rounds, each = 4, 60, 3
	s.together(workers, func(id int) {
		var mine []*block
		for i := range rounds {
			size := 1 + (i*7+id*13)%5*s.unit + i%4*1000
			if b := s.acquire(size, 16<<(i%4)); b != nil {
				mine = append(mine, b)
			}
			if len(mine) == each {
				s.release(mine[i%each])
				mine = append(mine[:i%each], mine[i%each+1:]...)
			}
		}
		for _, b := range mine {
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
