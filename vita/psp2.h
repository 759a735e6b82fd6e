// The memory calls of SceSysmem: from the SDK where there is one, and otherwise
// declared here, so that the binding compiles and is tested without.

#ifndef DEBLOCKATOR_PSP2_H
#define DEBLOCKATOR_PSP2_H

#include <stddef.h>
#include <stdint.h>

#if defined(__vita__)
#include <psp2/kernel/sysmem.h>
#else

typedef int SceUID;
typedef unsigned int SceSize;
typedef uint32_t SceUInt32;
typedef SceUInt32 SceKernelMemBlockType;

#define SCE_KERNEL_ALLOC_MEMBLOCK_ATTR_HAS_ALIGNMENT 0x00000004U

typedef struct SceKernelAllocMemBlockOpt {
	SceSize size; // of this struct
	SceUInt32 attr;
	SceSize alignment; // if attr says so
	SceUInt32 uidBaseBlock;
	const char *strBaseBlockName;
	int flags;
	int reserved[10];
} SceKernelAllocMemBlockOpt;

typedef struct SceKernelMemBlockInfo {
	SceSize size; // of this struct
	void *mappedBase;
	SceSize mappedSize;
	int memoryType;
	SceUInt32 access;
	SceKernelMemBlockType type;
} SceKernelMemBlockInfo;

typedef struct SceKernelFreeMemorySizeInfo {
	int size; // of this struct
	int size_user;
	int size_cdram;
	int size_phycont;
} SceKernelFreeMemorySizeInfo;

SceUID sceKernelAllocMemBlock(const char *name, SceKernelMemBlockType type, SceSize size, SceKernelAllocMemBlockOpt *opt);
int sceKernelFreeMemBlock(SceUID uid);
int sceKernelGetMemBlockBase(SceUID uid, void **base);
SceUID sceKernelFindMemBlockByAddr(const void *addr, SceSize size);
int sceKernelGetMemBlockInfoByAddr(void *base, SceKernelMemBlockInfo *info);
int sceKernelGetFreeMemorySize(SceKernelFreeMemorySizeInfo *info);
SceUID sceKernelAllocMemBlockForVM(const char *name, SceSize size);
int sceKernelSyncVMDomain(SceUID uid, void *data, SceSize size);
int sceKernelOpenVMDomain(void);
int sceKernelCloseVMDomain(void);

#endif

// The layouts are those of a console, where pointers have 32 bits, whoever has
// declared them. Elsewhere they only have to be the same on both sides.
#if UINTPTR_MAX == 0xFFFFFFFFU
#define LAYOUT(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), #type "." #member)
_Static_assert(sizeof(SceKernelAllocMemBlockOpt) == 0x40, "SceKernelAllocMemBlockOpt");
LAYOUT(SceKernelAllocMemBlockOpt, size, 0x00);
LAYOUT(SceKernelAllocMemBlockOpt, attr, 0x04);
LAYOUT(SceKernelAllocMemBlockOpt, alignment, 0x08);
LAYOUT(SceKernelAllocMemBlockOpt, uidBaseBlock, 0x0C);
LAYOUT(SceKernelAllocMemBlockOpt, strBaseBlockName, 0x10);
LAYOUT(SceKernelAllocMemBlockOpt, flags, 0x14);
LAYOUT(SceKernelAllocMemBlockOpt, reserved, 0x18);
_Static_assert(sizeof(SceKernelMemBlockInfo) == 0x18, "SceKernelMemBlockInfo");
LAYOUT(SceKernelMemBlockInfo, size, 0x00);
LAYOUT(SceKernelMemBlockInfo, mappedBase, 0x04);
LAYOUT(SceKernelMemBlockInfo, mappedSize, 0x08);
LAYOUT(SceKernelMemBlockInfo, memoryType, 0x0C);
LAYOUT(SceKernelMemBlockInfo, access, 0x10);
LAYOUT(SceKernelMemBlockInfo, type, 0x14);
_Static_assert(sizeof(SceKernelFreeMemorySizeInfo) == 0x10, "SceKernelFreeMemorySizeInfo");
LAYOUT(SceKernelFreeMemorySizeInfo, size_user, 0x04);
LAYOUT(SceKernelFreeMemorySizeInfo, size_cdram, 0x08);
LAYOUT(SceKernelFreeMemorySizeInfo, size_phycont, 0x0C);
#undef LAYOUT
#endif

#endif
