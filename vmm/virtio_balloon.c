/*
 * The balloon.
 *
 * Pages come in two ways: as numbers in a chain of the inflate queue, and as
 * the free pages themselves, pieces for the device to write, in the reporting
 * queue.  Each chain's pages are taken out of the memfd under the machine's
 * lock, so that a reset finds nothing under way; neighbours go in one call.
 * They read as zeros then, which an engine has to hear of like of any other
 * change; that happens without the lock, and the chain is given back if there
 * was no reset meanwhile.
 *
 * What the guest takes back by the deflate queue needs nothing: it may touch it
 * before it tells (no VIRTIO_BALLOON_F_MUST_TELL_HOST).
 *
 * The reporting queue is number 4, whatever other queues are in use (5.5.2).
 * Linux up to 6.10 counts only those in use and takes it for number 2.  Without
 * statistics and hints nobody uses 2 and 3 for anything else, so that all three
 * are one.
 */
#include "vmm/virtio_balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/le.h"

enum { INFLATE, DEFLATE, REPORT };

#define CONFIG_TARGET 0
#define CONFIG_ACTUAL 4
#define ROUND_CHAINS  16 /* then others have the loop */
#define PFN_BYTES     4

static struct virtio_balloon *
balloon_of(struct virtio_device *device)
{
	return (struct virtio_balloon *)device;
}

/* ---- the device; the machine's lock is held ---- */

static uint64_t
balloon_features(struct virtio_device *device)
{
	(void)device;
	return VIRTIO_BIT(VIRTIO_F_VERSION_1) |
	    VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
	    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
	    VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
	    VIRTIO_BIT(VIRTIO_BALLOON_F_REPORTING);
}

static void
balloon_config(
    struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	const struct virtio_balloon *balloon = balloon_of(device);

	put_le32(to + CONFIG_TARGET, balloon->target);
	memcpy(to + CONFIG_ACTUAL, balloon->actual, sizeof(balloon->actual));
}

static void
balloon_set_config(struct virtio_device *device, unsigned int offset,
    unsigned int bytes, uint64_t value)
{
	struct virtio_balloon *balloon = balloon_of(device);

	for (unsigned int i = 0; i < bytes; i++)
		if (offset + i >= CONFIG_ACTUAL &&
		    offset + i < CONFIG_ACTUAL + sizeof(balloon->actual))
			balloon->actual[offset + i - CONFIG_ACTUAL] =
			    (uint8_t)(value >> 8 * i);
}

static int
balloon_start(struct virtio_device *device)
{
	struct virtio_balloon *balloon = balloon_of(device);

	balloon->life++;
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		virtq_start(&balloon->queue[i].q, device, i);
		virtio_kick(device, i); /* for what is there already */
	}
	return 0;
}

static void
balloon_stop(struct virtio_device *device)
{
	struct virtio_balloon *balloon = balloon_of(device);

	balloon->life++;
	memset(balloon->actual, 0, sizeof(balloon->actual));
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		virtq_stop(&balloon->queue[i].q);
}

/* What it is asked for is the guest's, too: it has been told. */
static void
balloon_archive(struct virtio_device *device, struct archive *a)
{
	struct virtio_balloon *balloon = balloon_of(device);

	archive_u32(a, &balloon->target);
	archive_bytes(a, balloon->actual, sizeof(balloon->actual));
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		virtq_archive(&balloon->queue[i].q, device, i, a);
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.id = 5,
	.features = balloon_features,
	.config = balloon_config,
	.set_config = balloon_set_config,
	.start = balloon_start,
	.stop = balloon_stop,
	.archive = balloon_archive,
};

static uint32_t
pages(uint64_t bytes)
{
	uint64_t n = bytes / MEMORY_PAGE_BYTES;

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void
virtio_balloon_set_target(struct virtio_balloon *balloon, uint64_t target_bytes)
{
	balloon->target = pages(target_bytes);
	virtio_config_changed(&balloon->device);
}

uint64_t
virtio_balloon_actual_bytes(const struct virtio_balloon *balloon)
{
	return (uint64_t)get_le32(balloon->actual) * MEMORY_PAGE_BYTES;
}

/* ---- serving; loop thread ---- */

/* Appends a page to the pieces, or to the last of them. */
static void
add_page(struct virtio_balloon *balloon, unsigned int *n, uint8_t *at)
{
	struct iovec *last = *n > 0 ? &balloon->piece[*n - 1] : NULL;
	uint8_t *base = last != NULL ? last->iov_base : NULL;

	if (last != NULL && at == base + last->iov_len) {
		last->iov_len += MEMORY_PAGE_BYTES;
	} else if (last != NULL && at + MEMORY_PAGE_BYTES == base) {
		last->iov_base = at;
		last->iov_len += MEMORY_PAGE_BYTES;
	} else {
		balloon->piece[(*n)++] =
		    (struct iovec){ at, MEMORY_PAGE_BYTES };
	}
}

/* The pages that a chain of the inflate queue names.  Numbers that are not RAM
 * are passed over: a guest may know memory that we do not. */
static bool
named_pages(
    struct virtio_balloon *balloon, struct virtq_chain *chain, unsigned int *n)
{
	uint8_t pfn[PFN_BYTES];

	if (chain->read_bytes % PFN_BYTES != 0 ||
	    chain->read_bytes / PFN_BYTES > VIRTIO_BALLOON_PAGES)
		return false;
	while (virtq_pull(chain, pfn, sizeof(pfn))) {
		uint64_t address = (uint64_t)get_le32(pfn)
		    << VIRTIO_BALLOON_PFN_SHIFT;
		uint8_t *at = memory_at(
		    balloon->machine->memory, address, MEMORY_PAGE_BYTES);

		if (at != NULL)
			add_page(balloon, n, at);
	}
	return true;
}

/* Takes a chain's pages out.  False: it makes no sense. */
static bool
take_pages(struct virtio_balloon *balloon, unsigned int queue,
    struct virtq_chain *chain, unsigned int *n)
{
	*n = 0;
	if (queue == DEFLATE)
		return true;
	if (queue == INFLATE && !named_pages(balloon, chain, n))
		return false;
	for (unsigned int i = 0; queue >= REPORT && i < chain->nwrites; i++)
		balloon->piece[(*n)++] = chain->writes[i];
	for (unsigned int i = 0; i < *n; i++) {
		struct iovec *p = &balloon->piece[i];

		if (memory_discard(
			balloon->machine->memory, p->iov_base, p->iov_len) == 0)
			balloon->returned += p->iov_len;
	}
	return true;
}

static void
give_back(struct virtio_balloon *balloon, unsigned int queue, uint16_t head)
{
	struct virtq *q = &balloon->queue[queue].q;

	virtq_put(q, head, 0);
	if (virtq_wants_call(q))
		virtio_call(&balloon->device, queue);
}

static void
queue_broken(struct virtio_balloon *balloon)
{
	if (!balloon->device.warned)
		log_warn("virtio-balloon: the guest's ring makes no sense; "
			 "device stopped");
	balloon->device.warned = true;
	virtio_broken(&balloon->device);
}

/* One chain.  False: there is none. */
static bool
serve_one(struct virtio_balloon *balloon, unsigned int queue)
{
	pthread_mutex_t *lock = &balloon->machine->lock;
	struct iovec piece[VIRTIO_BALLOON_QUEUE_SIZE];
	struct virtq_chain chain = { .piece = piece,
		.max = VIRTIO_BALLOON_QUEUE_SIZE };
	uint64_t life = balloon->life;
	unsigned int n = 0;

	switch (virtq_take(&balloon->queue[queue].q, &chain)) {
	case VIRTQ_NONE: return false;
	case VIRTQ_BROKEN: queue_broken(balloon); return false;
	case VIRTQ_BAD: balloon->bad++; break;
	case VIRTQ_TAKEN:
		if (!take_pages(balloon, queue, &chain, &n))
			balloon->bad++;
		break;
	}
	pthread_mutex_unlock(lock);
	machine_written(balloon->machine, balloon->piece, n);
	pthread_mutex_lock(lock);
	if (life == balloon->life)
		give_back(balloon, queue, chain.head);
	return true;
}

static void
kicked(void *arg, unsigned int events)
{
	struct virtio_balloon_queue *queue = arg;
	struct virtio_balloon *balloon = queue->owner;
	unsigned int i = (unsigned int)(queue - balloon->queue);
	unsigned int n = 0;
	bool more = true;
	uint64_t count;

	(void)events;
	if (read(balloon->device.queue[i].kick_fd, &count, sizeof(count)) < 0)
		return; /* a reset was faster */
	pthread_mutex_lock(&balloon->machine->lock);
	while (more && n++ < ROUND_CHAINS)
		more = serve_one(balloon, i);
	if (more || virtq_kicks_on(&queue->q))
		virtio_kick(&balloon->device, i);
	pthread_mutex_unlock(&balloon->machine->lock);
}

int
virtio_balloon_init(struct virtio_balloon *balloon, struct machine *machine,
    uint64_t target_bytes, struct loop *loop, struct err *err)
{
	int r;

	memset(balloon, 0, sizeof(*balloon));
	balloon->machine = machine;
	balloon->target = pages(target_bytes);
	r = virtio_init(&balloon->device, &balloon_ops, machine->memory,
	    VIRTIO_BALLOON_QUEUES, VIRTIO_BALLOON_QUEUE_SIZE, err);
	for (unsigned int i = 0; r == 0 && i < VIRTIO_BALLOON_QUEUES; i++) {
		balloon->queue[i].owner = balloon;
		balloon->queue[i].watch =
		    loop_watch_new(loop, balloon->device.queue[i].kick_fd,
			LOOP_READ, kicked, &balloon->queue[i], err);
		if (balloon->queue[i].watch == NULL)
			r = -ENOMEM;
	}
	return r;
}

void
virtio_balloon_fini(struct virtio_balloon *balloon)
{
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		loop_watch_free(balloon->queue[i].watch);
		balloon->queue[i].watch = NULL;
	}
	virtio_fini(&balloon->device);
}
