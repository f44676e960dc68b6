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
 * Cost.  The loop copies a frame's bytes once and a few small numbers: nodes
 * and ports are noted by number (names.h), since they may be gone when the
 * writer gets there, which makes the sentences.  There is no system call per
 * frame (capture_writer.c).
 *
 * A filter, or an offload to be finished, takes a second copy, in scratch
 * memory: a filter must see the bytes that are written, and a guest may change
 * its own at any moment.
 *
 * Waiting.  Only capture_flush(), capture_free() and, in a virtual loop, a full
 * ring make the loop wait.  What does not fit even into a drained ring (a tree
 * of sends larger than the ring) is lost in a virtual loop too, and in each run
 * alike.
 */
#include "pcap-tools/capture.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/capture_writer.h"
#include "pcap-tools/filter.h"
#include "pcap-tools/finish.h"
#include "pcap-tools/names.h"
#include "pcap-tools/record.h"
#include "pcap-tools/sink.h"

#define WAKE_BYTES (1u << 20) /* in the ring: not a moment to nap */

struct point {
	struct watcher watcher; /* first: a watcher is its point */
	struct point *next;
	struct capture *capture;
	struct port *port; /* NULL: removed */
	struct filter *filter;
	uint32_t number;
	uint64_t start_ns;
	uint64_t received, accepted, lost;
	unsigned int open; /* frames begun here and not ended */
	struct pcapng_interface interface;
	char name[NODE_NAME_BYTES];
	char description[3 * NODE_NAME_BYTES + 32];
	char *facts; /* or NULL */
};

/* A port that the bin looks at. */
struct bin_port {
	struct watcher watcher;
	struct point *point;
	struct port *port; /* NULL: no longer */
	struct bin_port *next;
};

struct capture {
	struct loop *loop;
	char *path;
	uint32_t snaplen_bytes;
	uint32_t keep_bytes;                /* of a frame, at most */
	struct point *points, **points_end; /* as they were added */
	uint32_t npoints;
	struct point *bin; /* one of the points, or NULL */
	struct bin_port *bin_ports;
	unsigned int open; /* the points' open */
	uint64_t frames, bytes, lost;
	uint32_t journeys; /* before it began */
	struct names *names;
	uint8_t *scratch;
	struct capture_writer *writer;
	struct ring ring;
};

/* ---- the ring ---- */

static void
publish(struct capture *c)
{
	uint64_t much = c->ring.size_bytes / 4;

	ring_publish(&c->ring);
	if (much > WAKE_BYTES)
		much = WAKE_BYTES;
	if (ring_used(&c->ring, much) > much)
		capture_writer_wake(c->writer);
}

static struct record *
reserve(struct capture *c, uint32_t kept)
{
	size_t bytes = sizeof(struct record) + kept;
	struct record *r = ring_reserve(&c->ring, bytes);

	if (r == NULL && loop_clock(c->loop) == LOOP_VIRTUAL) {
		capture_writer_wait(c->writer, true);
		r = ring_reserve(&c->ring, bytes);
	}
	return r;
}

/* ---- a point: what a port tells ---- */

struct put {
	struct point *point;
	enum direction dir;
	uint32_t journey;
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
	if (capture_writer_error(c->writer) == 0)
		r = reserve(c, kept);
	if (r == NULL) {
		p->lost++;
		c->lost++;
		return NULL;
	}
	r->point = p->number;
	r->at_ns = loop_wall_ns(c->loop);
	r->journey = put->journey;
	r->len = (uint32_t)len;
	r->kept = kept;
	r->more = 0;
	r->kind = RECORD_FRAME;
	r->dir = (uint8_t)put->dir;
	r->todo = todo;
	r->at = 0;
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

/* All records that frame comes to at p; the first one, or NULL. */
static struct record *
put_frame(struct point *p, enum direction dir, const struct frame *frame)
{
	struct capture *c = p->capture;
	struct put to = { .point = p,
		.dir = dir,
		.journey = frame->verdict.journey - c->journeys };

	if (p->filter != NULL || frame->flags & FRAME_TODO) {
		finish_frame(c->scratch, frame, put_finished, &to);
	} else {
		struct record *r = put(&to, frame->len, 0);

		p->received++;
		if (r != NULL)
			frame_copy(r->data, frame, 0, r->kept);
	}
	return to.first;
}

static uint32_t
point_begin(struct watcher *watcher, const struct port *port,
    enum direction dir, const struct frame *frame)
{
	struct point *p = (struct point *)watcher;
	struct record *first = put_frame(p, dir, frame);

	(void)port;
	if (first == NULL)
		return 0;
	p->open++;
	p->capture->open++;
	return ring_token(&p->capture->ring, first);
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
	fate.other = v->other;
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

/* What became of a frame, in its records from r on. */
static void
put_fate(
    struct capture *c, struct record *r, const struct frame *frame, uint16_t at)
{
	struct fate cause = fate_of(c->names, frame->cause);
	struct fate verdict = fate_of(c->names, &frame->verdict);

	for (unsigned int more = r->more;; more--) {
		r->cause = cause;
		r->verdict = verdict;
		r->at = at;
		if (more == 0)
			break;
		r = ring_after(&c->ring, r);
	}
}

static void
point_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	struct point *p = (struct point *)watcher;
	struct capture *c = p->capture;

	put_fate(c, ring_record(&c->ring, token), frame, 0);
	ended(p, 1);
}

/* ---- the bin ---- */

static bool
is_for_bin(const struct frame *frame)
{
	enum reason reason = (enum reason)frame->verdict.reason;

	return reason_is_drop(reason) ||
	    (reason_is_of_cable(reason) && reason != REASON_CABLE_HELD);
}

static void
put_into_bin(
    const struct bin_port *b, enum direction dir, const struct frame *frame)
{
	struct capture *c = b->point->capture;
	struct record *first = put_frame(b->point, dir, frame);

	if (first == NULL)
		return;
	put_fate(
	    c, first, frame, names_number(c->names, b->port, b->port->name));
	if (c->open == 0)
		publish(c);
}

static uint32_t
bin_begin(struct watcher *watcher, const struct port *port, enum direction dir,
    const struct frame *frame)
{
	(void)watcher;
	(void)port;
	(void)frame;
	return dir == DIR_IN ? 1 : 2;
}

/* Whoever decided, the frame is put in once: at the port that took it to its
 * node, or, if it did not come so far, at the one that sent it. */
static void
bin_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	const struct bin_port *b = (const struct bin_port *)watcher;
	const struct port *port = b->port, *peer = port->peer;
	const struct node *node = frame->verdict.node;

	if (!is_for_bin(frame))
		return;
	if (token == 1 && node == port->node)
		put_into_bin(b, DIR_IN, frame);
	else if (token == 2 && (peer == NULL || node != peer->node))
		put_into_bin(b, DIR_OUT, frame);
}

static void
bin_lost(struct watcher *watcher, const struct port *port, enum direction dir,
    const struct frame *frame)
{
	const struct bin_port *b = (const struct bin_port *)watcher;

	(void)port;
	put_into_bin(b, dir, frame);
}

/* ---- points come and go ---- */

static void
describe_port(struct point *p, const struct port *port)
{
	memcpy(p->name, port->name, sizeof(p->name));
	if (port->peer != NULL)
		snprintf(p->description, sizeof(p->description),
		    "port of %s, cabled to %s", port->node->name,
		    port->peer->name);
	else
		snprintf(p->description, sizeof(p->description),
		    "port of %s, no cable", port->node->name);
}

static void
describe(struct point *p)
{
	const struct port *port = p->port;

	if (port == NULL) {
		strcpy(p->name, CAPTURE_BIN);
		strcpy(p->description,
		    "what ended, or met an accident on a cable");
	} else {
		describe_port(p, port);
	}
	p->interface = (struct pcapng_interface){
		.name = p->name,
		.description = p->description,
		.facts = p->facts,
		.filter =
		    p->filter != NULL ? filter_expression(p->filter) : NULL,
		.snaplen_bytes = p->capture->snaplen_bytes,
		.linktype = port != NULL ? port->linktype : 0,
	};
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
	r->interface = &p->interface;
	r->kind = RECORD_INTERFACE;
	if (c->open == 0)
		publish(c);
	return 0;
}

static void
point_free(struct point *p)
{
	filter_free(p->filter);
	free(p->facts);
	free(p);
}

/* A new point of a port, or the bin.  NULL: *err says why. */
static struct point *
point_new(struct capture *c, struct port *port, const char *filter,
    const char *facts, struct err *err)
{
	struct point *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", c->path);
		return NULL;
	}
	if (facts != NULL) {
		p->facts = strdup(facts);
		if (p->facts == NULL) {
			err_sys(err, -ENOMEM, NULL, "%s", c->path);
			goto fail;
		}
	}
	if (filter != NULL) {
		p->filter =
		    filter_new(filter, port != NULL ? port->linktype : 0, err);
		if (p->filter == NULL)
			goto fail;
	}
	p->watcher = (struct watcher){ .begin = point_begin, .end = point_end };
	p->capture = c;
	p->port = port;
	p->number = c->npoints;
	p->start_ns = loop_wall_ns(c->loop);
	describe(p);
	if (announce(c, p, err) != 0)
		goto fail;
	c->npoints++;
	*c->points_end = p;
	c->points_end = &p->next;
	return p;
fail:
	point_free(p);
	return NULL;
}

int
capture_add(
    struct capture *c, struct port *port, const char *filter, struct err *err)
{
	return capture_add_told(c, port, filter, NULL, err);
}

int
capture_add_told(struct capture *c, struct port *port, const char *filter,
    const char *facts, struct err *err)
{
	struct point *p;

	if (port->linktype != 0 && sink_kind_of(c->path) == &sink_pcap)
		return err_set(err, -EINVAL,
		    "%s: a file of one kind of frames cannot hold those of "
		    "%s; name it .pcapng",
		    c->path, port->name);
	p = point_new(c, port, filter, facts, err);
	if (p == NULL)
		return -EINVAL;
	port_watch(port, &p->watcher);
	return 0;
}

int
capture_add_bin(
    struct capture *c, struct port *port, const char *filter, struct err *err)
{
	struct bin_port *b;

	if (c->bin == NULL)
		c->bin = point_new(c, NULL, filter, NULL, err);
	if (c->bin == NULL)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", c->path);
	b->watcher = (struct watcher){
		.begin = bin_begin, .end = bin_end, .lost = bin_lost
	};
	b->point = c->bin;
	b->port = port;
	b->next = c->bin_ports;
	c->bin_ports = b;
	port_watch(port, &b->watcher);
	return 0;
}

static void
detach_bin(struct bin_port *b)
{
	if (b->port != NULL)
		port_unwatch(b->port, &b->watcher);
	b->port = NULL;
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
	for (struct point *p = c->points; p != NULL; p = p->next) {
		if (p->port == port)
			detach(p);
	}
	for (struct bin_port *b = c->bin_ports; b != NULL; b = b->next)
		if (b->port == port)
			detach_bin(b);
}

/* ---- the whole ---- */

static int
capture_init(struct capture *c, const char *path,
    const struct capture_options *o, struct err *err)
{
	struct capture_writer_options options = {
		.snaplen_bytes = c->snaplen_bytes,
		.ring = &c->ring,
		.file_bytes = o->file_bytes,
		.file_ns = o->file_ns,
		.files = o->files,
	};
	size_t ring_bytes =
	    o->ring_bytes != 0 ? o->ring_bytes : CAPTURE_RING_BYTES;

	options.path = c->path = strdup(path);
	options.names = c->names = names_new();
	c->scratch = malloc(FRAME_MAX_BYTES);
	if (c->path == NULL || c->names == NULL || c->scratch == NULL ||
	    ring_init(&c->ring, ring_bytes) != 0)
		return err_sys(err, -ENOMEM, NULL, "%s", path);
	if (loop_clock(c->loop) == LOOP_VIRTUAL)
		options.comment = "virtual time, which begins in 1970";
	c->writer = capture_writer_new(&options, err);
	return c->writer != NULL ? 0 : -EIO;
}

/* Frees what there is, after the writer. */
static void
capture_fini(struct capture *c)
{
	struct bin_port *b;
	struct point *p;

	while ((p = c->points) != NULL) {
		c->points = p->next;
		point_free(p);
	}
	while ((b = c->bin_ports) != NULL) {
		c->bin_ports = b->next;
		free(b);
	}
	ring_fini(&c->ring);
	free(c->scratch);
	names_free(c->names);
	free(c->path);
	free(c);
}

struct capture *
capture_new(struct loop *loop, const char *path,
    const struct capture_options *options, struct err *err)
{
	static const struct capture_options none;
	/* The ring's words have cache lines of their own. */
	struct capture *c = aligned_alloc(alignof(struct capture), sizeof(*c));

	if (c == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", path);
		return NULL;
	}
	if (options == NULL)
		options = &none;
	memset(c, 0, sizeof(*c));
	c->points_end = &c->points;
	c->journeys = port_journeys();
	c->loop = loop;
	c->snaplen_bytes = options->snaplen_bytes;
	c->keep_bytes = FRAME_MAX_BYTES;
	if (c->snaplen_bytes != 0 && c->snaplen_bytes < FRAME_MAX_BYTES)
		c->keep_bytes = c->snaplen_bytes;
	if (capture_init(c, path, options, err) != 0) {
		capture_fini(c);
		return NULL;
	}
	return c;
}

struct capture_stats
capture_stats(const struct capture *c)
{
	return (struct capture_stats){
		.frames = c->frames,
		.bytes = c->bytes,
		.lost = c->lost,
		.points = c->npoints,
		.error = capture_writer_error(c->writer),
	};
}

void
capture_flush(struct capture *c)
{
	capture_writer_wait(c->writer, false);
}

static void
write_statistics(const struct point *p)
{
	struct pcapng_statistics s = {
		.interface = p->number,
		.start_ns = p->start_ns,
		.end_ns = loop_wall_ns(p->capture->loop),
		.received = p->received,
		.accepted = p->accepted,
		.dropped = p->lost,
		.delivered = p->accepted - p->lost,
	};

	capture_writer_statistics(p->capture->writer, &s);
}

int
capture_free(struct capture *c, struct err *err)
{
	int error;

	if (c == NULL)
		return 0;
	for (struct point *p = c->points; p != NULL; p = p->next)
		detach(p);
	for (struct bin_port *b = c->bin_ports; b != NULL; b = b->next)
		detach_bin(b);
	capture_writer_stop(c->writer);
	for (struct point *p = c->points; p != NULL; p = p->next)
		write_statistics(p);
	error = capture_writer_free(c->writer);
	if (error != 0)
		err_sys(err, error, NULL,
		    "%s: the capture is not whole: cannot write", c->path);
	capture_fini(c);
	return error;
}
