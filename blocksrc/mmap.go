// Blocks straight from the operating system, whatever it calls them.

package blocksrc

import (
	"errors"
	"fmt"
	"math"
)

// Mmap maps each block from the operating system: mmap on Unix, VirtualAlloc on
// Windows. The zero value is ready, a Mmap may be copied and is goroutine-safe.
//
// All Mmap values are one source that can be asked in different ways: a block
// may be released through any of them.
//
// The memory is outside Go's heap. The collector neither scans nor counts it, so
// moving much data there makes collections cheap and, unless GOGC is raised,
// frequent. Nothing keeps a block alive but the program: a pointer used after
// Release ends it with a fault.
//
// Any alignment is possible. On Unix what is mapped too much for its sake is
// unmapped at once; Windows cannot free part of a mapping, so there an alignment
// beyond 64 KiB costs up to that much address space, but no memory, until
// Release. What bounds it is the address space, and what the system is willing to
// promise: Linux, as it comes, no mapping that is larger than the machine's memory, be it
// for an alignment, and Windows no more than its paging files can hold.
//
// Do not wait for [ErrExhausted] on Unix: the system promises memory that it may not have,
// and ends a program when that is written. Wrap it in [Limit] for a budget that is an error.
//
// Under js, wasip1, plan9, TinyGo and the build tag vita there is no such memory:
// every Acquire that another source could serve returns an error wrapping
// errors.ErrUnsupported.
type Mmap struct {
	// HugePages aligns blocks of 2 MiB and more to 2 MiB and asks Linux to back
	// them with huge pages, which saves TLB misses where much memory is accessed at
	// random or with gaps. What is behind the last whole 2 MiB of a block, and a smaller
	// block, has pages like any other. Elsewhere it does nothing.
	//
	// Off by default: the first touch then clears 2 MiB, waits for the kernel
	// to free 2 MiB in one piece, and makes 2 MiB resident even for one object. Where a
	// part is discarded, the kernel may make one huge page of the rest again later, with
	// that part resident (khugepaged, max_ptes_none). Go itself stopped asking when it
	// stalled programs, golang/go#61718.
	HugePages bool

	// Name labels the blocks in Linux's /proc/self/maps and smaps, as
	// [anon:Name], where the kernel can (5.17 and later, if so configured).
	// It is cut to 79 bytes, and what the kernel does not allow in it becomes
	// an underscore. Costs a system call a block.
	Name string
}

// mapped is what all Mmap values have out. A block is noted with the mapping that
// must go with it, a []byte, unless that is the block itself.
var mapped ledger

func (l *loan) mapping() []byte {
	if whole, ok := l.note.([]byte); ok {
		return whole
	}
	return l.block
}

// addressSpace is more than any of today's processors have.
const addressSpace = 1 << 60

// Acquire implements [Source]. It costs a system call, two more on Unix for an
// alignment beyond a page, as large blocks have with HugePages, and one for asking for
// those; three in all on Windows. Physical memory comes with the first touch.
func (m Mmap) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	unit := m.Granularity()
	n, ok := roundUp(size, unit)
	align = max(align, unit)
	if !ok || n > math.MaxInt-align || uint64(n+align) > addressSpace {
		return nil, errBeyond(size, align)
	}
	huge := m.HugePages && hugePage != 0 && n >= hugePage && n <= math.MaxInt-hugePage
	at := align
	if huge {
		at = max(align, hugePage)
	}
	block, whole, err := sysMap(n, at)
	if at > align && errors.Is(err, ErrExhausted) { // without, it is 2 MiB less of addresses
		block, whole, err = sysMap(n, align)
	}
	if err != nil {
		return nil, fmt.Errorf("blocksrc: mapping %d bytes at a multiple of %d: %w", n, align, err)
	}
	m.advise(block, huge)
	if len(whole) == len(block) {
		mapped.add(block, nil)
	} else {
		mapped.add(block, whole)
	}
	return block, nil
}

// Release implements [Source]. It costs a system call, and the unmapping of
// every page touched. When it fails, as on Linux with ENOMEM while the process
// has as many mappings as vm.max_map_count allows, the block is still held.
func (Mmap) Release(block []byte) error {
	loan, err := mapped.take(block)
	if err != nil {
		return err
	}
	// Taken first: once it is unmapped, another goroutine may get its address.
	if err := sysUnmap(loan.mapping()); err != nil {
		mapped.add(loan.block, loan.note)
		return fmt.Errorf("blocksrc: unmapping %d bytes: %w", len(loan.mapping()), err)
	}
	return nil
}

// Discard implements [Discarder]. It costs a system call.
//
// Linux takes the pages at once and they read as zero afterwards. Darwin, the
// BSDs and Solaris take them when they need them (MADV_FREE), so that until the
// next write a page reads as before or as zero. So does Windows (MEM_RESET),
// which keeps counting them as committed. AIX has nothing of the kind.
func (Mmap) Discard(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	if _, err := mapped.around(part); err != nil {
		return err
	}
	page := sysPage()
	from := padding(part, page)
	if len(part)-from < page {
		return nil
	}
	pages := part[from : from+(len(part)-from)&^(page-1)]
	if err := sysDiscard(pages); err != nil {
		return fmt.Errorf("blocksrc: discarding %d bytes: %w", len(pages), err)
	}
	return nil
}

// Granularity implements [Granular]: the size of a page, 64 KiB on Windows.
func (Mmap) Granularity() int { return sysUnit() }

// Zeroed implements [Zeroer]: true.
func (Mmap) Zeroed() bool { return true }
