/*
 * Firmware configuration: an array of items by key, and a place in one.
 *
 * The interface is older than its DMA and all its readers can do without; the
 * items here are so small that it would save nothing.
 */
#include "vmm/fw_cfg.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/boot.h"
#include "vmm/le.h"

#define ID_TRADITIONAL 0x1
#define KEY_WRITE      0x4000
#define FILE_BYTES     64 /* of a directory's entry */
#define E820_BYTES     20

static_assert(BOOT_MAP_MAX * E820_BYTES <= FW_CFG_E820_BYTES, "a map has room");

/* ---- the two ports ---- */

/* A byte at either port, as for QEMU. */
static uint64_t
fw_cfg_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct fw_cfg *fw = arg;
	const struct fw_cfg_item *item;

	(void)offset;
	if (bytes != 1 || fw->key >= FW_CFG_KEYS)
		return 0;
	item = &fw->item[fw->key];
	return fw->offset < item->bytes ? item->data[fw->offset++] : 0;
}

static void
fw_cfg_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct fw_cfg *fw = arg;

	(void)offset;
	if (bytes != 2)
		return; /* to the data: nothing can be written */
	fw->key = (uint16_t)value & (uint16_t)~KEY_WRITE;
	fw->offset = 0;
}

static const struct bus_ops fw_cfg_bus = { fw_cfg_read, fw_cfg_write, 2 };

/* ---- items ---- */

static void
add(struct fw_cfg *fw, unsigned int key, const void *data, uint32_t bytes)
{
	assert(key < FW_CFG_KEYS && fw->item[key].bytes == 0);
	fw->item[key] = (struct fw_cfg_item){ .data = data, .bytes = bytes };
}

static void
add_number(
    struct fw_cfg *fw, unsigned int key, unsigned int bytes, uint64_t value)
{
	uint8_t *at = fw->numbers + fw->numbers_bytes;

	assert(fw->numbers_bytes + bytes <= FW_CFG_NUMBERS);
	put_le(at, bytes, value);
	fw->numbers_bytes += bytes;
	add(fw, key, at, bytes);
}

static void
add_map(struct fw_cfg *fw, const struct memory *memory)
{
	struct boot_map map[BOOT_MAP_MAX];
	unsigned int n = boot_map(memory, map);

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = fw->e820 + (size_t)i * E820_BYTES;

		put_le64(at, map[i].start);
		put_le64(at + 8, map[i].bytes);
		put_le32(at + 16, map[i].type);
	}
	fw_cfg_add_file(fw, "etc/e820", fw->e820, n * E820_BYTES);
}

static void
put_be(uint8_t *at, unsigned int bytes, uint32_t value)
{
	for (unsigned int i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

int
fw_cfg_add_file(
    struct fw_cfg *fw, const char *name, const uint8_t *data, uint32_t bytes)
{
	size_t len = strlen(name);
	uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + fw->nfiles);
	uint8_t *entry = fw->directory + 4;

	if (len == 0 || len >= FW_CFG_NAME_BYTES)
		return -EINVAL;
	if (fw->nfiles == FW_CFG_FILES_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < fw->nfiles; i++, entry += FILE_BYTES)
		if (strcmp((char *)entry + 8, name) == 0)
			return -EINVAL;
	put_be(entry, 4, bytes);
	put_be(entry + 4, 2, key);
	memcpy(entry + 8, name, len + 1);
	add(fw, key, data, bytes);
	fw->nfiles++;
	put_be(fw->directory, 4, fw->nfiles);
	fw->item[FW_CFG_DIRECTORY].bytes = 4 + fw->nfiles * FILE_BYTES;
	return 0;
}

void
fw_cfg_init(struct fw_cfg *fw, const struct memory *memory, unsigned int ncpus,
    const char *cmdline)
{
	uint32_t cmdline_bytes = (uint32_t)strlen(cmdline) + 1;

	memset(fw, 0, sizeof(*fw));
	bus_range_init(&fw->range, &fw_cfg_bus, fw, FW_CFG_PORT, 2);
	add(fw, FW_CFG_SIGNATURE, "QEMU", 4);
	add_number(fw, FW_CFG_ID, 4, ID_TRADITIONAL);
	add_number(fw, FW_CFG_RAM_SIZE, 8, memory->size_bytes);
	add_number(fw, FW_CFG_CPUS, 2, ncpus);
	add_number(fw, FW_CFG_MAX_CPUS, 2, ncpus);
	add_number(fw, FW_CFG_CMDLINE_BYTES, 4, cmdline_bytes);
	add(fw, FW_CFG_CMDLINE, cmdline, cmdline_bytes);
	add(fw, FW_CFG_DIRECTORY, fw->directory, 4);
	add_map(fw, memory);
}

void
fw_cfg_reset(struct fw_cfg *fw)
{
	fw->key = FW_CFG_SIGNATURE;
	fw->offset = 0;
}

void
fw_cfg_archive(struct fw_cfg *fw, struct archive *a)
{
	archive_u16(a, &fw->key);
	archive_u32(a, &fw->offset);
}
