/*
 * loop_device.h - a machine for tests of the virtio devices that the loop's
 * thread serves: no guest, no PCI, an engine that notes what it hears of.
 */
#ifndef TESTS_VMM_LOOP_DEVICE_H
#define TESTS_VMM_LOOP_DEVICE_H

#include <stdlib.h>

#include "base/log.h"
#include "base/loop.h"
#include "tests/vmm/driver_ring.h"
#include "tests/vmm/fake_engine.h"

#define DEVICE_VERSION_1 VIRTIO_BIT(VIRTIO_F_VERSION_1)

struct loop_machine {
	struct machine machine;
	struct memory memory;
	struct fake_engine engine;
	struct loop *loop;
	struct loop_timer stop;
	unsigned int changes; /* of a configuration */
	/* what the engine heard */
	unsigned int heard;
	uint64_t heard_bytes;
	struct virtio_device *reset_when_heard; /* NULL: none */
};

static inline void
loop_machine_changed(void *transport)
{
	((struct loop_machine *)transport)->changes++;
}

static inline void
loop_machine_stop(void *arg)
{
	loop_stop(arg);
}

/* Without the lock, as it has to be: the reset would wait for ever. */
static inline void
loop_machine_hear(void *arg, const struct iovec *piece, unsigned int n)
{
	struct loop_machine *m = arg;

	m->heard++;
	for (unsigned int i = 0; i < n; i++)
		m->heard_bytes += piece[i].iov_len;
	if (m->reset_when_heard == NULL)
		return;
	pthread_mutex_lock(&m->machine.lock);
	virtio_reset(m->reset_when_heard);
	pthread_mutex_unlock(&m->machine.lock);
}

static inline void
loop_machine_init(struct loop_machine *m, uint64_t ram)
{
	memset(m, 0, sizeof(*m));
	log_set_level(LOG_ERROR);
	if (memory_init(&m->memory, ram, NULL) < 0)
		abort();
	machine_init(&m->machine, &m->memory, NULL, NULL);
	fake_engine_init(&m->engine);
	m->engine.written = loop_machine_hear;
	m->engine.written_arg = m;
	m->machine.vm = &m->engine.vm;
	m->loop = loop_new(LOOP_REAL, NULL);
	loop_timer_init(&m->stop, m->loop, loop_machine_stop, m->loop);
}

static inline void
loop_machine_fini(struct loop_machine *m)
{
	loop_timer_unset(&m->stop);
	loop_free(m->loop);
	machine_fini(&m->machine);
	memory_free(&m->memory);
}

/* The device has no transport but this. */
static inline void
loop_machine_attach(struct loop_machine *m, struct virtio_device *device)
{
	device->changed = loop_machine_changed;
	device->transport = m;
}

static inline void
loop_machine_ready(
    struct loop_machine *m, struct virtio_device *device, uint64_t features)
{
	pthread_mutex_lock(&m->machine.lock);
	ring_ready(device, features);
	pthread_mutex_unlock(&m->machine.lock);
}

/* Lets the loop do what there is to do, for a millisecond. */
static inline void
loop_machine_go(struct loop_machine *m)
{
	loop_update_now(m->loop);
	loop_timer_set(&m->stop, loop_now_ns(m->loop) + NS_PER_MS);
	loop_run(m->loop);
}

/* Kicks, and waits for the next chain that comes back, ten seconds at most. */
static inline bool
loop_machine_answer(struct loop_machine *m, struct driver_ring *r,
    uint32_t *head, uint32_t *bytes)
{
	virtio_kick(r->device, r->queue);
	for (unsigned int ms = 0; ms < 10000; ms++) {
		if (ring_used(r, head, bytes))
			return true;
		loop_machine_go(m);
	}
	return false;
}

#endif
