/*
 * output.h - where a capture goes: a file, a pipe, standard output.
 *
 * Writes whole pieces.  A file is cut back to its last whole piece when it
 * cannot take one, so that it stays readable.  A pipe's reader may be slow for
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

struct output {
	int fd;
	bool file;           /* a regular one */
	uint64_t good_bytes; /* in whole pieces, from the start */
	int error;           /* the first -Exxx: nothing is written after it */
	const atomic_bool *hurry;
};

/* Creates path, or takes a copy of standard output if it is "-".  A pipe must
 * have a reader.  0, or -Exxx. */
int output_open(struct output *output, const char *path,
    const atomic_bool *hurry, struct err *err);

/* 0, or output->error. */
int output_write(struct output *output, const void *data, size_t n);

/* Closes.  0, or output->error. */
int output_close(struct output *output);

#endif
