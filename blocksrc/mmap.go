// Blocks straight from the operating system, whatever it calls them.

package blocksrc

import (
	"errors"
	"fmt"
	"math"
	"runtime"
)

// Mmap maps each block from the operating system: mmap on Unix, VirtualAlloc on Windows.
// The zero value is ready. A Mmap may be copied and is goroutine-safe.
//
// All Mmap values are one source with different options: a block may be released through
// any of them.
//
// The memory is outside Go's heap. The collector neither scans nor counts it, so moving
// much data there makes collections cheap and, unless GOGC is raised, frequent. Only the
// program keeps a block alive: a pointer used after Release ends the program with a
// fault.
//
// Any alignment is possible. Unix unmaps at once what was mapped in excess for an
// alignment. Windows cannot free part of a mapping, so there an alignment beyond 64 KiB
// costs up to that much address space until Release, but no memory. Requests are bounded
// by the address space and by what the system is willing to promise. By default Linux
// promises no mapping larger than the machine's memory, even if most of it is for an
// alignment. Windows promises no more than its paging files can hold.
//
// On Unix do not wait for [ErrExhausted]: the system promises memory that it may not have,
// and ends a program that writes to it. Where it does refuse, because of a limit on the
// process's memory or on its number of mappings, it refuses Go as well, whose runtime ends
// the program when it needs memory next. Wrap Mmap in [Limit] to get an error at a budget.
//
// Under js, wasip1, plan9, TinyGo and the build tag vita there is no such memory:
// every Acquire that another source could serve returns an error wrapping
// errors.ErrUnsupported.
type Mmap struct {
	// HugePages aligns blocks of 2 MiB and more to 2 MiB and asks Linux to back them with
	// huge pages, which saves TLB misses where much memory is accessed at random or with
	// gaps. Smaller blocks, and what follows the last whole 2 MiB of a block, have
	// ordinary pages. On other systems HugePages does nothing.
	//
	// It is off by default: with it the first touch clears 2 MiB, waits for the kernel to
	// free 2 MiB in one piece, and makes 2 MiB resident even for one object. After part of
	// a huge page is discarded, the kernel may later make one huge page of the whole
	// again, with that part resident (khugepaged, max_ptes_none). Go itself stopped asking
	// when it stalled programs, golang/go#61718.
	HugePages bool

	// Name labels the blocks in Linux's /proc/self/maps and smaps, as [anon:Name], where
	// the kernel can (5.17 and later, if so configured). It is cut to 79 bytes, and every
	// character that the kernel does not allow becomes an underscore. It costs a system
	// call a block.
	Name string
}

// mapped holds what all Mmap values have out. A block's note is the mapping that must go
// with it, a []byte, or nil if that is the block itself.
var mapped ledger

func (l *loan) mapping() []byte {
	if whole, ok := l.note.([]byte); ok {
		return whole
	}
	return l.block
}

// addressSpace returns more than a process can have: of the most common systems, what they give
// out if not asked for a place beyond it; of others, more than today's processors can address.
func addressSpace() uint64 {
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		switch runtime.GOARCH {
		case "amd64":
			return 1 << 47
		case "arm64":
			return 1 << 48
		}
	}
	return 1 << 60
}

// Acquire implements [Source]. On Unix it costs one system call, two more for an
// alignment beyond a page, as large blocks have with HugePages, and one to ask for huge
// pages. On Windows it costs three. Physical memory comes with the first touch or with
// Populate.
func (m Mmap) Acquire(size, align int) ([]byte, error) {
	if err := CheckRequest(size, align); err != nil {
		return nil, err
	}
	unit := m.Granularity()
	n, ok := roundUp(size, unit)
	align = max(align, unit)
	if !ok || n > math.MaxInt-align || uint64(n+align-unit) >= addressSpace() {
		return nil, errBeyond(size, align)
	}
	huge := m.HugePages && hugePage != 0 && n >= hugePage && n <= math.MaxInt-hugePage
	at := align
	if huge {
		at = max(align, hugePage)
	}
	block, whole, err := sysMap(n, at)
	if at > align && errors.Is(err, ErrExhausted) { // align alone takes up to 2 MiB less
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

// Release implements [Source]. It costs a system call, and the unmapping of every page
// touched. If it fails, as on Linux with ENOMEM while the process has as many mappings as
// vm.max_map_count allows, the block is still held.
func (Mmap) Release(block []byte) error {
	loan, err := mapped.take(block)
	if err != nil {
		return err
	}
	// Taken out first: once the block is unmapped, another goroutine may get its address.
	if err := sysUnmap(loan.mapping()); err != nil {
		mapped.add(loan.block, loan.note)
		return fmt.Errorf("blocksrc: unmapping %d bytes: %w", len(loan.mapping()), err)
	}
	return nil
}

// Discard implements [Discarder]. It costs a system call.
//
// Linux takes the pages at once, and they read as zero afterwards. Darwin, the BSDs and
// Solaris take them when they need memory (MADV_FREE): until the next write a page reads
// as before or as zero. Windows does the same (MEM_RESET) but still counts the pages as
// committed. AIX has nothing of the kind.
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

// Populate implements [Populator] on Linux 5.14 and later. It costs a system call, and for
// each page about half of a page fault or less.
func (Mmap) Populate(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	loan, err := mapped.around(part)
	if err != nil {
		return err
	}
	mask := uintptr(sysPage() - 1)
	from := address(part) - address(loan.block)
	to := (from + uintptr(len(part)) + mask) &^ mask
	if err := sysPopulate(loan.block[from&^mask : to]); err != nil {
		return fmt.Errorf("blocksrc: populating %d bytes: %w", len(part), err)
	}
	return nil
}

// Granularity implements [Granular]: the size of a page, 64 KiB on Windows.
func (Mmap) Granularity() int { return sysUnit() }

// Zeroed implements [Zeroer]: true.
func (Mmap) Zeroed() bool { return true }
