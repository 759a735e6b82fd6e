package slab

import (
	"errors"
	"fmt"
	"sort"
	"unsafe"

	"github.com/vita-go/deblockator/blocksrc"
)

// How a heap takes blocks from its source, and how it keeps them: by number, and in the order of
// their addresses. Whatever a source returns is checked before anything is built on it.

var errTooMuch = fmt.Errorf("%w: all that an allocator can count is held", ErrExhausted)

// acquire returns a block. If the source fails for another reason than want of memory, it is
// not asked again for the same request, whatever else is tried: a source that lies may lose a
// block each time.
func (h *heap) acquire(size, align int) (uint32, error) {
	if h.fault != nil {
		return 0, h.fault
	}
	i, err := h.ask(size, align)
	if err != nil && (!errors.Is(err, blocksrc.ErrExhausted) || errors.Is(err, ErrBadSource)) {
		h.fault = err
	}
	return i, err
}

// ask takes a block from the source and checks that it is what was asked
// for, so that a source that lies is caught before anything is built on it.
func (h *heap) ask(size, align int) (uint32, error) {
	// The sum must fit in an int, with 32 bits too, and once the source has rounded size up.
	room := int(min(uint64(maxInt-h.a.user.held-h.a.meta.held), maxBlockBytes)) &^ (blocksrc.Granularity(h.src) - 1)
	mem, err := []byte(nil), errTooMuch
	if size <= room {
		h.asking = true
		mem, err = h.src.Acquire(size, align)
		h.asking = false
	}
	if err != nil {
		h.refusals++
		return 0, &refusal{format: "slab: acquiring a block of %d bytes%s: %v", n: size, name: h.a.cfg.Name, err: err}
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	if h.a.user.overlaps(uintptr(base), len(mem)) || h.a.meta.overlaps(uintptr(base), len(mem)) {
		// It is not given back: that could take away the block it lies on.
		return 0, h.bad("returned memory that it has not been given back")
	}
	if off := int(uintptr(base) & uintptr(align-1)); len(mem) < size || off != 0 || len(mem) > room {
		err := h.bad("returned %d bytes, %d beyond a multiple of %d, for a block of %d", len(mem), off, align, size)
		if gone, e := h.giveBack(mem); e != nil {
			err = fmt.Errorf("%w; and did not take it back: %w", err, e)
			if !gone && len(mem) > 0 && len(mem) <= room {
				h.refused = append(h.refused, block{mem: mem, base: base})
				h.held += len(mem)
				h.a.noteHeld()
			}
		}
		return 0, err
	}
	h.held += len(mem)
	h.a.noteHeld()
	return h.enter(block{mem: mem, base: base, size: uint32(uint64(len(mem)) >> granuleShift)}), nil
}

// refusal is an error that makes its text only when it is read: the source may refuse a dozen
// times before a request is served or refused.
type refusal struct {
	_      [0]func() // not comparable, which spares the code for it
	format string    // of n, by(name) and err
	n      int
	name   string // of the allocator
	err    error
}

func (r *refusal) Error() string { return fmt.Sprintf(r.format, r.n, by(r.name), r.err) }
func (r *refusal) Unwrap() error { return r.err }

// bad counts a refusal, of what the source returned, and says what is wrong with it.
func (h *heap) bad(format string, n ...int) error {
	h.refusals++
	return &refusal{format: "%[3]v%[2]s", name: h.a.cfg.Name, err: because(ErrBadSource, format, n...)}
}

// enter gives a block a number and its place in the order of addresses.
func (h *heap) enter(b block) (i uint32) {
	at, _ := h.search(b.addr(), len(b.mem))
	if n := len(h.vacant); n > 0 {
		i, h.vacant = h.vacant[n-1], h.vacant[:n-1]
	} else {
		i = uint32(len(h.blocks))
		h.blocks = append(h.blocks, block{})
	}
	h.blocks[i] = b
	h.order = append(h.order, 0) // slices.Insert would be 2 KiB of code
	copy(h.order[at+1:], h.order[at:])
	h.order[at] = i
	return i
}

// search returns where in h.order a range of n bytes at addr belongs, and
// whether it overlaps a block.
func (h *heap) search(addr uintptr, n int) (at int, overlaps bool) {
	at = sort.Search(len(h.order), func(n int) bool { return h.blocks[h.order[n]].addr() > addr })
	if at > 0 {
		b := &h.blocks[h.order[at-1]]
		overlaps = addr-b.addr() < uintptr(len(b.mem))
	}
	if at < len(h.order) {
		overlaps = overlaps || h.blocks[h.order[at]].addr()-addr < uintptr(n)
	}
	return at, overlaps
}

// blockAt returns the block that addr lies in.
func (h *heap) blockAt(addr uintptr) (uint32, bool) {
	at, ok := h.search(addr, 1)
	if !ok {
		return 0, false
	}
	return h.order[at-1], true
}
