/*
 * Ports, plain cables and the way of a burst.
 *
 * A plain cable is nothing but two ports that point at each other.  port_send()
 * is on the way of every frame, so the unusual is behind one test each: a
 * missing or sleeping cable, offloads that the other end does not do, a frame
 * beyond its MTU, a watcher.
 */
#include "switch/port.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "switch/offload.h"

void
node_init(struct node *node, const char *name)
{
	memset(node, 0, sizeof(*node));
	snprintf(node->name, sizeof(node->name), "%s", name);
}

void
port_init(struct port *port, const struct port_ops *ops, struct node *node,
    const char *name)
{
	memset(port, 0, sizeof(*port));
	port->ops = ops;
	port->node = node;
	port->accepts = FRAME_TODO;
	snprintf(port->name, sizeof(port->name), "%s", name);
}

struct frame *
burst_add(struct burst *burst, const void *data, size_t len)
{
	struct frame *frame = &burst->frame[burst->n++];

	assert(burst->n <= BURST_MAX);
	memset(frame, 0, sizeof(*frame));
	frame->data = data;
	frame->len = frame->head = (uint32_t)len;
	return frame;
}

void
frame_copy(void *to, const struct frame *frame, size_t offset, size_t n)
{
	const struct iovec *tail = frame->tail;
	uint8_t *out = to;
	size_t from = 0; /* of the present piece, in the frame */
	size_t have = frame->head;
	const uint8_t *data = frame->data;

	assert(offset + n <= frame->len);
	for (;;) {
		if (offset < from + have) {
			size_t skip = offset - from;
			size_t part = have - skip < n ? have - skip : n;

			memcpy(out, data + skip, part);
			out += part;
			offset += part;
			n -= part;
		}
		if (n == 0)
			return;
		from += have;
		data = tail->iov_base;
		have = tail->iov_len;
		tail++;
	}
}

void
node_judge_all(struct node *node, struct burst *burst, enum reason reason)
{
	for (unsigned int i = 0; i < burst->n; i++)
		burst->frame[i].verdict = (struct verdict){ .node = node,
			.reason = (uint16_t)reason };
	node->count[reason] += burst->n;
}

/* ---- cables ---- */

int
cable_join(struct port *a, struct port *b)
{
	if (a->peer != NULL || b->peer != NULL)
		return -EBUSY;
	a->peer = b;
	b->peer = a;
	if (a->ops->link != NULL)
		a->ops->link(a, port_is_up(a));
	if (b->ops->link != NULL)
		b->ops->link(b, port_is_up(b));
	return 0;
}

void
cable_cut(struct port *port)
{
	struct port *peer = port->peer;

	if (peer == NULL)
		return;
	port->peer = NULL;
	peer->peer = NULL;
	if (peer->ops->link != NULL)
		peer->ops->link(peer, false);
	if (port->ops->link != NULL)
		port->ops->link(port, false);
}

bool
port_is_up(const struct port *port)
{
	return port->peer != NULL && !port->down && !port->peer->down;
}

void
port_set_down(struct port *port, bool down)
{
	bool was = port_is_up(port), is;

	port->down = down;
	is = port_is_up(port);
	if (was == is)
		return;
	if (port->ops->link != NULL)
		port->ops->link(port, is);
	if (port->peer->ops->link != NULL)
		port->peer->ops->link(port->peer, is);
}

/* ---- capture points ---- */

void
port_watch(struct port *port, struct watcher *watcher)
{
	watcher->next = port->watchers;
	port->watchers = watcher;
}

void
port_unwatch(struct port *port, struct watcher *watcher)
{
	struct watcher **at = &port->watchers;

	while (*at != NULL && *at != watcher)
		at = &(*at)->next;
	if (*at != NULL)
		*at = watcher->next;
}

/* What the watchers of one port are told about a burst.  More than these see
 * nothing: one lab has one capture per file, and few files. */
#define WATCHERS_MAX 4

struct watch {
	uint32_t token[WATCHERS_MAX][BURST_MAX];
};

static void
watch_begin(struct watch *watch, const struct port *port, enum direction dir,
    const struct burst *burst)
{
	struct watcher *w = port->watchers;

	for (unsigned int k = 0; w != NULL && k < WATCHERS_MAX; k++) {
		for (unsigned int i = 0; i < burst->n; i++)
			watch->token[k][i] =
			    w->begin(w, port, dir, &burst->frame[i]);
		w = w->next;
	}
}

static void
watch_end(const struct watch *watch, const struct port *port,
    const struct burst *burst)
{
	struct watcher *w = port->watchers;

	for (unsigned int k = 0; w != NULL && k < WATCHERS_MAX; k++) {
		for (unsigned int i = 0; i < burst->n; i++)
			if (watch->token[k][i] != 0)
				w->end(w, watch->token[k][i], &burst->frame[i]);
		w = w->next;
	}
}

/* ---- the way of a burst ---- */

static void
count_sent(struct port *port, struct port *peer, const struct burst *burst)
{
	uint64_t bytes = 0;
	unsigned int drops = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		bytes += burst->frame[i].len;
		drops +=
		    reason_is_drop((enum reason)burst->frame[i].verdict.reason);
	}
	port->out_frames += burst->n;
	port->out_bytes += bytes;
	port->out_drops += drops;
	peer->in_frames += burst->n;
	peer->in_bytes += bytes;
}

static bool
some_too_long(const struct port *peer, const struct burst *burst)
{
	if (peer->mtu_bytes == 0)
		return false;
	for (unsigned int i = 0; i < burst->n; i++)
		if (burst->frame[i].len > peer->mtu_bytes)
			return true;
	return false;
}

/* The part of a burst that fits goes on, the rest is refused. */
static void
take_what_fits(struct port *peer, struct burst *burst)
{
	struct burst fits;
	uint8_t from[BURST_MAX];

	burst_clear(&fits);
	for (unsigned int i = 0; i < burst->n; i++) {
		if (burst->frame[i].len > peer->mtu_bytes &&
		    !(burst->frame[i].flags & (FRAME_TSO4 | FRAME_TSO6))) {
			node_judge(peer->node, &burst->frame[i], DROP_TOO_LONG);
			continue;
		}
		from[fits.n] = (uint8_t)i;
		fits.flags |= burst->frame[i].flags;
		fits.frame[fits.n++] = burst->frame[i];
	}
	if (fits.n > 0)
		peer->ops->take(peer, &fits);
	for (unsigned int i = 0; i < fits.n; i++)
		burst->frame[from[i]].verdict = fits.frame[i].verdict;
}

static void
hand_over(struct port *port, struct port *peer, struct burst *burst)
{
	struct watch out, in;

	if (port->watchers != NULL)
		watch_begin(&out, port, DIR_OUT, burst);
	if (peer->watchers != NULL)
		watch_begin(&in, peer, DIR_IN, burst);
	if (some_too_long(peer, burst))
		take_what_fits(peer, burst);
	else
		peer->ops->take(peer, burst);
	if (peer->watchers != NULL)
		watch_end(&in, peer, burst);
	if (port->watchers != NULL)
		watch_end(&out, port, burst);
}

void
port_send(struct port *port, struct burst *burst)
{
	struct port *peer = port->peer;

	if (burst->n == 0)
		return;
	if (peer == NULL || port->down || peer->down) {
		node_judge_all(port->node, burst,
		    peer == NULL ? DROP_NO_CABLE : DROP_LINK_DOWN);
		port->out_frames += burst->n;
		port->out_drops += burst->n;
		return;
	}
	if (burst->flags & FRAME_TODO & ~peer->accepts) {
		offload_send(port, burst);
		return;
	}
	hand_over(port, peer, burst);
	count_sent(port, peer, burst);
}

/* ---- port kinds ---- */

struct port *
port_open(struct loop *loop, struct node *node, const char *name,
    const char *locator, struct err *err)
{
	size_t n = strcspn(locator, ":");

	if (locator[n] == ':')
		for (unsigned int k = 0; port_kinds[k] != NULL; k++)
			if (strlen(port_kinds[k]->scheme) == n &&
			    memcmp(port_kinds[k]->scheme, locator, n) == 0)
				return port_kinds[k]->open(
				    loop, node, name, locator + n + 1, err);
	err_set(err, -EINVAL,
	    "\"%s\" does not name a port; use tap:NAME or vhost-user:PATH",
	    locator);
	return NULL;
}

void
port_close(struct port *port)
{
	if (port == NULL)
		return;
	cable_cut(port);
	port->ops->close(port);
}
