/* libs: vmm disk net base */
/*
 * The serial port: no order of accesses loses, doubles or reorders a byte, and
 * the line is high exactly when the port has something to tell.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/no_guest.h"
#include "vmm/uart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORT 0x2f8

struct rig {
	struct uart uart;
	struct bus bus;
	unsigned int arrived, taken; /* input is the bytes 0, 1, 2, ... */
	unsigned int sent;
	bool room, level;
};

static void
end_put(void *arg, uint8_t byte)
{
	(void)byte;
	((struct rig *)arg)->sent++;
}

static bool
end_room(void *arg)
{
	return ((struct rig *)arg)->room;
}

static bool
end_get(void *arg, uint8_t *byte)
{
	struct rig *rig = arg;

	if (rig->taken == rig->arrived)
		return false;
	*byte = (uint8_t)rig->taken++;
	return true;
}

static void
end_line(void *arg, bool level)
{
	struct rig *rig = arg;

	assert(level != rig->level);
	rig->level = level;
}

static const struct uart_ops ops = { end_put, end_room, end_get, end_line };

/* What the FIFO holds are the last bytes taken, in order. */
static void
check(struct rig *rig)
{
	const struct uart *u = &rig->uart;

	assert(u->count <= (u->fifo_on ? UART_FIFO_BYTES : 1u));
	assert(u->head < UART_FIFO_BYTES);
	assert(u->level == rig->level);
	if (rig->level)
		assert(u->ier != 0);
	if (u->ier & 1 && u->count > 0)
		assert(rig->level);
}

static void
check_received(const struct rig *rig, bool looped, unsigned int before,
    uint8_t first, uint8_t value)
{
	if (!looped && before > 0)
		assert(value == first);
	if (before > 0)
		assert(rig->uart.count + 1 >= before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = { .room = true };

	uart_init(&rig.uart, PORT, &ops, &rig);
	bus_add(&rig.bus, &rig.uart.range);
	for (size_t i = 0; i + 1 < size; i += 2) {
		unsigned int reg = data[i] & 7, before = rig.uart.count;
		uint8_t first = rig.uart.fifo[rig.uart.head];
		bool dlab = rig.uart.lcr & 0x80;
		bool looped = rig.uart.mcr & 0x10;
		unsigned int sent = rig.sent;

		switch (data[i] >> 6) {
		case 0:
			bus_write(&rig.bus, PORT + reg, 1, data[i + 1]);
			assert(
			    rig.sent == sent + (reg == 0 && !dlab && !looped));
			break;
		case 1: {
			uint8_t v = (uint8_t)bus_read(&rig.bus, PORT + reg, 1);

			if (reg == 0 && !dlab)
				check_received(&rig, looped, before, first, v);
			break;
		}
		case 2:
			rig.arrived += data[i + 1];
			uart_receive(&rig.uart);
			if (!(rig.uart.mcr & 0x10) && rig.taken < rig.arrived)
				assert(rig.uart.count > 0);
			break;
		default:
			rig.room = data[i + 1] & 1;
			uart_send_on(&rig.uart);
			break;
		}
		check(&rig);
	}
	uart_reset(&rig.uart);
	assert(!rig.level);
	return 0;
}
