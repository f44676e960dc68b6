/*
 * PVH (Xen's docs/misc/pvh.pandoc): 32-bit protected mode without paging
 * (boot_flat32.c), and EBX pointing to an hvm_start_info with the memory map,
 * the command line and the initial RAM disk as its first module.
 */
#include "vmm/boot_parts.h"

#include <errno.h>
#include <string.h>

#include "vmm/le.h"

#define START_MAGIC 0x336ec578u
#define INFO_BYTES  56
#define MODULE_AT   (BOOT_PVH_INFO + 0x40)
#define MAP_AT      (BOOT_PVH_INFO + 0x80)
#define MAP_BYTES   24

static void
put_info(uint8_t *info, const struct boot_config *config,
    const struct boot_initrd *initrd, unsigned int nmap)
{
	put_le32(info, START_MAGIC);
	put_le32(info + 4, 1); /* version: with a memory map */
	put_le32(info + 12, initrd->bytes != 0 ? 1 : 0);
	put_le64(info + 16, initrd->bytes != 0 ? MODULE_AT : 0);
	put_le64(info + 24, BOOT_CMDLINE);
	put_le64(info + 32, config->rsdp);
	put_le64(info + 40, MAP_AT);
	put_le32(info + 48, nmap);
}

int
pvh_prepare(const struct memory *memory, const struct boot_config *config,
    const struct boot_initrd *initrd, struct err *err)
{
	uint8_t *low = memory_at(memory, 0, BOOT_KERNEL_MIN);
	size_t len = strlen(config->cmdline);
	struct boot_map map[BOOT_MAP_MAX];
	unsigned int n = boot_map(memory, map);

	if (len >= BOOT_CMDLINE_BYTES)
		return err_set(err, -EINVAL,
		    "the kernel command line has %zu bytes; use at most %d",
		    len, BOOT_CMDLINE_BYTES - 1);
	put_info(low + BOOT_PVH_INFO, config, initrd, n);
	put_le64(low + MODULE_AT, initrd->address);
	put_le64(low + MODULE_AT + 8, initrd->bytes);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = low + MAP_AT + (size_t)i * MAP_BYTES;

		put_le64(at, map[i].start);
		put_le64(at + 8, map[i].bytes);
		put_le32(at + 16, map[i].type);
	}
	memcpy(low + BOOT_CMDLINE, config->cmdline, len + 1);
	flat32_prepare(low);
	return 0;
}

void
pvh_cpu(uint64_t rip, struct cpu_state *state)
{
	flat32_cpu(rip, state);
	state->gpr[CPU_RBX] = BOOT_PVH_INFO;
}
