//go:build vita && vitafake && cgo

// The kernel's calls in C, with the ABI of the console's, so that the binding is
// executed and not only compiled. It knows the types, granules and struct sizes by
// itself, strictly: what the binding gets wrong must not be right here too.
//
// Memory comes from malloc, which every system has.

#include <stdlib.h>
#include <string.h>

#include "fake_sysmem.h"

enum {
	INVALID_ARGUMENT = 0x80020005,
	INVALID_ARGUMENT_SIZE = 0x80020009,
	UID_NAME_TOO_LONG = 0x80024002,
	NO_FREE_PHYSICAL_PAGE = 0x80024302,
	NO_FREE_PHYSICAL_PAGE_CDRAM = 0x80024309,
	INVALID_UID = 0x80024501,
	BLOCK_ERROR = 0x80024700,
	ILLEGAL_BLOCK_ID = 0x80024701,
	SYSMEM_ADDRESS_SPACE_ERROR = 0x80024A00,
	ILLEGAL_MEMBLOCK_TYPE = 0x80024B01,
	ILLEGAL_MEMBLOCK_SIZE = 0x80024B05,
	MEMBLOCK_RANGE_ERROR = 0x80024B09,
	MEMBLOCK_OVERFLOW = 0x80024B0B,
	NO_MEMORY = 0x8002710B,
};

enum pool { USER, CDRAM, PHYCONT, CDIALOG, TOOL, VM, POOLS };

enum { MAX_BLOCKS = 4096, NAMELEN = 31, RX = 0x0C20D050, MAX_ALIGN = 16 << 20 };

struct block {
	SceUID uid; // 0: unused
	SceKernelMemBlockType type;
	enum pool pool;
	SceSize size;
	unsigned char *base;
	void *whole;
};

static struct block blocks[MAX_BLOCKS];
static uint32_t count;
static int64_t limit[POOLS] = {(365 - 128) << 20, 112 << 20, 26 << 20, 0x8C6000, 0, 16 << 20};
static int64_t held[POOLS];

// Calls are short, so whoever waits may as well spin.
static char busy;

static void lock(void) {
	while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)) {
	}
}

static void unlock(void) { __atomic_clear(&busy, __ATOMIC_RELEASE); }

static int pool_of(SceKernelMemBlockType type) {
	switch (type) {
	case 0x0C20D060: case 0x0C208060: case 0x0C20D040: case 0x0C200860: case 0x0C50D060:
		return USER;
	case 0x09408060: case 0x09408040: case 0x09404060:
		return CDRAM;
	case 0x0C80D060: case 0x0D808060:
		return PHYCONT;
	case 0x0CA0D060: case 0x0CA08060: case 0x0E20D060: case 0x0E20D040: case 0x0E208060: case 0x0E208040:
		return CDIALOG;
	case 0x0CF0D060: case 0x0CF08060:
		return TOOL;
	}
	return -1;
}

static SceSize granule(enum pool pool) {
	switch (pool) {
	case CDRAM:
		return 0x40000;
	case PHYCONT: case VM:
		return 0x100000;
	default:
		return 0x1000;
	}
}

static struct block *find(SceUID uid) {
	for (int i = 0; uid > 0 && i < MAX_BLOCKS; i++)
		if (blocks[i].uid == uid)
			return &blocks[i];
	return NULL;
}

static struct block *around(const void *addr) {
	uintptr_t a = (uintptr_t)addr;
	for (int i = 0; i < MAX_BLOCKS; i++)
		if (blocks[i].uid && a >= (uintptr_t)blocks[i].base && a - (uintptr_t)blocks[i].base < blocks[i].size)
			return &blocks[i];
	return NULL;
}

// place takes a block at a multiple of align and not of twice that. The lock is held.
static SceUID place(SceKernelMemBlockType type, enum pool pool, SceSize size, SceSize align) {
	int full = pool == CDRAM ? NO_FREE_PHYSICAL_PAGE_CDRAM : pool == VM ? MEMBLOCK_OVERFLOW : NO_FREE_PHYSICAL_PAGE;
	struct block *b = NULL;
	if (limit[pool] == 0)
		return SYSMEM_ADDRESS_SPACE_ERROR;
	if (size > limit[pool] - held[pool] || align > MAX_ALIGN)
		return full;
	for (int i = 0; i < MAX_BLOCKS && !b; i++)
		if (!blocks[i].uid)
			b = &blocks[i];
	if (!b)
		return NO_MEMORY;
	void *whole = malloc((size_t)size + 2 * (size_t)align);
	if (!whole)
		return full;
	uintptr_t skip = (align - (uintptr_t)whole) & (2 * (uintptr_t)align - 1);
	b->whole = whole;
	b->base = (unsigned char *)whole + skip;
	b->size = size;
	b->type = type;
	b->pool = pool;
	b->uid = (SceUID)(0x40000001 | (++count * 0x0F3A7B25U & 0x1FFFFFFF) << 1);
	held[pool] += size;
	memset(b->base, 0xA5, size);
	return b->uid;
}

SceUID sceKernelAllocMemBlock(const char *name, SceKernelMemBlockType type, SceSize size, SceKernelAllocMemBlockOpt *opt) {
	int pool = pool_of(type);
	SceSize align = 0;
	if (!name)
		return INVALID_ARGUMENT;
	if (strlen(name) > NAMELEN)
		return UID_NAME_TOO_LONG;
	if (pool < 0)
		return ILLEGAL_MEMBLOCK_TYPE;
	if (opt && opt->size != sizeof *opt)
		return INVALID_ARGUMENT_SIZE;
	if (opt && opt->attr & ~4U)
		return INVALID_ARGUMENT;
	if (opt && opt->attr & 4U) {
		align = opt->alignment;
		if (align & (align - 1) || (align && pool == PHYCONT))
			return INVALID_ARGUMENT;
	}
	if (size == 0)
		return INVALID_ARGUMENT;
	if (size % granule(pool))
		return ILLEGAL_MEMBLOCK_SIZE;
	lock();
	SceUID uid = place(type, pool, size, align > granule(pool) ? align : granule(pool));
	unlock();
	return uid;
}

SceUID sceKernelAllocMemBlockForVM(const char *name, SceSize size) {
	if (!name)
		return INVALID_ARGUMENT;
	if (strlen(name) > NAMELEN)
		return UID_NAME_TOO_LONG;
	if (size == 0 || size % granule(VM))
		return ILLEGAL_MEMBLOCK_SIZE;
	lock();
	SceUID uid = place(RX, VM, size, granule(VM));
	unlock();
	return uid;
}

int sceKernelFreeMemBlock(SceUID uid) {
	lock();
	struct block *b = find(uid);
	if (b) {
		memset(b->base, 0xDD, b->size);
		free(b->whole);
		held[b->pool] -= b->size;
		memset(b, 0, sizeof *b);
	}
	unlock();
	return b ? 0 : INVALID_UID;
}

int sceKernelGetMemBlockBase(SceUID uid, void **base) {
	lock();
	struct block *b = find(uid);
	if (b)
		*base = b->base;
	unlock();
	return b ? 0 : INVALID_UID;
}

SceUID sceKernelFindMemBlockByAddr(const void *addr, SceSize size) {
	lock();
	struct block *b = around(addr);
	SceUID uid = b && size <= b->size - ((uintptr_t)addr - (uintptr_t)b->base) ? b->uid : (SceUID)BLOCK_ERROR;
	unlock();
	return uid;
}

int sceKernelGetMemBlockInfoByAddr(void *base, SceKernelMemBlockInfo *info) {
	if (info->size != sizeof *info)
		return INVALID_ARGUMENT_SIZE;
	lock();
	struct block *b = around(base);
	if (b) {
		info->mappedBase = b->base;
		info->mappedSize = b->size;
		info->memoryType = b->type >> 8 & 0xFF;
		info->access = (b->type & 0xFF) == 0x60 ? 6 : (b->type & 0xFF) == 0x40 ? 4 : 5;
		info->type = b->type;
	}
	unlock();
	return b ? 0 : BLOCK_ERROR;
}

int sceKernelGetFreeMemorySize(SceKernelFreeMemorySizeInfo *info) {
	if (info->size != sizeof *info)
		return INVALID_ARGUMENT_SIZE;
	lock();
	info->size_user = (int)(limit[USER] - held[USER]);
	info->size_cdram = (int)(limit[CDRAM] - held[CDRAM]);
	info->size_phycont = (int)(limit[PHYCONT] - held[PHYCONT]);
	unlock();
	return 0;
}

int sceKernelOpenVMDomain(void) { return 0; }

int sceKernelCloseVMDomain(void) { return 0; }

int sceKernelSyncVMDomain(SceUID uid, void *data, SceSize size) {
	lock();
	struct block *b = find(uid);
	int status = 0;
	if (!b || b->pool != VM)
		status = ILLEGAL_BLOCK_ID;
	else if ((uintptr_t)data < (uintptr_t)b->base || (uintptr_t)data - (uintptr_t)b->base > b->size ||
	         size > b->size - ((uintptr_t)data - (uintptr_t)b->base))
		status = MEMBLOCK_RANGE_ERROR;
	unlock();
	return status;
}

void fake_limits(int64_t user, int64_t cdram, int64_t phycont) {
	lock();
	limit[USER] = user;
	limit[CDRAM] = cdram;
	limit[PHYCONT] = phycont;
	unlock();
}

int fake_live(void) {
	int n = 0;
	lock();
	for (int i = 0; i < MAX_BLOCKS; i++)
		n += blocks[i].uid != 0;
	unlock();
	return n;
}
