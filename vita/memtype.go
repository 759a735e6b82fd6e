// The kinds of memory that a program can ask the kernel for, and the unit in which each
// comes.

package vita

import "fmt"

// MemType is the type of a memory block, SceKernelMemBlockType. One number of the SDK says
// which memory it is, how it is cached and how it may be accessed.
type MemType uint32

// The types that user programs can allocate, with the SDK's names without the prefix
// SCE_KERNEL_MEMBLOCK_TYPE_. NC means not cached, R means read-only.
const (
	UserRW       MemType = 0x0C20D060 // USER_RW, what a program usually wants
	UserNCRW     MemType = 0x0C208060 // USER_RW_UNCACHE
	UserR        MemType = 0x0C20D040 // USER_MAIN_R
	UserDeviceRW MemType = 0x0C200860 // USER_MAIN_DEVICE_RW
	GameRW       MemType = 0x0C50D060 // USER_MAIN_GAME_RW
	PhycontRW    MemType = 0x0C80D060 // USER_MAIN_PHYCONT_RW, physically contiguous
	PhycontNCRW  MemType = 0x0D808060 // USER_MAIN_PHYCONT_NC_RW
	CDRAMRW      MemType = 0x09408060 // USER_CDRAM_RW, the video memory
	CDRAMR       MemType = 0x09408040 // USER_CDRAM_R
	CDRAML1RW    MemType = 0x09404060 // USER_CDRAM_L1WBWA_RW

	MainCDialogRW   MemType = 0x0CA0D060 // USER_MAIN_CDIALOG_RW, for system dialogs
	MainCDialogNCRW MemType = 0x0CA08060 // USER_MAIN_CDIALOG_NC_RW
	CDialogRW       MemType = 0x0E20D060 // USER_CDIALOG_RW
	CDialogR        MemType = 0x0E20D040 // USER_CDIALOG_R
	CDialogNCRW     MemType = 0x0E208060 // USER_CDIALOG_NC_RW
	CDialogNCR      MemType = 0x0E208040 // USER_CDIALOG_NC_R

	ToolRW   MemType = 0x0CF0D060 // USER_MAIN_TOOL_RW, on development kits
	ToolNCRW MemType = 0x0CF08060 // USER_MAIN_TOOL_NC_RW
)

// vmCode is the type that Info reports for a block of the VM domain. A program cannot ask
// for it: only AllocVM makes such blocks.
const vmCode MemType = 0x0C20D050

// memTypes holds what a type's number does not tell. For so few entries a linear search is
// fastest, and a map would need code that fills it.
var memTypes = [...]struct {
	t    MemType
	name string
	pool Pool
}{
	{UserRW, "USER_RW", UserPool},
	{UserNCRW, "USER_RW_UNCACHE", UserPool},
	{UserR, "USER_MAIN_R", UserPool},
	{UserDeviceRW, "USER_MAIN_DEVICE_RW", UserPool},
	{GameRW, "USER_MAIN_GAME_RW", UserPool},
	{PhycontRW, "USER_MAIN_PHYCONT_RW", PhycontPool},
	{PhycontNCRW, "USER_MAIN_PHYCONT_NC_RW", PhycontPool},
	{CDRAMRW, "USER_CDRAM_RW", CDRAMPool},
	{CDRAMR, "USER_CDRAM_R", CDRAMPool},
	{CDRAML1RW, "USER_CDRAM_L1WBWA_RW", CDRAMPool},
	{MainCDialogRW, "USER_MAIN_CDIALOG_RW", CDialogPool},
	{MainCDialogNCRW, "USER_MAIN_CDIALOG_NC_RW", CDialogPool},
	{CDialogRW, "USER_CDIALOG_RW", CDialogPool},
	{CDialogR, "USER_CDIALOG_R", CDialogPool},
	{CDialogNCRW, "USER_CDIALOG_NC_RW", CDialogPool},
	{CDialogNCR, "USER_CDIALOG_NC_R", CDialogPool},
	{ToolRW, "USER_MAIN_TOOL_RW", ToolPool},
	{ToolNCRW, "USER_MAIN_TOOL_NC_RW", ToolPool},
}

// row returns the index of t in memTypes, or -1 if t is not known.
func (t MemType) row() int {
	for i := range memTypes {
		if memTypes[i].t == t {
			return i
		}
	}
	return -1
}

// The fields of a type's number.
const (
	cacheMask   MemType = 0xFF00
	cacheWBWA   MemType = 0xD000 // write-back, write-allocate
	accessMask  MemType = 0x00FF
	accessRead  MemType = 0x0040
	accessWrite MemType = 0x0060
)

// Known tells whether t is one of the types above.
func (t MemType) Known() bool { return t.row() >= 0 }

// Granule is the unit of address and size of blocks of type t, in bytes: 256 KiB
// for CDRAM, 1 MiB for PHYCONT, 4 KiB for all others.
func (t MemType) Granule() int { return t.Pool().granule() }

func (p Pool) granule() int {
	switch p {
	case CDRAMPool:
		return 256 << 10
	case PhycontPool, VMPool:
		return 1 << 20
	}
	return 4 << 10
}

// Cached tells whether the CPU accesses blocks of type t at the speed of its caches. If
// not, keep an allocator's records (its MetaSource), locks and atomics elsewhere.
// CDRAML1RW is cached in part and does not count as cached.
func (t MemType) Cached() bool { return t&cacheMask == cacheWBWA }

// Writable tells whether a program may write to blocks of type t.
func (t MemType) Writable() bool { return t&accessMask == accessWrite }

// Pool is the pool that blocks of type t are taken from, or UserPool if t is not known.
func (t MemType) Pool() Pool {
	if i := t.row(); i >= 0 {
		return memTypes[i].pool
	}
	return UserPool
}

// String returns the SDK's name without its prefix, or the number in hexadecimal.
func (t MemType) String() string {
	if i := t.row(); i >= 0 {
		return memTypes[i].name
	}
	if t == vmCode {
		return "USER_RX"
	}
	return fmt.Sprintf("type 0x%08X", uint32(t))
}

// Pool is a part of the console's memory with a budget of its own.
type Pool uint8

// The pools. VMPool is the domain for code made at run time: no type takes from it, only
// AllocVM does.
const (
	UserPool    Pool = iota // main memory
	CDRAMPool               // video memory
	PhycontPool             // main memory, physically contiguous
	CDialogPool             // reserved for system dialogs
	ToolPool                // on development kits
	VMPool
	numPools
)

var poolNames = [numPools]string{"user", "CDRAM", "PHYCONT", "cdialog", "tool", "VM"}

// String returns the pool's name.
func (p Pool) String() string {
	if p < numPools {
		return poolNames[p]
	}
	return fmt.Sprintf("pool %d", uint8(p))
}
