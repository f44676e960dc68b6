/*
 * The 16550A (National Semiconductor's PC16550D data sheet), as far as software
 * can tell: divisor and line settings are kept, not obeyed, and modem lines say
 * that somebody is there.
 *
 * The receive FIFO is filled from the other end when there is room, so the
 * flow control that a real line lacks comes for nothing: overruns do not
 * happen, but in loopback.  The character time-out is at once: whatever is in
 * the FIFO below its trigger level counts as timed out.
 *
 * Sending has no FIFO of its own, since the other end takes bytes at once.
 */
#include "vmm/uart.h"

#include <string.h>

enum {
	R_DATA = 0, /* RBR and THR, or the divisor's low byte */
	R_IER,      /* or its high byte */
	R_IIR,      /* FCR when written */
	R_LCR,
	R_MCR,
	R_LSR,
	R_MSR,
	R_SCRATCH,
};

#define IER_RX  0x01
#define IER_TX  0x02
#define IER_LSR 0x04
#define IER_MSR 0x08

#define IIR_NONE    0x01
#define IIR_TX      0x02
#define IIR_RX      0x04
#define IIR_LSR     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ON       0x01
#define FCR_RX_CLEAR 0x02

#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define MCR_BITS 0x1f

#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE    0x20
#define LSR_IDLE    0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI  0x40
#define MSR_DCD 0x80

/* By the upper bits of FCR. */
static const uint8_t triggers[] = { 1, 4, 8, 14 };

static bool
dlab(const struct uart *uart)
{
	return uart->lcr & LCR_DLAB;
}

static bool
loops(const struct uart *uart)
{
	return uart->mcr & MCR_LOOP;
}

static unsigned int
fifo_room(const struct uart *uart)
{
	return (uart->fifo_on ? UART_FIFO_BYTES : 1) - uart->count;
}

static void
fifo_put(struct uart *uart, uint8_t byte)
{
	uart->fifo[(uart->head + uart->count++) % UART_FIFO_BYTES] = byte;
}

/* The interrupt that IIR tells of, the most urgent first. */
static uint8_t
cause(const struct uart *uart)
{
	if (uart->ier & IER_LSR && uart->overrun)
		return IIR_LSR;
	if (uart->ier & IER_RX && uart->count > 0)
		return uart->fifo_on && uart->count < uart->trigger
		    ? IIR_TIMEOUT
		    : IIR_RX;
	if (uart->ier & IER_TX && uart->thr_interrupt)
		return IIR_TX;
	return IIR_NONE;
}

static void
update(struct uart *uart)
{
	bool level = cause(uart) != IIR_NONE;

	if (level == uart->level)
		return;
	uart->level = level;
	uart->ops->line(uart->arg, level);
}

/* Fetches what fits. */
static void
fill(struct uart *uart)
{
	uint8_t byte;

	while (!loops(uart) && fifo_room(uart) > 0 &&
	    uart->ops->get(uart->arg, &byte))
		fifo_put(uart, byte);
}

void
uart_reset(struct uart *uart)
{
	uart->ier = uart->lcr = uart->mcr = uart->scratch = 0;
	uart->divisor[0] = 12; /* 9600 baud */
	uart->divisor[1] = 0;
	uart->fifo_on = uart->thr_interrupt = uart->overrun = false;
	uart->trigger = 1;
	uart->head = uart->count = 0;
	update(uart);
}

/* ---- reading ---- */

static uint8_t
read_data(struct uart *uart)
{
	uint8_t byte;

	if (uart->count == 0)
		return 0;
	byte = uart->fifo[uart->head];
	uart->head = (uart->head + 1) % UART_FIFO_BYTES;
	if (--uart->count == 0)
		fill(uart);
	return byte;
}

static uint8_t
read_iir(struct uart *uart)
{
	uint8_t iir = cause(uart);

	if (iir == IIR_TX)
		uart->thr_interrupt = false; /* reading it is enough */
	return iir | (uart->fifo_on ? IIR_FIFOS : 0);
}

static uint8_t
read_lsr(struct uart *uart)
{
	uint8_t lsr = 0;

	if (uart->count > 0)
		lsr |= LSR_DATA;
	if (uart->overrun)
		lsr |= LSR_OVERRUN;
	if (loops(uart) || uart->ops->room(uart->arg))
		lsr |= LSR_THRE | LSR_IDLE;
	uart->overrun = false;
	return lsr;
}

static uint8_t
read_msr(const struct uart *uart)
{
	uint8_t mcr = uart->mcr;

	if (!loops(uart))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	/* DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD. */
	return (mcr & 1 ? MSR_DSR : 0) | (mcr & 2 ? MSR_CTS : 0) |
	    (mcr & 4 ? MSR_RI : 0) | (mcr & 8 ? MSR_DCD : 0);
}

static uint64_t
uart_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct uart *uart = arg;
	uint8_t value = 0xff;

	(void)bytes;
	switch (offset) {
	case R_DATA:
		value = dlab(uart) ? uart->divisor[0] : read_data(uart);
		break;
	case R_IER: value = dlab(uart) ? uart->divisor[1] : uart->ier; break;
	case R_IIR: value = read_iir(uart); break;
	case R_LCR: value = uart->lcr; break;
	case R_MCR: value = uart->mcr; break;
	case R_LSR: value = read_lsr(uart); break;
	case R_MSR: value = read_msr(uart); break;
	case R_SCRATCH: value = uart->scratch; break;
	default: break;
	}
	update(uart);
	return value;
}

/* ---- writing ---- */

static void
write_data(struct uart *uart, uint8_t value)
{
	if (loops(uart)) {
		if (fifo_room(uart) > 0)
			fifo_put(uart, value);
		else
			uart->overrun = true;
	} else {
		uart->ops->put(uart->arg, value);
	}
	/* Gone already: the transmitter is empty again, unless the other end
	 * has no room. */
	uart->thr_interrupt = loops(uart) || uart->ops->room(uart->arg);
}

static void
write_ier(struct uart *uart, uint8_t value)
{
	/* Switching it on with the transmitter empty tells so at once. */
	if (value & ~uart->ier & IER_TX && uart->ops->room(uart->arg))
		uart->thr_interrupt = true;
	uart->ier = value & (IER_RX | IER_TX | IER_LSR | IER_MSR);
}

static void
write_fcr(struct uart *uart, uint8_t value)
{
	bool on = value & FCR_ON;

	if (on != uart->fifo_on || value & FCR_RX_CLEAR)
		uart->head = uart->count = 0;
	uart->fifo_on = on;
	uart->trigger = triggers[value >> 6];
	fill(uart);
}

static void
uart_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value64)
{
	struct uart *uart = arg;
	uint8_t value = (uint8_t)value64;

	(void)bytes;
	switch (offset) {
	case R_DATA:
		if (dlab(uart))
			uart->divisor[0] = value;
		else
			write_data(uart, value);
		break;
	case R_IER:
		if (dlab(uart))
			uart->divisor[1] = value;
		else
			write_ier(uart, value);
		break;
	case R_IIR: write_fcr(uart, value); break;
	case R_LCR: uart->lcr = value; break;
	case R_MCR:
		uart->mcr = value & MCR_BITS;
		fill(uart);
		break;
	case R_SCRATCH: uart->scratch = value; break;
	default: break; /* LSR and MSR cannot be written */
	}
	update(uart);
}

static const struct bus_ops uart_bus = { uart_read, uart_write, 1 };

void
uart_init(
    struct uart *uart, uint16_t port, const struct uart_ops *ops, void *arg)
{
	memset(uart, 0, sizeof(*uart));
	uart->ops = ops;
	uart->arg = arg;
	bus_range_init(&uart->range, &uart_bus, uart, port, UART_PORTS);
	uart_reset(uart);
}

void
uart_receive(struct uart *uart)
{
	fill(uart);
	update(uart);
}

void
uart_send_on(struct uart *uart)
{
	if (uart->ops->room(uart->arg))
		uart->thr_interrupt = true;
	update(uart);
}

static bool
is_sane(const struct uart *uart)
{
	return memchr(triggers, uart->trigger, sizeof(triggers)) != NULL &&
	    uart->count <= (uart->fifo_on ? UART_FIFO_BYTES : 1);
}

void
uart_archive(struct uart *uart, struct archive *a)
{
	archive_u8(a, &uart->ier);
	archive_u8(a, &uart->lcr);
	archive_u8(a, &uart->mcr);
	archive_u8(a, &uart->scratch);
	archive_bytes(a, uart->divisor, sizeof(uart->divisor));
	archive_bool(a, &uart->fifo_on);
	archive_bool(a, &uart->thr_interrupt);
	archive_bool(a, &uart->overrun);
	archive_u8(a, &uart->trigger);
	archive_bytes(a, uart->fifo, sizeof(uart->fifo));
	archive_uint(a, &uart->head, UART_FIFO_BYTES - 1, "FIFO's head");
	archive_uint(a, &uart->count, UART_FIFO_BYTES, "FIFO's fill");
	if (!a->loads)
		return;
	uart->ier &= IER_RX | IER_TX | IER_LSR | IER_MSR;
	uart->mcr &= MCR_BITS;
	if (!is_sane(uart)) {
		archive_fail(a, "a FIFO that cannot be");
		uart_reset(uart);
	}
	update(uart);
}
