/*
 * virtio_console.h - a console beside the serial ports (Virtual I/O Device 1.2,
 * 5.3): one port, hvc0 for Linux, whose outer end is a Unix socket as theirs
 * (console.h).
 *
 * A guest that writes faster than anybody reads waits, as at a serial port, but
 * pays for a whole buffer what it pays there for a byte.  Served by the loop's
 * thread.
 */
#ifndef VMM_VIRTIO_CONSOLE_H
#define VMM_VIRTIO_CONSOLE_H

#include "base/loop.h"
#include "vmm/console.h"
#include "vmm/machine.h"
#include "vmm/virtio.h"
#include "vmm/virtq.h"

#define VIRTIO_CONSOLE_CLASS      0x078000 /* communication, of no other kind */
#define VIRTIO_CONSOLE_QUEUE_SIZE 64

struct virtio_console_setup {
	const char *socket; /* to listen on */
	struct machine *machine;
	struct loop *loop;
	/* Lets virtio_console_work() be called on the loop's thread. */
	void (*wake)(void *arg);
	void *wake_arg;
};

struct virtio_console {
	struct virtio_device device; /* first: ops get this */
	struct machine *machine;
	struct console *console;
	struct loop_watch *watch[2]; /* of kicks */
	struct virtq in, out;
	uint64_t life; /* counts starts and stops */
	uint64_t bad;  /* chains that made no sense */
	/* A byte that was taken from the console and found no buffer. */
	bool has_byte;
	uint8_t byte;
	/* The buffer that is being written out, if any. */
	bool writing;
	struct virtq_chain chain;
	struct iovec piece[VIRTIO_CONSOLE_QUEUE_SIZE];
};

/* 0, or -Exxx with *err; virtio_console_fini() is fine in both cases.  Loop
 * thread, without the lock. */
int virtio_console_init(struct virtio_console *vc,
    const struct virtio_console_setup *setup, struct err *err);
void virtio_console_fini(struct virtio_console *vc);

/* Sends what is there to the socket.  Loop thread, without the lock. */
void virtio_console_work(struct virtio_console *vc);

/* What is on its way to and from the socket; with the lock. */
void virtio_console_archive(struct virtio_console *vc, struct archive *a);

#endif
