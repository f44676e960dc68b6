/*
 * Linux bzImages (the kernel's Documentation/arch/x86/boot.rst): a set-up
 * header that describes a real-mode part, which we never run, and the
 * protected-mode part behind it, which holds the packed kernel.
 *
 * The header says since protocol 2.08 where the payload is, and since 2.12
 * whether there is a 64-bit entry, at 0x200 of the protected-mode part.
 */
#include "vmm/boot_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vmm/le.h"

#define SECTOR_BYTES     512
#define HEADER_ENDS      0x290 /* where boot_params goes on with another field */
#define MIN_BYTES        0x268
#define ENTRY_64         0x200
#define KERNEL_64        0x1                  /* in xloadflags */
#define INITRD_MAX       UINT64_C(0x37ffffff) /* before 2.03 */
#define AT_SECTS         0x1f1
#define AT_BOOT_FLAG     0x1fe
#define AT_JUMP          0x201
#define AT_MAGIC         0x202
#define AT_VERSION       0x206
#define AT_INITRD_MAX    0x22c
#define AT_RELOCATE      0x234
#define AT_XLOADFLAGS    0x236
#define AT_PAYLOAD       0x248
#define AT_PAYLOAD_BYTES 0x24c
#define AT_PREFERRED     0x258
#define AT_INIT_BYTES    0x260

static_assert(
    HEADER_ENDS - SETUP_HEADER_AT == SETUP_HEADER_BYTES, "the header's end");

bool
bzimage_is(const uint8_t *data, size_t bytes)
{
	return bytes >= AT_VERSION && get_le16(data + AT_BOOT_FLAG) == 0xaa55 &&
	    memcmp(data + AT_MAGIC, "HdrS", 4) == 0;
}

static int
read_header(struct bzimage *image, const uint8_t *data, struct err *err)
{
	uint16_t version = get_le16(data + AT_VERSION);
	uint32_t payload, payload_bytes;

	image->initrd_max = INITRD_MAX;
	if (version >= 0x203)
		image->initrd_max = get_le32(data + AT_INITRD_MAX);
	if (version >= 0x208) {
		payload = get_le32(data + AT_PAYLOAD);
		payload_bytes = get_le32(data + AT_PAYLOAD_BYTES);
		if (payload > image->code_bytes ||
		    payload_bytes > image->code_bytes - payload)
			return err_set(err, -ENOEXEC,
			    "%s: its payload of %u bytes at %u does not fit "
			    "into its %zu; the file is cut short",
			    image->name, payload_bytes, payload,
			    image->code_bytes);
		image->payload = image->code + payload;
		image->payload_bytes = payload_bytes;
	}
	if (version >= 0x20c && get_le16(data + AT_XLOADFLAGS) & KERNEL_64 &&
	    image->code_bytes > ENTRY_64) {
		image->has_entry = true;
		image->load = data[AT_RELOCATE] != 0
		    ? get_le64(data + AT_PREFERRED)
		    : BOOT_KERNEL_MIN;
		image->init_bytes = get_le32(data + AT_INIT_BYTES);
	}
	return 0;
}

int
bzimage_parse(struct bzimage *image, const char *name, const uint8_t *data,
    size_t bytes, struct err *err)
{
	size_t sectors, header_end;

	*image = (struct bzimage){ .name = name };
	if (bytes < MIN_BYTES)
		return err_set(err, -ENOEXEC,
		    "%s: %zu bytes are too few for a bzImage; the file is cut "
		    "short",
		    name, bytes);
	/* 0 means 4, for the sake of very old kernels */
	sectors = data[AT_SECTS] != 0 ? data[AT_SECTS] : 4;
	if ((sectors + 1) * SECTOR_BYTES >= bytes)
		return err_set(err, -ENOEXEC,
		    "%s: a set-up part of %zu sectors does not fit a file of "
		    "%zu bytes; the file is cut short",
		    name, sectors, bytes);
	image->code = data + (sectors + 1) * SECTOR_BYTES;
	image->code_bytes = bytes - (sectors + 1) * SECTOR_BYTES;
	header_end = AT_MAGIC + (size_t)data[AT_JUMP];
	if (header_end > HEADER_ENDS)
		header_end = HEADER_ENDS;
	if (header_end > bytes)
		header_end = bytes;
	image->header_bytes = header_end - SETUP_HEADER_AT;
	memcpy(image->header, data + SETUP_HEADER_AT, image->header_bytes);
	return read_header(image, data, err);
}

int
bzimage_load(const struct bzimage *image, const struct memory *memory,
    uint64_t *end, struct err *err)
{
	uint64_t room = image->init_bytes > image->code_bytes
	    ? image->init_bytes
	    : image->code_bytes;
	uint8_t *to;

	if (!image->has_entry)
		return err_set(err, -ENOEXEC,
		    "%s: neither a packing that we know nor a 64-bit entry; "
		    "use a 64-bit kernel packed by gzip, lz4, xz or zstd",
		    image->name);
	if (image->load < BOOT_KERNEL_MIN)
		return err_set(err, -ENOEXEC,
		    "%s: wants to be loaded at 0x%" PRIx64 ", below 1 MiB; "
		    "the file is damaged",
		    image->name, image->load);
	to = memory_at(memory, image->load, room);
	if (to == NULL)
		return err_set(err, -ENOMEM,
		    "%s: wants %" PRIu64 " bytes at 0x%" PRIx64 " and the "
		    "guest's memory ends before; give it more memory",
		    image->name, room, image->load);
	memcpy(to, image->code, image->code_bytes);
	*end = image->load + room;
	return 0;
}
