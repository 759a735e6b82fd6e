package arena

import (
	"errors"

	"github.com/vita-go/deblockator/slab"
)

// A region is a stack: a mark is a height of it, and Rewind goes back down to that. A mark is good
// only while the region has not been below it since. That is told by the places that the region was
// rewound to (its lows), and by the allocator's epoch, which grows with every Reset.

// Mark is a point in the life of a Region.
type Mark struct {
	r       *Region
	at      place
	rewinds uint64
	epoch   uint64
}

// place is how far a region has got: the chunk in use, and the bytes in use in it.
type place struct{ chunk, used int }

func (p place) before(q place) bool {
	return p.chunk < q.chunk || p.chunk == q.chunk && p.used < q.used
}

// low is the place that the region's count-th rewind went down to.
type low struct {
	at    place
	count uint64
}

// Mark returns the present point, for Rewind to go back to.
func (r *Region) Mark() Mark {
	if r.a == nil {
		return Mark{}
	}
	return Mark{r: r, at: place{r.at, r.used}, rewinds: r.rewinds, epoch: r.a.Epoch()}
}

// Rewind frees everything that was made since m; the memory stays with the region. It panics
// with a *slab.MisuseError if the region or its allocator is closed, or if m is not in its past: m
// is of another region, or from before a Reset of the allocator, or Rewind or Reset has since
// taken the region below m. (Nothing is below the mark of an empty region.) To tell, the region
// keeps 24 bytes on Go's heap for each point that it was rewound to and that has values
// behind it, until it is rewound to that point or an earlier one, or Reset.
func (r *Region) Rewind(m Mark) {
	// A region that has a chunk is on an open allocator: Close would have taken it.
	closed := r.closed || len(r.chunks) == 0 && r.a != nil && errors.Is(state(r.a), slab.ErrClosed)
	if closed || m.r != r || m.epoch != r.a.Epoch() || !r.past(m) {
		e := &slab.MisuseError{Misuse: slab.BadMark, Op: "Region.Rewind"}
		if r.a != nil {
			e.Name = r.a.Stats().Name
		}
		if closed {
			e.Misuse = slab.UseAfterClose
		}
		panic(e)
	}
	r.down(m.at)
}

// past tells whether the region has never been below m since m was made. The lows are in
// order of both place and time, so the first one after m decides.
func (r *Region) past(m Mark) bool {
	for i := len(r.lows) - 1; i >= 0 && r.lows[i].count > m.rewinds; i-- {
		if r.lows[i].at.before(m.at) {
			return false
		}
	}
	return true
}

// down goes back to a place. The lows from there up no longer matter, so only as many are
// kept as there are places with something live between them.
func (r *Region) down(to place) {
	n := len(r.lows)
	for n > 0 && !r.lows[n-1].at.before(to) {
		n--
	}
	if poisons {
		r.poison(to)
	}
	r.rewinds++
	r.lows = append(r.lows[:n], low{to, r.rewinds})
	if to.chunk < r.at {
		r.enter(to.chunk, dirty)
	}
	r.clean = max(r.clean, r.used) // only now: going up is done more often
	r.used = to.used
}

// poison fills what is freed from a place on, so that a read of it stands out.
func (r *Region) poison(from place) {
	for i := from.chunk; i <= r.at && i < len(r.chunks); i++ {
		c := r.chunks[i][from.used:]
		if i == r.at {
			c = c[:r.used-from.used]
		}
		for j := range c {
			c[j] = 0xDF
		}
		from.used = 0
	}
}
