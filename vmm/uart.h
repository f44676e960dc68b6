/*
 * uart.h - a 16550A serial port, as a PC has it at 0x3f8 and 0x2f8.
 *
 * Bytes go at once, whatever the baud rate.  The other end is four functions,
 * none of which may block.  The caller holds the machine's lock.
 */
#ifndef VMM_UART_H
#define VMM_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/archive.h"
#include "vmm/bus.h"

#define UART_PORTS      8
#define UART_FIFO_BYTES 16

struct uart_ops {
	/* Takes a byte that the guest sent, always. */
	void (*put)(void *arg, uint8_t byte);
	/* Is there room for a FIFO of more?  False holds the guest back by
	 * "transmitter holding register empty"; uart_send_on() lets it go. */
	bool (*room)(void *arg);
	/* The next byte for the guest.  False: there is none, and uart_receive()
	 * will tell of the next one. */
	bool (*get)(void *arg, uint8_t *byte);
	/* The interrupt line's level, called when it changes. */
	void (*line)(void *arg, bool level);
};

struct uart {
	struct bus_range range;
	const struct uart_ops *ops;
	void *arg;
	uint8_t ier, lcr, mcr, scratch, divisor[2];
	bool fifo_on, level;
	bool thr_interrupt; /* the transmitter became empty, not yet told */
	bool overrun;
	uint8_t trigger; /* bytes that make "received data available" */
	uint8_t fifo[UART_FIFO_BYTES];
	unsigned int head, count;
};

/* In the reset state, to be added to the bus by its range. */
void uart_init(
    struct uart *uart, uint16_t port, const struct uart_ops *ops, void *arg);
void uart_reset(struct uart *uart);

/* There are bytes to get; there is room to put. */
void uart_receive(struct uart *uart);
void uart_send_on(struct uart *uart);

/* Its registers and FIFO; when loaded, it drives its line. */
void uart_archive(struct uart *uart, struct archive *a);

#endif
