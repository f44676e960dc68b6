/* libs: vmm/virtio_rng.c vmm/virtio_balloon.c vmm/virtio_console.c vmm/virtio_net.c vmm/sandbox.c vmm/porter.c vmm/archive.c vmm/virtq_watch.c vmm/virtq.c vmm/virtio.c vmm/memory.c vmm/machine.c vmm/bus.c net base */
/*
 * The devices that the loop's thread serves, whose queues are the input's: the
 * first byte says which device, the second which features.  No byte of memory
 * changes that the driver did not give for it, and what a network card tells its
 * back end is of rings that it has.
 */
#include <assert.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "tests/vmm/driver_ring.h"
#include "tests/vmm/fake_engine.h"
#include "vmm/virtio_balloon.h"
#include "vmm/virtio_console.h"
#include "vmm/virtio_net.h"
#include "vmm/virtio_rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM        (UINT64_C(2) << 20)
#define SIZE       16
#define RING(q)    (0x1000 + (uint64_t)(q)*0x400)
#define RINGS_END  RING(VIRTIO_QUEUES_MAX)
#define DATA       0x8000
#define USED_RAM   0x10000 /* the part that is looked at */
#define INPUT_STEP 8
#define PAIRS      4

static struct machine machine;
static struct memory memory;
static struct fake_engine engine;
static struct loop *loop;
static struct loop_defer stop;
static struct virtio_rng rng;
static struct virtio_balloon balloon;
static struct virtio_console console;
static struct virtio_net net;
static struct virtio_device *const devices[] = { &rng.device, &balloon.device,
	&console.device, &net.device };

static uint8_t before[USED_RAM];
static bool may_write[USED_RAM];

/* ---- a console that the input is typed at ---- */

static unsigned int room, typed;

struct console *
console_new(const struct console_config *config, struct err *err)
{
	(void)config;
	(void)err;
	return (struct console *)&room;
}

void
console_free(struct console *c)
{
	(void)c;
}

void
console_put(struct console *c, uint8_t byte)
{
	(void)c;
	(void)byte;
}

bool
console_room(struct console *c)
{
	(void)c;
	return room > 0 && room-- > 0;
}

bool
console_get(struct console *c, uint8_t *byte)
{
	(void)c;
	*byte = (uint8_t)typed;
	return typed > 0 && typed-- > 0;
}

void
console_archive(struct console *c, struct archive *a)
{
	(void)c;
	(void)a;
}

void
console_work(struct console *c)
{
	(void)c;
}

/* ---- a back end that takes all that is right ---- */

int
vhost_front_connect(const char *path)
{
	(void)path;
	return -ENOENT;
}

int
vhost_front_open(struct vhost_front *front, int fd, struct err *err)
{
	(void)err;
	*front = (struct vhost_front){ .fd = fd,
		.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) |
		    VIRTIO_BIT(VIRTIO_NET_F_MQ),
		.pairs = 8,
		.link = true };
	return 0;
}

void
vhost_front_close(struct vhost_front *front)
{
	front->fd = -1;
}

int
vhost_front_set_mtu(struct vhost_front *front, uint16_t mtu, struct err *err)
{
	(void)front;
	(void)mtu;
	(void)err;
	return 0;
}

int
vhost_front_watch_link(struct vhost_front *front, int fd, struct err *err)
{
	(void)front;
	(void)fd;
	(void)err;
	return 0;
}

int
vhost_front_ask_link(struct vhost_front *front, struct err *err)
{
	(void)front;
	(void)err;
	return 0;
}

int
vhost_front_start(struct vhost_front *front, uint64_t features,
    const struct memory *m, const struct vhost_ring *rings, unsigned int n,
    struct err *err)
{
	(void)front;
	(void)features;
	(void)err;
	assert(n <= 2 * PAIRS);
	for (unsigned int i = 0; i < n; i++) {
		const struct vhost_ring *r = &rings[i];

		assert(r->index < 2 * PAIRS && r->size > 0);
		assert((const uint8_t *)r->desc >= m->base &&
		    (const uint8_t *)r->desc + 16u * r->size <=
			m->base + m->size_bytes);
		assert(r->enabled == (r->index < 2));
	}
	return 0;
}

int
vhost_front_enable(
    struct vhost_front *front, unsigned int index, bool on, struct err *err)
{
	(void)front;
	(void)err;
	assert(index < 2 * PAIRS && net.device.queue[index].enabled);
	assert(on == (index / 2 < net.pairs_on));
	return 0;
}

int
vhost_front_stop(struct vhost_front *front, struct vhost_ring *rings,
    unsigned int n, struct err *err)
{
	(void)front;
	(void)rings;
	(void)n;
	(void)err;
	return 0;
}

bool
vhost_front_alive(const struct vhost_front *front)
{
	(void)front;
	return true;
}

/* ---- the rig ---- */

static void
changed(void *transport)
{
	(void)transport;
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
init(void)
{
	struct virtio_console_setup con = { .machine = &machine,
		.wake = nothing };
	struct virtio_net_setup card = {
		.name = "eth0", .pairs = PAIRS, .machine = &machine
	};
	int fd[2];

	log_set_level(LOG_ERROR);
	if (memory_init(&memory, RAM, NULL) < 0 ||
	    (loop = loop_new(LOOP_REAL, NULL)) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		abort();
	machine_init(&machine, &memory, NULL, NULL);
	fake_engine_init(&engine);
	machine.vm = &engine.vm;
	loop_defer_init(&stop, loop, stop_loop, loop);
	con.loop = card.loop = loop;
	card.fd = fd[0];
	if (virtio_rng_init(&rng, &machine, loop, NULL) < 0 ||
	    virtio_balloon_init(&balloon, &machine, 1 << 20, loop, NULL) < 0 ||
	    virtio_console_init(&console, &con, NULL) < 0 ||
	    virtio_net_init(&net, &card, NULL) < 0)
		abort();
	for (unsigned int i = 0; i < 4; i++)
		devices[i]->changed = changed;
}

static void
go(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		loop_update_now(loop);
		loop_defer_ask(&stop);
		loop_run(loop);
	}
}

/* Of memory but the rings, only what the driver gave may have changed. */
static void
check(const struct virtio_device *d)
{
	const uint8_t *now = memory.base;

	assert(net.pairs_on >= 1 && net.pairs_on <= PAIRS);
	if (d == &balloon.device) /* takes pages, as it is told */
		return;
	for (uint32_t i = RINGS_END; i < USED_RAM; i++)
		assert(now[i] == before[i] || may_write[i]);
}

static void
start(struct virtio_device *d, struct driver_ring *ring, uint64_t features)
{
	pthread_mutex_lock(&machine.lock);
	virtio_reset(d);
	for (unsigned int q = 0; q < d->nqueues; q++)
		ring_init(&ring[q], d, q, RING(q), SIZE);
	ring_ready(d, features);
	pthread_mutex_unlock(&machine.lock);
}

static uint64_t
address(uint8_t kind, uint8_t more)
{
	switch (kind & 7) {
	case 0: return RAM - more;
	case 1: return UINT64_MAX - more;
	case 2: return RING(more & 3);
	default: return DATA + more * 64u;
	}
}

static void
put_desc(struct driver_ring *ring, const uint8_t *d)
{
	static const uint32_t lengths[] = { 1, 2, 4, 64, 4096, 0, 3, 0x100000 };
	uint64_t at = address(d[3], d[4]);
	uint32_t bytes = lengths[d[3] >> 3 & 7];
	bool table = d[2] & 0x80; /* or into what may be a table */
	uint16_t flags = d[5] & 7;

	if (table)
		ring_put_desc(memory.base + DATA + (d[2] & 31) * 16u, at, bytes,
		    flags, d[6] & 31);
	else
		ring_desc(ring, d[2] & (SIZE - 1), at, bytes, flags,
		    d[6] & (SIZE + 3));
	for (uint64_t i = at;
	     flags & RING_WRITE && i < at + bytes && i >= at && i < USED_RAM;
	     i++)
		may_write[i] = true;
}

static void
step(struct virtio_device *d, struct driver_ring *rings, uint64_t features,
    const uint8_t *in)
{
	struct driver_ring *ring = &rings[in[1] % d->nqueues];

	switch (in[0] & 7) {
	case 0: put_desc(ring, in); break;
	case 1: ring_offer(ring, in[2] & (SIZE + 1)); break;
	case 2: ring_set_idx(ring, get_le16(in + 2)); break;
	case 3: start(d, rings, features); break;
	case 4: memcpy(memory.base + DATA + in[2] * 64u, in + 3, 5); break;
	case 5:
		room = in[2];
		typed = in[3];
		break;
	default:
		memcpy(before, memory.base, USED_RAM);
		virtio_kick(d, ring->queue);
		go();
		check(d);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver_ring rings[VIRTIO_QUEUES_MAX];
	struct virtio_device *d;
	uint64_t features;

	if (machine.memory == NULL)
		init();
	if (size < 2)
		return 0;
	d = devices[data[0] & 3];
	memset(memory.base, 0, USED_RAM);
	memset(may_write, 0, sizeof(may_write));
	room = typed = 0;
	features = VIRTIO_BIT(VIRTIO_F_VERSION_1);
	if (data[1] & 1)
		features |= VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (data[1] & 2)
		features |= VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (data[1] & 4)
		features = d->ops->features(d);
	features &= d->ops->features(d);
	start(d, rings, features);
	for (size_t i = 2; i + INPUT_STEP <= size; i += INPUT_STEP)
		step(d, rings, features, data + i);
	pthread_mutex_lock(&machine.lock);
	virtio_reset(d);
	pthread_mutex_unlock(&machine.lock);
	go();
	return 0;
}
