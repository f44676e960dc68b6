/*
 * The exit port.  A status is odd, so that 0 stays what it is elsewhere, a
 * machine that was powered off; 1 is also that of a machine that crashed, which
 * says so.
 */
#include "vmm/exit_port.h"

#include <string.h>

static uint64_t
port_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return 0;
}

static void
port_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct exit_port *port = arg;

	(void)offset;
	(void)bytes;
	if (port->written)
		return;
	port->written = true;
	port->value = (uint32_t)value;
	port->ended(port->arg);
}

static const struct bus_ops port_bus = { port_read, port_write, 4 };

void
exit_port_init(
    struct exit_port *port, uint16_t at, void (*ended)(void *arg), void *arg)
{
	memset(port, 0, sizeof(*port));
	port->ended = ended;
	port->arg = arg;
	bus_range_init(&port->range, &port_bus, port, at, EXIT_PORT_BYTES);
}

int
exit_port_status(const struct exit_port *port)
{
	return (int)((port->value << 1 | 1) & 0xff);
}
