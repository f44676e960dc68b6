/*
 * qcow2.h - the header and the table entries of a qcow2 image: pure functions
 * on bytes (QEMU's docs/interop/qcow2.txt).
 *
 * Read: versions 2 and 3, clusters of 512 bytes to 2 MiB, reference counts of
 * any width, zlib and zstd, extended L2 entries.  Refused with a sentence: what
 * has an unknown incompatible feature, is encrypted, keeps its data in another
 * file, or is larger than our tables.
 */
#ifndef DISK_QCOW2_H
#define DISK_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_BYTES        (UINT64_C(1) << 46) /* of the virtual disk */
#define QCOW2_MAX_L1_BYTES     (UINT32_C(32) << 20)
#define QCOW2_MAX_TABLE_BYTES  (UINT32_C(8) << 20) /* refcount table */
#define QCOW2_MAX_NAME_BYTES   1023
#define QCOW2_MAX_HOST         (UINT64_C(1) << 56) /* host offsets are below */

/* incompatible features */
#define QCOW2_DIRTY        (UINT64_C(1) << 0)
#define QCOW2_CORRUPT      (UINT64_C(1) << 1)
#define QCOW2_DATA_FILE    (UINT64_C(1) << 2)
#define QCOW2_COMPRESSION  (UINT64_C(1) << 3)
#define QCOW2_EXTENDED_L2  (UINT64_C(1) << 4)
#define QCOW2_INCOMPATIBLE (UINT64_C(0x1f))

/* compatible and autoclear features */
#define QCOW2_LAZY    (UINT64_C(1) << 0)
#define QCOW2_BITMAPS (UINT64_C(1) << 0)

/* L1 and L2 entries */
#define QCOW2_COPIED     (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ZERO       (UINT64_C(1) << 0)
#define QCOW2_OFFSET     UINT64_C(0x00fffffffffffe00)

/* Where fields stand that are written in place. */
enum {
	QCOW2_AT_SIZE = 24,
	QCOW2_AT_L1 = 36, /* entries, then the offset */
	QCOW2_AT_REFCOUNTS = 48,
	QCOW2_AT_INCOMPATIBLE = 72,
	QCOW2_AT_AUTOCLEAR = 88,
};

struct qcow2 {
	unsigned int version;
	unsigned int cluster_bits;
	unsigned int refcount_order; /* counts have 1 << order bits */
	bool extended_l2;
	bool zstd; /* compressed clusters; else zlib */
	uint64_t size;
	uint64_t incompatible, compatible, autoclear;
	uint64_t l1_offset;
	uint32_t l1_entries;
	uint32_t refcount_clusters; /* of the refcount table */
	uint64_t refcount_offset;
	uint64_t snapshots_offset;
	uint32_t snapshots;
	uint64_t bitmaps_offset, bitmaps_bytes; /* their directory */
	char backing[QCOW2_MAX_NAME_BYTES + 1]; /* "": none */
	uint32_t backing_offset;                /* of the name */
	uint32_t extensions_end;                /* after their end marker */
	char backing_format[16];                /* "": not said */
};

/* Whether these are the first bytes of a qcow2 image. */
bool qcow2_is(const uint8_t *bytes, size_t len);

/* Reads the header from the first len bytes of a file of file_bytes.  0, -Exxx
 * with a sentence that begins with path, or -ERANGE without one: the header
 * reaches past len; come back with the first cluster (h->cluster_bits). */
int qcow2_read_header(struct qcow2 *h, const uint8_t *bytes, size_t len,
    uint64_t file_bytes, const char *path, struct err *err);

/* Where the name of the backing file stands, also of an image that cannot be
 * read otherwise: its length, 0: there is none. */
size_t qcow2_find_backing(const uint8_t *bytes, size_t len, uint64_t *at);

/* Writes a version 3 header with h's fields and the backing file's name and
 * format to the first len bytes, at least QCOW2_HEADER_BYTES, and sets
 * h->backing_offset.  Its features must be ours: none. */
#define QCOW2_HEADER_BYTES 2048
void qcow2_write_header(struct qcow2 *h, uint8_t *bytes, size_t len);

static inline uint64_t
qcow2_cluster_bytes(const struct qcow2 *h)
{
	return UINT64_C(1) << h->cluster_bits;
}

/* Entries of one L2 table, as a power of two. */
static inline unsigned int
qcow2_l2_bits(const struct qcow2 *h)
{
	return h->cluster_bits - (h->extended_l2 ? 4 : 3);
}

/* L1 entries that a disk of so many bytes needs. */
static inline uint64_t
qcow2_l1_needed(const struct qcow2 *h, uint64_t size)
{
	unsigned int bits = h->cluster_bits + qcow2_l2_bits(h);

	return (size >> bits) + ((size & ((UINT64_C(1) << bits) - 1)) != 0);
}

/* Where a compressed cluster's data stand in the file, and at most how many
 * bytes they have. */
static inline void
qcow2_compressed(
    const struct qcow2 *h, uint64_t entry, uint64_t *offset, uint32_t *len)
{
	unsigned int bits = 62 - (h->cluster_bits - 8);
	uint64_t descriptor = entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED);
	uint64_t sectors = (descriptor >> bits) + 1;

	*offset = descriptor & ((UINT64_C(1) << bits) - 1);
	*len = (uint32_t)(sectors * 512 - (*offset & 511));
}

/* NULL, or what is wrong with an L1 or a standard L2 entry. */
const char *qcow2_bad_l1(const struct qcow2 *h, uint64_t entry);
const char *qcow2_bad_l2(const struct qcow2 *h, uint64_t entry);

#endif
