/*
 * output.h - where a capture goes: a file, a pipe, standard output.
 *
 * Writes whole pieces.  A file is cut back to its last whole piece when it
 * cannot take one, so that it stays readable.  What goes to a name that ends in
 * OUTPUT_ZSTD is compressed, in frames that each flush ends; the file is cut
 * back to the last of those.  A pipe's reader may be slow for
 * as long as it likes, but not once *hurry is set: then OUTPUT_PATIENCE_MS
 * without progress end the wait.
 */
#ifndef PCAP_TOOLS_OUTPUT_H
#define PCAP_TOOLS_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define OUTPUT_PATIENCE_MS 2000
#define OUTPUT_ZSTD        ".zst"

struct output {
	int fd;
	bool file;            /* a regular one */
	uint64_t good_bytes;  /* in whole pieces, from the start */
	uint64_t wrote_bytes; /* at all */
	int error;            /* the first -Exxx: nothing is written after it */
	const atomic_bool *hurry;
	struct ZSTD_CCtx_s *zstd; /* NULL: not compressed */
	uint8_t *packed;          /* what it gives */
	bool unflushed;
};

/* Creates path, or takes a copy of standard output if it is "-".  A pipe must
 * have a reader.  0, or -Exxx. */
int output_open(struct output *output, const char *path,
    const atomic_bool *hurry, struct err *err);

/* 0, or output->error. */
int output_write(struct output *output, const void *data, size_t n);

/* Has all that was written readable in the file.  0, or output->error. */
int output_flush(struct output *output);

/* Closes.  0, or output->error. */
int output_close(struct output *output);

#endif
