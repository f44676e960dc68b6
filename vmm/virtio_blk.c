/*
 * The disk.
 *
 * Threads lead and follow.  One, the leader, sleeps until the guest kicks; the
 * others sleep until they are wanted.  Whoever is awake takes the next chain
 * from the ring itself, so that no request passes between threads.
 *
 *     idle --wanted--> takes a chain --none left, no leader--> leads
 *       ^                |  ^                                   |
 *       '-- none left ---'  '-- done --- serves <---- kicked ---'
 *
 * A leader that has to wait for the store makes way for a new one first.  What
 * the store has in memory it reads and leads on: such reads cost no switch of
 * threads at all.  Kicks are switched off while nobody would wait for them.
 *
 * Stopping.  A reset comes from a CPU in the middle of an instruction, with the
 * machine's lock, and the driver takes its memory back: it waits for the
 * threads that use it.  They must not wait for the CPUs meanwhile, as
 * machine_written() does; so that is called after the data are in place and the
 * thread has said so.  Then the thread looks whether the disk has been reset
 * since, and if not answers: the status and the ring are written under the
 * lock.  They are no code, and no engine is told.
 *
 * Ordering.  A request is in the ring of the completed ones only after the
 * store's call has returned, and a flush is called later than the guest asked
 * for it: fdatasync() and its like cover what has returned before.
 *
 * A driver without VIRTIO_BLK_F_FLUSH expects that what completed is safe
 * (5.2.5.2): each change is then flushed before it is answered.
 *
 * Rejected: a queue for each CPU (stores are slower than one lock), a thread
 * that only distributes (two switches for each request).
 */
#include "vmm/virtio_blk.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/le.h"

#define STACK_BYTES        (128u << 10)
#define HEADER_BYTES       16
#define RANGE_BYTES        16
#define BLOCK_SHIFT        3 /* what is best written at once: 4 KiB */
#define FEATURE(name)      VIRTIO_BIT(VIRTIO_BLK_F_##name)
#define CONFIG(to, member) ((to) + offsetof(struct virtio_blk_config, member))

static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) <
	VIRTIO_CONFIG_BYTES_MAX,
    "all that we set is in reach");

static struct virtio_blk *
blk_of(struct virtio_device *device)
{
	return (struct virtio_blk *)device;
}

/* ---- what the driver reads ---- */

static uint64_t
blk_features(struct virtio_device *device)
{
	uint64_t all = VIRTIO_BIT(VIRTIO_F_VERSION_1) |
	    VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
	    VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | FEATURE(SIZE_MAX) |
	    FEATURE(SEG_MAX) | FEATURE(BLK_SIZE) | FEATURE(TOPOLOGY) |
	    FEATURE(FLUSH);

	if (blk_of(device)->store->read_only)
		return all | FEATURE(RO);
	return all | FEATURE(DISCARD) | FEATURE(WRITE_ZEROES);
}

static void
blk_config(struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	const struct blk_store *store = blk_of(device)->store;

	put_le64(CONFIG(to, capacity), store->bytes / BLK_SECTOR_BYTES);
	put_le32(CONFIG(to, size_max), VIRTIO_BLK_SEGMENT_BYTES);
	put_le32(CONFIG(to, seg_max), VIRTIO_BLK_SEGMENTS);
	put_le32(CONFIG(to, blk_size), BLK_SECTOR_BYTES);
	*CONFIG(to, physical_block_exp) = BLOCK_SHIFT;
	put_le16(CONFIG(to, min_io_size), 1);
	put_le32(CONFIG(to, max_discard_sectors), VIRTIO_BLK_RANGE_SECTORS);
	put_le32(CONFIG(to, max_discard_seg), VIRTIO_BLK_RANGES);
	put_le32(CONFIG(to, discard_sector_alignment), 1u << BLOCK_SHIFT);
	put_le32(
	    CONFIG(to, max_write_zeroes_sectors), VIRTIO_BLK_RANGE_SECTORS);
	put_le32(CONFIG(to, max_write_zeroes_seg), VIRTIO_BLK_RANGES);
	*CONFIG(to, write_zeroes_may_unmap) = 1;
}

/* ---- requests ---- */

/* One request, its header and its answer's place taken off the chain. */
struct request {
	struct virtq_chain *chain;
	uint32_t type;
	uint64_t sector;
	uint8_t *status;
	uint64_t life;
	uint32_t written; /* bytes for the guest, without the status */
	bool may_wait;
};

static uint8_t
status_of(int r)
{
	return r == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

/* What the store returned, which is said once: further errors follow from the
 * same cause, and a guest asks often. */
static int
stored(struct virtio_blk *blk, const char *what, int r)
{
	if (r < 0 && r != -EAGAIN && !atomic_exchange(&blk->told, true))
		log_warn("%s: cannot %s: %s; the guest has an I/O error",
		    blk->name, what, strerror(-r));
	return r;
}

/* Are these bytes from a sector on whole sectors of the disk? */
static bool
within(const struct virtio_blk *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t all = blk->store->bytes / BLK_SECTOR_BYTES;

	return bytes % BLK_SECTOR_BYTES == 0 && sector <= all &&
	    bytes / BLK_SECTOR_BYTES <= all - sector;
}

/* -EAGAIN: cannot be done without waiting, which it may not. */
static int
do_read(struct virtio_blk *blk, struct request *request)
{
	const struct virtq_chain *chain = request->chain;
	struct blk_store *store = blk->store;
	uint64_t at = request->sector * BLK_SECTOR_BYTES;
	int r = -EAGAIN;

	if (chain->write_bytes > VIRTIO_BLK_DATA_BYTES ||
	    !within(blk, request->sector, chain->write_bytes))
		return -EINVAL;
	if (!request->may_wait && store->ops->read_cached == NULL)
		return -EAGAIN;
	if (!request->may_wait)
		r = store->ops->read_cached(
		    store, chain->writes, chain->nwrites, at);
	else
		r = store->ops->read(store, chain->writes, chain->nwrites, at);
	if (r != -EAGAIN)
		request->written = (uint32_t)chain->write_bytes;
	return stored(blk, "read", r);
}

static int
do_write(struct virtio_blk *blk, struct request *request)
{
	const struct virtq_chain *chain = request->chain;

	if (blk->store->read_only ||
	    chain->read_bytes > VIRTIO_BLK_DATA_BYTES ||
	    !within(blk, request->sector, chain->read_bytes))
		return -EINVAL;
	return stored(blk, "write",
	    blk->store->ops->write(blk->store, chain->reads, chain->nreads,
		request->sector * BLK_SECTOR_BYTES));
}

static int
do_flush(struct virtio_blk *blk)
{
	return stored(blk, "flush", blk->store->ops->flush(blk->store));
}

static void
do_name(struct virtio_blk *blk, struct request *request)
{
	const struct virtq_chain *chain = request->chain;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->nwrites; i++) {
		size_t n = chain->writes[i].iov_len;

		if (n > VIRTIO_BLK_NAME_BYTES - done)
			n = VIRTIO_BLK_NAME_BYTES - done;
		memcpy(chain->writes[i].iov_base, blk->id + done, n);
		done += n;
	}
	request->written = (uint32_t)done;
}

struct range {
	uint64_t sector, sectors;
	uint32_t flags;
};

/* The ranges of a discard or of zeros, all of them checked before the first one
 * is touched (5.2.6.2). */
static uint8_t
read_ranges(struct virtio_blk *blk, struct request *request,
    struct range range[VIRTIO_BLK_RANGES], unsigned int *n)
{
	struct virtq_chain *chain = request->chain;
	uint32_t known = request->type == VIRTIO_BLK_T_WRITE_ZEROES
	    ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
	    : 0;
	uint8_t bytes[RANGE_BYTES];
	bool unknown = false, outside = false;

	*n = 0;
	if (blk->store->read_only || chain->read_bytes == 0 ||
	    chain->read_bytes % RANGE_BYTES != 0 ||
	    chain->read_bytes / RANGE_BYTES > VIRTIO_BLK_RANGES)
		return VIRTIO_BLK_S_IOERR;
	while (virtq_pull(chain, bytes, sizeof(bytes))) {
		struct range *r = &range[(*n)++];

		*r = (struct range){ get_le64(bytes), get_le32(bytes + 8),
			get_le32(bytes + 12) };
		unknown |= (r->flags & ~known) != 0;
		outside |= r->sectors > VIRTIO_BLK_RANGE_SECTORS ||
		    !within(blk, r->sector, r->sectors * BLK_SECTOR_BYTES);
	}
	return unknown ? VIRTIO_BLK_S_UNSUPP
	    : outside  ? VIRTIO_BLK_S_IOERR
		       : VIRTIO_BLK_S_OK;
}

static uint8_t
do_ranges(struct virtio_blk *blk, struct request *request)
{
	struct blk_store *store = blk->store;
	struct range range[VIRTIO_BLK_RANGES];
	unsigned int n;
	uint8_t status = read_ranges(blk, request, range, &n);
	int r = 0;

	for (unsigned int i = 0; status == VIRTIO_BLK_S_OK && r == 0 && i < n;
	     i++) {
		uint64_t at = range[i].sector * BLK_SECTOR_BYTES;
		uint64_t bytes = range[i].sectors * BLK_SECTOR_BYTES;

		if (bytes == 0)
			continue;
		if (request->type == VIRTIO_BLK_T_DISCARD)
			r = store->ops->discard(store, at, bytes);
		else
			r = store->ops->zero(store, at, bytes,
			    !(range[i].flags &
				VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP));
	}
	if (status != VIRTIO_BLK_S_OK)
		return status;
	return status_of(stored(blk, "discard or zero", r));
}

/* What of the features has to be there for this type. */
static uint64_t
needs(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_DISCARD: return FEATURE(DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES: return FEATURE(WRITE_ZEROES);
	default: return 0;
	}
}

/* The request's status, or -EAGAIN: not without waiting. */
static int
execute(struct virtio_blk *blk, struct request *request, uint64_t features)
{
	bool change = false;
	uint8_t status;
	int r;

	if ((needs(request->type) & features) != needs(request->type))
		return VIRTIO_BLK_S_UNSUPP;
	if (request->type == VIRTIO_BLK_T_IN) {
		r = do_read(blk, request);
		return r == -EAGAIN && !request->may_wait ? r : status_of(r);
	}
	if (request->type == VIRTIO_BLK_T_GET_ID) {
		do_name(blk, request);
		return VIRTIO_BLK_S_OK;
	}
	if (!request->may_wait)
		return -EAGAIN;
	switch (request->type) {
	case VIRTIO_BLK_T_OUT:
		status = status_of(do_write(blk, request));
		change = true;
		break;
	case VIRTIO_BLK_T_FLUSH: status = status_of(do_flush(blk)); break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		status = do_ranges(blk, request);
		change = true;
		break;
	default: status = VIRTIO_BLK_S_UNSUPP; break;
	}
	if (change && status == VIRTIO_BLK_S_OK && !(features & FEATURE(FLUSH)))
		status = status_of(do_flush(blk));
	return status;
}

/* ---- threads; the lock is held, but where it is said ---- */

/* Reads the header.  False: there is no place for an answer, or no header. */
static bool
begin(struct virtio_blk *blk, struct virtio_blk_thread *me,
    struct request *request)
{
	uint8_t header[HEADER_BYTES];

	*request = (struct request){ .chain = &me->chain,
		.status = virtq_last(&me->chain),
		.life = blk->life };
	if (request->status == NULL)
		return false;
	if (!virtq_pull(&me->chain, header, sizeof(header))) {
		*request->status = VIRTIO_BLK_S_IOERR;
		request->written = 0;
		return false;
	}
	request->type = get_le32(header);
	request->sector = get_le64(header + 8);
	return true;
}

/* The guest brought its ring into a state that nothing follows from. */
static void
ring_broken(struct virtio_blk *blk)
{
	uint64_t life = blk->life;

	blk->busy++;
	pthread_mutex_unlock(&blk->lock);
	pthread_mutex_lock(&blk->machine->lock);
	pthread_mutex_lock(&blk->lock);
	if (blk->life == life) {
		if (!blk->device.warned)
			log_warn("%s: the guest's ring makes no sense; disk "
				 "stopped",
			    blk->name);
		blk->device.warned = true;
		virtio_broken(&blk->device);
	}
	pthread_mutex_unlock(&blk->machine->lock);
	if (--blk->busy == 0)
		pthread_cond_broadcast(&blk->quiet);
}

static void
give_back(struct virtio_blk *blk, uint16_t head, uint32_t bytes)
{
	virtq_put(&blk->q, head, bytes);
	if (virtq_wants_call(&blk->q))
		virtio_call(&blk->device, 0);
}

/* The next request.  False: there is none. */
static bool
next(struct virtio_blk *blk, struct virtio_blk_thread *me,
    struct request *request)
{
	for (;;) {
		switch (virtq_take(&blk->q, &me->chain)) {
		case VIRTQ_NONE: return false;
		case VIRTQ_BROKEN: ring_broken(blk); return false;
		case VIRTQ_BAD:
			blk->bad++;
			give_back(blk, me->chain.head, 0);
			break;
		case VIRTQ_TAKEN:
			if (begin(blk, me, request))
				return true;
			blk->bad++;
			give_back(blk, me->chain.head,
			    request->status != NULL ? 1 : 0);
			break;
		}
	}
}

static void
want(struct virtio_blk *blk)
{
	if (blk->idle > 0)
		pthread_cond_signal(&blk->wanted);
}

/* Executes it, without the lock. */
static uint8_t
run_request(struct virtio_blk *blk, struct request *request)
{
	uint64_t features = blk->features;
	bool leads = !blk->has_leader;
	int status;

	/* Whoever is the only one awake looks after the kicks, too, unless it
	 * has to wait. */
	blk->has_leader = true;
	request->may_wait = !leads;
	pthread_mutex_unlock(&blk->lock);
	status = execute(blk, request, features);
	pthread_mutex_lock(&blk->lock);
	if (leads)
		blk->has_leader = false;
	if (status != -EAGAIN)
		return (uint8_t)status;
	want(blk);
	request->may_wait = true;
	pthread_mutex_unlock(&blk->lock);
	status = execute(blk, request, features);
	pthread_mutex_lock(&blk->lock);
	return (uint8_t)status;
}

static void
serve(struct virtio_blk *blk, struct request *request)
{
	uint8_t status;

	blk->busy++;
	blk->using ++;
	status = run_request(blk, request);
	if (--blk->using == 0)
		pthread_cond_broadcast(&blk->quiet);
	if (request->written > 0) {
		pthread_mutex_unlock(&blk->lock);
		machine_written(blk->machine, request->chain->writes,
		    request->chain->nwrites);
		pthread_mutex_lock(&blk->lock);
	}
	if (--blk->busy == 0)
		pthread_cond_broadcast(&blk->quiet);
	if (blk->life != request->life)
		return;
	if (status != VIRTIO_BLK_S_OK)
		blk->refused++;
	*request->status = status;
	give_back(blk, request->chain->head, request->written + 1);
}

/* Sleeps until it is wanted. */
static void
rest(struct virtio_blk *blk)
{
	blk->idle++;
	pthread_cond_wait(&blk->wanted, &blk->lock);
	blk->idle--;
}

/* Sleeps until the guest kicks, without the lock. */
static void
wait_for_kick(struct virtio_blk *blk)
{
	struct pollfd p = { .fd = blk->device.queue[0].kick_fd,
		.events = POLLIN };
	uint64_t count;

	blk->has_leader = true;
	pthread_mutex_unlock(&blk->lock);
	if (poll(&p, 1, -1) > 0 && read(p.fd, &count, sizeof(count)) < 0)
		count = 0; /* a reset was faster */
	pthread_mutex_lock(&blk->lock);
	blk->has_leader = false;
}

static void *
blk_thread(void *arg)
{
	struct virtio_blk_thread *me = arg;
	struct virtio_blk *blk = me->blk;
	struct request request;

	sandbox_enter(blk->machine->sandbox, SANDBOX_DISK, NULL, 0);
	pthread_mutex_lock(&blk->lock);
	while (!blk->quit) {
		if (blk->paused) {
			rest(blk);
			continue;
		}
		virtq_kicks_off(&blk->q);
		if (next(blk, me, &request)) {
			serve(blk, &request);
		} else if (blk->has_leader) {
			rest(blk);
		} else if (!virtq_kicks_on(&blk->q)) {
			wait_for_kick(blk);
		}
	}
	pthread_mutex_unlock(&blk->lock);
	virtio_kick(&blk->device, 0); /* for who waits for kicks meanwhile */
	return NULL;
}

/* ---- the device ---- */

static int
blk_start(struct virtio_device *device)
{
	struct virtio_blk *blk = blk_of(device);

	pthread_mutex_lock(&blk->lock);
	blk->life++;
	blk->features = device->features;
	virtq_start(&blk->q, device, 0);
	pthread_mutex_unlock(&blk->lock);
	virtio_kick(device, 0); /* for chains that are there already */
	return 0;
}

static void
blk_stop(struct virtio_device *device)
{
	struct virtio_blk *blk = blk_of(device);

	pthread_mutex_lock(&blk->lock);
	blk->life++;
	virtq_stop(&blk->q);
	while (blk->using > 0)
		pthread_cond_wait(&blk->quiet, &blk->lock);
	pthread_mutex_unlock(&blk->lock);
}

/* What was begun is answered, too. */
static void
blk_pause(struct virtio_device *device)
{
	struct virtio_blk *blk = blk_of(device);

	pthread_mutex_lock(&blk->lock);
	blk->paused = true;
	while (blk->busy > 0)
		pthread_cond_wait(&blk->quiet, &blk->lock);
	pthread_mutex_unlock(&blk->lock);
}

static void
blk_resume(struct virtio_device *device)
{
	struct virtio_blk *blk = blk_of(device);

	pthread_mutex_lock(&blk->lock);
	blk->paused = false;
	pthread_cond_broadcast(&blk->wanted);
	pthread_mutex_unlock(&blk->lock);
}

static void
blk_archive(struct virtio_device *device, struct archive *a)
{
	struct virtio_blk *blk = blk_of(device);

	archive_same(a, blk->store->bytes, "its size in bytes");
	pthread_mutex_lock(&blk->lock);
	if (a->loads) {
		blk->paused = true;
		blk->life++;
		blk->features = device->features;
	}
	virtq_archive(&blk->q, device, 0, a);
	pthread_mutex_unlock(&blk->lock);
}

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.id = 2,
	.features = blk_features,
	.config = blk_config,
	.start = blk_start,
	.stop = blk_stop,
	.pause = blk_pause,
	.resume = blk_resume,
	.archive = blk_archive,
};

void
virtio_blk_settle(struct virtio_blk *blk)
{
	pthread_mutex_lock(&blk->lock);
	while (blk->busy > 0)
		pthread_cond_wait(&blk->quiet, &blk->lock);
	pthread_mutex_unlock(&blk->lock);
}

/* Signals are the loop's. */
static int
start_threads(struct virtio_blk *blk)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (r == 0 && blk->nthreads < VIRTIO_BLK_THREADS) {
		struct virtio_blk_thread *t = &blk->thread[blk->nthreads];

		t->blk = blk;
		t->chain.piece = t->piece;
		t->chain.max = VIRTIO_BLK_QUEUE_SIZE;
		r = pthread_create(&t->thread, &attr, blk_thread, t);
		if (r == 0)
			blk->nthreads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int
virtio_blk_init(struct virtio_blk *blk, const struct virtio_blk_setup *setup,
    struct err *err)
{
	int r;

	memset(blk, 0, sizeof(*blk));
	snprintf(blk->name, sizeof(blk->name), "%s", setup->name);
	snprintf(blk->id, sizeof(blk->id), "%s",
	    setup->id != NULL ? setup->id : setup->name);
	blk->store = setup->store;
	blk->machine = setup->machine;
	pthread_mutex_init(&blk->lock, NULL);
	pthread_cond_init(&blk->wanted, NULL);
	pthread_cond_init(&blk->quiet, NULL);
	r = virtio_init(&blk->device, &blk_ops, setup->machine->memory, 1,
	    VIRTIO_BLK_QUEUE_SIZE, err);
	if (r < 0)
		return r;
	r = start_threads(blk);
	return r == 0 ? 0 : err_sys(err, r, NULL, "%s: threads", blk->name);
}

void
virtio_blk_fini(struct virtio_blk *blk)
{
	if (blk->store == NULL)
		return;
	pthread_mutex_lock(&blk->lock);
	blk->quit = true;
	pthread_cond_broadcast(&blk->wanted);
	pthread_mutex_unlock(&blk->lock);
	if (blk->nthreads > 0)
		virtio_kick(&blk->device, 0);
	for (unsigned int i = 0; i < blk->nthreads; i++)
		pthread_join(blk->thread[i].thread, NULL);
	virtio_fini(&blk->device);
	blk->store->ops->close(blk->store);
	blk->store = NULL;
	pthread_cond_destroy(&blk->quiet);
	pthread_cond_destroy(&blk->wanted);
	pthread_mutex_destroy(&blk->lock);
}
