/*
 * One reservation of address space, cut into chunks; each chunk serves pieces
 * of one size, and goes back to all sizes when its last piece comes back.
 *
 *     |  128  128  128 ... | 2048  2048 ...  |  (not touched)  | ...
 *
 * A frame is one piece, in one run of memory, whatever its size: so the port
 * that takes it need not gather.  Sizes are powers of two, which wastes up to
 * half (a 1514-byte frame takes 2048); what is counted is what is taken.
 *
 * Rejected: malloc (a system call when it likes, and no limit of its own); a
 * ring (frames leave out of order, and it would touch all of its memory however
 * few frames are on their way); pieces of one small size in chains (each
 * receiver would gather each frame).
 */
#include "switch/cable_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define NONE UINT32_MAX

struct store_chunk {
	uint32_t next, prev; /* in the list that it is in */
	uint32_t used, cut;  /* pieces given out; pieces ever cut off */
	uint32_t free;       /* pieces that came back: the first, or NONE */
	uint8_t class;
};

/* What a piece holds that came back. */
struct idle {
	uint32_t next;
};

static unsigned int
class_of(size_t bytes)
{
	unsigned int class = 0;

	while ((size_t)STORE_PIECE_MIN << class < bytes)
		class ++;
	return class;
}

static uint32_t
pieces_of(unsigned int class)
{
	return STORE_CHUNK_BYTES / (STORE_PIECE_MIN << class);
}

int
store_open(struct store *store, size_t limit_bytes)
{
	size_t n = limit_bytes / STORE_CHUNK_BYTES;

	*store = (struct store){ .nchunks = (uint32_t)n, .empty = NONE };
	for (unsigned int i = 0; i < STORE_CLASSES; i++)
		store->roomy[i] = NONE;
	store->limit_bytes = n * STORE_CHUNK_BYTES;
	store->chunks = calloc(n + 1, sizeof(store->chunks[0]));
	if (store->chunks == NULL)
		return -ENOMEM;
	store->base = mmap(NULL, store->limit_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (store->base != MAP_FAILED)
		return 0;
	free(store->chunks);
	*store = (struct store){ .base = NULL };
	return -ENOMEM;
}

void
store_close(struct store *store)
{
	if (store->base == NULL)
		return;
	munmap(store->base, store->limit_bytes);
	free(store->chunks);
	*store = (struct store){ .base = NULL };
}

/* ---- lists of chunks ---- */

static void
put_first(struct store *store, uint32_t *list, uint32_t i)
{
	store->chunks[i].next = *list;
	store->chunks[i].prev = NONE;
	if (*list != NONE)
		store->chunks[*list].prev = i;
	*list = i;
}

static void
take_out(struct store *store, uint32_t *list, uint32_t i)
{
	const struct store_chunk *chunk = &store->chunks[i];

	if (chunk->prev == NONE)
		*list = chunk->next;
	else
		store->chunks[chunk->prev].next = chunk->next;
	if (chunk->next != NONE)
		store->chunks[chunk->next].prev = chunk->prev;
}

/* A chunk for pieces of a class; NONE: there is no more. */
static uint32_t
new_chunk(struct store *store, unsigned int class)
{
	uint32_t i = store->empty;

	if (i != NONE)
		take_out(store, &store->empty, i);
	else if (store->touched < store->nchunks)
		i = store->touched++;
	else
		return NONE;
	store->chunks[i] =
	    (struct store_chunk){ .free = NONE, .class = (uint8_t) class };
	put_first(store, &store->roomy[class], i);
	return i;
}

/* ---- pieces ---- */

static uint8_t *
piece_at(const struct store *store, uint32_t i, uint32_t piece)
{
	return store->base + (size_t)i * STORE_CHUNK_BYTES +
	    ((size_t)piece * STORE_PIECE_MIN << store->chunks[i].class);
}

void *
store_get(struct store *store, size_t bytes)
{
	unsigned int class = class_of(bytes);
	uint32_t i, piece;
	struct store_chunk *chunk;

	assert(class < STORE_CLASSES);
	i = store->roomy[class];
	if (i == NONE)
		i = new_chunk(store, class);
	if (i == NONE)
		return NULL;
	chunk = &store->chunks[i];
	piece = chunk->free;
	if (piece != NONE)
		chunk->free =
		    ((const struct idle *)piece_at(store, i, piece))->next;
	else
		piece = chunk->cut++;
	if (++chunk->used == pieces_of(class))
		take_out(store, &store->roomy[class], i);
	return piece_at(store, i, piece);
}

void
store_put(struct store *store, void *at)
{
	size_t offset = (size_t)((uint8_t *)at - store->base);
	uint32_t i = (uint32_t)(offset / STORE_CHUNK_BYTES);
	struct store_chunk *chunk = &store->chunks[i];
	uint32_t n = pieces_of(chunk->class);

	((struct idle *)at)->next = chunk->free;
	chunk->free = (uint32_t)(offset % STORE_CHUNK_BYTES /
	    (STORE_PIECE_MIN << chunk->class));
	if (chunk->used-- == n)
		put_first(store, &store->roomy[chunk->class], i);
	if (chunk->used == 0) {
		take_out(store, &store->roomy[chunk->class], i);
		put_first(store, &store->empty, i);
	}
}
