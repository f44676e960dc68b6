/*
 * boot.h - what the loader tells: command line and memory.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include <stdint.h>

#define BOOT_CMDLINE_BYTES 2048

enum boot_kind { BOOT_LINUX, BOOT_PVH }; /* as start.S passes them */

struct boot {
	char cmdline[BOOT_CMDLINE_BYTES]; /* cut if longer; "" if none */
	uint64_t memory_end; /* of the memory that the image lies in */
};

/* Reads boot_params or hvm_start_info, whose bytes are ours to overwrite
 * afterwards. */
void boot_read(struct boot *boot, enum boot_kind kind, uint64_t info);

#endif
