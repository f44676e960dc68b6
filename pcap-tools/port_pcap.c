/*
 * pcap:FILE - a capture that is played: its frames come out of the port, at the
 * times at which they were recorded, or at others.
 *
 * Times are counted from the first frame of the file, whether or not it is one
 * of those that are played: so several ports that play the points of one
 * capture keep step.  What goes into the port is counted and ends there.
 *
 * A file is read as it is played, a burst ahead at most.  Frames of which a
 * part was cut off, and frames of other links than Ethernet, are passed over.
 *
 * Knows no clock but the loop's, so it plays in virtual time too.
 */
#include "pcap-tools/port_pcap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pcap-tools/pcapng.h"
#include "pcap-tools/reader.h"
#include "pcap-tools/rewrite.h"
#include "switch/locator.h"
#include "switch/port.h"

#define POOL_BYTES (256 * 1024)
#define WAIT_MAX   (24ULL * 3600 * 1000)
#define RATE_MAX   100000000ULL

struct player {
	struct port port;
	struct loop *loop;
	struct loop_timer timer;
	struct locator at;
	struct rewrite rewrite;
	struct reader *reader; /* NULL: at the end */
	const char *point;     /* or NULL: all */
	uint32_t direction;    /* PCAPNG_INBOUND ..., 0: both */
	double speed;          /* 0: as fast as it goes */
	uint64_t rate;         /* frames a second instead, 0: no */
	uint64_t from, count;  /* which frames, by number; count 0: all */
	uint64_t repeat; /* how often yet, after this time; with forever */
	bool forever;
	uint64_t start_ns;    /* when the first frame of the file is due */
	bool based;           /* base_ns is known */
	uint64_t base_ns;     /* its stamp */
	uint64_t played_here; /* since the file was opened */
	uint64_t played, skipped, taken;
	bool waiting; /* frame is the next one */
	uint64_t due_ns;
	struct reader_frame frame;
	struct burst burst;
	uint8_t pool[POOL_BYTES];
};

/* ---- which frames, and when ---- */

static bool
is_chosen(struct player *p, const struct reader_frame *f)
{
	const struct reader_interface *i =
	    reader_interface(p->reader, f->interface);

	if (f->number < p->from ||
	    (p->point != NULL && strcmp(i->name, p->point) != 0))
		return false;
	if (p->direction != 0 &&
	    (f->flags & (PCAPNG_INBOUND | PCAPNG_OUTBOUND)) != p->direction)
		return false;
	if (i->linktype != PCAPNG_ETHERNET || f->kept_bytes < f->len_bytes ||
	    f->len_bytes <= i->fcs_bytes || f->len_bytes > FRAME_MAX_BYTES) {
		p->skipped++;
		return false;
	}
	return true;
}

static uint64_t
due_of(struct player *p, const struct reader_frame *f)
{
	uint64_t since;

	if (p->rate != 0)
		return p->start_ns + p->played_here * NS_PER_S / p->rate;
	if (p->speed == 0 || !f->stamped || f->at_ns <= p->base_ns)
		return p->start_ns;
	since = f->at_ns - p->base_ns;
	return p->start_ns + (uint64_t)((double)since / p->speed);
}

static int
open_file(struct player *p, struct err *err)
{
	p->reader = reader_open(p->at.place, err);
	p->based = false;
	p->played_here = 0;
	return p->reader != NULL ? 0 : -EINVAL;
}

static void
end_of_file(struct player *p)
{
	struct err err = { "" };

	reader_free(p->reader);
	p->reader = NULL;
	if (!p->forever && p->repeat == 0)
		return;
	/* A file of which nothing is played would go round for ever. */
	if (p->played_here == 0)
		return;
	p->repeat -= !p->forever;
	p->start_ns = loop_now_ns(p->loop);
	if (open_file(p, &err) < 0)
		log_warn("%s: %s", p->port.name, err.text);
}

/* Finds the next frame to be played.  False: there is none. */
static bool
find_next(struct player *p)
{
	struct err err = { "" };
	int e = 0;

	while (!p->waiting && p->reader != NULL) {
		if (p->count == 0 || p->played_here < p->count)
			e = reader_next(p->reader, &p->frame, &err);
		else
			e = 0;
		if (e < 0)
			log_warn("%s: %s", p->port.name, err.text);
		if (e <= 0) {
			end_of_file(p);
			continue;
		}
		if (!p->based) {
			p->based = true;
			p->base_ns = p->frame.at_ns;
		}
		p->waiting = is_chosen(p, &p->frame);
		if (p->waiting)
			p->due_ns = due_of(p, &p->frame);
	}
	return p->waiting;
}

/* ---- playing ---- */

static void
play(void *arg)
{
	struct player *p = arg;
	uint64_t now_ns = loop_now_ns(p->loop);
	size_t used = 0;

	burst_clear(&p->burst);
	while (p->burst.n < BURST_MAX && find_next(p) && p->due_ns <= now_ns) {
		const struct reader_interface *i =
		    reader_interface(p->reader, p->frame.interface);
		size_t len = p->frame.len_bytes - i->fcs_bytes;

		if (POOL_BYTES - used < len)
			break;
		memcpy(p->pool + used, p->frame.data, len);
		rewrite_apply(&p->rewrite, p->pool + used, len);
		burst_add(&p->burst, p->pool + used, len);
		used += (len + 15) & ~(size_t)15;
		p->waiting = false;
		p->played++;
		p->played_here++;
	}
	port_send(&p->port, &p->burst);
	if (find_next(p))
		loop_timer_set(&p->timer, p->due_ns);
}

static void
take(struct port *port, struct burst *burst)
{
	struct player *p = (struct player *)port;

	node_judge_all(port->node, burst, REASON_DELIVERED);
	p->taken += burst->n;
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct player *p = (const struct player *)port;
	char skipped[48] = "";

	if (p->skipped != 0)
		snprintf(skipped, sizeof(skipped),
		    ", %" PRIu64 " cut off or no Ethernet", p->skipped);
	snprintf(out, len, "%" PRIu64 " frames played%s%s", p->played, skipped,
	    p->reader == NULL ? ", at the end" : "");
	return out;
}

static void
close_player(struct port *port)
{
	struct player *p = (struct player *)port;

	loop_timer_unset(&p->timer);
	reader_free(p->reader);
	free(p);
}

static const struct port_ops player_ops = {
	.take = take,
	.close = close_player,
	.describe = describe,
};

/* ---- opening ---- */

static int
read_speed(struct player *p, struct err *err)
{
	const char *text = locator_get(&p->at, "speed", 0);
	char *end;

	p->speed = 1;
	if (text == NULL)
		return 0;
	if (strcmp(text, "max") == 0) {
		p->speed = 0;
		return 0;
	}
	p->speed = strtod(text, &end);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
	    !(p->speed >= 0.001 && p->speed <= 1000000))
		return err_set(err, -EINVAL,
		    "%s: speed=%.40s: use a number from 0.001 to 1000000, or "
		    "max",
		    p->port.name, text);
	return 0;
}

static int
read_direction(struct player *p, struct err *err)
{
	const char *text = locator_get(&p->at, "direction", 0);

	if (text == NULL)
		return 0;
	if (strcmp(text, "in") == 0)
		p->direction = PCAPNG_INBOUND;
	else if (strcmp(text, "out") == 0)
		p->direction = PCAPNG_OUTBOUND;
	else
		return err_set(err, -EINVAL,
		    "%s: direction=%.40s: use in or out", p->port.name, text);
	return 0;
}

static int
read_rules(struct player *p, struct err *err)
{
	static const char *const kinds[] = { "mac", "ip", "vlan" };
	const char *text;

	for (unsigned int k = 0; k < 3; k++)
		for (unsigned int n = 0;
		     (text = locator_get(&p->at, kinds[k], n)) != NULL; n++)
			if (rewrite_add(&p->rewrite, p->port.name, kinds[k],
				text, err) < 0)
				return -EINVAL;
	return 0;
}

static int
read_options(struct player *p, const char *rest, struct err *err)
{
	static const char *const keys[] = { "point", "direction", "from",
		"count", "speed", "rate", "repeat", "wait-ms", "mac", "ip",
		"vlan", NULL };
	uint64_t wait_ms, repeat;

	if (locator_read(&p->at, p->port.name, rest, keys, err) < 0 ||
	    read_speed(p, err) < 0 || read_direction(p, err) < 0 ||
	    read_rules(p, err) < 0)
		return -EINVAL;
	if (!locator_number(&p->at, "from", 1, UINT64_MAX, 1, &p->from, err) ||
	    !locator_number(
		&p->at, "count", 1, UINT64_MAX, 0, &p->count, err) ||
	    !locator_number(&p->at, "rate", 1, RATE_MAX, 0, &p->rate, err) ||
	    !locator_number(&p->at, "repeat", 0, 1000000000, 1, &repeat, err) ||
	    !locator_number(&p->at, "wait-ms", 0, WAIT_MAX, 0, &wait_ms, err))
		return -EINVAL;
	p->point = locator_get(&p->at, "point", 0);
	p->forever = repeat == 0;
	p->repeat = repeat != 0 ? repeat - 1 : 0;
	p->start_ns = loop_now_ns(p->loop) + wait_ms * NS_PER_MS;
	if (strcmp(p->at.place, "-") == 0 || p->at.place[0] == '\0') /* ?... */
		return err_set(
		    err, -EINVAL, "%s: pcap: names no file", p->port.name);
	return 0;
}

static struct port *
open_pcap(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct player *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	port_init(&p->port, &player_ops, node, name);
	p->port.accepts = 0; /* what it counts is frames of a wire */
	p->loop = loop;
	loop_timer_init(&p->timer, loop, play, p);
	if (read_options(p, rest, err) < 0 || open_file(p, err) < 0) {
		close_player(&p->port);
		return NULL;
	}
	loop_timer_set(&p->timer, p->start_ns);
	return &p->port;
}

const struct port_kind port_pcap = {
	.scheme = "pcap",
	.syntax = "pcap:FILE",
	.virtual_time = true,
	.open = open_pcap,
};
