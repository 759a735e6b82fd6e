//go:build vita && cgo

// The console's kernel, with one C function for each call. Only numbers, names and
// pointers to results cross between Go and C. No function returns a struct, because TinyGo
// and C differ in how that is done.

package vita

/*
#include "psp2.h"

typedef struct {
	uintptr_t base;
	uint32_t size;
	int32_t memory_type;
	uint32_t access;
	uint32_t type;
} vita_info_result;

typedef struct {
	int32_t user, cdram, phycont;
} vita_sizes_result;

static int32_t vita_alloc(const char *name, uint32_t type, uint32_t size, uint32_t align) {
	SceKernelAllocMemBlockOpt opt = {0};
	if (align == 0)
		return sceKernelAllocMemBlock(name, (SceKernelMemBlockType)type, size, NULL);
	opt.size = sizeof opt;
	opt.attr = SCE_KERNEL_ALLOC_MEMBLOCK_ATTR_HAS_ALIGNMENT;
	opt.alignment = align;
	return sceKernelAllocMemBlock(name, (SceKernelMemBlockType)type, size, &opt);
}

static int32_t vita_find(uintptr_t addr, uint32_t size) {
	return sceKernelFindMemBlockByAddr((const void *)addr, size);
}

static int32_t vita_info(uintptr_t addr, vita_info_result *r) {
	SceKernelMemBlockInfo info = {0};
	info.size = sizeof info;
	int32_t status = sceKernelGetMemBlockInfoByAddr((void *)addr, &info);
	r->base = (uintptr_t)info.mappedBase;
	r->size = info.mappedSize;
	r->memory_type = info.memoryType;
	r->access = info.access;
	r->type = info.type;
	return status;
}

static int32_t vita_sizes(vita_sizes_result *r) {
	SceKernelFreeMemorySizeInfo info = {0};
	info.size = sizeof info;
	int32_t status = sceKernelGetFreeMemorySize(&info);
	r->user = info.size_user;
	r->cdram = info.size_cdram;
	r->phycont = info.size_phycont;
	return status;
}

static int32_t vita_sync(int32_t uid, uintptr_t addr, uint32_t size) {
	return sceKernelSyncVMDomain(uid, (void *)addr, size);
}
*/
import "C"

import "unsafe"

// Native returns the kernel of the console that the program runs on. The error is
// nil here; elsewhere it wraps errors.ErrUnsupported.
func Native() (Kernel, error) { return native{}, nil }

type native struct{}

func (native) Alloc(name string, t MemType, size, align uint32) (UID, Code) {
	n := append([]byte(name), 0)
	return result(C.vita_alloc((*C.char)(unsafe.Pointer(&n[0])), C.uint32_t(t), C.uint32_t(size), C.uint32_t(align)))
}

func (native) Free(uid UID) Code { return Code(C.sceKernelFreeMemBlock(C.SceUID(uid))) }

func (native) Base(uid UID) (unsafe.Pointer, Code) {
	var base unsafe.Pointer
	status := C.sceKernelGetMemBlockBase(C.SceUID(uid), &base)
	return base, Code(status)
}

func (native) Find(addr uintptr, size uint32) (UID, Code) {
	return result(C.vita_find(C.uintptr_t(addr), C.uint32_t(size)))
}

func (native) Info(addr uintptr) (Info, Code) {
	var r C.vita_info_result
	status := C.vita_info(C.uintptr_t(addr), &r)
	if status < 0 {
		return Info{}, Code(status)
	}
	return Info{
		Base: uintptr(r.base), Size: uint32(r.size), MemoryType: int32(r.memory_type),
		Access: uint32(r.access), Type: MemType(r._type),
	}, Code(status)
}

func (native) FreeSizes() (FreeSizes, Code) {
	var r C.vita_sizes_result
	status := C.vita_sizes(&r)
	return FreeSizes{User: int32(r.user), CDRAM: int32(r.cdram), Phycont: int32(r.phycont)}, Code(status)
}

func (native) AllocVM(name string, size uint32) (UID, Code) {
	n := append([]byte(name), 0)
	return result(C.int32_t(C.sceKernelAllocMemBlockForVM((*C.char)(unsafe.Pointer(&n[0])), C.SceSize(size))))
}

func (native) OpenVM() Code { return Code(C.sceKernelOpenVMDomain()) }

func (native) CloseVM() Code { return Code(C.sceKernelCloseVMDomain()) }

func (native) SyncVM(uid UID, addr uintptr, size uint32) Code {
	return Code(C.vita_sync(C.int32_t(uid), C.uintptr_t(addr), C.uint32_t(size)))
}

// result splits a number that is either a UID or a status.
func result(r C.int32_t) (UID, Code) {
	if r < 0 {
		return 0, Code(r)
	}
	return UID(r), OK
}
