/*
 * arena.h - memory that lives and goes together: a lab file and its model.
 *
 * Nothing in an arena is freed alone.  Any one thread.
 */
#ifndef LAB_ARENA_H
#define LAB_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);        /* NULL: no memory */
void arena_free(struct arena *arena); /* NULL is fine */

/* Zeroed, aligned for any type.  NULL: no memory; arena_failed() remembers,
 * so that a long job need only ask once, at its end. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_array(struct arena *arena, size_t n, size_t bytes);
/* A copy with an end. */
char *arena_text(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int arena_failed(const struct arena *arena);

#endif
