/*
 * sink.h - a node of one port that remembers what it was handed, for tests.
 *
 * It copies each frame, judges it as it is told, and can do more in its take()
 * by a hook.
 */
#ifndef TESTS_SWITCH_SINK_H
#define TESTS_SWITCH_SINK_H

#include <stdlib.h>
#include <string.h>

#include "switch/port.h"

#define SINK_FRAMES 256 /* remembered; more are only counted */

struct sink {
	struct port port; /* first */
	struct node node;
	enum reason reason; /* its verdict */
	unsigned int n;     /* frames taken */
	unsigned int takes; /* calls */
	struct sink_frame {
		uint8_t *data;
		size_t len;
		uint8_t flags;
		uint16_t gso_bytes;
		const struct verdict *cause;
		struct verdict caused_by; /* *cause at that time */
	} frame[SINK_FRAMES];
	bool link;
	unsigned int link_changes;
	void (*hook)(struct sink *sink, struct burst *burst);
	void *arg;
};

static inline void
sink_take(struct port *port, struct burst *burst)
{
	struct sink *sink = (struct sink *)port;

	sink->takes++;
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];

		if (sink->n < SINK_FRAMES) {
			struct sink_frame *f = &sink->frame[sink->n];

			f->data = malloc(frame->len + 1);
			if (f->data == NULL)
				abort();
			frame_copy(f->data, frame, 0, frame->len);
			f->len = frame->len;
			f->flags = frame->flags;
			f->gso_bytes = frame->gso_bytes;
			f->cause = frame->cause;
			if (frame->cause != NULL)
				f->caused_by = *frame->cause;
		}
		sink->n++;
		node_judge(port->node, frame, sink->reason);
	}
	if (sink->hook != NULL)
		sink->hook(sink, burst);
}

static inline void
sink_link(struct port *port, bool up)
{
	struct sink *sink = (struct sink *)port;

	sink->link = up;
	sink->link_changes++;
}

static const struct port_ops sink_ops = { .take = sink_take,
	.link = sink_link };

static inline struct sink *
sink_new(const char *name)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL)
		abort();
	node_init(&sink->node, name);
	port_init(&sink->port, &sink_ops, &sink->node, name);
	sink->reason = REASON_DELIVERED;
	return sink;
}

/* Forgets what it took. */
static inline void
sink_clear(struct sink *sink)
{
	for (unsigned int i = 0; i < sink->n && i < SINK_FRAMES; i++)
		free(sink->frame[i].data);
	memset(sink->frame, 0, sizeof(sink->frame));
	sink->n = sink->takes = 0;
}

static inline void
sink_free(struct sink *sink)
{
	if (sink == NULL)
		return;
	cable_cut(&sink->port);
	sink_clear(sink);
	free(sink);
}

/* All verdicts that a node counted. */
static inline uint64_t
node_total(const struct node *node)
{
	uint64_t n = 0;

	for (int r = 0; r < REASON_COUNT; r++)
		n += node->count[r];
	return n;
}

#endif
