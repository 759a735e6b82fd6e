// The kernel's calls, as they are: numbers in, a status out.

package vita

import "unsafe"

// A Kernel is the part of the console's kernel that gives memory, SceSysmem.
// [Native] is the console's own and [Sim] a simulation. All methods are
// goroutine-safe.
//
// It is as raw as the system calls: nothing is checked, rounded or remembered.
// [Source] does that; use a Kernel itself for what a Source is not for, such as
// code made at run time. A status below 0 is a failure, of which nothing else is
// to be expected than that nothing has changed.
//
// Addresses are numbers, for comparing and for the kernel to look up. The one
// pointer is the one from Base.
type Kernel interface {
	// Alloc makes a block of size bytes, a multiple of t's granule. A name has at
	// most 31 bytes and need not be unique. Without an alignment, 0, the address
	// is a multiple of the granule; else of align, a power of two, too.
	//
	// Consoles have refused an alignment with PHYCONT types.
	Alloc(name string, t MemType, size, align uint32) (UID, Code)

	// Free ends a block of Alloc or AllocVM. Do it once: the number of a freed
	// block may at once be that of another thread's.
	Free(uid UID) Code

	// Base returns where a block begins.
	Base(uid UID) (unsafe.Pointer, Code)

	// Find returns the block at an address. The bytes from there up to size
	// must be its own, if the kernel looks at size at all.
	Find(addr uintptr, size uint32) (UID, Code)

	// Info describes the block at an address.
	Info(addr uintptr) (Info, Code)

	// FreeSizes returns what is left in three pools. It is a hint: real
	// consoles report less than nothing and still have some.
	FreeSizes() (FreeSizes, Code)

	// AllocVM makes a block for code: size is a multiple of 1 MiB, and all such
	// blocks together have at most 16 MiB.
	AllocVM(name string, size uint32) (UID, Code)

	// OpenVM makes the blocks of AllocVM writable, CloseVM executable; SyncVM
	// makes what was written to one of them visible to the CPU's fetches.
	OpenVM() Code
	CloseVM() Code
	SyncVM(uid UID, addr uintptr, size uint32) Code
}

// UID names a block. 0 may be one; see the status for whether there is one.
type UID int32

// Info is what a Kernel knows of a block, SceKernelMemBlockInfo.
type Info struct {
	Base       uintptr
	Size       uint32
	MemoryType int32  // 0xD0 cached, 0x80 not; Vita3K says 0
	Access     uint32 // 4 read, 2 write, 1 execute; Vita3K says 0
	Type       MemType
}

// FreeSizes is what is left of three pools in bytes, as far as the kernel can
// tell, SceKernelFreeMemorySizeInfo. Any of them may be negative.
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

// maxName is how many bytes the name of a block may have, SCE_UID_NAMELEN.
const maxName = 31
