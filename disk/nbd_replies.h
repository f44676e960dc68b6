/*
 * nbd_replies.h - one NBD client, from inside: what goes to it (nbd_connection.c
 * has what comes from it, and the whole as a drawing).
 *
 * Replies leave in the order in which they are posted, by whoever posts one while
 * the socket takes it, else by the connection's thread.  All functions are
 * that thread's, but for those of jobs on their way, which are inside.
 */
#ifndef DISK_NBD_REPLIES_H
#define DISK_NBD_REPLIES_H

#include <pthread.h>

#include "disk/nbd_connection.h"
#include "disk/nbd_work.h"

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

/* With the lock: sends what the socket takes; drops all that is to be sent, now
 * and later. */
void nbd_replies_send(struct nbd_conn *c);
void nbd_replies_give_up(struct nbd_conn *c);

/* Room for a job; else its end will be told.  The room is given back by the
 * reply, or by unadmit. */
bool nbd_job_admit(struct nbd_conn *c, const struct nbd_request *r);
void nbd_job_unadmit(struct nbd_conn *c, const struct nbd_request *r);

/* Hands a job to the queue's threads. */
void nbd_job_submit(struct nbd_conn *c, struct nbd_job *job);
/* The same, with others like it: a read that the page cache did not have. */
void nbd_job_miss(struct nbd_conn *c, struct nbd_job *job);
void nbd_job_submit_missed(struct nbd_conn *c);

/* Whether n more bytes fit into the batch; else their room will be told. */
bool nbd_batch_has_room(struct nbd_conn *c, size_t n);
uint8_t *nbd_batch_end(const struct nbd_conn *c);
void nbd_batch_send(struct nbd_conn *c);

#endif
