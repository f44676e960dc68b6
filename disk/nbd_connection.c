/*
 * One NBD client.
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
#include "disk/nbd_work.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define IN_BYTES    (128u << 10)
#define BATCH_BYTES (256u << 10)
#define SEND_MAX    16 /* replies with one system call */

/* Writes up to this size are tried without a hand-over; one that takes longer
 * than that is a sign that others will. */
#define QUICK_BYTES (32u << 10)
#define QUICK_NS    UINT64_C(500000)
#define MISSED_MAX  16 /* reads that one thread waits for */
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

struct nbd_conn {
	const struct nbd_shared *shared;
	int fd, wake;
	struct nbd_shake shake;
	struct nbd_terms terms;
	uint64_t shake_until_ms;

	uint8_t *in;
	size_t in_at, in_end;
	struct nbd_job *filling; /* a write whose payload arrives */
	size_t filled;
	struct nbd_job *missed, *missed_last; /* reads, in a chain */
	unsigned int missed_n;
	unsigned int slow_writes;   /* to come */
	uint32_t skip;              /* payload of a refused write to come */
	struct nbd_request refused; /* the write */
	enum nbd_error refusal;
	const char *why;
	struct nbd_job batch;
	bool batch_is_mine; /* not on its way out */
	bool ending;        /* the server does */

	pthread_mutex_t lock; /* guards the rest */
	struct nbd_jobs out;  /* their first is partly sent, perhaps */
	bool batch_out;
	bool broken;  /* nobody takes replies any more */
	bool stalled; /* the thread wants to know when a job has ended */
	unsigned int jobs;
	size_t bytes; /* of jobs */
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

/* ---- replies; with the lock ---- */

static void
release(struct nbd_conn *c, struct nbd_job *job)
{
	if (job == &c->batch) {
		c->batch_out = false;
		return;
	}
	c->jobs--;
	c->bytes -= nbd_job_bytes(&job->request, &c->terms);
	nbd_job_free(job);
}

static void
give_up(struct nbd_conn *c)
{
	struct nbd_job *job;

	c->broken = true;
	while ((job = STAILQ_FIRST(&c->out)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->out, next);
		release(c, job);
	}
}

/* n bytes of the replies have been sent. */
static void
advance(struct nbd_conn *c, size_t n)
{
	while (n > 0) {
		struct nbd_job *job = STAILQ_FIRST(&c->out);
		size_t part = MIN(n, job->len - job->sent);

		job->sent += part;
		n -= part;
		if (job->sent < job->len)
			return;
		STAILQ_REMOVE_HEAD(&c->out, next);
		release(c, job);
	}
}

/* Sends what the socket takes. */
static void
send_replies(struct nbd_conn *c)
{
	while (!STAILQ_EMPTY(&c->out)) {
		struct iovec iov[SEND_MAX];
		struct msghdr message = { .msg_iov = iov };
		struct nbd_job *job;
		ssize_t n;

		STAILQ_FOREACH (job, &c->out, next) {
			iov[message.msg_iovlen].iov_base =
			    job->bytes + job->sent;
			iov[message.msg_iovlen++].iov_len =
			    job->len - job->sent;
			if (message.msg_iovlen == SEND_MAX)
				break;
		}
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			advance(c, (size_t)n);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			give_up(c);
	}
}

static void
post(struct nbd_conn *c, struct nbd_job *job)
{
	job->sent = 0;
	if (c->broken)
		release(c, job);
	else
		STAILQ_INSERT_TAIL(&c->out, job, next);
}

/* Posts what is in done, without the lock, and tells the connection's thread
 * what it waits for. */
static void
post_done(struct nbd_conn *c, struct nbd_jobs *done)
{
	struct nbd_job *job;
	uint64_t one = 1;
	bool idle;

	pthread_mutex_lock(&c->lock);
	/* If not, the socket is full, and the thread waits for it. */
	idle = STAILQ_EMPTY(&c->out);
	while ((job = STAILQ_FIRST(done)) != NULL) {
		STAILQ_REMOVE_HEAD(done, next);
		post(c, job);
	}
	if (idle)
		send_replies(c);
	if (c->stalled || !STAILQ_EMPTY(&c->out)) {
		c->stalled = false;
		if (write(c->wake, &one, sizeof(one)) < 0)
			log_debug("nbd: eventfd: %s", strerror(errno));
	}
	/* Once the lock is free, c may be gone. */
	pthread_mutex_unlock(&c->lock);
}

/* ---- jobs ---- */

static void run_jobs(struct disk_request *work, int result);

static void
submit(struct nbd_conn *c, struct nbd_job *job)
{
	job->work = (struct disk_request){ .disk = c->shared->disk,
		.op = DISK_OP_CALL,
		.done = run_jobs,
		.arg = job };
	disk_submit(c->shared->queue, &job->work);
}

/*
 * On a thread of the queue.  The jobs after the first one are reads that the
 * page cache did not have; having been asked, the kernel is reading them ahead,
 * as a rule, and has them when the first one is done.  Where it has not, the
 * rest is left to another thread.
 */
static void
run_jobs(struct disk_request *work, int result)
{
	struct nbd_job *job = work->arg;
	struct nbd_conn *c = job->conn;
	struct disk *disk = c->shared->disk;
	struct nbd_jobs done = STAILQ_HEAD_INITIALIZER(done);
	bool first = true;

	(void)result;
	while (job != NULL) {
		struct nbd_job *after = job->after;
		size_t n = 0;

		if (!first)
			n = nbd_read_cached(disk, &c->terms, &job->request,
			    job->bytes, job->room);
		if (n > 0) {
			job->len = n;
		} else {
			if (!first && after != NULL) {
				submit(c, after);
				after = NULL;
			}
			if (!STAILQ_EMPTY(&done))
				post_done(c, &done);
			nbd_job_run(job, disk, &c->terms, &c->shared->stopping);
		}
		STAILQ_INSERT_TAIL(&done, job, next);
		first = false;
		job = after;
	}
	post_done(c, &done);
}

/* Reads that the page cache did not have, since the last time. */
static void
submit_missed(struct nbd_conn *c)
{
	if (c->missed == NULL)
		return;
	submit(c, c->missed);
	c->missed = NULL;
	c->missed_n = 0;
}

static void
miss(struct nbd_conn *c, struct nbd_job *job)
{
	if (c->missed == NULL)
		c->missed = job;
	else
		c->missed_last->after = job;
	c->missed_last = job;
	if (++c->missed_n == MISSED_MAX)
		submit_missed(c);
}

/* Room for a job; else its end will be told. */
static bool
admit(struct nbd_conn *c, const struct nbd_request *r)
{
	size_t bytes = nbd_job_bytes(r, &c->terms);
	bool fits;

	pthread_mutex_lock(&c->lock);
	fits = c->jobs < NBD_CONNECTION_JOBS &&
	    c->bytes + bytes <= NBD_CONNECTION_BYTES;
	assert(fits || c->jobs > 0);
	if (fits) {
		c->jobs++;
		c->bytes += bytes;
	} else {
		c->stalled = true;
	}
	pthread_mutex_unlock(&c->lock);
	return fits;
}

static void
unadmit(struct nbd_conn *c, const struct nbd_request *r)
{
	pthread_mutex_lock(&c->lock);
	c->jobs--;
	c->bytes -= nbd_job_bytes(r, &c->terms);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the batch ---- */

static void
send_batch(struct nbd_conn *c)
{
	bool idle;

	if (!c->batch_is_mine || c->batch.len == 0)
		return;
	pthread_mutex_lock(&c->lock);
	idle = STAILQ_EMPTY(&c->out);
	c->batch_out = true;
	post(c, &c->batch);
	if (idle)
		send_replies(c);
	c->batch_is_mine = !c->batch_out;
	pthread_mutex_unlock(&c->lock);
	if (c->batch_is_mine)
		c->batch.len = 0;
}

/* Whether n more bytes fit into the batch; else their room will be told. */
static bool
has_room(struct nbd_conn *c, size_t n)
{
	if (c->batch_is_mine && c->batch.room - c->batch.len < n)
		send_batch(c);
	if (c->batch_is_mine)
		return true;
	pthread_mutex_lock(&c->lock);
	c->batch_is_mine = !c->batch_out;
	c->stalled = c->stalled || c->batch_out;
	pthread_mutex_unlock(&c->lock);
	if (c->batch_is_mine)
		c->batch.len = 0;
	return c->batch_is_mine;
}

static uint8_t *
batch_end(const struct nbd_conn *c)
{
	return c->batch.bytes + c->batch.len;
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
	if (!has_room(c, NBD_ERROR_BYTES))
		return NEED_ROOM;
	c->batch.len += nbd_put_error(
	    batch_end(c), &c->terms, &c->refused, c->refusal, c->why);
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
	submit(c, job);
	return NEED_NOTHING;
}

/* missed: a read that was tried already. */
static enum need
begin_job(struct nbd_conn *c, const struct nbd_request *r, bool missed)
{
	struct nbd_job *job;

	if (!admit(c, r))
		return NEED_ROOM;
	job = nbd_job_new(r, &c->terms);
	if (job == NULL) {
		unadmit(c, r);
		return refuse(c, r, NBD_ENOMEM, "out of memory");
	}
	job->conn = c;
	c->in_at += NBD_REQUEST_BYTES;
	if (r->type == NBD_CMD_WRITE) {
		c->filling = job;
		c->filled = 0;
	} else if (missed) {
		miss(c, job);
	} else {
		submit(c, job);
	}
	return NEED_NOTHING;
}

static enum need
take_read(struct nbd_conn *c, const struct nbd_request *r)
{
	size_t n;

	if (r->len > BATCH_BYTES / 2)
		return begin_job(c, r, false);
	if (!has_room(c, r->len + NBD_DATA_BYTES))
		return NEED_ROOM;
	n = nbd_read_cached(c->shared->disk, &c->terms, r, batch_end(c),
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
	if (!has_room(c, NBD_ERROR_BYTES))
		return NEED_ROOM;
	start = now_ns();
	c->batch.len +=
	    nbd_write_now(c->shared->disk, &c->terms, r, payload, batch_end(c));
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
	if (!has_room(c, NBD_SHAKE_OUT_BYTES))
		return NEED_ROOM;
	c->shake.stopping = atomic_load(&c->shared->stopping);
	used = nbd_shake_step(
	    &c->shake, c->in + c->in_at, in_bytes(c), batch_end(c), &n);
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
		send_replies(c);
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
		submit_missed(c);
		send_batch(c);
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
			give_up(c);
		else
			send_replies(c);
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
			unadmit(&c, &c.filling->request);
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
