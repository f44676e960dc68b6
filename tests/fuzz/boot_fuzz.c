/* libs: vmm/boot.c vmm/boot_bzimage.c vmm/boot_elf.c vmm/boot_flat32.c vmm/boot_linux.c vmm/boot_multiboot.c vmm/boot_pvh.c vmm/boot_unpack.c vmm/memory.c base */
/*
 * Kernel files: whatever they contain, they are loaded into RAM alone, above
 * 1 MiB or (Multiboot) below the loader's tables, with an entry that lies there
 * too, or refused with a sentence.  The first byte is the protocol asked for.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "vmm/boot.h"
#include "vmm/boot_parts.h"
#include "vmm/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_BYTES (UINT64_C(8) << 20)

static void
check_multiboot(const struct memory *memory, const struct cpu_state *state)
{
	const uint8_t *info = memory_at(memory, state->gpr[CPU_RBX], 88);

	assert(state->gpr[CPU_RAX] == 0x2badb002 && info != NULL);
	assert(state->rip <= UINT32_MAX && !(state->cr0 & 0x80000000));
	assert(get_le32(info) == 0x24d);
	assert(get_le32(info + 8) == (MEMORY_BYTES >> 10) - 1024);
	assert(strcmp(memory_at(memory, get_le32(info + 16), 13),
		   "kernel quiet") == 0);
	assert(get_le32(info + 20) == 0); /* no module */
	assert(memory_at(memory, get_le32(info + 48), get_le32(info + 44)));
}

static void
check_entry(const struct memory *memory, const struct boot_entry *entry)
{
	struct cpu_state state = { 0 };

	assert(entry->protocol == BOOT_LINUX || entry->protocol == BOOT_PVH ||
	    entry->protocol == BOOT_MULTIBOOT);
	assert(entry->rip >= BOOT_KERNEL_MIN ||
	    (entry->protocol == BOOT_MULTIBOOT &&
		entry->rip >= BOOT_LOW_START &&
		entry->rip < BOOT_MULTIBOOT_INFO));
	assert(memory_at(memory, entry->rip, 1) != NULL);
	boot_cpu(entry, &state);
	assert(state.rip == entry->rip);
	if (entry->protocol == BOOT_LINUX) {
		const uint8_t *p = memory_at(memory, BOOT_PARAMS, 4096);

		assert(get_le32(p + 0x228) == BOOT_CMDLINE);
		assert(p[0x1e8] >= 3);            /* memory map entries */
		assert(get_le32(p + 0x21c) == 0); /* no initial RAM disk */
	}
	if (entry->protocol == BOOT_MULTIBOOT)
		check_multiboot(memory, &state);
	else
		assert(
		    strcmp(memory_at(memory, BOOT_CMDLINE, 6), "quiet") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory memory;
	struct boot_config config = {
		.kernel_name = "kernel", .initrd_fd = -1, .cmdline = "quiet"
	};
	struct boot_entry entry;
	struct err err = { "" };

	if (size < 1)
		return 0;
	log_set_level(LOG_ERROR);
	if (memory.base == NULL && memory_init(&memory, MEMORY_BYTES, NULL) < 0)
		return 0;
	config.protocol = data[0] % 4;
	config.kernel = data + 1;
	config.kernel_bytes = size - 1;
	if (boot_load(&memory, &config, &entry, &err) == 0)
		check_entry(&memory, &entry);
	else
		assert(err.text[0] != '\0');
	memory_clear(&memory);
	return 0;
}
