/*
 * The entropy source.
 *
 * A chain is filled under the machine's lock, so that a reset finds nothing
 * under way; the engine is told without it (machine.h), and the chain is given
 * back if there was no reset meanwhile.  A chain larger than what is left of
 * the period is filled in part: the driver sees how much (5.4.6).
 */
#include "vmm/virtio_rng.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"

static struct virtio_rng *
rng_of(struct virtio_device *device)
{
	return (struct virtio_rng *)device;
}

/* ---- the device; the machine's lock is held ---- */

static uint64_t
rng_features(struct virtio_device *device)
{
	(void)device;
	return VIRTIO_BIT(VIRTIO_F_VERSION_1) |
	    VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
	    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
}

static void
rng_config(struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	(void)device;
	(void)to; /* it has none */
}

static int
rng_start(struct virtio_device *device)
{
	struct virtio_rng *rng = rng_of(device);

	rng->life++;
	virtq_start(&rng->q, device, 0);
	virtio_kick(device, 0); /* for chains that are there already */
	return 0;
}

static void
rng_stop(struct virtio_device *device)
{
	struct virtio_rng *rng = rng_of(device);

	rng->life++;
	virtq_stop(&rng->q);
}

static void
rng_archive(struct virtio_device *device, struct archive *a)
{
	virtq_archive(&rng_of(device)->q, device, 0, a);
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.id = 4,
	.features = rng_features,
	.config = rng_config,
	.start = rng_start,
	.stop = rng_stop,
	.archive = rng_archive,
};

/* ---- serving; loop thread ---- */

static void
new_period(struct virtio_rng *rng)
{
	uint64_t now = loop_now_ns(rng->loop);

	if (now - rng->period_ns < VIRTIO_RNG_PERIOD_NS)
		return;
	rng->period_ns = now;
	rng->left = VIRTIO_RNG_BYTES;
}

/* Random bytes into the piece, and how many. */
static size_t
fill_piece(const struct iovec *piece, size_t most)
{
	size_t done = 0;

	if (most > piece->iov_len)
		most = piece->iov_len;
	while (done < most) {
		ssize_t n = getrandom((uint8_t *)piece->iov_base + done,
		    most - done, GRND_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* the host has just started: none yet */
			break;
		done += (size_t)n;
	}
	return done;
}

static uint32_t
fill(struct virtio_rng *rng, const struct virtq_chain *chain)
{
	size_t all = 0;

	for (unsigned int i = 0; i < chain->nwrites && rng->left > 0; i++) {
		size_t n = fill_piece(&chain->writes[i], rng->left);

		rng->left -= n;
		all += n;
		if (n < chain->writes[i].iov_len)
			break;
	}
	return (uint32_t)all;
}

static void
give_back(struct virtio_rng *rng, uint16_t head, uint32_t bytes)
{
	virtq_put(&rng->q, head, bytes);
	if (virtq_wants_call(&rng->q))
		virtio_call(&rng->device, 0);
}

static void
queue_broken(struct virtio_rng *rng)
{
	if (!rng->device.warned)
		log_warn("virtio-rng: the guest's ring makes no sense; "
			 "device stopped");
	rng->device.warned = true;
	virtio_broken(&rng->device);
}

/* One chain.  False: there is none. */
static bool
serve_one(struct virtio_rng *rng)
{
	pthread_mutex_t *lock = &rng->machine->lock;
	struct iovec piece[VIRTIO_RNG_QUEUE_SIZE];
	struct virtq_chain chain = { .piece = piece,
		.max = VIRTIO_RNG_QUEUE_SIZE };
	uint64_t life = rng->life;
	uint32_t bytes;

	switch (virtq_take(&rng->q, &chain)) {
	case VIRTQ_NONE: return false;
	case VIRTQ_BROKEN: queue_broken(rng); return false;
	case VIRTQ_BAD:
		rng->bad++;
		give_back(rng, chain.head, 0);
		return true;
	case VIRTQ_TAKEN: break;
	}
	bytes = fill(rng, &chain);
	pthread_mutex_unlock(lock);
	machine_written(rng->machine, chain.writes, chain.nwrites);
	pthread_mutex_lock(lock);
	if (life == rng->life)
		give_back(rng, chain.head, bytes);
	return true;
}

/* No more chains in one go than the ring has: others want the loop, too. */
static void
serve(struct virtio_rng *rng)
{
	unsigned int n = 0;
	bool more = true;

	pthread_mutex_lock(&rng->machine->lock);
	new_period(rng);
	while (more && rng->left > 0 && n++ < VIRTIO_RNG_QUEUE_SIZE)
		more = serve_one(rng);
	if (rng->left == 0)
		loop_timer_set(
		    &rng->next, rng->period_ns + VIRTIO_RNG_PERIOD_NS);
	else if (more || virtq_kicks_on(&rng->q))
		virtio_kick(&rng->device, 0); /* once more round the loop */
	pthread_mutex_unlock(&rng->machine->lock);
}

static void
kicked(void *arg, unsigned int events)
{
	struct virtio_rng *rng = arg;
	uint64_t count;

	(void)events;
	if (read(rng->device.queue[0].kick_fd, &count, sizeof(count)) > 0)
		serve(rng);
}

static void
period_over(void *arg)
{
	serve(arg);
}

int
virtio_rng_init(struct virtio_rng *rng, struct machine *machine,
    struct loop *loop, struct err *err)
{
	int r;

	memset(rng, 0, sizeof(*rng));
	rng->machine = machine;
	rng->loop = loop;
	rng->period_ns = loop_now_ns(loop);
	rng->left = VIRTIO_RNG_BYTES;
	loop_timer_init(&rng->next, loop, period_over, rng);
	r = virtio_init(&rng->device, &rng_ops, machine->memory, 1,
	    VIRTIO_RNG_QUEUE_SIZE, err);
	if (r < 0)
		return r;
	rng->watch = loop_watch_new(
	    loop, rng->device.queue[0].kick_fd, LOOP_READ, kicked, rng, err);
	return rng->watch != NULL ? 0 : -ENOMEM;
}

void
virtio_rng_fini(struct virtio_rng *rng)
{
	if (rng->loop != NULL)
		loop_timer_unset(&rng->next);
	loop_watch_free(rng->watch);
	rng->watch = NULL;
	virtio_fini(&rng->device);
}
