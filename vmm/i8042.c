/*
 * The keyboard controller's ports.
 *
 * There is no keyboard.  The status says for ever that a byte waits and that
 * commands are taken at once: a driver that probes for a controller tries to
 * empty it, gives up after a few reads and leaves it alone (a more obliging
 * answer makes it wait half a second for devices), while a reset, which waits
 * for "not busy" only, goes through.  The A20 gate is open and stays so.
 */
#include "vmm/i8042.h"

#define PORT_DATA    0x60
#define PORT_COMMAND 0x64
#define STATUS_FULL  0x01 /* a byte waits in the output buffer */
#define CMD_RESET    0xfe /* pulse the CPU's reset line */
#define PORT_FAST    0x92
#define FAST_RESET   0x01
#define FAST_A20     0x02

static uint64_t
data_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return 0;
}

static void
data_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	(void)value;
}

static uint64_t
status_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return STATUS_FULL;
}

static void
command_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct i8042 *kbd = arg;

	(void)offset;
	(void)bytes;
	if (value == CMD_RESET)
		kbd->reset(kbd->arg);
}

static uint64_t
fast_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return FAST_A20;
}

static void
fast_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct i8042 *kbd = arg;

	(void)offset;
	(void)bytes;
	if (value & FAST_RESET)
		kbd->reset(kbd->arg);
}

static const struct bus_ops fast_bus = { fast_read, fast_write, 1 };
static const struct bus_ops data_bus = { data_read, data_write, 1 };
static const struct bus_ops command_bus = { status_read, command_write, 1 };

void
i8042_init(struct i8042 *kbd, void (*reset)(void *arg), void *arg)
{
	kbd->reset = reset;
	kbd->arg = arg;
	bus_range_init(&kbd->data, &data_bus, kbd, PORT_DATA, 1);
	bus_range_init(&kbd->command, &command_bus, kbd, PORT_COMMAND, 1);
	bus_range_init(&kbd->fast, &fast_bus, kbd, PORT_FAST, 1);
}
