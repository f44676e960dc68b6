/*
 * One NBD client: what comes from it.
 *
 *     socket --> in --> connection's thread --quick--> batch --> socket
 *                              |                                   ^
 *                              '--all else--> queue's threads -----'
 *
 * The connection's thread reads requests, many with one system call when the
 * client sends many, and does those at once that do not wait for a device:
 * reads from the page cache, and small writes as long as they are quick.  Their
 * replies gather in one batch, and leave when no more requests are here.
 * Everything else is a job for the threads of the queue, which send their reply
 * themselves: the socket never blocks, so that whoever finds it full leaves the
 * rest to the connection's thread.  A client that takes no replies therefore
 * holds up nobody but itself.
 *
 * What a client may have in memory is bounded: jobs by number and bytes, until
 * their reply is sent, and one batch.  At the bound no request is read, so that
 * the client waits in its own send().  The payload of a write that is refused is
 * skipped as it comes.
 */
#include "disk/nbd_connection.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "disk/nbd_replies.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define IN_BYTES    (128u << 10)
#define BATCH_BYTES (256u << 10)

/* Writes up to this size are tried without a hand-over; one that takes longer
 * than that is a sign that others will. */
#define QUICK_BYTES (32u << 10)
#define QUICK_NS    UINT64_C(500000)
#define SLOW_WRITES 64 /* that are then left to the queue */

static_assert(IN_BYTES >= NBD_SHAKE_IN_BYTES, "an option must fit");
static_assert(
    IN_BYTES >= NBD_REQUEST_BYTES + QUICK_BYTES, "a quick write must fit");

/* What the connection's thread needs to go on. */
enum need {
	NEED_INPUT,
	NEED_ROOM, /* replies must leave, or jobs end */
	NEED_NOTHING,
	NEED_LEAVE /* it is over */
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t
now_ms(void)
{
	return now_ns() / 1000000;
}

/* ---- requests ---- */

static size_t
in_bytes(const struct nbd_conn *c)
{
	return c->in_end - c->in_at;
}

static enum need
refuse(struct nbd_conn *c, const struct nbd_request *r, enum nbd_error error,
    const char *why)
{
	c->in_at += NBD_REQUEST_BYTES;
	c->refused = *r;
	c->refusal = error;
	c->why = why;
	c->skip = nbd_payload(r);
	return NEED_NOTHING;
}

/* The payload of a refused write passes; then the client is told. */
static enum need
go_on_refusing(struct nbd_conn *c)
{
	size_t n = MIN(in_bytes(c), c->skip);

	c->in_at += n;
	c->skip -= (uint32_t)n;
	if (c->skip > 0)
		return NEED_INPUT;
	if (!nbd_batch_has_room(c, NBD_ERROR_BYTES))
		return NEED_ROOM;
	c->batch.len += nbd_put_error(
	    nbd_batch_end(c), &c->terms, &c->refused, c->refusal, c->why);
	c->refusal = NBD_OK;
	return NEED_NOTHING;
}

static enum need
go_on_filling(struct nbd_conn *c)
{
	struct nbd_job *job = c->filling;
	size_t n = MIN(in_bytes(c), job->len - c->filled);

	memcpy(job->bytes + c->filled, c->in + c->in_at, n);
	c->in_at += n;
	c->filled += n;
	if (c->filled < job->len)
		return NEED_INPUT;
	c->filling = NULL;
	nbd_job_submit(c, job);
	return NEED_NOTHING;
}

/* missed: a read that was tried already. */
static enum need
begin_job(struct nbd_conn *c, const struct nbd_request *r, bool missed)
{
	struct nbd_job *job;

	if (!nbd_job_admit(c, r))
		return NEED_ROOM;
	job = nbd_job_new(r, &c->terms);
	if (job == NULL) {
		nbd_job_unadmit(c, r);
		return refuse(c, r, NBD_ENOMEM, "out of memory");
	}
	job->conn = c;
	c->in_at += NBD_REQUEST_BYTES;
	if (r->type == NBD_CMD_WRITE) {
		c->filling = job;
		c->filled = 0;
	} else if (missed) {
		nbd_job_miss(c, job);
	} else {
		nbd_job_submit(c, job);
	}
	return NEED_NOTHING;
}

static enum need
take_read(struct nbd_conn *c, const struct nbd_request *r)
{
	size_t n;

	if (r->len > BATCH_BYTES / 2)
		return begin_job(c, r, false);
	if (!nbd_batch_has_room(c, r->len + NBD_DATA_BYTES))
		return NEED_ROOM;
	n = nbd_read_cached(c->shared->disk, &c->terms, r, nbd_batch_end(c),
	    c->batch.room - c->batch.len);
	if (n == 0)
		return begin_job(c, r, true);
	c->batch.len += n;
	c->in_at += NBD_REQUEST_BYTES;
	return NEED_NOTHING;
}

/* A write goes to the page cache as a rule, in less time than a hand-over to
 * another thread takes. */
static enum need
take_write(struct nbd_conn *c, const struct nbd_request *r)
{
	const uint8_t *payload = c->in + c->in_at + NBD_REQUEST_BYTES;
	uint64_t start;

	if (c->slow_writes > 0 || r->len > QUICK_BYTES ||
	    (r->flags & NBD_CMD_FLAG_FUA) != 0) {
		enum need need = begin_job(c, r, false);

		if (need == NEED_NOTHING && c->slow_writes > 0)
			c->slow_writes--;
		return need;
	}
	if (in_bytes(c) - NBD_REQUEST_BYTES < r->len)
		return NEED_INPUT;
	if (!nbd_batch_has_room(c, NBD_ERROR_BYTES))
		return NEED_ROOM;
	start = now_ns();
	c->batch.len += nbd_write_now(
	    c->shared->disk, &c->terms, r, payload, nbd_batch_end(c));
	if (now_ns() - start > QUICK_NS)
		c->slow_writes = SLOW_WRITES;
	c->in_at += NBD_REQUEST_BYTES + r->len;
	return NEED_NOTHING;
}

static enum need
take_request(struct nbd_conn *c)
{
	struct nbd_request r;
	enum nbd_error error;
	const char *why = "";

	if (c->refusal != NBD_OK)
		return go_on_refusing(c);
	if (c->filling != NULL)
		return go_on_filling(c);
	if (in_bytes(c) < NBD_REQUEST_BYTES)
		return NEED_INPUT;
	if (!nbd_parse_request(&r, c->in + c->in_at) || r.type == NBD_CMD_DISC)
		return NEED_LEAVE;
	error = nbd_check_request(&r, &c->terms, &why);
	if (error != NBD_OK)
		return refuse(c, &r, error, why);
	if (r.type == NBD_CMD_READ)
		return take_read(c, &r);
	if (r.type == NBD_CMD_WRITE)
		return take_write(c, &r);
	return begin_job(c, &r, false);
}

/* ---- the handshake ---- */

static bool
is_shaking(const struct nbd_conn *c)
{
	return c->shake.state < SHAKE_READY;
}

static enum need
take_option(struct nbd_conn *c)
{
	size_t used, n;

	if (now_ms() >= c->shake_until_ms)
		return NEED_LEAVE;
	if (!nbd_batch_has_room(c, NBD_SHAKE_OUT_BYTES))
		return NEED_ROOM;
	c->shake.stopping = atomic_load(&c->shared->stopping);
	used = nbd_shake_step(
	    &c->shake, c->in + c->in_at, in_bytes(c), nbd_batch_end(c), &n);
	c->in_at += used;
	c->batch.len += n;
	if (c->shake.state == SHAKE_ENDED)
		return NEED_LEAVE;
	if (c->shake.state == SHAKE_READY)
		nbd_shake_terms(&c->shake, &c->terms);
	return used == 0 ? NEED_INPUT : NEED_NOTHING;
}

/* ---- the socket ---- */

/* Receives behind what is there, or straight into a payload.  False: no more
 * will come. */
static bool
receive(struct nbd_conn *c, int flags)
{
	struct iovec iov[2];
	struct msghdr message = { .msg_iov = iov };
	size_t rest = 0;
	ssize_t n;

	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, in_bytes(c));
		c->in_end -= c->in_at;
		c->in_at = 0;
	}
	if (c->filling != NULL) {
		rest = c->filling->len - c->filled;
		iov[message.msg_iovlen++] =
		    (struct iovec){ c->filling->bytes + c->filled, rest };
	}
	iov[message.msg_iovlen++] =
	    (struct iovec){ c->in + c->in_end, IN_BYTES - c->in_end };
	n = recvmsg(c->fd, &message, flags);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	rest = MIN(rest, (size_t)n);
	c->filled += rest;
	c->in_end += (size_t)n - rest;
	return true;
}

/* Waits for events of the socket, or until somebody wakes us.  What there is of
 * the former, or -1 after too long. */
static int
wait_for(struct nbd_conn *c, short events, int timeout_ms)
{
	struct pollfd fds[] = { { .fd = c->wake, .events = POLLIN },
		{ .fd = events != 0 ? c->fd : -1, .events = events },
		{ .fd = c->ending ? -1 : c->shared->ending,
		    .events = POLLIN } };
	uint64_t count;

	if (poll(fds, 3, timeout_ms) == 0)
		return -1;
	if (fds[0].revents != 0 && read(c->wake, &count, sizeof(count)) < 0)
		log_debug("nbd: eventfd: %s", strerror(errno));
	c->ending = c->ending || fds[2].revents != 0;
	return fds[1].revents;
}

static int
ms_until(uint64_t at_ms)
{
	uint64_t now = now_ms();

	return at_ms <= now ? 0 : (int)MIN(at_ms - now, INT_MAX);
}

/* False: it is over. */
static bool
wait_and_receive(struct nbd_conn *c, enum need need)
{
	short events = need == NEED_INPUT ? POLLIN : 0;
	bool pending, alone, broken;
	int got;

	pthread_mutex_lock(&c->lock);
	pending = !STAILQ_EMPTY(&c->out);
	alone = !pending && c->jobs == 0;
	broken = c->broken;
	pthread_mutex_unlock(&c->lock);
	/* A client that stands still is not waited for. */
	if (broken || (c->ending && need == NEED_ROOM))
		return false;
	/* Nobody else could have anything to tell. */
	if (need == NEED_INPUT && alone && !is_shaking(c))
		return receive(c, 0);
	if (pending)
		events |= POLLOUT;
	got = wait_for(
	    c, events, is_shaking(c) ? ms_until(c->shake_until_ms) : -1);
	if (got < 0)
		return false;
	if (pending && got != 0) {
		pthread_mutex_lock(&c->lock);
		nbd_replies_send(c);
		pthread_mutex_unlock(&c->lock);
	}
	if (need == NEED_INPUT && (got & (POLLIN | POLLHUP | POLLERR)) != 0)
		return receive(c, MSG_DONTWAIT);
	return true;
}

static void
serve(struct nbd_conn *c)
{
	enum need need = NEED_NOTHING;

	while (need != NEED_LEAVE) {
		do {
			need = is_shaking(c) ? take_option(c) : take_request(c);
		} while (need == NEED_NOTHING);
		nbd_job_submit_missed(c);
		nbd_batch_send(c);
		if (need != NEED_LEAVE && !wait_and_receive(c, need))
			break;
	}
}

/* What was asked for is done; its replies are sent if they are taken soon. */
static void
drain(struct nbd_conn *c)
{
	uint64_t until = 0;

	for (;;) {
		bool pending, over;
		int got;

		pthread_mutex_lock(&c->lock);
		pending = !STAILQ_EMPTY(&c->out);
		over = c->jobs == 0 && !pending;
		c->stalled = true;
		pthread_mutex_unlock(&c->lock);
		if (over)
			return;
		if (pending && until == 0)
			until = now_ms() + c->shared->drain_ms;
		got = wait_for(
		    c, pending ? POLLOUT : 0, pending ? ms_until(until) : -1);
		pthread_mutex_lock(&c->lock);
		if (got < 0)
			nbd_replies_give_up(c);
		else
			nbd_replies_send(c);
		pthread_mutex_unlock(&c->lock);
	}
}

/* ---- the connection ---- */

static bool
set_up(struct nbd_conn *c)
{
	c->in = malloc(IN_BYTES);
	c->batch.bytes = malloc(BATCH_BYTES);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->in == NULL || c->batch.bytes == NULL || c->wake < 0)
		return false;
	c->batch.room = BATCH_BYTES;
	c->batch_is_mine = true;
	c->shake_until_ms = now_ms() + c->shared->handshake_ms;
	nbd_shake_init(&c->shake, &c->shared->export, c->batch.bytes);
	c->batch.len = NBD_GREETING_BYTES;
	return true;
}

void
nbd_connection(const struct nbd_shared *shared, int fd)
{
	struct nbd_conn c = { .shared = shared, .fd = fd };

	pthread_mutex_init(&c.lock, NULL);
	STAILQ_INIT(&c.out);
	if (set_up(&c)) {
		serve(&c);
		if (c.filling != NULL) {
			nbd_job_unadmit(&c, &c.filling->request);
			nbd_job_free(c.filling);
		}
		drain(&c);
	}
	pthread_mutex_destroy(&c.lock);
	if (c.wake >= 0)
		close(c.wake);
	free(c.batch.bytes);
	free(c.in);
}
