/*
 * console.h - the outer end of a serial port: a Unix socket, a terminal, a log.
 *
 * What the guest writes goes into a ring of the last CONSOLE_RING_BYTES.  One
 * client at a time reads it from the first byte that no client has read yet:
 * a boot that nobody watched is there for who comes later, but for the oldest
 * bytes of a long one.  Further clients wait until the first one leaves.
 *
 * The guest is held back (console_room) while the log or a client is behind by
 * more than half a ring; a client that takes nothing for patience_ns
 * counts as absent until it does.
 *
 * put, get and room: any thread that holds the machine's lock.  The rest
 * happens on the loop's thread, which takes the lock itself.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "vmm/archive.h"

#define CONSOLE_RING_BYTES  65536
#define CONSOLE_INPUT_BYTES 4096
#define CONSOLE_PATIENCE_NS NS_PER_S /* what others than tests should use */

struct console;

struct console_config {
	struct loop *loop;
	pthread_mutex_t *lock;
	const char *socket; /* path to listen on, or NULL */
	bool stdio;         /* else: standard input and output */
	const char *log;    /* file that all output goes to as well, or NULL */
	uint64_t patience_ns;
	/* Called with the lock held: there is input, there is room again. */
	void (*input)(void *arg);
	void (*drained)(void *arg);
	void *arg;
	/* With the lock held: let console_work() be called on the loop's
	 * thread. */
	void (*wake)(void *arg);
	void *wake_arg;
};

/* NULL: *err. */
struct console *console_new(
    const struct console_config *config, struct err *err);
void console_free(
    struct console *console); /* writes what it can; NULL is fine */

void console_put(struct console *console, uint8_t byte);
bool console_room(struct console *console);
bool console_get(struct console *console, uint8_t *byte);

/* Sends and logs what is there.  Loop thread, without the lock. */
void console_work(struct console *console);

/* Bytes that the guest has not read, and those that no client has; with the
 * lock.  Where there is no console (NULL), there are none, and those that come
 * are dropped. */
void console_archive(struct console *console, struct archive *a);

/* Bytes that were overwritten before any client read them. */
uint64_t console_lost(const struct console *console);

#endif
