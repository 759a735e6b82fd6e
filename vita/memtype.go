// The kinds of memory that a program can ask the kernel for, and what each of
// them costs at least.

package vita

import "fmt"

// MemType is the type of a memory block, SceKernelMemBlockType: which memory it
// is, how it is cached and what may be done with it, in one number of the SDK.
type MemType uint32

// The types that user programs can allocate, with the names of the SDK less
// SCE_KERNEL_MEMBLOCK_TYPE_. NC is not cached, R is read only.
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

// vmCode is the type that a block of the VM domain is reported with. A program
// cannot allocate it, only AllocVM can.
const vmCode MemType = 0x0C20D050

// memTypes says of each type what its number does not. So few are found soonest by
// looking, and a map would be code that fills it.
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

// row returns the place of t in memTypes, less than 0 if it is not known.
func (t MemType) row() int {
	for i := range memTypes {
		if memTypes[i].t == t {
			return i
		}
	}
	return -1
}

// The fields of the number.
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

// Cached tells whether the CPU works in blocks of type t at the speed of its
// caches. Where it does not, nor should it: keep an allocator's records (its
// MetaSource), locks and atomics elsewhere. CDRAML1RW, cached in part, is not.
func (t MemType) Cached() bool { return t&cacheMask == cacheWBWA }

// Writable tells whether a program may write to blocks of type t.
func (t MemType) Writable() bool { return t&accessMask == accessWrite }

// Pool is the pool that blocks of type t are taken from; UserPool for a type that is
// not known.
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

// The pools. VMPool is the domain for code made at run time, which no type but
// AllocVM takes from.
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
