#include "vmm/guest/bare/boot.h"

#include <stddef.h>

#include "vmm/guest/bare/memory.h"

/* boot_params: the Linux/x86 boot protocol's "zero page". */
#define BP_CMDLINE_HIGH 0x0c8
#define BP_E820_COUNT   0x1e8
#define BP_CMDLINE      0x228
#define BP_E820         0x2d0
#define BP_E820_BYTES   20
#define BP_E820_MAX     128

/* hvm_start_info: Xen's PVH boot protocol. */
#define PVH_MAGIC       0x336ec578
#define PVH_CMDLINE     24
#define PVH_MAP         40
#define PVH_MAP_COUNT   48
#define PVH_ENTRY_BYTES 24

#define RAM 1

/* The loader's memory, not a frame's: aligned or not, in our byte order. */
typedef uint32_t __attribute__((aligned(1), may_alias)) loose32;

static uint32_t
at32(uint64_t at)
{
	return *(const loose32 *)at;
}

static uint64_t
at64(uint64_t at)
{
	return at32(at) | (uint64_t)at32(at + 4) << 32;
}

static void
read_map(struct boot *boot, uint64_t map, uint32_t entries, uint32_t step)
{
	const uint64_t here = memory_image_end() - 1;

	for (uint32_t i = 0; i < entries; i++, map += step) {
		uint64_t start = at64(map), bytes = at64(map + 8);

		if (at32(map + 16) == RAM && start <= here &&
		    here - start < bytes)
			boot->memory_end = start + bytes;
	}
}

void
boot_read(struct boot *boot, enum boot_kind kind, uint64_t info)
{
	const char *cmdline = NULL;
	size_t n = 0;

	boot->memory_end = memory_image_end();
	if (kind == BOOT_LINUX) {
		cmdline = (const char *)(at32(info + BP_CMDLINE) |
		    (uint64_t)at32(info + BP_CMDLINE_HIGH) << 32);
		uint32_t count = at32(info + BP_E820_COUNT) & 0xff;
		read_map(boot, info + BP_E820,
		    count < BP_E820_MAX ? count : BP_E820_MAX, BP_E820_BYTES);
	} else if (at32(info) == PVH_MAGIC) {
		cmdline = (const char *)at64(info + PVH_CMDLINE);
		if (at32(info + 4) >= 1)
			read_map(boot, at64(info + PVH_MAP),
			    at32(info + PVH_MAP_COUNT), PVH_ENTRY_BYTES);
	}
	if (cmdline != NULL) {
		for (; n < sizeof(boot->cmdline) - 1 && cmdline[n] != '\0'; n++)
			boot->cmdline[n] = cmdline[n];
	}
	boot->cmdline[n] = '\0';
}
