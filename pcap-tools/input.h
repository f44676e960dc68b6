/*
 * input.h - where a capture comes from: a file, a pipe, standard input.
 *
 * Reads forward only, in bounded memory.  What gzip or zstd has compressed is
 * decompressed on the way, recognised by its first bytes.  One thread at a
 * time.
 */
#ifndef PCAP_TOOLS_INPUT_H
#define PCAP_TOOLS_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define INPUT_WANT_MAX (16u << 20) /* what one call can have */

struct input;

/* "-" is standard input.  NULL: *err says why. */
struct input *input_open(const char *path, struct err *err);
/* The same of what can be read from fd, which it takes; name is for messages. */
struct input *input_of(int fd, const char *name, struct err *err);
void input_free(struct input *input); /* NULL is fine */

/*
 * The next n bytes, at most INPUT_WANT_MAX, without moving on; borrowed until
 * the next call.  *got is less than n only at the end.  NULL: *err says why, as
 * when the compressed data are damaged.
 */
const uint8_t *input_want(
    struct input *input, size_t n, size_t *got, struct err *err);

/* Moves on past n bytes that input_want() gave. */
void input_skip(struct input *input, size_t n);

/* How many bytes, decompressed, were moved past. */
uint64_t input_at(const struct input *input);

#endif
