// A source that keeps the books of another.

package blocksrctest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// Counting wraps a source and counts what passes. Set Source before use; it is
// goroutine-safe and must not be copied.
//
// A block that Counting has not out, or not in this shape, it does not pass on to
// Source but returns an error for and remembers: see Misuse.
type Counting struct {
	Source blocksrc.Source

	mu     sync.Mutex
	n      Counts
	live   map[uintptr]int // address and length of what is out
	gone   map[uintptr]int // and of what was, last
	misuse []error
}

// Counts is what a [Counting] has counted.
type Counts struct {
	Acquires, Releases, Discards int // calls that succeeded
	Refused                      int // calls of Acquire that failed
	Stuck                        int // calls of Release that failed in Source: the block is still out
	Live                         int // blocks out
	Held, Peak                   int // bytes out, now and at most
}

// Counts returns what has been counted so far.
func (c *Counting) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Leaks returns nil if every block acquired has been released, else an error
// that tells how much is out and where some of it is.
func (c *Counting) Leaks() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Live == 0 {
		return nil
	}
	var some string
	shown := 0
	for at, size := range c.live {
		if shown++; shown > 5 {
			some += ", …"
			break
		}
		some += fmt.Sprintf(", %d at %#x", size, at)
	}
	return fmt.Errorf("blocksrctest: %d blocks, %d bytes, not released: %s", c.n.Live, c.n.Held, some[2:])
}

// Misuse returns nil if every Release so far was of a block that was out, as it
// was, else an error that lists the others: second, foreign, resliced.
func (c *Counting) Misuse() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.misuse...)
}

// Acquire implements [blocksrc.Source].
func (c *Counting) Acquire(size, align int) ([]byte, error) {
	mem, err := c.Source.Acquire(size, align)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.n.Refused++
		return mem, err
	}
	c.n.Acquires++
	c.enter(mem)
	return mem, nil
}

// Release implements [blocksrc.Source].
func (c *Counting) Release(mem []byte) error {
	if err := c.leave(mem); err != nil {
		return err
	}
	err := c.Source.Release(mem)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.n.Stuck++
		c.enter(mem)
		return err
	}
	c.n.Releases++
	return nil
}

// enter counts a block in. The lock is held.
func (c *Counting) enter(mem []byte) {
	if c.live == nil {
		c.live, c.gone = map[uintptr]int{}, map[uintptr]int{}
	}
	at := address(mem)
	c.live[at] = len(mem)
	delete(c.gone, at)
	c.n.Live++
	c.n.Held += len(mem)
	c.n.Peak = max(c.n.Peak, c.n.Held)
}

// leave counts a block out, or says why it is none.
func (c *Counting) leave(mem []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := address(mem)
	size, live := c.live[at]
	if live && size == len(mem) {
		delete(c.live, at)
		c.gone[at] = size
		c.n.Live--
		c.n.Held -= size
		return nil
	}
	why := "foreign"
	if live {
		why = fmt.Sprintf("resliced, it has %d", size)
	} else if c.gone[at] == len(mem) && len(mem) > 0 {
		why = "released before"
	}
	err := fmt.Errorf("blocksrctest: %d bytes at %#x: %s: %w", len(mem), at, why, blocksrc.ErrNotHeld)
	c.misuse = append(c.misuse, err)
	return err
}

// Discard implements [blocksrc.Discarder] if Source does.
func (c *Counting) Discard(part []byte) error {
	err := blocksrc.Discard(c.Source, part)
	if err == nil {
		c.mu.Lock()
		c.n.Discards++
		c.mu.Unlock()
	}
	return err
}

// Granularity is that of Source.
func (c *Counting) Granularity() int { return blocksrc.Granularity(c.Source) }

// Zeroed is that of Source.
func (c *Counting) Zeroed() bool { return blocksrc.Zeroed(c.Source) }
