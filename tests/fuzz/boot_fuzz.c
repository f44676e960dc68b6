/* libs: vmm net base */
/*
 * Kernel files: whatever they contain, they are loaded into RAM alone, above
 * 1 MiB, with an entry that lies there too, or refused with a sentence.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/no_guest.h"
#include "vmm/boot.h"
#include "vmm/boot_parts.h"
#include "vmm/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_BYTES (UINT64_C(8) << 20)

static void
check_entry(const struct memory *memory, const struct boot_entry *entry)
{
	struct cpu_state state = { 0 };

	assert(entry->protocol == BOOT_LINUX || entry->protocol == BOOT_PVH);
	assert(entry->rip >= BOOT_KERNEL_MIN);
	assert(memory_at(memory, entry->rip, 1) != NULL);
	boot_cpu(entry, &state);
	assert(state.rip == entry->rip);
	if (entry->protocol == BOOT_LINUX) {
		const uint8_t *p = memory_at(memory, BOOT_PARAMS, 4096);

		assert(get_le32(p + 0x228) == BOOT_CMDLINE);
		assert(p[0x1e8] >= 3);            /* memory map entries */
		assert(get_le32(p + 0x21c) == 0); /* no initial RAM disk */
	}
	assert(strcmp(memory_at(memory, BOOT_CMDLINE, 6), "quiet") == 0);
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
	if (memory.base == NULL && memory_init(&memory, MEMORY_BYTES, NULL) < 0)
		return 0;
	config.protocol = data[0] % 3;
	config.kernel = data + 1;
	config.kernel_bytes = size - 1;
	if (boot_load(&memory, &config, &entry, &err) == 0)
		check_entry(&memory, &entry);
	else
		assert(err.text[0] != '\0');
	memory_clear(&memory);
	return 0;
}
