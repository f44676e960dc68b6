/*
 * serial.c - two 16550s with their FIFOs.
 *
 * Each access leaves the virtual machine, so transmission asks the line status
 * once per 16 bytes, and asks for the "transmitter empty" interrupt only while
 * the port is behind.  The lines are edge-triggered at the I/O APIC: service
 * goes on until the port says that nothing is pending, or the next edge would
 * never come.
 */
#include "vmm/guest/bare/serial.h"

#include "vmm/guest/bare/cpu.h"

#define UART_DATA    0
#define UART_IER     1 /* interrupt enable */
#define UART_IIR     2 /* interrupt identification; FIFO control */
#define UART_LCR     3
#define UART_MCR     4
#define UART_LSR     5
#define UART_MSR     6
#define IER_RX       0x01
#define IER_TX       0x02
#define LSR_RX       0x01
#define LSR_TX_EMPTY 0x20
#define FIFO_BYTES   16

#define OUT_BYTES 8192

/* The ports are hardware: this state is nobody else's. */
static struct uart {
	uint16_t base;
	bool present, waiting; /* waiting: for "transmitter empty" */
	size_t start, len;
	char out[OUT_BYTES];
} uarts[SERIAL_PORTS] = { { .base = 0x3f8 }, { .base = 0x2f8 } };

static const uint8_t lines[SERIAL_PORTS] = { 4, 3 };

void
serial_init(void)
{
	for (unsigned int i = 0; i < SERIAL_PORTS; i++) {
		struct uart *u = &uarts[i];

		if (inb(u->base + UART_LSR) == 0xff)
			continue; /* nothing there */
		u->present = true;
		outb(u->base + UART_LCR, 0x03); /* 8N1 */
		outb(u->base + UART_IIR, 0x07); /* FIFOs on and empty */
		outb(u->base + UART_MCR, 0x0b); /* DTR, RTS, interrupts */
		cpu_route_line(lines[i], IRQ_UART(i), false);
		outb(u->base + UART_IER, IER_RX);
	}
}

size_t
serial_write(unsigned int port, const char *data, size_t len)
{
	struct uart *u = &uarts[port];
	size_t n = 0;

	if (!u->present)
		return len;
	for (; n < len && u->len < OUT_BYTES; n++)
		u->out[(u->start + u->len++) % OUT_BYTES] = data[n];
	return n;
}

bool
serial_room(unsigned int port)
{
	return uarts[port].len < OUT_BYTES / 2;
}

/* Sends up to a FIFO of bytes if the port is ready for them. */
static bool
push_some(struct uart *u)
{
	if (u->len == 0 || (inb(u->base + UART_LSR) & LSR_TX_EMPTY) == 0)
		return false;
	for (unsigned int n = 0; n < FIFO_BYTES && u->len > 0; n++) {
		outb(u->base + UART_DATA, (uint8_t)u->out[u->start]);
		u->start = (u->start + 1) % OUT_BYTES;
		u->len--;
	}
	return true;
}

void
serial_push(unsigned int port)
{
	struct uart *u = &uarts[port];

	if (!u->present)
		return;
	while (push_some(u))
		;
	if (u->waiting != (u->len > 0)) {
		u->waiting = u->len > 0;
		outb(u->base + UART_IER, IER_RX | (u->waiting ? IER_TX : 0));
	}
}

void
serial_service(unsigned int port, void (*got)(unsigned int port, char c))
{
	struct uart *u = &uarts[port];

	for (unsigned int rounds = 0; rounds < 64; rounds++) {
		uint8_t why = inb(u->base + UART_IIR);

		if (why & 1)
			return;
		switch (why & 0x0e) {
		case 0x02: /* transmitter empty; reading it said so */
			push_some(u);
			if (u->len == 0) {
				u->waiting = false;
				outb(u->base + UART_IER, IER_RX);
			}
			break;
		case 0x00: (void)inb(u->base + UART_MSR); break;
		default: /* data, timeout, line status */
			for (unsigned int n = 0; n < 64; n++) {
				if (!(inb(u->base + UART_LSR) & LSR_RX))
					break;
				got(port, (char)inb(u->base + UART_DATA));
			}
			break;
		}
	}
}

void
serial_drain(void)
{
	for (unsigned int i = 0; i < SERIAL_PORTS; i++) {
		struct uart *u = &uarts[i];
		unsigned int tries = 20000;

		while (u->present && u->len > 0 && tries > 0) {
			if (!push_some(u))
				tries--;
		}
	}
}

void
serial_emergency(const char *text)
{
	serial_drain();
	for (; *text != '\0'; text++)
		outb(uarts[0].base + UART_DATA, (uint8_t)*text);
}
