/*
 * serial.h - the two 16550 ports: COM1, the console, and COM2, the agent.
 *
 * What is written waits in a buffer of its own port, so that a reader who
 * dawdles does not hold up the network.
 */
#ifndef GUEST_SERIAL_H
#define GUEST_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_PORTS 2

void serial_init(void);

/* How many bytes of data the buffer took. */
size_t serial_write(unsigned int port, const char *data, size_t len);
bool serial_room(unsigned int port);
/* Gives the port what it takes now.  Call after writing and when it rings. */
void serial_push(unsigned int port);
/* Hands what came in to got, byte by byte; call when IRQ_UART(port) rang. */
void serial_service(unsigned int port, void (*got)(unsigned int port, char c));

/* For the end of the world: waits, bounded, until the buffers are out. */
void serial_drain(void);
/* Drains, then writes to COM1 with no buffer. */
void serial_emergency(const char *text);

#endif
