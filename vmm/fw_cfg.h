/*
 * fw_cfg.h - what the machine is, to be asked for at two ports: a subset of
 * QEMU's firmware configuration (its docs/specs/fw_cfg.rst).
 *
 * A 16-bit write to port 0x510 selects an item by its key and goes back to its
 * start; each byte read from port 0x511 is the next of it, and 0 after its end.
 * Items of keys from 0x20 on are files, found by name in the directory at key
 * 0x19.  Nothing can be written, and there is no DMA (bit 1 of the id is 0).
 *
 *     key             type            what
 *     0x0000          4 bytes         "QEMU"
 *     0x0001          u32             1: the interface described here
 *     0x0003          u64             bytes of RAM
 *     0x0005, 0x000f  u16             CPUs
 *     0x0014, 0x0015  u32, string     kernel command line: its bytes, itself
 *     0x0019          big-endian      directory of files
 *     "etc/e820"      u64, u64, u32   map of memory: start, bytes, type
 *
 * Numbers are little-endian but for the directory's.  All other keys, among
 * them those of an architecture (bit 15), are empty; bit 14 is not looked at.
 * The caller holds the machine's lock.
 */
#ifndef VMM_FW_CFG_H
#define VMM_FW_CFG_H

#include <stdbool.h>

#include "vmm/archive.h"
#include "vmm/bus.h"
#include "vmm/memory.h"

#define FW_CFG_PORT          0x510
#define FW_CFG_SIGNATURE     0x00
#define FW_CFG_ID            0x01
#define FW_CFG_RAM_SIZE      0x03
#define FW_CFG_CPUS          0x05
#define FW_CFG_MAX_CPUS      0x0f
#define FW_CFG_CMDLINE_BYTES 0x14
#define FW_CFG_CMDLINE       0x15
#define FW_CFG_DIRECTORY     0x19
#define FW_CFG_FILE_FIRST    0x20
#define FW_CFG_FILES_MAX     16
#define FW_CFG_KEYS          (FW_CFG_FILE_FIRST + FW_CFG_FILES_MAX)
#define FW_CFG_NAME_BYTES    56 /* with its end */
#define FW_CFG_NUMBERS       64 /* bytes of items that are numbers */
#define FW_CFG_E820_BYTES    128

struct fw_cfg {
	struct bus_range range;
	struct fw_cfg_item {
		const uint8_t *data;
		uint32_t bytes; /* 0: no such item */
	} item[FW_CFG_KEYS];
	uint16_t key;
	uint32_t offset;
	unsigned int nfiles;
	uint8_t numbers[FW_CFG_NUMBERS];
	uint32_t numbers_bytes;
	uint8_t e820[FW_CFG_E820_BYTES];
	uint8_t directory[4 + 64 * FW_CFG_FILES_MAX];
};

/* All items above but for other files.  Borrows cmdline.  To be added to the
 * ports by its range. */
void fw_cfg_init(struct fw_cfg *fw, const struct memory *memory,
    unsigned int ncpus, const char *cmdline);

/* One more file, of data that is borrowed.  0; -EINVAL: a name that is empty,
 * too long or there already; -ENOSPC: no more than FW_CFG_FILES_MAX. */
int fw_cfg_add_file(
    struct fw_cfg *fw, const char *name, const uint8_t *data, uint32_t bytes);

void fw_cfg_reset(struct fw_cfg *fw); /* the first item is selected */

/* Which one is, and how far it has been read. */
void fw_cfg_archive(struct fw_cfg *fw, struct archive *a);

#endif
