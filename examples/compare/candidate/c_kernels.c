//go:build cgo && linux

// The loops of the C candidates: one call from Go does a whole batch, so that the call
// from Go to C, some 40 ns, is not what is measured.

#include "c_kernels.h"

#include <string.h>

#define MIX 0x9E3779B97F4A7C15u

void alloc_version(const allocator *a, char *text, size_t size) { a->version(text, size); }

int64_t alloc_held(const allocator *a) { return a->held(); }

uintptr_t alloc_probe(const allocator *a)
{
	void *p = a->alloc(1);
	uintptr_t at = (uintptr_t)p;
	a->release(p);
	return at;
}

void alloc_trim(const allocator *a)
{
	if (a->trim != NULL)
		a->trim();
}

void *alloc_heap_open(const allocator *a) { return a->heap_open(); }

void alloc_heap_close(const allocator *a, void *heap)
{
	if (heap != NULL)
		a->heap_close(heap);
}

static void put(unsigned char *p, size_t size, uint64_t first, uint64_t last)
{
	memcpy(p, &first, 8);
	memcpy(p + size - 8, &last, 8);
}

static uint64_t get(const unsigned char *p, size_t size)
{
	uint64_t first, last;
	memcpy(&first, p, 8);
	memcpy(&last, p + size - 8, 8);
	return first ^ last;
}

int fixed_open(const allocator *a, uintptr_t *at, size_t live, size_t size)
{
	for (size_t i = 0; i < live; i++) {
		unsigned char *p = a->alloc(size);
		if (p == NULL)
			return -1;
		put(p, size, i, ~(uint64_t)i);
		at[i] = (uintptr_t)p;
	}
	return 0;
}

outcome fixed_replace(const allocator *a, uintptr_t *at, size_t size,
	const uint32_t *order, size_t n, uint64_t stamp)
{
	void *(*alloc)(size_t) = a->alloc;
	void (*release)(void *) = a->release;
	uint64_t sum = 0;

	for (size_t k = 0; k < n; k++) {
		uint32_t s = order[k];
		unsigned char *p = (unsigned char *)at[s];
		sum = 3 * sum + get(p, size);
		release(p);
		p = alloc(size);
		at[s] = (uintptr_t)p;
		if (p == NULL)
			return (outcome){sum, -1};
		put(p, size, stamp + k, s);
	}
	return (outcome){sum, 0};
}

void release_all(const allocator *a, const uintptr_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a->release((void *)at[i]);
}

static uint64_t touched(const unsigned char *p, size_t size, int lines)
{
	uint64_t sum = p[size - 1];
	if (!lines)
		return sum + p[0];
	for (size_t i = 0; i < size; i += 64)
		sum += p[i];
	return sum;
}

static void touch(unsigned char *p, size_t size, unsigned char x, int lines)
{
	p[0] = p[size - 1] = x;
	if (lines)
		for (size_t i = 0; i < size; i += 64)
			p[i] = x;
}

outcome mixed_run(const allocator *a, slot *slots, int lines,
	const op *ops, size_t n, uint64_t stamp)
{
	void *(*alloc)(size_t) = a->alloc;
	void (*release)(void *) = a->release;
	uint64_t sum = 0;

	for (size_t k = 0; k < n; k++) {
		slot *s = &slots[ops[k].slot];
		size_t size = ops[k].size;
		unsigned char *p = (unsigned char *)s->at;
		if (p != NULL) {
			sum = 3 * sum + touched(p, s->size, lines);
			release(p);
			s->at = 0;
		}
		if (size > 0) {
			p = alloc(size);
			if (p == NULL)
				return (outcome){sum, -1};
			touch(p, size, (unsigned char)(stamp + k), lines);
			s->at = (uintptr_t)p;
			s->size = (uint32_t)size;
		}
	}
	return (outcome){sum, 0};
}

void mixed_close(const allocator *a, slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a->release((void *)slots[i].at);
}

typedef struct node { struct node *left, *right; } node;

// A tree that lacks a node for want of memory ends above it: the count shows it.
static node *inner(node *t, node *left, node *right)
{
	int whole = left != NULL && right != NULL;
	*t = (node){whole ? left : NULL, whole ? right : NULL};
	return t;
}

static node *grow(void *(*alloc)(size_t), int depth)
{
	node *t = alloc(sizeof *t);
	if (t == NULL)
		return NULL;
	if (depth == 0) {
		*t = (node){NULL, NULL};
		return t;
	}
	node *left = grow(alloc, depth - 1);
	return inner(t, left, grow(alloc, depth - 1));
}

static node *grow_in(void *(*alloc)(void *, size_t), void *heap, int depth)
{
	node *t = alloc(heap, sizeof *t);
	if (t == NULL)
		return NULL;
	if (depth == 0) {
		*t = (node){NULL, NULL};
		return t;
	}
	node *left = grow_in(alloc, heap, depth - 1);
	return inner(t, left, grow_in(alloc, heap, depth - 1));
}

// Both stop at a leaf, as those of the candidates in Go do, and do not look below it.

static uint64_t count(const node *t)
{
	if (t->left == NULL)
		return 1;
	return 1 + count(t->left) + count(t->right);
}

static void drop(void (*release)(void *), node *t)
{
	if (t->left != NULL) {
		drop(release, t->left);
		drop(release, t->right);
	}
	release(t);
}

uintptr_t tree_grow(const allocator *a, int depth) { return (uintptr_t)grow(a->alloc, depth); }

uintptr_t tree_grow_in(const allocator *a, void *heap, int depth)
{
	return (uintptr_t)grow_in(a->heap_alloc, heap, depth);
}

uint64_t tree_count(uintptr_t tree) { return tree == 0 ? 0 : count((node *)tree); }

void tree_drop(const allocator *a, uintptr_t tree)
{
	if (tree != 0)
		drop(a->release, (node *)tree);
}

uint64_t trees_free(const allocator *a, int depth, int trees)
{
	uint64_t nodes = 0;
	for (int i = 0; i < trees; i++) {
		node *t = grow(a->alloc, depth);
		if (t == NULL)
			break;
		nodes += count(t);
		drop(a->release, t);
	}
	return nodes;
}

uint64_t trees_bulk(const allocator *a, void **heap, int depth, int trees)
{
	uint64_t nodes = 0;
	for (int i = 0; i < trees && *heap != NULL; i++) {
		node *t = grow_in(a->heap_alloc, *heap, depth);
		if (t == NULL)
			break;
		nodes += count(t);
		*heap = a->heap_reset(*heap);
	}
	return nodes;
}

outcome frame_step(const allocator *a, uintptr_t *at, size_t *n,
	const particle *born, size_t births)
{
	uint64_t sum = 0;
	size_t live = *n;

	for (size_t i = 0; i < live;) {
		particle *p = (particle *)at[i];
		uint32_t y;
		p->vy -= 0.01f;
		p->x += p->vx;
		p->y += p->vy;
		p->z += p->vz;
		p->life--;
		memcpy(&y, &p->y, 4);
		sum += p->id ^ y;
		if (p->life == 0) {
			a->release(p);
			at[i] = at[--live];
		} else {
			i++;
		}
	}
	for (size_t k = 0; k < births; k++) {
		particle *p = a->alloc(sizeof *p);
		if (p == NULL) {
			*n = live;
			return (outcome){sum, -1};
		}
		*p = born[k];
		at[live++] = (uintptr_t)p;
	}
	*n = live;
	return (outcome){sum, 0};
}

int hold_open(const allocator *a, uintptr_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		object *o = a->alloc(sizeof *o);
		if (o == NULL)
			return -1;
		at[i] = (uintptr_t)o;
		memset(o, 0, sizeof *o);
		o->id = i;
		o->value = i * MIX;
		o->link = (object *)at[i / 2];
	}
	return 0;
}
