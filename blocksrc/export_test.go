package blocksrc

import "fmt"

// Internals that tests may see.

const (
	HaveMmap     = haveMmap
	RaceDetector = raceDetector
	MaxRun       = maxRun
)

// MaxGoBlock bounds the size of a GoHeap block plus its alignment.
func MaxGoBlock() int { return maxGoBlock() }

// Address lets tests compare where blocks begin.
func Address(b []byte) uintptr { return address(b) }

// Page is the size of a page, 1 where there are none.
func Page() int { return sysPage() }

// A Ledger is a ledger whose notes are numbers.
type Ledger struct{ l ledger }

func (l *Ledger) Add(b []byte, n int) { l.l.add(b, n) }

func (l *Ledger) Take(b []byte) (int, error) {
	loan, err := l.l.take(b)
	n, _ := loan.note.(int)
	return n, err
}

func (l *Ledger) Around(b []byte) ([]byte, error) {
	loan, err := l.l.around(b)
	return loan.block, err
}

// Check returns the number of blocks, or what is wrong with their order.
func (l *Ledger) Check() (n int, err error) {
	last := uintptr(0)
	for i, run := range l.l.runs {
		if len(run) == 0 || len(run) > maxRun {
			return 0, fmt.Errorf("run %d has %d blocks", i, len(run))
		}
		for _, loan := range run {
			if address(loan.block) <= last {
				return 0, fmt.Errorf("block at %#x after %#x", address(loan.block), last)
			}
			last = address(loan.block)
			n++
		}
	}
	return n, nil
}

// Runs returns how many runs a ledger has.
func (l *Ledger) Runs() int { return len(l.l.runs) }

// Holes returns offsets and lengths of a buffer's holes.
func (b *Buffer) Holes() (holes [][2]int) {
	for _, h := range b.holes {
		holes = append(holes, [2]int{h.off, h.len})
	}
	return holes
}

// MappedWhole returns the mapping that goes with a block of Mmap.
func MappedWhole(block []byte) ([]byte, error) {
	loan, err := mapped.around(block)
	return loan.mapping(), err
}

// Stuck returns how many bytes src, a Limit, could not give back, and how many
// it counts as held.
func Stuck(src Source) (stuck, held int) {
	l := src.(*limit)
	for _, block := range l.stuck {
		stuck += len(block)
	}
	return stuck, l.held
}
