/*
 * A reply is one run of bytes, whatever it consists of, so that sending it is
 * one thing.  Data is read to where it leaves from.
 *
 * Reads of more than HOLES_FROM bytes under structured replies tell zeros that
 * are no data as holes instead of sending them; shorter ones are not worth the
 * search, nor are holes of less than HOLE_LEAST bytes, which also bounds the
 * number of chunks.
 */
#include "disk/nbd_work.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define HOLES_FROM (128u << 10)
#define HOLE_LEAST (32u << 10)

#define MAX_DESCRIPTORS 8192
#define MAX_LOOKUPS     (64 * MAX_DESCRIPTORS)

/* At a time, of what is done in pieces so that it can be given up. */
#define PIECE_BYTES (1u << 20)

/* Fetching ahead is a favour; this much of it. */
#define MAX_CACHE_BYTES (32u << 20)

/* ---- jobs ---- */

static bool
tells_holes(const struct nbd_request *r, const struct nbd_terms *t)
{
	return r->type == NBD_CMD_READ && t->structured &&
	    (r->flags & NBD_CMD_FLAG_DF) == 0 && r->len > HOLES_FROM;
}

/* Each hole has HOLE_LEAST bytes at least, and data is around them. */
static size_t
read_overhead(const struct nbd_request *r, const struct nbd_terms *t)
{
	size_t holes = 0;

	if (tells_holes(r, t))
		holes = r->len / HOLE_LEAST + 1;
	return holes * NBD_HOLE_BYTES + (holes + 1) * NBD_DATA_BYTES;
}

static size_t
room_for(const struct nbd_request *r, const struct nbd_terms *t)
{
	size_t room = NBD_ERROR_BYTES;

	switch (r->type) {
	case NBD_CMD_READ: return MAX(room, r->len + read_overhead(r, t));
	case NBD_CMD_WRITE: return MAX(room, r->len);
	case NBD_CMD_CACHE: return MAX(room, MIN(r->len, PIECE_BYTES));
	case NBD_CMD_BLOCK_STATUS:
		return NBD_NCONTEXTS *
		    (NBD_STATUS_BYTES + MAX_DESCRIPTORS * NBD_DESCRIPTOR_BYTES);
	default: return room;
	}
}

size_t
nbd_job_bytes(const struct nbd_request *r, const struct nbd_terms *t)
{
	return sizeof(struct nbd_job) + room_for(r, t);
}

struct nbd_job *
nbd_job_new(const struct nbd_request *r, const struct nbd_terms *t)
{
	struct nbd_job *job = malloc(nbd_job_bytes(r, t));

	if (job == NULL)
		return NULL;
	*job = (struct nbd_job){ .request = *r,
		.bytes = (uint8_t *)(job + 1),
		.len = nbd_payload(r),
		.room = room_for(r, t) };
	return job;
}

void
nbd_job_free(struct nbd_job *job)
{
	free(job);
}

/* ---- reading ---- */

/* A piece of a read that is all data or all hole. */
struct run {
	uint64_t offset, end;
	bool hole;
};

/* The run that begins at offset. */
static int
find_run(struct disk *disk, uint64_t offset, uint64_t end, struct run *run,
    struct err *err)
{
	struct disk_extent x;
	int error;

	*run = (struct run){ .offset = offset, .end = offset };
	while (run->end < end) {
		bool hole;

		error = disk_extent(disk, run->end, end - run->end, &x, err);
		if (error != 0)
			return error;
		hole = !x.data && x.len >= HOLE_LEAST;
		if (run->end > offset && hole != run->hole)
			break;
		run->hole = hole;
		run->end += x.len;
	}
	return 0;
}

static int
read_runs(struct nbd_job *job, struct disk *disk, struct err *err)
{
	const struct nbd_request *r = &job->request;
	uint64_t offset = r->offset, end = offset + r->len;

	job->len = 0;
	while (offset < end) {
		uint8_t *to = job->bytes + job->len;
		struct run run;
		int error = find_run(disk, offset, end, &run, err);
		uint32_t len = (uint32_t)(run.end - run.offset);
		bool done = run.end == end;

		if (error != 0)
			return error;
		assert(job->room - job->len >=
		    (run.hole ? NBD_HOLE_BYTES : NBD_DATA_BYTES + len));
		if (run.hole) {
			job->len +=
			    nbd_put_hole(to, r->cookie, done, offset, len);
		} else {
			size_t n =
			    nbd_put_data(to, r->cookie, done, offset, len);

			error = disk_read(disk, to + n, len, offset, err);
			if (error != 0)
				return error;
			job->len += n + len;
		}
		offset = run.end;
	}
	return 0;
}

static size_t
put_read_header(
    uint8_t *to, const struct nbd_terms *t, const struct nbd_request *r)
{
	if (t->structured)
		return nbd_put_data(to, r->cookie, true, r->offset, r->len);
	return nbd_put_simple(to, r->cookie, NBD_OK);
}

static int
do_read(struct nbd_job *job, struct disk *disk, const struct nbd_terms *t,
    struct err *err)
{
	const struct nbd_request *r = &job->request;
	size_t n;

	if (r->len == 0) {
		job->len = nbd_put_done(job->bytes, t, r);
		return 0;
	}
	if (tells_holes(r, t))
		return read_runs(job, disk, err);
	n = put_read_header(job->bytes, t, r);
	job->len = n + r->len;
	return disk_read(disk, job->bytes + n, r->len, r->offset, err);
}

size_t
nbd_read_cached(struct disk *disk, const struct nbd_terms *t,
    const struct nbd_request *r, uint8_t *to, size_t room)
{
	struct iovec iov;
	size_t n;

	assert(r->type == NBD_CMD_READ);
	if (r->len == 0 || tells_holes(r, t) || room < NBD_DATA_BYTES ||
	    room - NBD_DATA_BYTES < r->len)
		return 0;
	n = put_read_header(to, t, r);
	iov = (struct iovec){ to + n, r->len };
	if (disk_readv_cached(disk, &iov, 1, r->offset) != 0)
		return 0;
	return n + r->len;
}

static int
do_cache(struct nbd_job *job, struct disk *disk, const atomic_bool *stop,
    struct err *err)
{
	uint64_t offset = job->request.offset;
	uint64_t end = offset + MIN(job->request.len, MAX_CACHE_BYTES);

	while (offset < end && !atomic_load(stop)) {
		size_t n = (size_t)MIN(end - offset, PIECE_BYTES);
		int error = disk_read(disk, job->bytes, n, offset, err);

		if (error != 0)
			return error;
		offset += n;
	}
	return 0;
}

/* ---- writing ---- */

/* Zeros that have their place in the image. */
static int
write_zeros(struct disk *disk, uint64_t offset, uint64_t len,
    const atomic_bool *stop, struct err *err)
{
	static const uint8_t zeros[1 << 16];
	uint64_t end = offset + len;
	struct iovec iov[PIECE_BYTES / sizeof(zeros)];

	while (offset < end) {
		uint64_t rest = MIN(end - offset, PIECE_BYTES);
		int n = 0, error;

		if (atomic_load(stop))
			return err_set(err, -ESHUTDOWN, "the server ends");
		for (uint64_t left = rest; left > 0; n++) {
			iov[n].iov_base = (void *)(uintptr_t)zeros;
			iov[n].iov_len = (size_t)MIN(left, sizeof(zeros));
			left -= iov[n].iov_len;
		}
		error = disk_writev(disk, iov, n, offset, err);
		if (error != 0)
			return error;
		offset += rest;
	}
	return 0;
}

static int
do_zeroes(const struct nbd_request *r, struct disk *disk,
    const atomic_bool *stop, struct err *err)
{
	if ((r->flags & NBD_CMD_FLAG_NO_HOLE) != 0)
		return write_zeros(disk, r->offset, r->len, stop, err);
	return disk_zero(disk, r->offset, r->len, err);
}

size_t
nbd_write_now(struct disk *disk, const struct nbd_terms *t,
    const struct nbd_request *r, const uint8_t *payload, uint8_t *to)
{
	struct err err = { "" };
	int error;

	assert(r->type == NBD_CMD_WRITE && (r->flags & NBD_CMD_FLAG_FUA) == 0);
	error = disk_write(disk, payload, r->len, r->offset, &err);
	if (error == 0)
		return nbd_put_done(to, t, r);
	return nbd_put_error(to, t, r, nbd_error_of(error), err.text);
}

/* ---- block status ---- */

static uint32_t
extent_state(const struct disk_extent *x, enum nbd_context context)
{
	switch (context) {
	case NBD_BASE_ALLOCATION:
		return x->data ? 0 : NBD_STATE_HOLE | NBD_STATE_ZERO;
	case NBD_ALLOCATION_DEPTH: return x->present ? x->depth + 1 : 0;
	case NBD_NCONTEXTS: break;
	}
	return 0;
}

/* What the extents of the request are in one context: as many descriptors as
 * there is room for.  */
static int
add_status(struct nbd_job *job, struct disk *disk, enum nbd_context context,
    bool done, struct err *err)
{
	const struct nbd_request *r = &job->request;
	uint64_t offset = r->offset, end = offset + r->len;
	uint32_t most =
	    (r->flags & NBD_CMD_FLAG_REQ_ONE) != 0 ? 1 : MAX_DESCRIPTORS;
	uint32_t n = 0, state = 0, len = 0;
	uint8_t *head = job->bytes + job->len, *to = head + NBD_STATUS_BYTES;

	for (unsigned int i = 0; offset < end && i < MAX_LOOKUPS; i++) {
		struct disk_extent x;
		uint32_t next;
		int error = disk_extent(disk, offset, end - offset, &x, err);

		if (error != 0)
			return error;
		next = extent_state(&x, context);
		if (len > 0 && next != state) {
			if (n + 1 == most)
				break;
			to += nbd_put_descriptor(to, len, state);
			n++;
			len = 0;
		}
		state = next;
		len += (uint32_t)x.len;
		offset += x.len;
	}
	to += nbd_put_descriptor(to, len, state);
	nbd_put_status(head, r->cookie, done, context, n + 1);
	job->len = (size_t)(to - job->bytes);
	return 0;
}

static int
do_status(struct nbd_job *job, struct disk *disk, const struct nbd_terms *t,
    struct err *err)
{
	uint32_t left = t->contexts;
	int error = 0;

	job->len = 0;
	for (unsigned int i = 0; error == 0 && left != 0; i++) {
		if ((left & 1u << i) == 0)
			continue;
		left &= ~(1u << i);
		error = add_status(job, disk, i, left == 0, err);
	}
	return error;
}

/* ---- all of them ---- */

static int
carry_out(struct nbd_job *job, struct disk *disk, const struct nbd_terms *t,
    const atomic_bool *stop, struct err *err)
{
	const struct nbd_request *r = &job->request;

	switch (r->type) {
	case NBD_CMD_READ: return do_read(job, disk, t, err);
	case NBD_CMD_BLOCK_STATUS: return do_status(job, disk, t, err);
	case NBD_CMD_CACHE: return do_cache(job, disk, stop, err);
	case NBD_CMD_FLUSH: return disk_flush(disk, err);
	case NBD_CMD_TRIM: return disk_discard(disk, r->offset, r->len, err);
	case NBD_CMD_WRITE_ZEROES: return do_zeroes(r, disk, stop, err);
	case NBD_CMD_WRITE:
		return disk_write(disk, job->bytes, job->len, r->offset, err);
	default: assert(!"a request that was not checked"); return -EINVAL;
	}
}

void
nbd_job_run(struct nbd_job *job, struct disk *disk, const struct nbd_terms *t,
    const atomic_bool *stop)
{
	const struct nbd_request *r = &job->request;
	struct err err = { "" };
	int error = carry_out(job, disk, t, stop, &err);

	if (error == 0 && (r->flags & NBD_CMD_FLAG_FUA) != 0 &&
	    (r->type == NBD_CMD_WRITE || r->type == NBD_CMD_TRIM ||
		r->type == NBD_CMD_WRITE_ZEROES))
		error = disk_flush(disk, &err);
	if (error != 0)
		job->len = nbd_put_error(
		    job->bytes, t, r, nbd_error_of(error), err.text);
	else if (r->type != NBD_CMD_READ && r->type != NBD_CMD_BLOCK_STATUS)
		job->len = nbd_put_done(job->bytes, t, r);
}
