// The interface between the Go side and the C side of the C candidates.

#ifndef COMPARE_C_KERNELS_H
#define COMPARE_C_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// An allocator is its functions. They are called through these pointers, as functions
// of a shared library are called through its table of addresses.
typedef struct allocator {
	void *(*alloc)(size_t size);
	void (*release)(void *p);

	// Heaps whose objects are freed all at once. NULL: there are none.
	void *(*heap_open)(void);                   // NULL: no memory
	void *(*heap_alloc)(void *heap, size_t size);
	void *(*heap_reset)(void *heap);            // returns the heap to go on with
	void (*heap_close)(void *heap);

	void (*version)(char *text, size_t size);

	int64_t (*held)(void); // bytes from the system; NULL: does not say
	void (*trim)(void);    // gives back what is not needed
} allocator;

// Each fills in the functions of a library and returns NULL, or says why not.
const char *load_malloc(allocator *a);
const char *load_mimalloc(allocator *a, const char *file);
const char *load_jemalloc(allocator *a, const char *file);

// Calls through a pointer, which Go cannot make itself.
void alloc_version(const allocator *a, char *text, size_t size);
int64_t alloc_held(const allocator *a);
uintptr_t alloc_probe(const allocator *a); // where an object was
void alloc_trim(const allocator *a);
void *alloc_heap_open(const allocator *a);
void alloc_heap_close(const allocator *a, void *heap); // or NULL

// The kernels: package bench specifies what each does. Where Go keeps addresses of
// objects they are integers, so that Go does not take them for pointers.

typedef struct { uint64_t sum; int failed; } outcome; // failed: no memory

int fixed_open(const allocator *a, uintptr_t *at, size_t live, size_t size);
outcome fixed_replace(const allocator *a, uintptr_t *at, size_t size,
	const uint32_t *order, size_t n, uint64_t stamp);

typedef struct { uintptr_t at; uint32_t size; } slot;
typedef struct { uint32_t slot, size; } op;

outcome mixed_run(const allocator *a, slot *slots, int lines,
	const op *ops, size_t n, uint64_t stamp);
void mixed_close(const allocator *a, slot *slots, size_t n);

uintptr_t tree_grow(const allocator *a, int depth);
uint64_t tree_count(uintptr_t tree);
void tree_drop(const allocator *a, uintptr_t tree);
uint64_t trees_free(const allocator *a, int depth, int trees);
uintptr_t tree_grow_in(const allocator *a, void *heap, int depth);
uint64_t trees_bulk(const allocator *a, void **heap, int depth, int trees);

typedef struct {
	float x, y, z, vx, vy, vz, size, spin;
	uint64_t id;
	int32_t life;
	uint32_t kind;
} particle;

// at has room for n and all of born; n changes.
outcome frame_step(const allocator *a, uintptr_t *at, size_t *n,
	const particle *born, size_t births);

typedef struct object {
	uint64_t id, value;
	struct object *link;
	uint64_t more[5];
} object;

// Go looks at the objects itself.
int hold_open(const allocator *a, uintptr_t *at, size_t n);

void release_all(const allocator *a, const uintptr_t *at, size_t n);

#endif
