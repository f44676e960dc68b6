/*
 * nat_pool.h - which items of an array are in use: by ids from 1 on, 0 is none.
 */
#ifndef ROUTER_NAT_POOL_H
#define ROUTER_NAT_POOL_H

#include <stdint.h>
#include <stdlib.h>

#include "router/nat_index.h"

#define NAT_NONE 0

struct nat_pool {
	uint32_t free;  /* first of the free ones, by id */
	uint32_t fresh; /* those above were never used */
	uint32_t used, max;
	uint32_t extra; /* of which nat_pool_extend() makes max more */
};

/* Memory for max and extra things of size bytes and id 0, and an index of keys
 * for each.  NULL: there is none.  To be freed by nat_pool_free(). */
static inline void *
nat_pool_new(struct nat_pool *pool, uint32_t max, uint32_t extra, size_t size,
    struct nat_index *index, unsigned int keys)
{
	*pool = (struct nat_pool){ .max = max, .extra = extra };
	if (nat_index_init(index, (size_t)max * keys, (size_t)extra * keys,
		max + extra) < 0)
		return NULL;
	return nat_memory_new(((size_t)max + extra + 1) * size);
}

/* From now on there may be the extra ones too. */
static inline void
nat_pool_extend(struct nat_pool *pool)
{
	pool->max += pool->extra;
	pool->extra = 0;
}

static inline void
nat_pool_free(const struct nat_pool *pool, void *things, size_t size)
{
	nat_memory_free(things, ((size_t)pool->max + pool->extra + 1) * size);
}

/* The id of a free one; next is where a free one keeps the next.  NAT_NONE: all
 * are in use. */
#define NAT_POOL_TAKE(pool, items)                                  \
	((pool)->free != NAT_NONE                                   \
		? nat_pool_pop((pool), &(items)[(pool)->free].next) \
		: nat_pool_fresh(pool))

static inline uint32_t
nat_pool_pop(struct nat_pool *pool, const uint32_t *next)
{
	uint32_t id = pool->free;

	pool->free = *next;
	pool->used++;
	return id;
}

static inline uint32_t
nat_pool_fresh(struct nat_pool *pool)
{
	if (pool->fresh == pool->max)
		return NAT_NONE;
	pool->used++;
	return ++pool->fresh;
}

static inline void
nat_pool_give(struct nat_pool *pool, uint32_t id, uint32_t *next)
{
	*next = pool->free;
	pool->free = id;
	pool->used--;
}

#endif
