/* libs: vmm/fw_cfg.c vmm/archive.c vmm/exit_port.c vmm/bus.c vmm/memory.c vmm/boot.c vmm/boot_bzimage.c vmm/boot_elf.c vmm/boot_flat32.c vmm/boot_linux.c vmm/boot_multiboot.c vmm/boot_pvh.c vmm/boot_unpack.c base */
/*
 * Firmware configuration and exit port: whatever is read and written there, in
 * whatever widths, each byte is the next one of the item that was chosen last,
 * nothing in it changes, and the machine ends at most once.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vmm/exit_port.h"
#include "vmm/fw_cfg.h"
#include "vmm/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int ends;

static void
end(void *arg)
{
	(void)arg;
	ends++;
}

/* What a byte read now has to be. */
static uint8_t
expected(const struct fw_cfg *fw, uint16_t key, uint32_t offset)
{
	if (key >= FW_CFG_KEYS || offset >= fw->item[key].bytes)
		return 0;
	return fw->item[key].data[offset];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory memory;
	struct fw_cfg fw, before;
	struct exit_port port;
	struct bus bus = { 0 };
	uint16_t key = 0;
	uint32_t offset = 0;

	if (memory.base == NULL && memory_init(&memory, 64 << 20, NULL) < 0)
		return 0;
	fw_cfg_init(&fw, &memory, 2, "a command line");
	before = fw;
	ends = 0;
	exit_port_init(&port, EXIT_PORT_DEFAULT, end, NULL);
	bus_add(&bus, &fw.range);
	bus_add(&bus, &port.range);
	for (; size >= 4; data += 4, size -= 4) {
		unsigned int bytes = 1u << (data[0] >> 1 & 3);
		uint16_t at = (uint16_t)(FW_CFG_PORT - 2 + (data[0] >> 3 & 3));
		uint64_t value = get_le(data + 1, 3);

		if (data[0] >> 5 == 0) {
			bus_write(&bus, 0xf1 + (data[1] & 7), bytes, value);
		} else if (data[0] & 1) {
			bus_write(&bus, at, bytes, value);
			key = fw.key; /* a word may have been there */
			offset = fw.offset;
		} else if (bytes == 1 && at >= FW_CFG_PORT) {
			assert(bus_read(&bus, at, 1) ==
			    expected(&fw, key, offset));
			if (key < FW_CFG_KEYS && offset < fw.item[key].bytes)
				offset++;
		} else {
			bus_read(&bus, at, bytes);
			offset = fw.offset;
		}
		assert(fw.key == key && fw.offset == offset);
		assert(ends <= 1 && (ends == 1) == port.written);
	}
	assert(exit_port_status(&port) % 2 == 1);
	assert(exit_port_status(&port) >= 1 && exit_port_status(&port) <= 255);
	assert(memcmp(fw.numbers, before.numbers, sizeof(fw.numbers)) == 0);
	assert(memcmp(fw.e820, before.e820, sizeof(fw.e820)) == 0);
	assert(
	    memcmp(fw.directory, before.directory, sizeof(fw.directory)) == 0);
	return 0;
}
