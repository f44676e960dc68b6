/*
 * The console.
 *
 * Out: a buffer goes to the console piece by piece, as long as there is room;
 * what does not fit waits, in its chain, until the console has drained.  A buffer
 * may be all of the guest's memory, so that a turn of the loop takes TURN_BYTES.
 * In: the console's bytes go into the next buffer, one of them at least.  They
 * are written under the machine's lock, so that a reset finds nothing under way;
 * the engine is told without it (machine.h).
 *
 * There is one port, so no control queue and no size: a size would have to come
 * from whoever is at the socket, which does not tell.
 */
#include "vmm/virtio_console.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define QUEUE_IN    0
#define QUEUE_OUT   1
#define PIECE_BYTES 1024
#define TURN_BYTES  32768

static struct virtio_console *
console_of(struct virtio_device *device)
{
	return (struct virtio_console *)device;
}

/* ---- the device; the machine's lock is held ---- */

static uint64_t
console_features(struct virtio_device *device)
{
	(void)device;
	return VIRTIO_BIT(VIRTIO_F_VERSION_1) |
	    VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
	    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
}

static void
console_config(
    struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	(void)device;
	(void)to; /* nothing of it without features */
}

static int
console_start(struct virtio_device *device)
{
	struct virtio_console *vc = console_of(device);

	vc->life++;
	virtq_start(&vc->in, device, QUEUE_IN);
	virtq_start(&vc->out, device, QUEUE_OUT);
	/* For what is there already. */
	virtio_kick(device, QUEUE_IN);
	virtio_kick(device, QUEUE_OUT);
	return 0;
}

static void
console_stop(struct virtio_device *device)
{
	struct virtio_console *vc = console_of(device);

	vc->life++;
	vc->writing = false;
	virtq_stop(&vc->in);
	virtq_stop(&vc->out);
}

/* The buffer that is being written out, as what is left of it. */
static void
archive_chain(struct virtio_console *vc, struct archive *a)
{
	uint64_t left = vc->writing ? vc->chain.read_bytes : 0;

	archive_bool(a, &vc->writing);
	archive_u16(a, &vc->chain.head);
	archive_u64(a, &left);
	if (!a->loads || !vc->writing)
		return;
	vc->writing = false;
	if (vc->out.desc == NULL || vc->chain.head >= vc->out.size ||
	    !virtq_look(&vc->out, vc->chain.head, &vc->chain) ||
	    left > vc->chain.read_bytes) {
		archive_fail(a, "a buffer that is not there");
		return;
	}
	vc->writing = true;
	while (vc->chain.read_bytes > left) {
		uint8_t bytes[PIECE_BYTES];
		uint64_t n = vc->chain.read_bytes - left;

		virtq_pull(&vc->chain, bytes,
		    n < sizeof(bytes) ? (size_t)n : sizeof(bytes));
	}
}

static void
console_device_archive(struct virtio_device *device, struct archive *a)
{
	struct virtio_console *vc = console_of(device);

	virtq_archive(&vc->in, device, QUEUE_IN, a);
	virtq_archive(&vc->out, device, QUEUE_OUT, a);
	archive_chain(vc, a);
}

static const struct virtio_ops console_ops = {
	.name = "virtio-console",
	.id = 3,
	.features = console_features,
	.config = console_config,
	.start = console_start,
	.stop = console_stop,
	.archive = console_device_archive,
};

static void
give_back(struct virtio_console *vc, struct virtq *q, unsigned int queue,
    uint16_t head, uint32_t bytes)
{
	virtq_put(q, head, bytes);
	if (virtq_wants_call(q))
		virtio_call(&vc->device, queue);
}

/* The next chain of a queue.  False: there is none. */
static bool
take(struct virtio_console *vc, struct virtq *q, unsigned int queue,
    struct virtq_chain *chain)
{
	for (;;) {
		switch (virtq_take(q, chain)) {
		case VIRTQ_NONE: return false;
		case VIRTQ_TAKEN: return true;
		case VIRTQ_BAD:
			vc->bad++;
			give_back(vc, q, queue, chain->head, 0);
			break;
		case VIRTQ_BROKEN:
			if (!vc->device.warned)
				log_warn("virtio-console: the guest's ring "
					 "makes no sense; device stopped");
			vc->device.warned = true;
			virtio_broken(&vc->device);
			return false;
		}
	}
}

/* ---- out; loop thread, with the lock ---- */

enum progress { DONE, FULL, TURN_OVER };

/* What there is room for of the present buffer. */
static enum progress
write_chain(struct virtio_console *vc, size_t *left)
{
	while (vc->chain.read_bytes > 0) {
		uint8_t bytes[PIECE_BYTES];
		size_t n = vc->chain.read_bytes;

		if (!console_room(vc->console))
			return FULL;
		if (*left == 0)
			return TURN_OVER;
		if (n > sizeof(bytes))
			n = sizeof(bytes);
		if (n > *left)
			n = *left;
		virtq_pull(&vc->chain, bytes, n);
		for (size_t i = 0; i < n; i++)
			console_put(vc->console, bytes[i]);
		*left -= n;
	}
	return DONE;
}

static void
serve_out(struct virtio_console *vc)
{
	enum progress progress = DONE;
	size_t left = TURN_BYTES;
	unsigned int chains = 0;

	while (progress == DONE && chains < VIRTIO_CONSOLE_QUEUE_SIZE) {
		if (!vc->writing)
			vc->writing = take(vc, &vc->out, QUEUE_OUT, &vc->chain);
		if (!vc->writing)
			break;
		progress = write_chain(vc, &left);
		if (progress != DONE)
			break;
		vc->writing = false;
		give_back(vc, &vc->out, QUEUE_OUT, vc->chain.head, 0);
		chains++;
	}
	/* A console that is full says when it has drained. */
	if (progress == TURN_OVER || chains == VIRTIO_CONSOLE_QUEUE_SIZE ||
	    (progress == DONE && virtq_kicks_on(&vc->out)))
		virtio_kick(&vc->device, QUEUE_OUT);
}

/* ---- in; the same ---- */

static bool
get_byte(struct virtio_console *vc)
{
	if (!vc->has_byte)
		vc->has_byte = console_get(vc->console, &vc->byte);
	return vc->has_byte;
}

static uint32_t
fill(struct virtio_console *vc, const struct virtq_chain *chain)
{
	uint32_t all = 0;

	for (unsigned int i = 0; i < chain->nwrites; i++) {
		uint8_t *to = chain->writes[i].iov_base;

		for (size_t k = 0; k < chain->writes[i].iov_len; k++) {
			if (!get_byte(vc))
				return all;
			to[k] = vc->byte;
			vc->has_byte = false;
			all++;
		}
	}
	return all;
}

/* One buffer.  False: there are no bytes, or no buffers. */
static bool
serve_in(struct virtio_console *vc)
{
	struct iovec piece[VIRTIO_CONSOLE_QUEUE_SIZE];
	struct virtq_chain chain = { .piece = piece,
		.max = VIRTIO_CONSOLE_QUEUE_SIZE };
	uint64_t life = vc->life;
	uint32_t bytes;

	if (!get_byte(vc) || !take(vc, &vc->in, QUEUE_IN, &chain))
		return false;
	bytes = fill(vc, &chain);
	pthread_mutex_unlock(&vc->machine->lock);
	machine_written(vc->machine, chain.writes, chain.nwrites);
	pthread_mutex_lock(&vc->machine->lock);
	if (life == vc->life)
		give_back(vc, &vc->in, QUEUE_IN, chain.head, bytes);
	return true;
}

/* ---- events ---- */

static bool
was_kicked(struct virtio_console *vc, unsigned int queue)
{
	uint64_t count;

	return read(vc->device.queue[queue].kick_fd, &count, sizeof(count)) > 0;
}

static void
out_kicked(void *arg, unsigned int events)
{
	struct virtio_console *vc = arg;

	(void)events;
	if (!was_kicked(vc, QUEUE_OUT))
		return; /* a reset was faster */
	pthread_mutex_lock(&vc->machine->lock);
	serve_out(vc);
	pthread_mutex_unlock(&vc->machine->lock);
}

static void
in_kicked(void *arg, unsigned int events)
{
	struct virtio_console *vc = arg;
	unsigned int n = 0;
	bool more = true;

	(void)events;
	if (!was_kicked(vc, QUEUE_IN))
		return;
	pthread_mutex_lock(&vc->machine->lock);
	while (more && n++ < VIRTIO_CONSOLE_QUEUE_SIZE)
		more = serve_in(vc);
	/* Without bytes there is nothing to do for a buffer. */
	if (more || (vc->has_byte && virtq_kicks_on(&vc->in)))
		virtio_kick(&vc->device, QUEUE_IN);
	pthread_mutex_unlock(&vc->machine->lock);
}

/* Of the console, with the lock. */
static void
has_input(void *arg)
{
	struct virtio_console *vc = arg;

	virtio_kick(&vc->device, QUEUE_IN);
}

static void
has_drained(void *arg)
{
	struct virtio_console *vc = arg;

	virtio_kick(&vc->device, QUEUE_OUT);
}

/* ---- making and ending ---- */

int
virtio_console_init(struct virtio_console *vc,
    const struct virtio_console_setup *setup, struct err *err)
{
	const struct console_config config = {
		.loop = setup->loop,
		.lock = &setup->machine->lock,
		.socket = setup->socket,
		.patience_ns = CONSOLE_PATIENCE_NS,
		.input = has_input,
		.drained = has_drained,
		.arg = vc,
		.wake = setup->wake,
		.wake_arg = setup->wake_arg,
	};
	int r;

	memset(vc, 0, sizeof(*vc));
	vc->machine = setup->machine;
	vc->chain.piece = vc->piece;
	vc->chain.max = VIRTIO_CONSOLE_QUEUE_SIZE;
	r = virtio_init(&vc->device, &console_ops, setup->machine->memory, 2,
	    VIRTIO_CONSOLE_QUEUE_SIZE, err);
	if (r < 0)
		return r;
	vc->console = console_new(&config, err);
	if (vc->console == NULL)
		return -EIO;
	vc->watch[QUEUE_IN] = loop_watch_new(setup->loop,
	    vc->device.queue[QUEUE_IN].kick_fd, LOOP_READ, in_kicked, vc, err);
	vc->watch[QUEUE_OUT] =
	    loop_watch_new(setup->loop, vc->device.queue[QUEUE_OUT].kick_fd,
		LOOP_READ, out_kicked, vc, err);
	return vc->watch[0] != NULL && vc->watch[1] != NULL ? 0 : -ENOMEM;
}

void
virtio_console_fini(struct virtio_console *vc)
{
	loop_watch_free(vc->watch[QUEUE_OUT]);
	loop_watch_free(vc->watch[QUEUE_IN]);
	vc->watch[QUEUE_IN] = vc->watch[QUEUE_OUT] = NULL;
	console_free(vc->console);
	vc->console = NULL;
	virtio_fini(&vc->device);
}

void
virtio_console_work(struct virtio_console *vc)
{
	if (vc->console != NULL)
		console_work(vc->console);
}

void
virtio_console_archive(struct virtio_console *vc, struct archive *a)
{
	archive_bool(a, &vc->has_byte);
	archive_u8(a, &vc->byte);
	console_archive(vc->console, a);
}
