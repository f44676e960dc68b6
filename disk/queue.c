/*
 * Requests in flight.
 *
 * A read that finds everything in the page cache is done at once, on the thread
 * that submits it: a hand-over to another thread costs several times the read.
 * All else goes to a pool of threads, so that a device has as many requests to
 * work on as there are threads.
 *
 * Trying the page cache tells the kernel to read what is not there, so that many
 * reads are with the device before the first thread has been woken; it is they
 * that are in flight, rather than the threads.
 *
 * io_uring was weighed against the pool: syncs and allocating writes have the
 * kernel use threads, too, and a read holds the disk's lock until its data is
 * there, which a thread does better than a completion.
 */
#include "disk/queue.h"

#include <pthread.h>
#include <stdlib.h>

#define MAX_THREADS 64

struct disk_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct disk_request *first, **last;
	bool ending;
	unsigned int n, idle;
	pthread_t threads[MAX_THREADS];
};

static int
run(struct disk_request *r)
{
	switch (r->op) {
	case DISK_OP_READ:
		return disk_readv(r->disk, r->iov, r->iovs, r->offset, NULL);
	case DISK_OP_WRITE:
		return disk_writev(r->disk, r->iov, r->iovs, r->offset, NULL);
	case DISK_OP_ZERO: return disk_zero(r->disk, r->offset, r->len, NULL);
	case DISK_OP_DISCARD:
		return disk_discard(r->disk, r->offset, r->len, NULL);
	case DISK_OP_FLUSH: return disk_flush(r->disk, NULL);
	case DISK_OP_CALL: return 0;
	}
	abort();
}

static void *
work(void *arg)
{
	struct disk_queue *q = arg;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct disk_request *r = q->first;

		if (r == NULL && q->ending)
			break;
		if (r == NULL) {
			q->idle++;
			pthread_cond_wait(&q->wake, &q->lock);
			q->idle--;
			continue;
		}
		q->first = r->next;
		if (q->first == NULL)
			q->last = &q->first;
		pthread_mutex_unlock(&q->lock);
		r->done(r, run(r));
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

struct disk_queue *
disk_queue_new(unsigned int threads)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, NULL);
	q->last = &q->first;
	for (; q->n < threads && q->n < MAX_THREADS; q->n++)
		if (pthread_create(&q->threads[q->n], NULL, work, q) != 0)
			break;
	if (q->n > 0)
		return q;
	disk_queue_free(q);
	return NULL;
}

void
disk_queue_free(struct disk_queue *q)
{
	if (q == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->wake);
	pthread_mutex_unlock(&q->lock);
	for (unsigned int i = 0; i < q->n; i++)
		pthread_join(q->threads[i], NULL);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void
disk_submit(struct disk_queue *q, struct disk_request *r)
{
	bool idle;

	if (r->op == DISK_OP_READ &&
	    disk_readv_cached(r->disk, r->iov, r->iovs, r->offset) == 0) {
		r->done(r, 0);
		return;
	}
	r->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->last = r;
	q->last = &r->next;
	idle = q->idle > 0;
	pthread_mutex_unlock(&q->lock);
	/* Without the lock, which whoever wakes needs at once. */
	if (idle)
		pthread_cond_signal(&q->wake);
}
