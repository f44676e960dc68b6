/*
 * exact.h - bytes for parsers, in an allocation that ends where they end.
 *
 * A read past the end is then a read past the allocation, which the address
 * sanitizer sees.  Freed by exact_free(), after what borrows from them.
 */
#ifndef TESTS_NET_EXACT_H
#define TESTS_NET_EXACT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/cursor.h"

struct exact {
	uint8_t *data; /* what may be changed before it is parsed */
	size_t len;
	struct cursor c;
};

static inline struct exact
exact(const void *data, size_t len)
{
	struct exact e = { .data = malloc(len > 0 ? len : 1), .len = len };

	if (e.data == NULL)
		abort();
	if (len > 0)
		memcpy(e.data, data, len);
	/* An empty one lies at the end of its only byte. */
	e.c = cursor(e.data + (len > 0 ? 0 : 1), len);
	return e;
}

static inline void
exact_free(struct exact *e)
{
	free(e->data);
	e->data = NULL;
}

#endif
