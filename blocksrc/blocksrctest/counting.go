// A source that keeps the books of another.

package blocksrctest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/vita-go/deblockator/blocksrc"
)

// Counting wraps a source and counts the calls, blocks and bytes that pass. Set Source
// before use. A Counting is goroutine-safe and must not be copied.
//
// A Release of what is not out, or not in this shape, is an error and is not passed on to
// Source. Misuse lists such calls.
type Counting struct {
	Source blocksrc.Source

	mu     sync.Mutex
	n      Counts
	live   map[shape]int   // how often each is out: more than once only if Source lies
	gone   map[uintptr]int // length of the block that was last at each address
	misuse []error
}

// Counts is what a [Counting] has counted.
type Counts struct {
	Acquires, Releases, Discards int // calls that succeeded
	Populated                    int // bytes for which Populate succeeded
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
	some := make([]string, 0, 5)
	for b, n := range c.live {
		for ; n > 0 && len(some) < cap(some); n-- {
			some = append(some, fmt.Sprintf("%d at %#x", b.len, b.at))
		}
	}
	if c.n.Live > len(some) {
		some = append(some, "…")
	}
	return fmt.Errorf("blocksrctest: %d blocks, %d bytes, not released: %s", c.n.Live, c.n.Held, strings.Join(some, ", "))
}

// Misuse returns nil if every Release so far was of a block that was out, unchanged, else
// an error that lists the others: second, foreign, resliced, unknown to Source.
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
	switch {
	case err == nil:
		c.n.Releases++
	case errors.Is(err, blocksrc.ErrNotHeld): // somebody has released it behind Counting
		c.misuse = append(c.misuse, err)
	default:
		c.n.Stuck++
		c.enter(mem)
	}
	return err
}

// shape is a block's address and length.
type shape struct {
	at  uintptr
	len int
}

// enter counts a block in. The lock is held.
func (c *Counting) enter(mem []byte) {
	if c.live == nil {
		c.live, c.gone = map[shape]int{}, map[uintptr]int{}
	}
	b := shape{address(mem), len(mem)}
	c.live[b]++
	c.n.Live++
	c.n.Held += b.len
	c.n.Peak = max(c.n.Peak, c.n.Held)
}

// leave counts a block out, or says why it cannot.
func (c *Counting) leave(mem []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := shape{address(mem), len(mem)}
	if c.live[b] > 0 {
		if c.live[b]--; c.live[b] == 0 {
			delete(c.live, b)
		}
		c.gone[b.at] = b.len
		c.n.Live--
		c.n.Held -= b.len
		return nil
	}
	why := "foreign"
	for other := range c.live { // slow, but only after a mistake
		if other.at == b.at {
			why = fmt.Sprintf("resliced, it has %d", other.len)
		}
	}
	if why == "foreign" && c.gone[b.at] == b.len && b.len > 0 {
		why = "released before"
	}
	err := fmt.Errorf("blocksrctest: %d bytes at %#x: %s: %w", b.len, b.at, why, blocksrc.ErrNotHeld)
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

// Populate implements [blocksrc.Populator] if Source does.
func (c *Counting) Populate(part []byte) error {
	err := blocksrc.Populate(c.Source, part)
	if err == nil {
		c.mu.Lock()
		c.n.Populated += len(part)
		c.mu.Unlock()
	}
	return err
}

// Granularity is that of Source.
func (c *Counting) Granularity() int { return blocksrc.Granularity(c.Source) }

// Zeroed is that of Source.
func (c *Counting) Zeroed() bool { return blocksrc.Zeroed(c.Source) }
