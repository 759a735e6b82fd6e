// The simulated kernel: what a console has, what the kernel records of blocks, and the
// calls that free a block or look something up.

package vita

import (
	"math"
	"strings"
	"sync"
	"unsafe"
)

// Console describes what a [Sim] simulates. The zero value is the console that a program
// packed with today's vitasdk finds: 365 MiB of main memory, of which newlib's heap takes
// 128, 112 MiB of CDRAM, 26 MiB of PHYCONT, and 16 MiB for the VM domain. It does not count
// the program's own image and stacks, about 7 MiB of main memory in one report: subtract
// those from User.
//
// Sizes are in bytes. 0 means the default, and a negative number means none: a process does
// not have a pool without a budget.
type Console struct {
	Profile Profile

	User    int // main memory; Base256, Plus29, Plus77, or by default Plus109
	CDRAM   int // 112 MiB by default
	Phycont int // 26 MiB by default
	CDialog int // 8.8 MiB by default
	Tool    int // none by default: only development kits have some
	VM      int // 16 MiB by default

	// Heap is how much of User newlib takes before main, for malloc: 128 MiB by default.
	// A program changes it with _newlib_heap_size_user.
	Heap int

	// Addresses is the length of the address range for cached blocks of main memory, 512
	// MiB by default. A short range fragments early.
	Addresses int

	// Skew is subtracted from what FreeSizes reports for main memory. That may make it
	// negative, as it has been on consoles, but not in Vita3K.
	Skew int

	// MaxBlocks is the maximum number of live blocks, 4096 by default. A console's limit
	// is not known.
	MaxBlocks int

	// ReuseUID gives a new block the UID of the block freed last, which exposes a program
	// that frees a block twice. By default no UID is reused.
	ReuseUID bool

	// Lenient makes Alloc round sizes up to the granule instead of refusing them. What a
	// console does is not known.
	Lenient bool
}

// Sizes of main memory that a program's package can ask for, in the field ATTRIBUTE2 of its
// param.sfo.
const (
	Base256 = 256 << 20
	Plus29  = 285 << 20
	Plus77  = 333 << 20
	Plus109 = 365 << 20 // what vitasdk's vita-mksfoex asks for by default
)

// Profile says whose behaviour a [Sim] shows where the console and Vita3K differ.
type Profile uint8

const (
	// Hardware is the console, as far as programs on it have reported. It enforces
	// budgets, and its code for exhaustion depends on the pool.
	Hardware Profile = iota

	// Vita3K is the emulator. It has no budgets but the limit of a Sim, no limit on the
	// number of blocks, and one code for all exhaustion. It accepts any type and any size,
	// truncates names, and zeroes fresh blocks. A block takes up to twice the address
	// space, more with a large alignment. Counters of free memory rise by only 24 bytes
	// when a block is freed. A program that fits in Vita3K need not fit on a console.
	Vita3K
)

// What each byte of a block of a [Sim] holds when the block is fresh (zero in Vita3K), and after it
// was freed.
const (
	FreshByte = 0xA5
	FreedByte = 0xDD
)

// Limits of the simulation itself, which it reports as exhaustion: its blocks are Go memory,
// and Go ends a program that runs out of that.
const (
	maxSimBytes = 640 << 20
	maxSimAlign = 16 << 20
)

// A Sim is a [Kernel] in Go, for development and tests on any system. Whatever its console
// has, a Sim has at most 640 MiB for all blocks and aligns to at most 16 MiB. Of the 640 MiB
// each block takes its size and twice its alignment, which is at least its granule. Blocks
// are Go byte slices, so the race detector watches them, and are never better aligned than
// was asked for. A Sim is goroutine-safe; NewSim makes one.
//
// A block's place in the console's address space is simulated too, so a Sim can refuse a block
// for want of addresses in a row while there is memory (see Console.Addresses).
type Sim struct {
	con   Console
	limit [numPools]int64

	mu     sync.Mutex
	blocks map[UID]*simBlock
	space  space
	uids   uids
	pools  [numPools]poolCount
	bytes  int64 // of Go memory behind the blocks
	faults faults
	open   bool // the VM domain is open
}

type simBlock struct {
	uid  UID
	name string
	t    MemType
	pool Pool
	at   span   // in the console's address space
	mem  []byte // exactly the block
	cost int64  // bytes of Go memory, including what the alignment takes
}

type poolCount struct {
	held, peak    int64
	blocks, total int
	lost          int64 // Vita3K: freed bytes that its counter still takes for held
}

// NewSim returns the kernel of a console on which no program has run yet.
func NewSim(c Console) *Sim {
	orElse := func(n *int, def int) {
		switch {
		case *n == 0:
			*n = def
		case *n < 0:
			*n = 0
		}
	}
	orElse(&c.User, Plus109)
	orElse(&c.CDRAM, 112<<20)
	orElse(&c.Phycont, 26<<20)
	orElse(&c.CDialog, 0x8C6000)
	orElse(&c.Tool, 0)
	orElse(&c.VM, 16<<20)
	orElse(&c.Heap, 128<<20)
	orElse(&c.Addresses, 512<<20)
	orElse(&c.MaxBlocks, 4096)
	s := &Sim{con: c, blocks: make(map[UID]*simBlock), uids: uids{reuse: c.ReuseUID}}
	for p, n := range [numPools]int{
		UserPool: c.User, CDRAMPool: c.CDRAM, PhycontPool: c.Phycont,
		CDialogPool: c.CDialog, ToolPool: c.Tool, VMPool: c.VM,
	} {
		s.limit[p] = int64(n)
	}
	if heap := min(int64(c.Heap), s.limit[UserPool], int64(c.Addresses)); heap > 0 {
		s.space.take(s.window(UserRW, UserPool), uint64(heap), uint64(UserRW.Granule()), nil)
		s.pools[UserPool] = poolCount{held: heap, peak: heap}
	}
	return s
}

// v3kStruct is how many bytes Vita3K counts as free again when a block is freed: the size of
// its record of the block.
const v3kStruct = 24

// Free implements [Kernel].
func (s *Sim) Free(uid UID) Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallFree); ok {
		return code
	}
	b, ok := s.blocks[uid]
	if !ok {
		if s.con.Profile == Vita3K {
			return IllegalBlockID
		}
		return InvalidUID
	}
	delete(s.blocks, uid)
	s.uids.put(uid)
	s.space.drop(b.at)
	p := &s.pools[b.pool]
	p.held -= int64(len(b.mem))
	p.blocks--
	p.lost += int64(len(b.mem)) - v3kStruct
	s.bytes -= b.cost
	fill(b.mem, FreedByte)
	return OK
}

// Base implements [Kernel].
func (s *Sim) Base(uid UID) (unsafe.Pointer, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallBase); ok {
		return nil, code
	}
	b, ok := s.blocks[uid]
	if !ok {
		return nil, InvalidUID
	}
	return unsafe.Pointer(unsafe.SliceData(b.mem)), OK
}

// Find implements [Kernel].
func (s *Sim) Find(addr uintptr, size uint32) (UID, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallFind); ok {
		return 0, code
	}
	b := s.around(addr)
	if b == nil {
		return 0, BlockError
	}
	if rest := uintptr(len(b.mem)) - (addr - address(b.mem)); s.con.Profile == Hardware && uintptr(size) > rest {
		return 0, BlockError
	}
	return b.uid, OK
}

// Info implements [Kernel].
func (s *Sim) Info(addr uintptr) (Info, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallInfo); ok {
		return Info{}, code
	}
	b := s.around(addr)
	if b == nil {
		return Info{}, BlockError
	}
	info := Info{Base: address(b.mem), Size: uint32(len(b.mem)), Type: b.t}
	if s.con.Profile == Hardware {
		info.MemoryType, info.Access = b.t.memoryType(), b.t.access()
	}
	return info, OK
}

// around finds the block that contains an address. A linear search will do: there are tens
// of blocks, and a program that looks them up by address does something wrong anyway.
func (s *Sim) around(addr uintptr) *simBlock {
	for _, b := range s.blocks {
		if at := address(b.mem); addr >= at && addr-at < uintptr(len(b.mem)) {
			return b
		}
	}
	return nil
}

// FreeSizes implements [Kernel].
func (s *Sim) FreeSizes() (FreeSizes, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallFreeSizes); ok {
		return FreeSizes{}, code
	}
	left := func(p Pool, skew int) int64 {
		n := s.limit[p] - s.pools[p].held - int64(skew)
		if s.con.Profile == Vita3K {
			return max(0, n-s.pools[p].lost)
		}
		return n
	}
	clamp := func(n int64) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }
	return FreeSizes{
		User:    clamp(left(UserPool, s.con.Skew)),
		CDRAM:   clamp(left(CDRAMPool, 0)),
		Phycont: clamp(left(PhycontPool, 0)),
	}, OK
}

// memoryType and access are what Info reports for a type.
func (t MemType) memoryType() int32 { return int32(t & cacheMask >> 8) }

func (t MemType) access() uint32 {
	switch t & accessMask {
	case accessWrite:
		return 6
	case accessRead:
		return 4
	}
	return 5
}

// uids hands out UIDs as the kernel might: odd numbers with gaps, or the UIDs of blocks
// freed before.
type uids struct {
	reuse bool
	free  []UID
	count uint32
}

func (u *uids) get(profile Profile) UID {
	if n := len(u.free); u.reuse && n > 0 {
		uid := u.free[n-1]
		u.free = u.free[:n-1]
		return uid
	}
	u.count++
	if profile == Vita3K {
		return UID(u.count)
	}
	// Multiplying by an odd number maps each count to a different number below 2^29.
	return UID(u.count*0x0F3A7B25&(1<<29-1)<<1 | 0x40000001)
}

func (u *uids) put(uid UID) {
	if u.reuse {
		u.free = append(u.free, uid)
	}
}

// fill sets every byte to b, by copying what stays in the CPU's cache.
func fill(mem []byte, b byte) {
	if len(mem) == 0 {
		return
	}
	mem[0] = b
	for n := 1; n < len(mem); {
		n += copy(mem[n:], mem[:min(n, 32<<10)])
	}
}

// cString returns name as the kernel sees it: up to the first zero byte.
func cString(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	return name
}
