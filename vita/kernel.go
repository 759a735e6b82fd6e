// The kernel's calls, as they are: numbers in, a status out.

package vita

import "unsafe"

// A Kernel is the part of the console's kernel that hands out memory, SceSysmem. [Native]
// returns the console's own, and [Sim] is a simulation. All methods are goroutine-safe.
//
// A Kernel is as raw as the system calls: it does not check, round or remember anything
// for the caller. [Source] does; use a Kernel itself for what a Source does not offer, such
// as memory for code made at run time. A negative status is a failure. A caller may then
// rely on nothing but that nothing has changed.
//
// Addresses are numbers, to compare and for the kernel to look up. Only Base returns a
// pointer.
type Kernel interface {
	// Alloc makes a block of size bytes, a multiple of t's granule. The name has at most
	// 31 bytes and need not be unique. The address is a multiple of the granule and,
	// unless align is 0, of align, a power of two.
	//
	// Consoles have refused alignments for PHYCONT types.
	Alloc(name string, t MemType, size, align uint32) (UID, Code)

	// Free frees a block of Alloc or AllocVM. Call it once: the UID of a freed block may
	// at once be that of another thread's block.
	Free(uid UID) Code

	// Base returns where a block begins.
	Base(uid UID) (unsafe.Pointer, Code)

	// Find returns the block that contains an address. If the kernel looks at size at
	// all, the size bytes from addr on must lie in that block.
	Find(addr uintptr, size uint32) (UID, Code)

	// Info describes the block that contains an address.
	Info(addr uintptr) (Info, Code)

	// FreeSizes returns what is left in three pools. It is a hint: real consoles report
	// negative sizes and still have memory.
	FreeSizes() (FreeSizes, Code)

	// AllocVM makes a block for code. Its size is a multiple of 1 MiB, and all such
	// blocks together have at most 16 MiB.
	AllocVM(name string, size uint32) (UID, Code)

	// OpenVM makes the blocks of AllocVM writable, and CloseVM makes them executable.
	// SyncVM makes what was written to one of them visible to instruction fetches.
	OpenVM() Code
	CloseVM() Code
	SyncVM(uid UID, addr uintptr, size uint32) Code
}

// UID names a block. 0 may be a UID: only the status tells whether a call returned one.
type UID int32

// Info is what a Kernel knows about a block, SceKernelMemBlockInfo.
type Info struct {
	Base       uintptr
	Size       uint32
	MemoryType int32  // such as 0xD0 cached, 0x80 not; Vita3K says 0
	Access     uint32 // 4 read, 2 write, 1 execute; Vita3K says 0
	Type       MemType
}

// FreeSizes is how many bytes are left in three pools, as far as the kernel can tell,
// SceKernelFreeMemorySizeInfo. Each number may be negative.
type FreeSizes struct {
	User, CDRAM, Phycont int32
}

// Call is the name of a system call.
type Call string

// The calls behind the methods of Kernel.
const (
	CallAlloc     Call = "sceKernelAllocMemBlock"
	CallFree      Call = "sceKernelFreeMemBlock"
	CallBase      Call = "sceKernelGetMemBlockBase"
	CallFind      Call = "sceKernelFindMemBlockByAddr"
	CallInfo      Call = "sceKernelGetMemBlockInfoByAddr"
	CallFreeSizes Call = "sceKernelGetFreeMemorySize"
	CallAllocVM   Call = "sceKernelAllocMemBlockForVM"
	CallOpenVM    Call = "sceKernelOpenVMDomain"
	CallCloseVM   Call = "sceKernelCloseVMDomain"
	CallSyncVM    Call = "sceKernelSyncVMDomain"
)

// maxName is the maximum length of a block's name in bytes, SCE_UID_NAMELEN.
const maxName = 31
