#include "lab/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)16 << 10)

struct chunk {
	struct chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char bytes[];
};

struct arena {
	struct chunk *chunks; /* the first one has room */
	int failed;
};

struct arena *
arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	while (arena->chunks != NULL) {
		struct chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
	free(arena);
}

void *
arena_alloc(struct arena *arena, size_t bytes)
{
	const size_t align = alignof(max_align_t);
	struct chunk *chunk = arena->chunks;
	void *out;

	if (bytes > SIZE_MAX / 2)
		goto fail;
	bytes = (bytes + align - 1) / align * align;
	if (chunk == NULL || chunk->size - chunk->used < bytes) {
		size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		chunk = calloc(1, sizeof(*chunk) + size);
		if (chunk == NULL)
			goto fail;
		chunk->size = size;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	out = chunk->bytes + chunk->used;
	chunk->used += bytes;
	return out;
fail:
	arena->failed = 1;
	return NULL;
}

void *
arena_array(struct arena *arena, size_t n, size_t bytes)
{
	if (bytes != 0 && n > SIZE_MAX / 2 / bytes) {
		arena->failed = 1;
		return NULL;
	}
	return arena_alloc(arena, n * bytes);
}

char *
arena_text(struct arena *arena, const char *text, size_t len)
{
	char *out = arena_alloc(arena, len + 1);

	if (out != NULL)
		memcpy(out, text, len);
	return out;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *out;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return NULL;
	out = arena_alloc(arena, (size_t)n + 1);
	if (out == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(out, (size_t)n + 1, format, args);
	va_end(args);
	return out;
}

int
arena_failed(const struct arena *arena)
{
	return arena->failed;
}
