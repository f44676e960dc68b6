/*
 * archive.h - structs as bytes and back, each described once.
 *
 * A function that names a struct's fields to an archive, one after another,
 * writes them all, or reads them all: what it does is the archive's direction.
 * So the two cannot differ, and only checks of what was read are said besides.
 *
 * Bytes that are read may be anybody's.  The first thing that is wrong with them
 * fails the archive, with a sentence; from then on it reads zeros.  Whoever
 * reads has to look at failed before it acts on values, or be content with
 * zeros.  Numbers are little-endian.
 *
 * Bytes are in sections, which have names: what is wrong is said to be in the
 * present one.
 */
#ifndef VMM_ARCHIVE_H
#define VMM_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ARCHIVE_NAME_BYTES 32

struct archive {
	bool loads; /* else it writes */
	bool failed;
	uint8_t *bytes; /* written; the archive's */
	size_t max;
	const uint8_t *from; /* to be read; borrowed */
	size_t at, end;      /* of the present section, when reading */
	char section[ARCHIVE_NAME_BYTES];
	size_t begins; /* where it does */
	size_t whole;  /* bytes there are to read */
	struct err err;
};

void archive_save(struct archive *a);
void archive_load(struct archive *a, const void *bytes, size_t len);
void archive_free(struct archive *a);

/* The first sentence stays; format as of printf(). */
void archive_fail(struct archive *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A section, not within another one.  One that is read has to be the next one,
 * of that name, and to be read to its last byte. */
void archive_begin(struct archive *a, const char *name);
void archive_finish(struct archive *a);

void archive_u8(struct archive *a, uint8_t *value);
void archive_u16(struct archive *a, uint16_t *value);
void archive_u32(struct archive *a, uint32_t *value);
void archive_u64(struct archive *a, uint64_t *value);
void archive_bool(struct archive *a, bool *value);
void archive_bytes(struct archive *a, void *bytes, size_t len);

/* An unsigned int of 32 bits that is at most most; else it is 0, and the
 * archive has failed because of what. */
void archive_uint(struct archive *a, unsigned int *value, unsigned int most,
    const char *what);

/* What both sides have to have the same: when reading, another value fails
 * because of what. */
void archive_same(struct archive *a, uint64_t value, const char *what);

#endif
