/*
 * nbd_work.h - one NBD request against a disk, from its payload to the bytes of
 * its reply.  No socket; any thread.
 */
#ifndef DISK_NBD_WORK_H
#define DISK_NBD_WORK_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "disk/nbd_wire.h"
#include "disk/queue.h"

/* One request under way, or the bytes of replies on their way out. */
struct nbd_job {
	struct disk_request work; /* the queue's */
	struct nbd_job *after;    /* done after it, by the same thread */
	STAILQ_ENTRY(nbd_job) next;
	struct nbd_conn *conn;
	struct nbd_request request;
	uint8_t *bytes; /* the payload, later the reply */
	size_t len;     /* of either */
	size_t sent;
	size_t room;
};
STAILQ_HEAD(nbd_jobs, nbd_job);

/* A job with room for its payload and its reply, and len that of its payload.
 * The request has passed nbd_check_request().  NULL: no memory. */
struct nbd_job *nbd_job_new(
    const struct nbd_request *r, const struct nbd_terms *t);
void nbd_job_free(struct nbd_job *job); /* NULL is fine */

/* What the job occupies. */
size_t nbd_job_bytes(const struct nbd_request *r, const struct nbd_terms *t);

/* Carries it out, and leaves the reply.  Once *stop is set what takes long is
 * given up. */
void nbd_job_run(struct nbd_job *job, struct disk *disk,
    const struct nbd_terms *t, const atomic_bool *stop);

/* The reply to a read of which all is in the page cache, without waiting for a
 * device.  How many bytes, or 0: it is not, or they are more than room. */
size_t nbd_read_cached(struct disk *disk, const struct nbd_terms *t,
    const struct nbd_request *r, uint8_t *to, size_t room);

/* Carries out a write without FUA, and leaves the reply, of at most
 * NBD_ERROR_BYTES.  How many bytes. */
size_t nbd_write_now(struct disk *disk, const struct nbd_terms *t,
    const struct nbd_request *r, const uint8_t *payload, uint8_t *to);

#endif
