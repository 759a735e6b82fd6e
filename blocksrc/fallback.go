// Several sources in order of preference; each block goes back to its own.

package blocksrc

import (
	"errors"
	"fmt"
	"slices"
)

// Fallback returns a source that asks each of srcs in turn and returns the first block it
// gets: fast memory before slow, a fixed buffer before the system. Release and Discard go
// to the source that the block came from. The source is goroutine-safe if srcs are, as
// sources must be. Fallback panics if one of srcs is nil.
//
// Only an error that wraps [ErrExhausted] or errors.ErrUnsupported leads on to the next
// source. Any other, such as a permission denied, is returned as it is: it is a fault
// that somebody must see, not a reason to fill the second-best memory. If no source has
// room, the error wraps those of all sources. It leaves out a source's [ErrInvalid], that it
// will never have room, if another source may have room later. Without any source there
// never will be room.
//
// The granularity is the smallest of the sources', the only one that is true of every
// block. The largest would make a buffer pay for the pages of the source behind it, and a
// source with coarser blocks returns longer ones anyway. Fresh blocks are zeroed if those
// of all sources are.
func Fallback(srcs ...Source) Source {
	if i := slices.Index(srcs, nil); i >= 0 {
		panic(fmt.Sprintf("blocksrc: Fallback: source %d is nil", i))
	}
	return &fallback{srcs: slices.Clone(srcs)}
}

type fallback struct {
	srcs []Source
	out  ledger // with the owner as note
}

func (f *fallback) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	if len(f.srcs) == 0 {
		return nil, fmt.Errorf("blocksrc: no sources to fall back on: %w", errNever)
	}
	var all []error
	for _, src := range f.srcs {
		block, err := src.Acquire(size, align)
		switch {
		case err == nil:
			f.out.add(block, src)
			return block, nil
		case !errors.Is(err, ErrExhausted) && !errors.Is(err, errors.ErrUnsupported):
			return nil, err
		}
		all = append(all, err)
	}
	if slices.ContainsFunc(all, forNow) {
		for i, err := range all {
			all[i] = notForEver{err}
		}
	}
	return nil, &noneHasRoom{all}
}

// noneHasRoom joins the errors of all sources. It makes its text when it is read.
type noneHasRoom struct{ all []error }

func (e *noneHasRoom) Error() string {
	text := fmt.Sprintf("blocksrc: none of %d sources has room: %v", len(e.all), e.all[0])
	for _, err := range e.all[1:] {
		text += "; " + err.Error()
	}
	return text
}

func (e *noneHasRoom) Unwrap() []error { return e.all }

// forNow tells whether the source that said err may have room later.
func forNow(err error) bool { return errors.Is(err, ErrExhausted) && !errors.Is(err, ErrInvalid) }

// notForEver hides the ErrInvalid in an error, since it does not hold for all sources.
type notForEver struct{ error }

func (e notForEver) Is(target error) bool { return target != ErrInvalid && errors.Is(e.error, target) }
func (e notForEver) As(target any) bool   { return errors.As(e.error, target) }

func (f *fallback) Release(block []byte) error {
	loan, err := f.out.take(block)
	if err != nil {
		return err
	}
	err = loan.note.(Source).Release(block)
	if stillHeld(err) {
		f.out.add(block, loan.note) // its address cannot have been given to anyone else
	}
	return err
}

func (f *fallback) Discard(part []byte) error { return f.pass(part, Discard) }

func (f *fallback) Populate(part []byte) error { return f.pass(part, Populate) }

// pass does something with part of a block at the source that it came from.
func (f *fallback) pass(part []byte, do func(Source, []byte) error) error {
	if len(part) == 0 {
		return nil
	}
	loan, err := f.out.around(part)
	if err != nil {
		return err
	}
	return do(loan.note.(Source), part)
}

func (f *fallback) Granularity() int {
	if len(f.srcs) == 0 {
		return 1
	}
	least := Granularity(f.srcs[0])
	for _, src := range f.srcs[1:] {
		least = min(least, Granularity(src))
	}
	return least
}

func (f *fallback) Zeroed() bool {
	return !slices.ContainsFunc(f.srcs, func(src Source) bool { return !Zeroed(src) })
}
