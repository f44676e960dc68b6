/*
 * memory.h - memory behind the image, handed out once and never returned.
 */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The first byte behind the image and its zeroed part. */
uint64_t memory_image_end(void);

/* Memory from the image's end up to end is free to hand out. */
void memory_init(uint64_t end);

/* bytes at a multiple of align, a power of two; zero unless the loader left
 * something there.  NULL: no more. */
void *memory_take(size_t bytes, size_t align);
/* Bytes that are left. */
uint64_t memory_left(void);

#endif
