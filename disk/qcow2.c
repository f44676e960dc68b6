/*
 * The qcow2 header.
 *
 * Bytes come from files that anyone may have made: each number is checked
 * against the format, against our limits and against the size of the file
 * before anything is allocated from it.  The limits are QEMU's (tables of 32
 * and 8 MiB), except that a disk is at most 64 TiB.
 */
#include "disk/qcow2.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "disk/file.h"

#define MAGIC          UINT32_C(0x514649fb)
#define V2_BYTES       72
#define V3_BYTES       104
#define OUR_BYTES      112
#define EXT_END        UINT32_C(0)
#define EXT_FORMAT     UINT32_C(0xe2792aca)
#define EXT_FEATURES   UINT32_C(0x6803f857)
#define EXT_BITMAPS    UINT32_C(0x23852875)
#define FEATURE_BYTES  48
#define MAX_EXTENSIONS 256

bool
qcow2_is(const uint8_t *bytes, size_t len)
{
	return len >= 8 && get_be32(bytes) == MAGIC;
}

static bool
aligned(const struct qcow2 *h, uint64_t offset)
{
	return (offset & (qcow2_cluster_bytes(h) - 1)) == 0;
}

/* Whether len bytes at offset lie within a file of file_bytes. */
static bool
inside(uint64_t offset, uint64_t len, uint64_t file_bytes)
{
	return offset <= file_bytes && len <= file_bytes - offset;
}

static int
check_features(const struct qcow2 *h, uint32_t crypt, uint8_t compression,
    const char *path, struct err *err)
{
	if ((h->incompatible & ~QCOW2_INCOMPATIBLE) != 0)
		return err_set(err, -ENOTSUP,
		    "%s: has incompatible features 0x%" PRIx64
		    " that are unknown here; convert it with qemu-img",
		    path, h->incompatible & ~QCOW2_INCOMPATIBLE);
	if ((h->incompatible & QCOW2_DATA_FILE) != 0)
		return err_set(err, -ENOTSUP,
		    "%s: keeps its data in another file; convert it with "
		    "qemu-img",
		    path);
	if (crypt != 0)
		return err_set(err, -ENOTSUP,
		    "%s: is encrypted (method %u); convert it with qemu-img",
		    path, crypt);
	if (((h->incompatible & QCOW2_COMPRESSION) != 0) != (compression != 0))
		return err_set(err, -EINVAL,
		    "%s: compression type %u contradicts the feature bit; "
		    "the header is damaged",
		    path, compression);
	if (compression > 1)
		return err_set(err, -ENOTSUP,
		    "%s: compression type %u is unknown here; convert it with "
		    "qemu-img",
		    path, compression);
	if (h->extended_l2 && h->cluster_bits < 14)
		return err_set(err, -EINVAL,
		    "%s: extended L2 entries with clusters of %" PRIu64
		    " bytes; the header is damaged",
		    path, qcow2_cluster_bytes(h));
	return 0;
}

static int
check_tables(const struct qcow2 *h, uint64_t file_bytes, const char *path,
    struct err *err)
{
	uint64_t l1_bytes = (uint64_t)h->l1_entries * 8;
	uint64_t table_bytes = (uint64_t)h->refcount_clusters
	    << h->cluster_bits;

	if (h->size > QCOW2_MAX_BYTES)
		return err_set(err, -EFBIG,
		    "%s: a disk of %" PRIu64 " bytes is too large; at most "
		    "64 TiB",
		    path, h->size);
	if (l1_bytes > QCOW2_MAX_L1_BYTES ||
	    h->l1_entries < qcow2_l1_needed(h, h->size))
		return err_set(err, -EINVAL,
		    "%s: an L1 table of %u entries does not fit a disk of "
		    "%" PRIu64 " bytes; the header is damaged",
		    path, h->l1_entries, h->size);
	if (l1_bytes > 0 &&
	    (!aligned(h, h->l1_offset) || h->l1_offset == 0 ||
		!inside(h->l1_offset, l1_bytes, file_bytes)))
		return err_set(err, -EINVAL,
		    "%s: the L1 table at %" PRIu64
		    " is not within the file; the image is damaged or cut",
		    path, h->l1_offset);
	if (table_bytes == 0 || table_bytes > QCOW2_MAX_TABLE_BYTES ||
	    !aligned(h, h->refcount_offset) || h->refcount_offset == 0 ||
	    !inside(h->refcount_offset, 8, file_bytes))
		return err_set(err, -EINVAL,
		    "%s: the refcount table of %u clusters at %" PRIu64
		    " is not within the file; the image is damaged or cut",
		    path, h->refcount_clusters, h->refcount_offset);
	return 0;
}

/* What is needed of one header extension. */
static void
read_extension(struct qcow2 *h, uint32_t type, const uint8_t *p, uint32_t len)
{
	if (type == EXT_FORMAT) {
		/* A longer one is unknown, whatever follows. */
		if (len >= sizeof(h->backing_format))
			len = sizeof(h->backing_format) - 1;
		memcpy(h->backing_format, p, len);
		h->backing_format[len] = '\0';
	} else if (type == EXT_BITMAPS && len >= 24) {
		h->bitmaps_bytes = get_be64(p + 8);
		h->bitmaps_offset = get_be64(p + 16);
	}
}

/* The extensions from at to the end marker or the backing file's name. */
static int
read_extensions(struct qcow2 *h, const uint8_t *bytes, size_t len, size_t at,
    const char *path, struct err *err)
{
	size_t cluster = qcow2_cluster_bytes(h);
	size_t end = h->backing_offset != 0 ? h->backing_offset : cluster;

	h->extensions_end = (uint32_t)at;
	for (int i = 0; i < MAX_EXTENSIONS && at + 8 <= end; i++) {
		uint32_t type, n;

		if (at + 8 > len)
			return -ERANGE;
		type = get_be32(bytes + at);
		n = get_be32(bytes + at + 4);
		at += 8;
		h->extensions_end = (uint32_t)at;
		if (type == EXT_END)
			return 0;
		if (n > end - at)
			return err_set(err, -EINVAL,
			    "%s: header extension 0x%08x of %u bytes is too "
			    "long; the header is damaged",
			    path, type, n);
		if (n > len - at)
			return -ERANGE;
		read_extension(h, type, bytes + at, n);
		at += (n + 7) & ~UINT32_C(7);
		h->extensions_end = (uint32_t)at;
	}
	return 0;
}

static int
read_backing(struct qcow2 *h, const uint8_t *bytes, size_t len, uint64_t offset,
    uint32_t n, const char *path, struct err *err)
{
	if (offset == 0)
		return 0;
	if (n > QCOW2_MAX_NAME_BYTES || n == 0 ||
	    !inside(offset, n, qcow2_cluster_bytes(h)))
		return err_set(err, -EINVAL,
		    "%s: a backing file's name of %u bytes at %" PRIu64
		    " is not in the first cluster; the header is damaged",
		    path, n, offset);
	if (!inside(offset, n, len))
		return -ERANGE;
	if (memchr(bytes + offset, '\0', n) != NULL)
		return err_set(err, -EINVAL,
		    "%s: a backing file's name with a zero byte; the header "
		    "is damaged",
		    path);
	memcpy(h->backing, bytes + offset, n);
	h->backing[n] = '\0';
	h->backing_offset = (uint32_t)offset;
	return 0;
}

/* The fields of version 3.  *header gets the length of the header. */
static int
read_v3(struct qcow2 *h, const uint8_t *bytes, uint32_t *header,
    const char *path, struct err *err)
{
	h->incompatible = get_be64(bytes + QCOW2_AT_INCOMPATIBLE);
	h->compatible = get_be64(bytes + 80);
	h->autoclear = get_be64(bytes + QCOW2_AT_AUTOCLEAR);
	h->refcount_order = get_be32(bytes + 96);
	*header = get_be32(bytes + 100);
	if (*header < V3_BYTES || *header % 8 != 0 ||
	    *header > qcow2_cluster_bytes(h))
		return err_set(err, -EINVAL,
		    "%s: a header of %u bytes; it is damaged", path, *header);
	if (h->refcount_order > 6)
		return err_set(err, -EINVAL,
		    "%s: refcounts of 2^%u bits; the header is damaged", path,
		    h->refcount_order);
	h->extended_l2 = (h->incompatible & QCOW2_EXTENDED_L2) != 0;
	return 0;
}

int
qcow2_read_header(struct qcow2 *h, const uint8_t *bytes, size_t len,
    uint64_t file_bytes, const char *path, struct err *err)
{
	uint32_t header = V2_BYTES;
	uint8_t compression = 0;
	int error;

	memset(h, 0, sizeof(*h));
	if (!qcow2_is(bytes, len))
		return err_set(err, -EINVAL, "%s: is no qcow2 image", path);
	if (len < V3_BYTES + 8)
		return err_set(err, -EINVAL,
		    "%s: ends within its header; the image is cut", path);
	h->version = get_be32(bytes + 4);
	if (h->version != 2 && h->version != 3)
		return err_set(err, -ENOTSUP,
		    "%s: qcow2 version %u is unknown here; use 2 or 3", path,
		    h->version);
	h->cluster_bits = get_be32(bytes + 20);
	if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
	    h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return err_set(err, -EINVAL,
		    "%s: clusters of 2^%u bytes; 512 bytes to 2 MiB can be "
		    "read",
		    path, h->cluster_bits);
	h->size = get_be64(bytes + QCOW2_AT_SIZE);
	h->l1_entries = get_be32(bytes + QCOW2_AT_L1);
	h->l1_offset = get_be64(bytes + QCOW2_AT_L1 + 4);
	h->refcount_offset = get_be64(bytes + QCOW2_AT_REFCOUNTS);
	h->refcount_clusters = get_be32(bytes + QCOW2_AT_REFCOUNTS + 8);
	h->snapshots = get_be32(bytes + 60);
	h->snapshots_offset = get_be64(bytes + 64);
	h->refcount_order = 4;
	if (h->version >= 3 &&
	    (error = read_v3(h, bytes, &header, path, err)) != 0)
		return error;
	if (header > V3_BYTES)
		compression = bytes[104];
	h->zstd = compression == 1;
	error = check_features(h, get_be32(bytes + 32), compression, path, err);
	if (error == 0)
		error = check_tables(h, file_bytes, path, err);
	if (error == 0)
		error = read_backing(h, bytes, len, get_be64(bytes + 8),
		    get_be32(bytes + 16), path, err);
	if (error == 0)
		error = read_extensions(h, bytes, len, header, path, err);
	return error;
}

size_t
qcow2_find_backing(const uint8_t *bytes, size_t len, uint64_t *at)
{
	size_t n;

	if (!qcow2_is(bytes, len) || len < V2_BYTES)
		return 0;
	*at = get_be64(bytes + 8);
	n = get_be32(bytes + 16);
	return *at != 0 && n <= QCOW2_MAX_NAME_BYTES ? n : 0;
}

/* ---- writing ---- */

static size_t
put_extension(
    uint8_t *bytes, size_t at, uint32_t type, const void *data, uint32_t len)
{
	put_be32(bytes + at, type);
	put_be32(bytes + at + 4, len);
	memcpy(bytes + at + 8, data, len);
	return at + 8 + ((len + 7) & ~UINT32_C(7));
}

static size_t
put_feature_names(uint8_t *bytes, size_t at)
{
	static const struct {
		uint8_t type, bit;
		const char *name;
	} names[] = {
		{ 0, 0, "dirty bit" },
		{ 0, 1, "corrupt bit" },
		{ 0, 2, "external data file" },
		{ 0, 3, "compression type" },
		{ 0, 4, "extended L2 entries" },
		{ 1, 0, "lazy refcounts" },
		{ 2, 0, "bitmaps" },
		{ 2, 1, "raw external data" },
	};
	enum { N = sizeof(names) / sizeof(names[0]) };
	uint8_t table[N * FEATURE_BYTES] = { 0 };

	for (size_t i = 0; i < N; i++) {
		uint8_t *row = table + i * FEATURE_BYTES;

		row[0] = names[i].type;
		row[1] = names[i].bit;
		memcpy(row + 2, names[i].name, strlen(names[i].name));
	}
	return put_extension(bytes, at, EXT_FEATURES, table, sizeof(table));
}

void
qcow2_write_header(struct qcow2 *h, uint8_t *bytes, size_t len)
{
	size_t at = OUR_BYTES, name = strlen(h->backing);

	assert(len >= QCOW2_HEADER_BYTES && h->incompatible == 0);
	memset(bytes, 0, len);
	put_be32(bytes, MAGIC);
	put_be32(bytes + 4, 3);
	put_be32(bytes + 20, h->cluster_bits);
	put_be64(bytes + QCOW2_AT_SIZE, h->size);
	put_be32(bytes + QCOW2_AT_L1, h->l1_entries);
	put_be64(bytes + QCOW2_AT_L1 + 4, h->l1_offset);
	put_be64(bytes + QCOW2_AT_REFCOUNTS, h->refcount_offset);
	put_be32(bytes + QCOW2_AT_REFCOUNTS + 8, h->refcount_clusters);
	put_be32(bytes + 96, h->refcount_order);
	put_be32(bytes + 100, OUR_BYTES);
	if (name > 0 && h->backing_format[0] != '\0')
		at = put_extension(bytes, at, EXT_FORMAT, h->backing_format,
		    (uint32_t)strlen(h->backing_format));
	at = put_feature_names(bytes, at) + 8; /* and the end marker */
	h->backing_offset = 0;
	if (name == 0)
		return;
	assert(name <= QCOW2_MAX_NAME_BYTES && at + name <= len);
	h->backing_offset = (uint32_t)at;
	put_be64(bytes + 8, at);
	put_be32(bytes + 16, (uint32_t)name);
	memcpy(bytes + at, h->backing, name);
}

/* ---- entries ---- */

const char *
qcow2_bad_l1(const struct qcow2 *h, uint64_t entry)
{
	if ((entry & ~(QCOW2_OFFSET | QCOW2_COPIED)) != 0)
		return "has reserved bits";
	if (!aligned(h, entry & QCOW2_OFFSET))
		return "is not aligned to a cluster";
	return NULL;
}

const char *
qcow2_bad_l2(const struct qcow2 *h, uint64_t entry)
{
	bool zero = h->version >= 3 && !h->extended_l2;
	uint64_t known = QCOW2_OFFSET | QCOW2_COPIED | (zero ? QCOW2_ZERO : 0);

	if ((entry & QCOW2_COMPRESSED) != 0)
		return NULL;
	if ((entry & ~known) != 0)
		return "has reserved bits";
	if (!aligned(h, entry & QCOW2_OFFSET))
		return "is not aligned to a cluster";
	return NULL;
}
