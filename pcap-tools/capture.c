/*
 * Two threads and a ring.
 *
 *     port_send --begin--> record reserved, bytes copied     loop thread
 *         take ... (more sends, more records)
 *               --end----> verdict into the record
 *               last end > everything published
 *                                 |
 *                               ring
 *                                 |
 *     nap, drain: record -> comment -> block -> file         writer thread
 *
 * Order.  begin comes before the frame's fate is decided, end after, and what
 * it causes lies between: so records are in the order of begin, and those of a
 * whole tree of sends are published together, when no frame is left whose
 * verdict is open.  A frame that becomes several (segments) is as many records
 * in a row; the token is the first one's, which says how many follow.
 *
 * Cost.  The loop copies a frame's bytes once and six small numbers: nodes and
 * ports are noted by number (names.h), since they may be gone when the writer
 * gets there.  Sentences are made by the writer, which remembers them.  There
 * is no system call per frame: the writer looks by itself every NAP_MS, and is
 * woken once when the ring fills faster than that.
 *
 * A filter, or an offload to be finished, takes a second copy, in scratch
 * memory: a filter must see the bytes that are written, and a guest may change
 * its own at any moment.
 *
 * Waiting.  Only capture_flush(), capture_free() and, in a virtual loop, a full
 * ring make the loop wait, for a semaphore that the writer posts.  What does
 * not fit even into a drained ring (a tree of sends larger than the ring) is
 * lost in a virtual loop too, and in each run alike.
 */
#include "pcap-tools/capture.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/log.h"
#include "pcap-tools/filter.h"
#include "pcap-tools/finish.h"
#include "pcap-tools/names.h"
#include "pcap-tools/ring.h"
#include "pcap-tools/sink.h"
#include "pcap-tools/verdict_text.h"

#define NAP_MS        50
#define STUCK_NS      (2 * NS_PER_S)
#define WAKE_BYTES    (1u << 20)  /* in the ring: not a moment to nap */
#define RELEASE_BYTES (64u << 10) /* given back at a time */
#define MEMO_SIZE     256         /* sentences remembered, a power of two */

static_assert(NAP_MS < CAPTURE_DELAY_MS, "in the file in time");

/* A verdict by numbers. */
struct fate {
	uint16_t node, out; /* names */
	uint16_t reason, nout;
	uint32_t entry;
};

enum record_kind { RECORD_INTERFACE, RECORD_FRAME };

struct record {
	struct ring_record head;
	const struct point *point;
	uint64_t at_ns;
	uint32_t len, kept;
	uint16_t more; /* records that follow of the same frame */
	uint8_t kind;
	uint8_t dir;
	uint8_t todo; /* offloads that could not be finished */
	struct fate cause, verdict;
	uint8_t data[];
};

struct point {
	struct watcher watcher; /* first: a watcher is its point */
	TAILQ_ENTRY(point) entry;
	struct capture *capture;
	struct port *port; /* NULL: removed */
	struct filter *filter;
	uint32_t interface;
	uint64_t start_ns;
	uint64_t received, accepted, lost;
	unsigned int open; /* frames begun here and not ended */
	char name[NODE_NAME_BYTES];
	char description[3 * NODE_NAME_BYTES + 32];
};

/* A sentence that was made before. */
struct memo {
	struct fate cause, verdict;
	uint8_t dir;
	bool used;
	uint16_t text_bytes;
	char text[VERDICT_TEXT_BYTES];
};

struct capture {
	struct loop *loop;
	char *path;
	uint32_t snaplen_bytes;
	uint32_t keep_bytes; /* of a frame, at most */
	TAILQ_HEAD(, point) points;
	uint32_t npoints;
	unsigned int open; /* the points' open */
	uint64_t frames, bytes, lost;
	struct names *names;
	uint8_t *scratch;
	struct ring ring;

	/* between the threads */
	pthread_t thread;
	bool started;
	sem_t wake, done;
	atomic_bool napping;
	atomic_bool stop;
	atomic_uint asked, answered; /* flushes */
	_Atomic uint64_t progress;   /* records written */
	atomic_int error;

	/* the writer's */
	struct output output;
	const struct sink_kind *kind;
	struct sink *sink;
	struct memo memo[MEMO_SIZE];
};

/* ---- the writer ---- */

static struct verdict_facts
facts_of(const struct capture *c, const struct fate *fate)
{
	return (struct verdict_facts){
		.node = names_text(c->names, fate->node),
		.out = names_text(c->names, fate->out),
		.reason = (enum reason)fate->reason,
		.nout = fate->nout,
		.entry = fate->entry,
	};
}

static unsigned int
memo_slot(const struct record *r)
{
	uint64_t a, b, h = r->dir;

	static_assert(sizeof(struct fate) == 12, "no padding to compare");
	memcpy(&a, &r->cause, sizeof(a));
	memcpy(&b, &r->verdict, sizeof(b));
	h = (h ^ a ^ (uint64_t)r->cause.entry << 7) * 0x9e3779b97f4a7c15u;
	h = (h ^ b ^ (uint64_t)r->verdict.entry << 7) * 0x9e3779b97f4a7c15u;
	return (unsigned int)(h >> 40) & (MEMO_SIZE - 1);
}

static const struct memo *
sentence(struct capture *c, const struct record *r)
{
	struct memo *m = &c->memo[memo_slot(r)];
	struct verdict_facts cause, verdict;

	if (m->used && m->dir == r->dir &&
	    memcmp(&m->cause, &r->cause, sizeof(m->cause)) == 0 &&
	    memcmp(&m->verdict, &r->verdict, sizeof(m->verdict)) == 0)
		return m;
	cause = facts_of(c, &r->cause);
	verdict = facts_of(c, &r->verdict);
	frame_verdict_text(
	    m->text, sizeof(m->text), (enum direction)r->dir, &cause, &verdict);
	m->text_bytes = (uint16_t)strlen(m->text);
	m->cause = r->cause;
	m->verdict = r->verdict;
	m->dir = r->dir;
	m->used = true;
	return m;
}

static uint32_t
flags_of(const struct record *r)
{
	uint32_t flags = r->dir == DIR_IN ? PCAPNG_INBOUND : PCAPNG_OUTBOUND;

	if (r->todo & FRAME_CSUM)
		flags |= PCAPNG_CSUM_NOT_READY;
	if (r->todo & (FRAME_TSO4 | FRAME_TSO6))
		flags |= PCAPNG_SEGMENTS_TO_MAKE;
	return flags;
}

static void
write_frame(struct capture *c, const struct record *r)
{
	const struct memo *m = sentence(c, r);
	struct pcapng_packet packet = {
		.interface = r->point->interface,
		.flags = flags_of(r),
		.at_ns = r->at_ns,
		.kept_bytes = r->kept,
		.len_bytes = r->len,
		.comment_bytes = m->text_bytes,
		.data = r->data,
		.comment = m->text,
	};

	c->kind->packet(c->sink, &packet);
}

static void
write_interface(struct capture *c, const struct point *p)
{
	struct pcapng_interface interface = {
		.name = p->name,
		.description = p->description,
		.filter =
		    p->filter != NULL ? filter_expression(p->filter) : NULL,
		.snaplen_bytes = c->snaplen_bytes,
	};

	c->kind->interface(c->sink, &interface);
}

static void
write_record(struct capture *c, const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_INTERFACE: write_interface(c, r->point); break;
	case RECORD_FRAME: write_frame(c, r); break;
	}
}

/* Notes that the output failed, once. */
static void
note_error(struct capture *c)
{
	if (c->output.error == 0 || atomic_load(&c->error) != 0)
		return;
	atomic_store(&c->error, c->output.error);
	log_warn("%s: cannot write: %s; the capture ends here", c->path,
	    strerror(-c->output.error));
}

static void
drain(struct capture *c)
{
	const struct record *r;
	uint64_t n = 0;
	size_t bytes = 0;

	while ((r = ring_next(&c->ring)) != NULL) {
		if (c->output.error == 0)
			write_record(c, r);
		n++;
		bytes += r->head.bytes;
		if (bytes >= RELEASE_BYTES) {
			ring_release(&c->ring);
			bytes = 0;
		}
	}
	ring_release(&c->ring);
	c->kind->flush(c->sink);
	note_error(c);
	atomic_fetch_add(&c->progress, n);
}

static void
wait_until(sem_t *sem, uint64_t ns)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	ns += (uint64_t)at.tv_nsec;
	at.tv_sec += (time_t)(ns / NS_PER_S);
	at.tv_nsec = (long)(ns % NS_PER_S);
	(void)sem_clockwait(sem, CLOCK_MONOTONIC, &at);
}

static void *
writer_thread(void *arg)
{
	struct capture *c = arg;
	bool stop;

	do {
		unsigned int asked = atomic_load(&c->asked);

		/* Both are read before the ring: what was published before
		 * they were set is then seen. */
		stop = atomic_load(&c->stop);
		drain(c);
		if (atomic_load(&c->answered) != asked) {
			atomic_store(&c->answered, asked);
			sem_post(&c->done);
		}
		if (!stop) {
			atomic_store(&c->napping, true);
			wait_until(&c->wake, NAP_MS * NS_PER_MS);
			atomic_store(&c->napping, false);
		}
	} while (!stop);
	return NULL;
}

/* ---- the loop's side of it ---- */

static void
wait_for_writer(struct capture *c, bool for_ever)
{
	unsigned int asked = atomic_load(&c->asked) + 1;
	uint64_t progress = atomic_load(&c->progress);

	atomic_store(&c->asked, asked);
	sem_post(&c->wake);
	while (atomic_load(&c->answered) != asked) {
		uint64_t now;

		wait_until(&c->done, STUCK_NS);
		now = atomic_load(&c->progress);
		if (!for_ever && now == progress &&
		    atomic_load(&c->answered) != asked)
			return;
		progress = now;
	}
}

static void
publish(struct capture *c)
{
	uint64_t much = c->ring.size_bytes / 4;

	ring_publish(&c->ring);
	if (much > WAKE_BYTES)
		much = WAKE_BYTES;
	if (ring_used(&c->ring, much) > much &&
	    atomic_load_explicit(&c->napping, memory_order_relaxed) &&
	    atomic_exchange(&c->napping, false))
		sem_post(&c->wake);
}

static struct record *
reserve(struct capture *c, uint32_t kept)
{
	size_t bytes = sizeof(struct record) + kept;
	struct record *r = ring_reserve(&c->ring, bytes);

	if (r == NULL && loop_clock(c->loop) == LOOP_VIRTUAL) {
		wait_for_writer(c, true);
		r = ring_reserve(&c->ring, bytes);
	}
	return r;
}

/* ---- a point: what a port tells ---- */

struct put {
	struct point *point;
	enum direction dir;
	struct record *first;
};

/* Room for a frame of len bytes, described; NULL: lost. */
static struct record *
put(struct put *put, size_t len, uint8_t todo)
{
	struct point *p = put->point;
	struct capture *c = p->capture;
	uint32_t kept = len < c->keep_bytes ? (uint32_t)len : c->keep_bytes;
	struct record *r = NULL;

	p->accepted++;
	if (atomic_load_explicit(&c->error, memory_order_relaxed) == 0)
		r = reserve(c, kept);
	if (r == NULL) {
		p->lost++;
		c->lost++;
		return NULL;
	}
	r->point = p;
	r->at_ns = loop_wall_ns(c->loop);
	r->len = (uint32_t)len;
	r->kept = kept;
	r->more = 0;
	r->kind = RECORD_FRAME;
	r->dir = (uint8_t)put->dir;
	r->todo = todo;
	r->cause = r->verdict = (struct fate){ 0 };
	c->frames++;
	c->bytes += len;
	if (put->first == NULL)
		put->first = r;
	else
		put->first->more++;
	return r;
}

static void
put_finished(void *arg, const uint8_t *data, size_t len, uint8_t todo)
{
	struct put *to = arg;
	struct point *p = to->point;
	struct record *r;

	p->received++;
	if (p->filter != NULL && !filter_match(p->filter, data, len))
		return;
	r = put(to, len, todo);
	if (r != NULL)
		memcpy(r->data, data, r->kept);
}

static uint32_t
point_begin(struct watcher *watcher, const struct port *port,
    enum direction dir, const struct frame *frame)
{
	struct point *p = (struct point *)watcher;
	struct capture *c = p->capture;
	struct put to = { .point = p, .dir = dir };

	(void)port;
	if (p->filter != NULL || frame->flags & FRAME_TODO) {
		finish_frame(c->scratch, frame, put_finished, &to);
	} else {
		struct record *r = put(&to, frame->len, 0);

		p->received++;
		if (r != NULL)
			frame_copy(r->data, frame, 0, r->kept);
	}
	if (to.first == NULL)
		return 0;
	p->open++;
	c->open++;
	return ring_token(&c->ring, to.first);
}

static struct fate
fate_of(struct names *names, const struct verdict *v)
{
	struct fate fate = { 0 };

	if (v == NULL || v->node == NULL || v->reason == REASON_NONE)
		return fate;
	fate.node = names_number(names, v->node, v->node->name);
	if (v->out != NULL)
		fate.out = names_number(names, v->out, v->out->name);
	fate.reason = v->reason;
	fate.nout = v->nout;
	fate.entry = v->entry;
	return fate;
}

static void
ended(struct point *p, unsigned int frames)
{
	assert(p->open >= frames && p->capture->open >= p->open);
	p->open -= frames;
	p->capture->open -= frames;
	if (p->capture->open == 0)
		publish(p->capture);
}

static void
point_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	struct point *p = (struct point *)watcher;
	struct capture *c = p->capture;
	struct record *r = ring_record(&c->ring, token);
	struct fate cause = fate_of(c->names, frame->cause);
	struct fate verdict = fate_of(c->names, &frame->verdict);

	for (unsigned int more = r->more;; more--) {
		r->cause = cause;
		r->verdict = verdict;
		if (more == 0)
			break;
		r = ring_after(&c->ring, r);
	}
	ended(p, 1);
}

/* ---- points come and go ---- */

static void
describe(struct point *p)
{
	const struct port *port = p->port;

	memcpy(p->name, port->name, sizeof(p->name));
	if (port->peer != NULL)
		snprintf(p->description, sizeof(p->description),
		    "port of %s, cabled to %s", port->node->name,
		    port->peer->name);
	else
		snprintf(p->description, sizeof(p->description),
		    "port of %s, no cable", port->node->name);
}

static int
announce(struct capture *c, const struct point *p, struct err *err)
{
	struct record *r = reserve(c, 0);

	if (r == NULL) {
		capture_flush(c);
		r = reserve(c, 0);
	}
	if (r == NULL)
		return err_set(err, -EBUSY,
		    "%s: %s cannot be added while nothing can be written; "
		    "let its reader go on",
		    c->path, p->name);
	r->point = p;
	r->kind = RECORD_INTERFACE;
	if (c->open == 0)
		publish(c);
	return 0;
}

static void
point_free(struct point *p)
{
	filter_free(p->filter);
	free(p);
}

int
capture_add(
    struct capture *c, struct port *port, const char *filter, struct err *err)
{
	struct point *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", c->path);
	if (filter != NULL) {
		p->filter = filter_new(filter, err);
		if (p->filter == NULL) {
			error = -EINVAL;
			goto fail;
		}
	}
	p->watcher = (struct watcher){ .begin = point_begin, .end = point_end };
	p->capture = c;
	p->port = port;
	p->interface = c->npoints;
	p->start_ns = loop_wall_ns(c->loop);
	describe(p);
	error = announce(c, p, err);
	if (error != 0)
		goto fail;
	c->npoints++;
	TAILQ_INSERT_TAIL(&c->points, p, entry);
	port_watch(port, &p->watcher);
	return 0;
fail:
	point_free(p);
	return error;
}

/* Frames that are on their way end without us. */
static void
detach(struct point *p)
{
	if (p->port == NULL)
		return;
	port_unwatch(p->port, &p->watcher);
	p->port = NULL;
	ended(p, p->open);
}

void
capture_remove(struct capture *c, struct port *port)
{
	struct point *p;

	TAILQ_FOREACH (p, &c->points, entry)
		if (p->port == port)
			detach(p);
}

/* ---- the whole ---- */

static int
start(struct capture *c)
{
	sigset_t all, before;
	int error;

	/* Signals are the loop's; and a pipe without a reader is an error of
	 * write(2), not the end of the program. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&c->thread, NULL, writer_thread, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return -error;
	c->started = true;
	(void)pthread_setname_np(c->thread, "capture");
	return 0;
}

static void
stop(struct capture *c)
{
	atomic_store(&c->stop, true);
	sem_post(&c->wake);
	if (c->started)
		pthread_join(c->thread, NULL);
	c->started = false;
}

static int
open_file(struct capture *c, struct err *err)
{
	const char *comment = loop_clock(c->loop) == LOOP_VIRTUAL
	    ? "virtual time, which begins in 1970"
	    : NULL;
	int error = output_open(&c->output, c->path, &c->stop, err);

	if (error != 0)
		return error;
	c->kind = sink_kind_of(c->path);
	c->sink = c->kind->open(&c->output, c->snaplen_bytes, comment);
	if (c->sink == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", c->path);
	return 0;
}

static int
capture_init(
    struct capture *c, const char *path, size_t ring_bytes, struct err *err)
{
	int error;

	c->path = strdup(path);
	c->names = names_new();
	c->scratch = malloc(FRAME_MAX_BYTES);
	if (c->path == NULL || c->names == NULL || c->scratch == NULL ||
	    ring_init(&c->ring, ring_bytes) != 0)
		return err_sys(err, -ENOMEM, NULL, "%s", path);
	error = open_file(c, err);
	if (error != 0)
		return error;
	error = start(c);
	if (error != 0)
		return err_sys(
		    err, error, NULL, "%s: no thread to write", path);
	return 0;
}

/* Frees what there is. */
static void
capture_fini(struct capture *c)
{
	struct point *p;

	while ((p = TAILQ_FIRST(&c->points)) != NULL) {
		TAILQ_REMOVE(&c->points, p, entry);
		point_free(p);
	}
	if (c->sink != NULL)
		c->kind->close(c->sink);
	if (c->output.fd >= 0)
		(void)output_close(&c->output);
	ring_fini(&c->ring);
	sem_destroy(&c->wake);
	sem_destroy(&c->done);
	free(c->scratch);
	names_free(c->names);
	free(c->path);
	free(c);
}

struct capture *
capture_new_ring(struct loop *loop, const char *path, uint32_t snaplen_bytes,
    size_t ring_bytes, struct err *err)
{
	struct capture *c = aligned_alloc(
	    RING_LINE, (sizeof(*c) + RING_LINE - 1) & ~(size_t)(RING_LINE - 1));

	if (c == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", path);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->points);
	sem_init(&c->wake, 0, 0);
	sem_init(&c->done, 0, 0);
	c->output.fd = -1;
	c->loop = loop;
	c->snaplen_bytes = snaplen_bytes;
	c->keep_bytes = FRAME_MAX_BYTES;
	if (snaplen_bytes != 0 && snaplen_bytes < FRAME_MAX_BYTES)
		c->keep_bytes = snaplen_bytes;
	if (capture_init(c, path, ring_bytes, err) != 0) {
		capture_fini(c);
		return NULL;
	}
	return c;
}

struct capture *
capture_new(struct loop *loop, const char *path, uint32_t snaplen_bytes,
    struct err *err)
{
	return capture_new_ring(
	    loop, path, snaplen_bytes, CAPTURE_RING_BYTES, err);
}

struct capture_stats
capture_stats(const struct capture *c)
{
	return (struct capture_stats){
		.frames = c->frames,
		.bytes = c->bytes,
		.lost = c->lost,
		.error = atomic_load(&c->error),
	};
}

void
capture_flush(struct capture *c)
{
	wait_for_writer(c, false);
}

/* What each point counted, at the end of the file. */
static void
write_statistics(struct capture *c)
{
	const struct point *p;

	TAILQ_FOREACH (p, &c->points, entry) {
		struct pcapng_statistics s = {
			.interface = p->interface,
			.start_ns = p->start_ns,
			.end_ns = loop_wall_ns(c->loop),
			.received = p->received,
			.accepted = p->accepted,
			.dropped = p->lost,
			.delivered = p->accepted - p->lost,
		};

		c->kind->statistics(c->sink, &s);
	}
	c->kind->flush(c->sink);
}

int
capture_free(struct capture *c, struct err *err)
{
	struct point *p;
	int error;

	if (c == NULL)
		return 0;
	TAILQ_FOREACH (p, &c->points, entry)
		detach(p);
	stop(c);
	write_statistics(c);
	c->kind->close(c->sink);
	c->sink = NULL;
	error = output_close(&c->output);
	if (error != 0)
		err_sys(err, error, NULL,
		    "%s: the capture is not whole: cannot write", c->path);
	capture_fini(c);
	return error;
}
