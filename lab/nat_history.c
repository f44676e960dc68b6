/*
 * A packet through a NAT is in the capture twice: as it came to the router, with
 * the verdict that names the entry, and as it left, translated, with the same
 * verdict as its cause.  The first says when, and the ends before; the second,
 * the ends behind.  So:
 *
 *                    at an inside port          at the outside port
 *    outwards        came: inside, remote       left: outside, remote
 *    inwards         left: inside, remote       came: outside, remote
 *    by hairpin      came: inside, outside of the other; left: the reverse
 *
 * A packet counts where it came.  If the capture has not the ports of that side
 * at all, it counts where it left, and the ends of that side are not known.
 *
 * Numbers of entries are used again.  An entry is a new one when the last with
 * its number has expired, or had other ends.
 *
 * Timers and states are those of router/nat.c, by the rules that the NAT had
 * when the capture began.  A packet that has waited for ARP has the verdict of
 * waiting instead of NAT's; it is told by its entry, and its direction by where
 * it is.
 *
 * What a capture does not tell: of entries that were there before it, how they
 * began, and what they had carried; packets that NAT counted and the router
 * refused afterwards, for their TTL or size; where offloads sent segments as
 * one, that NAT counted them as one.
 */
#include "lab/nat_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lab/nat_facts.h"
#include "net/dns.h"
#include "net/eth.h"
#include "router/nat_tcp.h"
#include "router/nat_translate.h"

#define HEAD_BYTES 160 /* of a frame: what nat_read() wants to see */

enum talk { ONE_WAY, TWO_WAY, DNS };

struct end {
	uint32_t ip; /* 0: not known */
	uint16_t port;
};

struct entry {
	uint32_t id;
	uint8_t protocol, state;
	enum nat_direction origin;
	bool old; /* it was there before the capture */
	struct end inside, outside, remote;
	struct nat_window window;
	uint64_t expires_ns;
	uint64_t frames[2], bytes[2]; /* by enum nat_direction */
	UT_hash_handle hh;
};

struct history_router {
	struct nat_facts facts;
	bool has_inside, has_outside; /* ports in the capture */
	struct entry *entries;
};

/* What an interface is. */
struct place {
	int router; /* -1: no port of a router with NAT */
	bool outside;
};

struct nat_history {
	struct history_router routers[NAT_HISTORY_ROUTERS];
	unsigned int nrouters;
	struct place *places; /* by number of interface */
	uint32_t nplaces;
	uint32_t nentries;
	uint64_t now_ns;
};

struct nat_history *
nat_history_new(void)
{
	return calloc(1, sizeof(struct nat_history));
}

void
nat_history_free(struct nat_history *h)
{
	struct entry *e, *next;

	if (h == NULL)
		return;
	for (unsigned int i = 0; i < h->nrouters; i++)
		HASH_ITER(hh, h->routers[i].entries, e, next)
		{
			HASH_DEL(h->routers[i].entries, e);
			free(e);
		}
	free(h->places);
	free(h);
}

unsigned int
nat_history_routers(const struct nat_history *h)
{
	return h->nrouters;
}

/* ---- interfaces ---- */

/* The router of that name; a new one gets the facts.  -1: there are too many. */
static int
find_router(struct nat_history *h, const struct nat_facts *facts)
{
	for (unsigned int i = 0; i < h->nrouters; i++)
		if (strcmp(h->routers[i].facts.router, facts->router) == 0)
			return (int)i;
	if (h->nrouters == NAT_HISTORY_ROUTERS)
		return -1;
	h->routers[h->nrouters].facts = *facts;
	return (int)h->nrouters++;
}

static int
learn_place(struct nat_history *h, const struct reader_interface *i)
{
	struct nat_facts facts;
	struct place *place = &h->places[h->nplaces];

	*place = (struct place){ .router = -1 };
	if (!nat_facts_read(&facts, i->facts)) {
		h->nplaces++;
		return 0;
	}
	place->router = find_router(h, &facts);
	if (place->router < 0)
		return -E2BIG;
	place->outside = strcmp(i->name, facts.outside) == 0;
	if (place->outside)
		h->routers[place->router].has_outside = true;
	else
		h->routers[place->router].has_inside = true;
	h->nplaces++;
	return 0;
}

static int
learn_places(struct nat_history *h, const struct reader *reader)
{
	uint32_t n = reader_interfaces(reader);
	void *grown;
	int e = 0;

	if (n == h->nplaces)
		return 0;
	grown = realloc(h->places, n * sizeof(*h->places));
	if (grown == NULL)
		return -ENOMEM;
	h->places = grown;
	while (h->nplaces < n && e == 0)
		e = learn_place(h, reader_interface(reader, h->nplaces));
	return e;
}

/* ---- entries ---- */

static uint64_t
idle_ns(const struct history_router *r, const struct entry *e)
{
	static const enum nat_timer udp[] = {
		[ONE_WAY] = NAT_TIMER_UDP_ONE_WAY,
		[TWO_WAY] = NAT_TIMER_UDP,
		[DNS] = NAT_TIMER_UDP_DNS,
	};
	enum nat_timer timer = NAT_TIMER_ICMP;

	if (e->protocol == IP_TCP)
		timer = nat_tcp_timer((enum nat_tcp_state)e->state);
	else if (e->protocol == IP_UDP)
		timer = udp[e->state];
	return nat_idle_ns(&r->facts.rules, timer);
}

static bool
refreshes(const struct history_router *r, enum nat_direction direction)
{
	switch (r->facts.rules.refresh) {
	case NAT_REFRESH_BOTH: return true;
	case NAT_REFRESH_OUTBOUND: return direction == NAT_OUTWARDS;
	case NAT_REFRESH_INBOUND: return direction == NAT_INWARDS;
	case NAT_REFRESHES: break;
	}
	return false;
}

/* The first packet of an entry. */
static void
start(const struct history_router *r, struct entry *e,
    enum nat_direction direction, const struct nat_segment *segment,
    uint64_t now_ns)
{
	e->state = e->protocol == IP_UDP && e->remote.port == DNS_PORT &&
		r->facts.rules.idle_s[NAT_TIMER_UDP_DNS] != 0
	    ? DNS
	    : ONE_WAY;
	e->origin = direction;
	if (segment != NULL) {
		e->old |= !nat_tcp_opens(segment);
		e->state = (uint8_t)nat_tcp_next(
		    NAT_TCP_CLOSED, segment, direction, &e->window);
		if (e->state == NAT_TCP_CLOSED)
			e->state = NAT_TCP_ESTABLISHED;
		nat_window_note(&e->window, segment, direction);
	}
	e->expires_ns = now_ns + idle_ns(r, e);
}

/* Another one: as router/nat.c, session_pass(). */
static void
pass(const struct history_router *r, struct entry *e,
    enum nat_direction direction, const struct nat_segment *segment,
    uint64_t now_ns)
{
	uint8_t before = e->state;

	if (segment != NULL) {
		e->state = (uint8_t)nat_tcp_next((enum nat_tcp_state)e->state,
		    segment, direction, &e->window);
		nat_window_note(&e->window, segment, direction);
		if (e->state == before &&
		    !nat_tcp_refreshes((enum nat_tcp_state)e->state, segment))
			return;
	} else if (!refreshes(r, direction)) {
		return;
	} else if (e->state == ONE_WAY && direction != e->origin) {
		e->state = TWO_WAY;
	}
	e->expires_ns = now_ns + idle_ns(r, e);
}

static bool
differs(const struct end *known, const struct end *is)
{
	return known->ip != 0 && is->ip != 0 &&
	    (known->ip != is->ip || known->port != is->port);
}

static void
learn(struct end *known, const struct end *is)
{
	if (is->ip != 0)
		*known = *is;
}

/* A packet of an entry, and what is seen of its ends. */
struct event {
	uint32_t id;
	enum nat_direction direction;
	bool counts; /* else only its ends are looked at */
	bool began;  /* its verdict says that the entry is new */
	uint8_t protocol;
	struct end inside, outside, remote;
	const struct nat_segment *segment;
	uint32_t bytes;
};

/* The entry of an event; *fresh if it is a new one.  NULL: no memory, or there
 * are too many; or, without packets that count, none. */
static struct entry *
find_entry(struct nat_history *h, struct history_router *r,
    const struct event *v, bool *fresh)
{
	struct entry *e;

	HASH_FIND(hh, r->entries, &v->id, sizeof(v->id), e);
	*fresh = false;
	if (e != NULL && e->protocol == v->protocol && !v->began &&
	    e->expires_ns > h->now_ns && !differs(&e->inside, &v->inside) &&
	    !differs(&e->outside, &v->outside) &&
	    !differs(&e->remote, &v->remote))
		return e;
	if (!v->counts)
		return NULL;
	*fresh = true;
	if (e == NULL) {
		if (h->nentries == NAT_HISTORY_ENTRIES)
			return NULL;
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			return NULL;
		e->id = v->id;
		HASH_ADD(hh, r->entries, id, sizeof(e->id), e);
		if (e->hh.tbl == NULL) {
			free(e);
			return NULL;
		}
		h->nentries++;
	} else {
		UT_hash_handle hh = e->hh;

		*e = (struct entry){ .id = v->id, .hh = hh };
	}
	return e;
}

static int
apply(struct nat_history *h, struct history_router *r, const struct event *v,
    bool known_to_begin)
{
	bool fresh;
	struct entry *e = find_entry(h, r, v, &fresh);

	if (e == NULL)
		return !v->counts                        ? 0
		    : h->nentries == NAT_HISTORY_ENTRIES ? -E2BIG
							 : -ENOMEM;
	learn(&e->inside, &v->inside);
	learn(&e->outside, &v->outside);
	learn(&e->remote, &v->remote);
	if (!v->counts)
		return 0;
	e->protocol = v->protocol;
	e->frames[v->direction]++;
	e->bytes[v->direction] += v->bytes;
	if (fresh) {
		e->old = !known_to_begin;
		start(r, e, v->direction, v->segment, h->now_ns);
	} else {
		pass(r, e, v->direction, v->segment, h->now_ns);
	}
	return 0;
}

/* ---- frames ---- */

/* What NAT reads of the packet in a frame.  False: nothing that has an entry,
 * as a fragment that is not the first. */
static bool
read_packet(struct nat_packet *packet, uint8_t head[HEAD_BYTES],
    const struct reader_frame *frame)
{
	size_t n =
	    frame->kept_bytes < HEAD_BYTES ? frame->kept_bytes : HEAD_BYTES;
	struct cursor c = cursor(head, n);
	struct eth eth;

	memcpy(head, frame->data, n);
	if (eth_parse(&eth, &c) != REASON_NONE || eth.type != ETH_IPV4)
		return false;
	*packet = (struct nat_packet){ .bytes = head + (c.at - head),
		.head_bytes = cur_left(&c) };
	return ip4_parse_quoted(&packet->ip, &c) == REASON_NONE &&
	    packet->ip.offset_bytes == 0 && nat_read(packet) == REASON_NONE &&
	    packet->kind == NAT_FLOW;
}

static bool
is_verdict(const struct crossing_verdict *v, enum reason reason)
{
	return strcmp(v->name, reason_name(reason)) == 0;
}

/* Is it one of those that an entry's packets have? */
static bool
is_of_entry(const struct crossing_verdict *v)
{
	return v->entry != 0 && !v->drop && !is_verdict(v, REASON_NAT_ICMP);
}

/* What all that follow have in common. */
static struct event
event_of(const struct crossing *c, const struct nat_packet *packet)
{
	return (struct event){ .id = c->verdict.entry,
		.protocol = packet->ip.protocol,
		.segment = packet->is_tcp ? &packet->segment : NULL,
		.bytes = c->frame.len_bytes };
}

/* A packet from inside to the outer end of a host inside: two entries. */
static int
came_to_turn(struct nat_history *h, struct history_router *r,
    const struct crossing *c, const struct nat_packet *packet)
{
	struct event v = event_of(c, packet);
	int e;

	v.direction = NAT_OUTWARDS;
	v.counts = true;
	v.inside = (struct end){ packet->ip.src, packet->sport };
	v.remote = (struct end){ packet->ip.dst, packet->dport };
	e = apply(h, r, &v, true);
	if (e < 0)
		return e;
	v.id = c->verdict.other;
	v.direction = NAT_INWARDS;
	v.outside = v.remote;
	v.inside = v.remote = (struct end){ 0 };
	return apply(h, r, &v, true);
}

static int
left_turned(struct nat_history *h, struct history_router *r,
    const struct crossing *c, const struct nat_packet *packet)
{
	struct event v = event_of(c, packet);
	struct entry *sender;
	int e = 0;

	v.id = c->cause.entry;
	v.outside = (struct end){ packet->ip.src, packet->sport };
	HASH_FIND(hh, r->entries, &v.id, sizeof(v.id), sender);
	/* From its inner end, if the NAT leaves that (hairpin-source). */
	if (sender != NULL && !differs(&sender->inside, &v.outside))
		v.outside = sender->outside;
	else
		e = apply(h, r, &v, true);
	if (e < 0)
		return e;
	v.id = c->cause.other;
	v.remote = v.outside;
	v.outside = (struct end){ 0 };
	v.inside = (struct end){ packet->ip.dst, packet->dport };
	return apply(h, r, &v, true);
}

/* The packet came to its router. */
static int
came(struct nat_history *h, struct history_router *r, const struct crossing *c,
    const struct nat_packet *packet, const struct place *place)
{
	const struct crossing_verdict *verdict = &c->verdict;
	struct end src = { packet->ip.src, packet->sport };
	struct end dst = { packet->ip.dst, packet->dport };
	struct event v = event_of(c, packet);

	if (verdict->other != 0)
		return came_to_turn(h, r, c, packet);
	v.direction = place->outside ? NAT_INWARDS : NAT_OUTWARDS;
	v.counts = true;
	v.began = is_verdict(verdict, REASON_NAT_NEW);
	if (place->outside) {
		v.outside = dst;
		v.remote = src;
	} else {
		v.inside = src;
		v.remote = dst;
	}
	return apply(h, r, &v,
	    place->outside || v.began ||
		is_verdict(verdict, REASON_ARP_QUEUED) ||
		is_verdict(verdict, REASON_FRAGMENT_HELD));
}

/* It left, translated. */
static int
left(struct nat_history *h, struct history_router *r, const struct crossing *c,
    const struct nat_packet *packet, const struct place *place)
{
	struct end src = { packet->ip.src, packet->sport };
	struct end dst = { packet->ip.dst, packet->dport };
	struct event v = event_of(c, packet);

	if (c->cause.other != 0)
		return left_turned(h, r, c, packet);
	v.id = c->cause.entry;
	v.direction = place->outside ? NAT_OUTWARDS : NAT_INWARDS;
	v.counts = place->outside ? !r->has_inside : !r->has_outside;
	v.began = v.counts && is_verdict(&c->cause, REASON_NAT_NEW);
	if (place->outside) {
		v.outside = src;
		v.remote = dst;
	} else {
		v.inside = dst;
		v.remote = src;
	}
	return apply(h, r, &v, true);
}

int
nat_history_add(struct nat_history *h, const struct reader *reader,
    const struct crossing *c)
{
	uint8_t head[HEAD_BYTES];
	const struct crossing_verdict *v = c->out ? &c->cause : &c->verdict;
	const struct place *place;
	struct history_router *r;
	struct nat_packet packet;
	int e = learn_places(h, reader);

	if (c->frame.stamped && c->frame.at_ns > h->now_ns)
		h->now_ns = c->frame.at_ns;
	if (e < 0)
		return e;
	place = &h->places[c->frame.interface];
	if (place->router < 0 || !c->directed || !is_of_entry(v))
		return 0;
	r = &h->routers[place->router];
	if (strcmp(v->node, r->facts.router) != 0 ||
	    !read_packet(&packet, head, &c->frame))
		return 0;
	return c->out ? left(h, r, c, &packet, place)
		      : came(h, r, c, &packet, place);
}

/* ---- the table ---- */

static const char *
state_name(const struct entry *e)
{
	if (e->protocol == IP_TCP)
		return nat_tcp_name((enum nat_tcp_state)e->state);
	return e->frames[NAT_OUTWARDS] > 0 && e->frames[NAT_INWARDS] > 0
	    ? "two-way"
	    : "one-way";
}

static const char *
why(const struct entry *e)
{
	if (e->old)
		return "it was there when the capture began";
	return e->origin == NAT_OUTWARDS
	    ? "a host inside began"
	    : "a host outside began, and was admitted";
}

static int
by_id(struct entry *a, struct entry *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

void
nat_history_each(struct nat_history *h,
    void (*each)(void *arg, const char *router, const struct nat_row *row),
    void *arg)
{
	for (unsigned int i = 0; i < h->nrouters; i++) {
		struct history_router *r = &h->routers[i];

		HASH_SORT(r->entries, by_id);
		for (struct entry *e = r->entries; e != NULL; e = e->hh.next) {
			struct nat_row row = { .id = e->id,
				.protocol = e->protocol,
				.state = state_name(e),
				.why = why(e),
				.inside_ip = e->inside.ip,
				.inside_port = e->inside.port,
				.outside_ip = e->outside.ip,
				.outside_port = e->outside.port,
				.remote_ip = e->remote.ip,
				.remote_port = e->remote.port,
				.left_ns = e->expires_ns - h->now_ns,
				.out_frames = e->frames[NAT_OUTWARDS],
				.out_bytes = e->bytes[NAT_OUTWARDS],
				.in_frames = e->frames[NAT_INWARDS],
				.in_bytes = e->bytes[NAT_INWARDS] };

			if (e->expires_ns > h->now_ns)
				each(arg, r->facts.router, &row);
		}
	}
}
