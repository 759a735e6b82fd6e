// The record of what is out. It makes Release certain, finds the block that a
// part belongs to, and keeps Go memory alive; it is goroutine-safe.

package blocksrc

import (
	"fmt"
	"slices"
	"sort"
	"sync"
)

// A ledger holds the blocks that are out, each with a note. That is of no type of
// its own: one ledger for all sources is several kilobytes of code less.
//
// They are kept by address, in runs of bounded length: finding one is two binary
// searches, adding or removing one moves at most a run. A million blocks cost
// less than a microsecond each, a fraction of the system call that goes with it.
// A map would find a block as fast, but not the block around a part of it.
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

// take removes a block, which must be just as it was entered: of two goroutines
// that release the same block one gets it, the other an error.
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

// around finds the block that part, not empty, lies in.
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
