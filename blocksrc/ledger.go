// The record of what is out. It tells Release for certain what is held, finds the block
// that contains a part, and keeps Go memory alive. It is goroutine-safe.

package blocksrc

import (
	"fmt"
	"slices"
	"sort"
	"sync"
)

// A ledger holds the blocks that are out, each with a note. The note is an any, so that
// one ledger serves all sources: that saves several kilobytes of code.
//
// Blocks are sorted by address, in runs of bounded length. To find one takes two binary
// searches; to add or remove one moves at most a run and, if runs split or join, the list of
// runs. With a million blocks that takes less than a microsecond, a fraction of the system
// call that goes with it. A map would find a block as fast, but not the block around a part.
//
//	runs  [ 0x1000 0x2000 0x5000 ] [ 0x8000 0x9000 ] [ 0xf000 ]
type ledger struct {
	mu   sync.Mutex
	runs [][]loan // none empty; ascending within and across
}

type loan struct {
	block []byte
	note  any
}

const maxRun = 256

// add enters a block.
func (l *ledger) add(block []byte, note any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, j, ok := l.floor(address(block))
	if !ok {
		i, j = 0, -1
		if len(l.runs) == 0 {
			l.runs = append(l.runs, nil)
		}
	}
	run := append(l.runs[i], loan{}) // slices.Insert would be 2 KiB of code
	copy(run[j+2:], run[j+1:])
	run[j+1] = loan{block, note}
	if len(run) > maxRun {
		l.runs = append(l.runs, nil)
		copy(l.runs[i+2:], l.runs[i+1:])
		half := run[maxRun/2:]
		l.runs[i+1] = append([]loan(nil), half...)
		clear(half) // for the collector
		run = run[:maxRun/2]
	}
	l.runs[i] = run
}

// take removes a block, which must be exactly as it was entered. Of two goroutines that
// release the same block, one gets it and the other an error.
func (l *ledger) take(block []byte) (loan, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, j, ok := l.floor(address(block))
	if !ok || address(l.runs[i][j].block) != address(block) || len(l.runs[i][j].block) != len(block) {
		return loan{}, errNotHeld(block)
	}
	found := l.runs[i][j]
	run := slices.Delete(l.runs[i], j, j+1)
	l.runs[i] = run
	if len(run) > 0 {
		if i++; i == len(l.runs) || len(run)+len(l.runs[i]) > maxRun/2 {
			return found, nil
		}
		l.runs[i-1] = append(run, l.runs[i]...)
	}
	l.runs = slices.Delete(l.runs, i, i+1)
	return found, nil
}

// around finds the block that contains part, which is not empty.
func (l *ledger) around(part []byte) (loan, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, j, ok := l.floor(address(part)); ok {
		found := l.runs[i][j]
		before := address(part) - address(found.block)
		if n := uintptr(len(found.block)); before < n && uintptr(len(part)) <= n-before {
			return found, nil
		}
	}
	return loan{}, errNotHeld(part)
}

// floor finds the last block at or below an address. The lock is held.
func (l *ledger) floor(at uintptr) (i, j int, ok bool) {
	i = sort.Search(len(l.runs), func(i int) bool { return address(l.runs[i][0].block) > at }) - 1
	if i < 0 {
		return 0, 0, false
	}
	run := l.runs[i]
	j = sort.Search(len(run), func(j int) bool { return address(run[j].block) > at }) - 1
	return i, j, true
}

func errNotHeld(b []byte) error {
	return fmt.Errorf("blocksrc: %d bytes at %#x: %w", len(b), address(b), ErrNotHeld)
}
