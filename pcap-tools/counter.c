/*
 * A frame is looked at when its verdict is known, but kept in the order in
 * which frames were sent: a node may answer before it has judged the question.
 * The token is that order.
 */
#include "pcap-tools/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/filter.h"
#include "pcap-tools/finish.h"

struct kept {
	uint64_t order;
	struct counter_frame frame;
};

struct counter {
	struct watcher watcher; /* first: a watcher is its counter */
	struct loop *loop;
	struct port *port;
	struct filter *filter; /* NULL: all frames */
	enum reason reason;
	struct loop_defer changed;
	uint64_t frames;
	uint64_t order; /* of the newest frame begun */
	unsigned int nkept;
	struct kept kept[COUNTER_KEEP]; /* by order */
	uint8_t scratch[FRAME_MAX_BYTES];
};

struct look {
	struct counter *counter;
	const struct frame *frame;
	enum direction dir;
	uint64_t order;
};

/* Makes room among the kept for a frame of this order; NULL if all of them are
 * newer. */
static struct kept *
keep(struct counter *c, uint64_t order)
{
	unsigned int at = c->nkept;

	while (at > 0 && c->kept[at - 1].order > order)
		at--;
	if (c->nkept < COUNTER_KEEP) {
		memmove(&c->kept[at + 1], &c->kept[at],
		    (c->nkept - at) * sizeof(c->kept[0]));
		c->nkept++;
	} else if (at == 0) {
		return NULL;
	} else {
		at--;
		memmove(&c->kept[0], &c->kept[1], at * sizeof(c->kept[0]));
	}
	c->kept[at].order = order;
	return &c->kept[at];
}

static void
fill(struct counter_frame *to, const struct look *look, const uint8_t *data,
    size_t len)
{
	const struct verdict *v = &look->frame->verdict;

	memset(to, 0, sizeof(*to));
	to->at_ns = loop_now_ns(look->counter->loop);
	to->dir = look->dir;
	to->reason = (enum reason)v->reason;
	if (v->node != NULL)
		memcpy(to->node, v->node->name, sizeof(to->node));
	to->len = (uint32_t)len;
	to->kept = len < COUNTER_KEEP_BYTES ? to->len : COUNTER_KEEP_BYTES;
	memcpy(to->data, data, to->kept);
}

static void
look_at(void *arg, const uint8_t *data, size_t len, uint8_t todo)
{
	const struct look *look = arg;
	struct counter *c = look->counter;
	struct kept *k;

	(void)todo;
	if (c->filter != NULL && !filter_match(c->filter, data, len))
		return;
	c->frames++;
	k = keep(c, look->order);
	if (k != NULL)
		fill(&k->frame, look, data, len);
	if (c->changed.call != NULL)
		loop_defer_ask(&c->changed);
}

/* The token is the lower half of order, and says the direction: even is in. */
static uint32_t
counter_begin(struct watcher *watcher, const struct port *port,
    enum direction dir, const struct frame *frame)
{
	struct counter *c = (struct counter *)watcher;

	(void)port;
	(void)frame;
	c->order += 2;
	if ((uint32_t)c->order == 0)
		c->order += 2; /* 0 is no token */
	return (uint32_t)c->order | (dir == DIR_OUT);
}

static void
counter_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	struct counter *c = (struct counter *)watcher;
	uint32_t back = (uint32_t)c->order - (token & ~1u);
	struct look look = {
		.counter = c,
		.frame = frame,
		.dir = token & 1 ? DIR_OUT : DIR_IN,
		.order = c->order - back,
	};

	if (c->reason == REASON_NONE || frame->verdict.reason == c->reason)
		finish_frame(c->scratch, frame, look_at, &look);
}

struct counter *
counter_new(struct loop *loop, struct port *port, const char *filter,
    enum reason reason, void (*changed)(void *arg), void *arg, struct err *err)
{
	struct counter *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", port->name);
		return NULL;
	}
	if (filter != NULL) {
		c->filter = filter_new(filter, port->linktype, err);
		if (c->filter == NULL) {
			free(c);
			return NULL;
		}
	}
	c->watcher =
	    (struct watcher){ .begin = counter_begin, .end = counter_end };
	c->loop = loop;
	c->port = port;
	c->reason = reason;
	loop_defer_init(&c->changed, loop, changed, arg);
	port_watch(port, &c->watcher);
	return c;
}

uint64_t
counter_frames(const struct counter *c)
{
	return c->frames;
}

unsigned int
counter_kept(const struct counter *c, struct counter_frame out[COUNTER_KEEP])
{
	for (unsigned int i = 0; i < c->nkept; i++)
		out[i] = c->kept[i].frame;
	return c->nkept;
}

void
counter_free(struct counter *c)
{
	if (c == NULL)
		return;
	port_unwatch(c->port, &c->watcher);
	loop_defer_cancel(&c->changed);
	filter_free(c->filter);
	free(c);
}
