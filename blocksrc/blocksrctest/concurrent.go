// What Test checks with several goroutines.

package blocksrctest

import (
	"errors"
	"slices"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// goroutines: several at once get blocks of their own. They start each round together:
// otherwise they may run one after another and never meet. A block that overlaps another
// is found by its address and not written to, so that finding it is no data race.
func (s *suite) goroutines() {
	const workers, rounds, each = 4, 60, 3
	unit := min(s.unit, 64<<10) // more would only take longer to fill
	var all [workers][]*block
	t := s.team(workers)
	defer t.end()
	for i := range rounds {
		t.do(func(id int) {
			size := 1 + (i*7+id*13)%5*unit + i%4*1000
			if b := s.acquire(size, 16<<(i%4)); b != nil {
				all[id] = append(all[id], b)
				switch (i + id) % workers {
				case 0:
					if blocksrc.Discard(s.src, b.mem) == nil {
						b.fill()
					}
				case 1:
					_ = blocksrc.Populate(s.src, b.mem)
				}
			}
			if mine := all[id]; len(mine) == each {
				b := mine[i%each]
				all[id] = slices.Delete(mine, i%each, i%each+1)
				s.release(b)
			}
		})
	}
}

// releasesAtOnce: of two goroutines that release the same block exactly one succeeds.
func (s *suite) releasesAtOnce() {
	t := s.team(2)
	defer t.end()
	for range 30 {
		b := s.acquire(s.unit, 0)
		if b == nil {
			return
		}
		s.out, s.held = nil, 0
		var errs [2]error
		t.do(func(id int) { errs[id] = s.src.Release(b.mem) })
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

// team is a number of goroutines that act all at once, again and again. They live from
// one turn to the next: where each is a thread, making one takes long.
type team struct {
	s  *suite
	to []chan turn
}

type turn struct {
	f     func(id int)
	start chan struct{} // closed when all are ready
	done  *sync.WaitGroup
}

func (s *suite) team(n int) *team {
	t := &team{s, make([]chan turn, n)}
	for id := range t.to {
		t.to[id] = make(chan turn)
		go t.work(id)
	}
	return t
}

func (t *team) work(id int) {
	ended := false
	defer func() {
		if !ended { // a source has called runtime.Goexit, as a failed require does
			go t.work(id)
		}
	}()
	for next := range t.to[id] {
		t.turn(id, next)
	}
	ended = true
}

func (t *team) turn(id int, next turn) {
	defer next.done.Done()
	<-next.start
	t.s.guard(func() { next.f(id) })
}

// do has every goroutine call f with its number, and waits until all calls have returned.
func (t *team) do(f func(id int)) {
	next := turn{f, make(chan struct{}), new(sync.WaitGroup)}
	for _, to := range t.to {
		next.done.Add(1)
		to <- next
	}
	close(next.start)
	next.done.Wait()
}

func (t *team) end() {
	for _, to := range t.to {
		close(to)
	}
}
