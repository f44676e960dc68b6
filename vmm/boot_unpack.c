/*
 * The payload of a bzImage, unpacked by the libraries that made it.
 *
 * All packings end with the unpacked size in four bytes (gzip's own trailer,
 * or appended by the kernel's makefile), so the result's room is known before.
 * It is believed only as a bound: a stream that yields more or less is refused.
 *
 * LZ4 is its legacy frame, which the library does not read: blocks of up to
 * 8 MiB, each with its packed size before it.
 */
#include "vmm/boot_parts.h"

#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/le.h"

#define SIZE_BYTES      4 /* the unpacked size, at the end */
#define UNPACKED_MAX    (UINT32_C(512) << 20)
#define LZ4_BLOCK_BYTES (8u << 20)
#define XZ_MEMORY_BYTES (UINT64_C(256) << 20)

/* Unpacks in[0, n) into out[0, size).  How much came out, or -1: damaged. */
typedef long unpack_fn(const uint8_t *in, size_t n, uint8_t *out, size_t size);

static long
unpack_gzip(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	z_stream z = { .next_in = (uint8_t *)in,
		.avail_in = (uInt)n,
		.next_out = out,
		.avail_out = (uInt)size };
	int r;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -1;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return r == Z_STREAM_END ? (long)(size - z.avail_out) : -1;
}

static long
unpack_lz4(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	size_t at = 4, done = 0; /* past the magic number */

	while (done < size && n - at >= 4) {
		size_t packed = get_le32(in + at);
		size_t room = size - done;
		int got;

		at += 4;
		if (packed > n - at)
			return -1;
		if (room > LZ4_BLOCK_BYTES)
			room = LZ4_BLOCK_BYTES;
		got = LZ4_decompress_safe((const char *)in + at,
		    (char *)out + done, (int)packed, (int)room);
		if (got <= 0)
			return -1;
		at += packed;
		done += (size_t)got;
	}
	return n - at <= SIZE_BYTES ? (long)done : -1;
}

static long
unpack_lzma_any(
    lzma_stream *s, const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	lzma_ret r;

	s->next_in = in;
	s->avail_in = n;
	s->next_out = out;
	s->avail_out = size;
	r = lzma_code(s, LZMA_FINISH);
	lzma_end(s);
	return r == LZMA_STREAM_END ? (long)(size - s->avail_out) : -1;
}

static long
unpack_xz(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&s, XZ_MEMORY_BYTES, 0) != LZMA_OK)
		return -1;
	return unpack_lzma_any(&s, in, n, out, size);
}

static long
unpack_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&s, XZ_MEMORY_BYTES) != LZMA_OK)
		return -1;
	return unpack_lzma_any(&s, in, n, out, size);
}

static long
unpack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
	/* The size at the end is not part of the frame. */
	size_t frame = ZSTD_findFrameCompressedSize(in, n), r;

	if (ZSTD_isError(frame))
		return -1;
	r = ZSTD_decompress(out, size, in, frame);
	return ZSTD_isError(r) ? -1 : (long)r;
}

static const struct packing {
	const char *name;
	const char *magic;
	size_t magic_bytes;
	unpack_fn *unpack;
} packings[] = {
	{ "gzip", "\x1f\x8b", 2, unpack_gzip },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4 },
	{ "xz", "\xfd\x37\x7a\x58\x5a\x00", 6, unpack_xz },
	{ "lzma", "\x5d\x00\x00", 3, unpack_lzma },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
};

static const struct packing *
packing_of(const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++)
		if (bytes >= packings[i].magic_bytes + SIZE_BYTES &&
		    memcmp(data, packings[i].magic, packings[i].magic_bytes) ==
			0)
			return &packings[i];
	return NULL;
}

const char *
unpack_kind(const uint8_t *data, size_t bytes)
{
	const struct packing *packing = packing_of(data, bytes);

	return packing != NULL ? packing->name : NULL;
}

int
unpack(struct unpacked *out, const char *name, const uint8_t *data,
    size_t bytes, struct err *err)
{
	const struct packing *packing = packing_of(data, bytes);
	uint32_t size;
	void *room;
	long got;

	*out = (struct unpacked){ 0 };
	if (packing == NULL)
		return err_set(err, -ENOEXEC,
		    "%s: packed in an unknown way; use gzip, lz4, xz or zstd",
		    name);
	size = get_le32(data + bytes - SIZE_BYTES);
	if (size == 0 || size > UNPACKED_MAX)
		return err_set(err, -ENOEXEC,
		    "%s: says that it unpacks to %u bytes, more than %u; the "
		    "file is damaged",
		    name, size, UNPACKED_MAX);
	room = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return err_sys(
		    err, -ENOMEM, NULL, "%s: unpacking %u bytes", name, size);
	*out = (struct unpacked){ .data = room, .bytes = size };
	got = packing->unpack(data, bytes, room, size);
	if (got != (long)size) {
		unpack_free(out);
		return err_set(err, -ENOEXEC,
		    "%s: its %s payload does not unpack to %u bytes; the file "
		    "is damaged",
		    name, packing->name, size);
	}
	return 0;
}

void
unpack_free(struct unpacked *out)
{
	if (out->data != NULL)
		munmap(out->data, out->bytes);
	*out = (struct unpacked){ 0 };
}
