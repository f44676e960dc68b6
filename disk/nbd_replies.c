/*
 * Jobs, and the replies of one NBD client.
 *
 * A job's memory is the client's share until its reply has been sent.  The batch
 * is posted like a job, and is the connection's thread's again when it has been
 * sent.
 */
#include "disk/nbd_replies.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define SEND_MAX   16 /* replies with one system call */
#define MISSED_MAX 16 /* reads that one thread waits for */

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

void
nbd_replies_give_up(struct nbd_conn *c)
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
void
nbd_replies_send(struct nbd_conn *c)
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
			nbd_replies_give_up(c);
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
		nbd_replies_send(c);
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

void
nbd_job_submit(struct nbd_conn *c, struct nbd_job *job)
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
				nbd_job_submit(c, after);
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
void
nbd_job_submit_missed(struct nbd_conn *c)
{
	if (c->missed == NULL)
		return;
	nbd_job_submit(c, c->missed);
	c->missed = NULL;
	c->missed_n = 0;
}

void
nbd_job_miss(struct nbd_conn *c, struct nbd_job *job)
{
	if (c->missed == NULL)
		c->missed = job;
	else
		c->missed_last->after = job;
	c->missed_last = job;
	if (++c->missed_n == MISSED_MAX)
		nbd_job_submit_missed(c);
}

/* Room for a job; else its end will be told. */
bool
nbd_job_admit(struct nbd_conn *c, const struct nbd_request *r)
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

void
nbd_job_unadmit(struct nbd_conn *c, const struct nbd_request *r)
{
	pthread_mutex_lock(&c->lock);
	c->jobs--;
	c->bytes -= nbd_job_bytes(r, &c->terms);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the batch ---- */

void
nbd_batch_send(struct nbd_conn *c)
{
	bool idle;

	if (!c->batch_is_mine || c->batch.len == 0)
		return;
	pthread_mutex_lock(&c->lock);
	idle = STAILQ_EMPTY(&c->out);
	c->batch_out = true;
	post(c, &c->batch);
	if (idle)
		nbd_replies_send(c);
	c->batch_is_mine = !c->batch_out;
	pthread_mutex_unlock(&c->lock);
	if (c->batch_is_mine)
		c->batch.len = 0;
}

/* Whether n more bytes fit into the batch; else their room will be told. */
bool
nbd_batch_has_room(struct nbd_conn *c, size_t n)
{
	if (c->batch_is_mine && c->batch.room - c->batch.len < n)
		nbd_batch_send(c);
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

uint8_t *
nbd_batch_end(const struct nbd_conn *c)
{
	return c->batch.bytes + c->batch.len;
}
