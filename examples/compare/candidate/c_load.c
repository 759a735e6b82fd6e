//go:build cgo && linux

// The libraries are looked up when a candidate is opened, not when the program is
// linked: it builds without them, and a cell's process loads only the one it measures.
// RTLD_LOCAL hides their malloc from the process, which keeps that of the C library.

#define _GNU_SOURCE
#include "c_kernels.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// lookup sets *f to the function called name, or returns why not. (An assignment
// would have to convert an object pointer, which ISO C leaves undefined.)
static const char *lookup(void *lib, void *f, const char *name)
{
	*(void **)f = dlsym(lib, name);
	return *(void **)f == NULL ? dlerror() : NULL;
}

// malloc, of glibc, musl or whatever the C library is.

// Of glibc 2.33 and newer.
typedef struct {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
} glibc_info;

static glibc_info (*glibc_mallinfo2)(void);
static const char *(*glibc_version)(void);
static int (*glibc_malloc_trim)(size_t);

static void malloc_version(char *text, size_t size)
{
	if (glibc_version != NULL)
		snprintf(text, size, "glibc %s", glibc_version());
}

static int64_t malloc_held(void)
{
	glibc_info i = glibc_mallinfo2();
	return (int64_t)(i.arena + i.hblkhd);
}

static void malloc_trim_all(void) { glibc_malloc_trim(0); }

const char *load_malloc(allocator *a)
{
	*a = (allocator){.alloc = malloc, .release = free, .version = malloc_version};
	lookup(RTLD_DEFAULT, &glibc_version, "gnu_get_libc_version");
	if (lookup(RTLD_DEFAULT, &glibc_mallinfo2, "mallinfo2") == NULL)
		a->held = malloc_held;
	if (lookup(RTLD_DEFAULT, &glibc_malloc_trim, "malloc_trim") == NULL)
		a->trim = malloc_trim_all;
	return NULL;
}

// mimalloc. What it holds is seen from outside: c_smaps.go.

static struct {
	void *(*heap_new)(void);
	void (*heap_destroy)(void *);
	void (*collect)(bool);
	int (*version)(void);
} mi;

static void mi_version(char *text, size_t size)
{
	int v = mi.version(); // 209 is 2.0.9
	snprintf(text, size, "%d.%d.%d", v / 100, v / 10 % 10, v % 10);
}

static void *mi_reset(void *heap)
{
	mi.heap_destroy(heap);
	return mi.heap_new();
}

static void mi_trim(void) { mi.collect(true); }

const char *load_mimalloc(allocator *a, const char *file)
{
	const char *err;
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		return dlerror();
	*a = (allocator){0};
	if ((err = lookup(lib, &a->alloc, "mi_malloc")) ||
	    (err = lookup(lib, &a->release, "mi_free")) ||
	    (err = lookup(lib, &mi.heap_new, "mi_heap_new")) ||
	    (err = lookup(lib, &mi.heap_destroy, "mi_heap_destroy")) ||
	    (err = lookup(lib, &mi.collect, "mi_collect")) ||
	    (err = lookup(lib, &mi.version, "mi_version")) ||
	    (err = lookup(lib, &a->heap_alloc, "mi_heap_malloc")))
		return err;
	a->heap_open = mi.heap_new;
	a->heap_reset = mi_reset;
	a->heap_close = mi.heap_destroy;
	a->trim = mi_trim;
	a->version = mi_version;
	return NULL;
}

// jemalloc. Its arenas are its heaps, each with a cache of its own.

static struct {
	void *(*mallocx)(size_t, int);
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
} je;

static void je_version(char *text, size_t size)
{
	const char *v;
	size_t n = sizeof v;
	if (je.mallctl("version", &v, &n, NULL, 0) == 0)
		snprintf(text, size, "%.*s", (int)strcspn(v, "-"), v); // 5.3.0-0-g54eaed1…
}

static int64_t je_held(void)
{
	uint64_t epoch = 1;
	size_t resident = 0, n = sizeof resident;
	je.mallctl("epoch", NULL, NULL, &epoch, sizeof epoch); // refreshes the figures
	je.mallctl("stats.resident", &resident, &n, NULL, 0);
	return (int64_t)resident;
}

static void je_trim(void)
{
	je.mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	je.mallctl("arena.4096.purge", NULL, NULL, NULL, 0); // 4096: all of them
}

typedef struct {
	unsigned arena, cache;
	int flags; // of mallocx
} je_heap;

static void *je_heap_alloc(void *heap, size_t size)
{
	return je.mallocx(size, ((je_heap *)heap)->flags);
}

static void je_arena(const je_heap *h, const char *verb)
{
	char name[32];
	je.mallctl("tcache.flush", NULL, NULL, (void *)&h->cache, sizeof h->cache);
	snprintf(name, sizeof name, "arena.%u.%s", h->arena, verb);
	je.mallctl(name, NULL, NULL, NULL, 0);
}

static void *je_heap_open(void)
{
	je_heap *h = malloc(sizeof *h);
	size_t n = sizeof h->arena;
	if (h == NULL)
		return NULL;
	if (je.mallctl("tcache.create", &h->cache, &n, NULL, 0) != 0) {
		free(h);
		return NULL;
	}
	if (je.mallctl("arenas.create", &h->arena, &n, NULL, 0) != 0) {
		je.mallctl("tcache.destroy", NULL, NULL, &h->cache, sizeof h->cache);
		free(h);
		return NULL;
	}
	h->flags = (int)((h->arena + 1) << 20 | (h->cache + 2) << 8); // MALLOCX_ARENA, MALLOCX_TCACHE
	return h;
}

static void *je_heap_reset(void *heap)
{
	je_arena(heap, "reset");
	return heap;
}

static void je_heap_close(void *heap)
{
	je_heap *h = heap;
	je_arena(h, "destroy");
	je.mallctl("tcache.destroy", NULL, NULL, &h->cache, sizeof h->cache);
	free(h);
}

const char *load_jemalloc(allocator *a, const char *file)
{
	const char *err;
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		return dlerror();
	*a = (allocator){0};
	if ((err = lookup(lib, &a->alloc, "malloc")) ||
	    (err = lookup(lib, &a->release, "free")) ||
	    (err = lookup(lib, &je.mallocx, "mallocx")) ||
	    (err = lookup(lib, &je.mallctl, "mallctl")))
		return err;
	a->heap_open = je_heap_open;
	a->heap_alloc = je_heap_alloc;
	a->heap_reset = je_heap_reset;
	a->heap_close = je_heap_close;
	bool stats = false;
	size_t n = sizeof stats;
	if (je.mallctl("config.stats", &stats, &n, NULL, 0) == 0 && stats)
		a->held = je_held;
	a->trim = je_trim;
	a->version = je_version;
	return NULL;
}
