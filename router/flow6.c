/*
 * Flows are in a fixed pool, found by the hash of both ends, and by the hash of
 * what of them the filter looks at.  Each is in the list of its timer, the one
 * that waits for longest first, so that expiry looks at what has expired and
 * one more.
 *
 * How far TCP has come is nat_tcp.h's, which is what RFC 6092 (REC-31 to 35)
 * asks for, too: connections opened by both ends at once, 2 h 4 min for one that
 * is established, and 4 min before and after.  SCTP and DCCP are not followed:
 * an association is established when it was answered (REC-40, 44).
 *
 * Rejected: the NAT's table.  Its entries hold IPv4 addresses in a line of the
 * cache, and mappings, of which there are none here; what both need of TCP and
 * of timers is shared.
 */
#include "router/flow6.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "router/hash6.h"
#include "router/nat_tcp.h"
#include "router/pin6.h"

#define MOVE_NS NS_PER_S

struct station {
	struct station *next; /* in its bucket, or of the free ones */
	struct mac mac;
	uint32_t nflows;
};

struct flow6 {
	struct flow6 *next, *next_by_end; /* in buckets; next: of free ones */
	TAILQ_ENTRY(flow6) order;
	struct flow6_ends ends;
	struct station *station;
	uint64_t until_ns, moved_ns; /* the latter: to its list's end */
	uint64_t out_frames, out_bytes, in_frames, in_bytes;
	struct nat_window window;
	uint8_t tcp;   /* enum nat_tcp_state */
	uint8_t timer; /* enum nat_timer, its list */
	bool answered; /* in the direction other than the first packet's */
	bool from_outside;
	bool pinned; /* it was let in by a hole that was asked for */
};
TAILQ_HEAD(flow6_list, flow6);

struct flow6_table {
	struct flow6_options options;
	struct flow6 *pool, *free;
	struct station *stations, *free_station;
	uint32_t fresh, fresh_station; /* below: were used once */
	uint32_t mask;
	struct flow6 **by_flow, **by_end;
	struct station **by_mac;
	struct flow6_list lists[NAT_TIMERS];
};

/* ---- hashes ---- */

static struct flow6 **
flow_bucket(const struct flow6_table *t, const struct flow6_ends *e)
{
	uint64_t h = hash6_addr(t->options.seed, &e->inside);

	h = hash6_addr(h, &e->remote);
	h = hash6(h,
	    (uint64_t)e->port << 32 | (uint64_t)e->remote_port << 16 |
		e->protocol);
	return &t->by_flow[h >> 32 & t->mask];
}

/* By what the filter looks at, so that a bucket's chain is of equals. */
static struct flow6 **
end_bucket(const struct flow6_table *t, const struct flow6_ends *e)
{
	uint64_t h = hash6_addr(~t->options.seed, &e->inside);

	if (t->options.filtering == NAT_ADDRESS_DEPENDENT)
		h = hash6_addr(h, &e->remote);
	return &t->by_end[hash6(h, (uint64_t)e->port << 8 | e->protocol) >> 32 &
	    t->mask];
}

static struct station **
station_bucket(const struct flow6_table *t, const struct mac *mac)
{
	return &t->by_mac[hash6_mac(t->options.seed, mac) >> 32 & t->mask];
}

bool
flow6_ends_equal(const struct flow6_ends *a, const struct flow6_ends *b)
{
	return a->protocol == b->protocol && a->port == b->port &&
	    a->remote_port == b->remote_port &&
	    ip6_equal(&a->inside, &b->inside) &&
	    ip6_equal(&a->remote, &b->remote);
}

static struct flow6 *
lookup(const struct flow6_table *t, const struct flow6_ends *ends)
{
	struct flow6 *f = *flow_bucket(t, ends);

	while (f != NULL && !flow6_ends_equal(&f->ends, ends))
		f = f->next;
	return f;
}

/* A flow by which a packet between ends may come in, though it is of another
 * one. */
static struct flow6 *
find_opening(const struct flow6_table *t, const struct flow6_ends *ends)
{
	struct flow6 *f;

	if (t->options.filtering == NAT_ADDRESS_AND_PORT_DEPENDENT ||
	    (ends->protocol != IP_TCP && ends->protocol != IP_UDP))
		return NULL;
	for (f = *end_bucket(t, ends); f != NULL; f = f->next_by_end)
		if (f->ends.protocol == ends->protocol &&
		    f->ends.port == ends->port &&
		    ip6_equal(&f->ends.inside, &ends->inside) &&
		    (t->options.filtering == NAT_ENDPOINT_INDEPENDENT ||
			ip6_equal(&f->ends.remote, &ends->remote)))
			return f;
	return NULL;
}

const void *
flow6_guess(const struct flow6_table *table, const struct flow6_ends *ends)
{
	struct flow6 **bucket = flow_bucket(table, ends);

	__builtin_prefetch(bucket);
	return bucket;
}

void
flow6_expect(const void *guess)
{
	const struct flow6 *f = *(struct flow6 *const *)guess;

	if (f == NULL)
		return;
	__builtin_prefetch(f);
	__builtin_prefetch((const char *)f + 64);
	__builtin_prefetch((const char *)f + 128);
}

/* ---- stations ---- */

/* The station of that address, with one more flow; NULL: it has too many.  There
 * are as many stations as flows at least. */
static struct station *
station_take(struct flow6_table *t, const struct mac *mac)
{
	struct station **bucket = station_bucket(t, mac), *s = *bucket;

	while (s != NULL && !mac_equal(&s->mac, mac))
		s = s->next;
	if (s != NULL && s->nflows >= t->options.per_station)
		return NULL;
	if (s == NULL) {
		s = t->free_station;
		if (s != NULL)
			t->free_station = s->next;
		else
			s = &t->stations[t->fresh_station++];
		*s = (struct station){ .next = *bucket, .mac = *mac };
		*bucket = s;
	}
	s->nflows++;
	return s;
}

static void
station_give(struct flow6_table *t, struct station *s)
{
	struct station **at = station_bucket(t, &s->mac);

	if (--s->nflows > 0)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->next = t->free_station;
	t->free_station = s;
}

/* ---- flows ---- */

static void
flow_end(struct flow6_table *t, struct flow6 *f)
{
	struct flow6 **at = flow_bucket(t, &f->ends);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	at = end_bucket(t, &f->ends);
	while (*at != f)
		at = &(*at)->next_by_end;
	*at = f->next_by_end;
	TAILQ_REMOVE(&t->lists[f->timer], f, order);
	station_give(t, f->station);
	f->next = t->free;
	t->free = f;
}

/* NULL with *reason: there is no room. */
static struct flow6 *
flow_begin(struct flow6_table *t, const struct flow6_ends *ends,
    const struct mac *station, enum reason *reason)
{
	struct flow6 **bucket = flow_bucket(t, ends), *f = t->free;
	struct station *s;

	*reason = DROP_FLOW_FULL;
	if (f == NULL && t->fresh == t->options.max)
		return NULL;
	*reason = DROP_FLOW_STATION;
	s = station_take(t, station);
	if (s == NULL)
		return NULL;
	if (f != NULL)
		t->free = f->next;
	else
		f = &t->pool[t->fresh++];
	memset(f, 0, sizeof(*f));
	f->ends = *ends;
	f->station = s;
	f->next = *bucket;
	*bucket = f;
	bucket = end_bucket(t, ends);
	f->next_by_end = *bucket;
	*bucket = f;
	f->timer = NAT_TIMER_UDP;
	TAILQ_INSERT_TAIL(&t->lists[f->timer], f, order);
	*reason = REASON_FLOW_NEW;
	return f;
}

static enum nat_timer
timer_of(const struct flow6 *f)
{
	switch (f->ends.protocol) {
	case IP_TCP: return nat_tcp_timer((enum nat_tcp_state)f->tcp);
	case IP_ICMP6: return NAT_TIMER_ICMP;
	/* RFC 6092 REC-40: 4 min, and 2 h 4 min; REC-44: 8 min, and that. */
	case IP_SCTP: return f->answered ? NAT_TIMER_TCP : NAT_TIMER_UDP;
	case IP_DCCP: return NAT_TIMER_TCP;
	default: return NAT_TIMER_UDP; /* open: other protocols are as UDP */
	}
}

/* Sets the timer anew, and moves it to the end of its list: all in it run as
 * long.  That touches two other flows, so it is not done for one that was moved
 * just now; what is behind it in the list stays for MOVE_NS too long at most. */
static void
refresh(struct flow6_table *t, struct flow6 *f, uint64_t now_ns)
{
	enum nat_timer timer = timer_of(f);

	f->until_ns = now_ns + nat_idle_ns(&nat_rules_default, timer);
	if (timer == f->timer && f->moved_ns != 0 &&
	    now_ns - f->moved_ns < MOVE_NS)
		return;
	TAILQ_REMOVE(&t->lists[f->timer], f, order);
	f->timer = (uint8_t)timer;
	f->moved_ns = now_ns;
	TAILQ_INSERT_TAIL(&t->lists[f->timer], f, order);
}

/* Notes a packet of a flow. */
static void
pass(struct flow6_table *t, struct flow6 *f, const struct nat_segment *segment,
    enum nat_direction direction, uint32_t bytes, uint64_t now_ns)
{
	bool out = direction == NAT_OUTWARDS, keeps = true;

	if (out == f->from_outside)
		f->answered = true;
	*(out ? &f->out_frames : &f->in_frames) += 1;
	*(out ? &f->out_bytes : &f->in_bytes) += bytes;
	if (segment != NULL) {
		enum nat_tcp_state was = (enum nat_tcp_state)f->tcp;

		f->tcp =
		    (uint8_t)nat_tcp_next(was, segment, direction, &f->window);
		if (f->tcp == NAT_TCP_CLOSED)
			f->tcp = NAT_TCP_ESTABLISHED; /* may_begin() */
		nat_window_note(&f->window, segment, direction);
		keeps = f->tcp != was ||
		    nat_tcp_refreshes((enum nat_tcp_state)f->tcp, segment);
	}
	if (keeps)
		refresh(t, f, now_ns);
}

static uint32_t
number(const struct flow6_table *t, const struct flow6 *f)
{
	return (uint32_t)(f - t->pool) + 1;
}

/* A time that has passed ends a flow, though nobody has called for that yet. */
static struct flow6 *
lookup_live(
    struct flow6_table *t, const struct flow6_ends *ends, uint64_t now_ns)
{
	struct flow6 *f = lookup(t, ends);

	if (f == NULL || f->until_ns > now_ns)
		return f;
	flow_end(t, f);
	return NULL;
}

/* The pin of those ends, one of which is outside. */
static const struct pin6 *
pin_of(
    const struct flow6_table *t, const struct flow6_ends *ends, uint64_t now_ns)
{
	return t->options.pins == NULL || ends->remote_port == 0
	    ? NULL
	    : pin6_find(t->options.pins, ends, now_ns);
}

/* The station by which a packet from outside may begin a flow, and the pin if it
 * is by one; NULL: it may not.  What a pin's filters refuse is refused, whatever
 * else there is (RFC 6887 13.3). */
static const struct mac *
who_lets_in(const struct flow6_table *t, const struct flow6_ends *ends,
    uint64_t now_ns, const struct pin6 **by)
{
	enum pin6_says says = t->options.pins == NULL
	    ? PIN6_SAYS_NOTHING
	    : pin6_ask(t->options.pins, ends, now_ns, by);
	const struct flow6 *f;

	if (says == PIN6_ADMITS)
		return &(*by)->station;
	*by = NULL;
	f = says == PIN6_REFUSES ? NULL : find_opening(t, ends);
	return f != NULL && f->until_ns > now_ns ? &f->station->mac : NULL;
}

/* May this segment be the first that is seen of a connection?  One for which a
 * pin was asked may have been there before. */
static bool
may_begin(const struct nat_segment *segment, const struct pin6 *by)
{
	return segment == NULL || nat_tcp_opens(segment) ||
	    (by != NULL && by->ends.remote_port != 0 &&
		!(segment->flags & (TCP_SYN | TCP_RST)));
}

enum reason
flow6_out(struct flow6_table *table, const struct flow6_ends *ends,
    const struct nat_segment *segment, const struct mac *station,
    uint32_t bytes, uint64_t now_ns, uint32_t *entry)
{
	struct flow6 *f = lookup_live(table, ends, now_ns);
	enum reason reason = REASON_FLOW_KNOWN;

	*entry = 0;
	if (f == NULL) {
		if (!may_begin(segment, pin_of(table, ends, now_ns)))
			return DROP_FLOW_STATE;
		f = flow_begin(table, ends, station, &reason);
		if (f == NULL)
			return reason;
	}
	pass(table, f, segment, NAT_OUTWARDS, bytes, now_ns);
	*entry = number(table, f);
	return reason;
}

enum reason
flow6_in(struct flow6_table *table, const struct flow6_ends *ends,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    uint32_t *entry)
{
	struct flow6 *f = lookup_live(table, ends, now_ns);
	enum reason reason = REASON_FLOW_KNOWN;

	*entry = 0;
	if (f == NULL) {
		const struct pin6 *by = NULL;
		const struct mac *station =
		    who_lets_in(table, ends, now_ns, &by);

		if (station == NULL)
			return DROP_FLOW_UNASKED;
		if (!may_begin(segment, by))
			return DROP_FLOW_STATE;
		f = flow_begin(table, ends, station, &reason);
		if (f == NULL)
			return reason;
		f->from_outside = true;
		f->pinned = by != NULL;
	}
	pass(table, f, segment, NAT_INWARDS, bytes, now_ns);
	*entry = number(table, f);
	return reason;
}

uint32_t
flow6_find(const struct flow6_table *table, const struct flow6_ends *ends)
{
	const struct flow6 *f = lookup(table, ends);

	return f != NULL ? number(table, f) : 0;
}

uint64_t
flow6_until_ns(const struct flow6_table *table, const struct flow6_ends *ends)
{
	const struct flow6 *f = lookup(table, ends);

	return f != NULL ? f->until_ns : 0;
}

void
flow6_expire(struct flow6_table *table, uint64_t now_ns)
{
	for (int i = 0; i < NAT_TIMERS; i++) {
		struct flow6 *f;

		while ((f = TAILQ_FIRST(&table->lists[i])) != NULL &&
		    f->until_ns <= now_ns)
			flow_end(table, f);
	}
}

uint64_t
flow6_due_ns(const struct flow6_table *table)
{
	uint64_t due_ns = UINT64_MAX;

	for (int i = 0; i < NAT_TIMERS; i++) {
		const struct flow6 *f = TAILQ_FIRST(&table->lists[i]);

		if (f != NULL && f->until_ns < due_ns)
			due_ns = f->until_ns;
	}
	return due_ns;
}

static const char *
why(const struct flow6 *f)
{
	if (!f->from_outside)
		return "a host inside began";
	return f->pinned ? "a host outside began, as the inside one asked for"
			 : "a host outside began, and was admitted";
}

void
flow6_each(const struct flow6_table *table, uint64_t now_ns,
    void (*each)(void *arg, const struct flow6_row *row), void *arg)
{
	for (int i = 0; i < NAT_TIMERS; i++) {
		const struct flow6 *f;

		TAILQ_FOREACH (f, &table->lists[i], order) {
			struct flow6_row row = { .id = number(table, f),
				.protocol = f->ends.protocol,
				.state = f->ends.protocol == IP_TCP
				    ? nat_tcp_name((enum nat_tcp_state)f->tcp)
				    : f->answered ? "two-way"
						  : "one-way",
				.why = why(f),
				.from_outside = f->from_outside,
				.inside = f->ends.inside,
				.remote = f->ends.remote,
				.port = f->ends.port,
				.remote_port = f->ends.remote_port,
				.left_ns = f->until_ns > now_ns
				    ? f->until_ns - now_ns
				    : 0,
				.out_frames = f->out_frames,
				.out_bytes = f->out_bytes,
				.in_frames = f->in_frames,
				.in_bytes = f->in_bytes };

			each(arg, &row);
		}
	}
}

struct flow6_table *
flow6_new(const struct flow6_options *options)
{
	struct flow6_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = 16;

	if (t == NULL)
		return NULL;
	t->options = *options;
	if (t->options.max == 0)
		t->options.max = FLOW6_MAX;
	if (t->options.per_station == 0)
		t->options.per_station = FLOW6_PER_STATION;
	while (buckets < t->options.max)
		buckets *= 2;
	t->mask = buckets - 1;
	for (int i = 0; i < NAT_TIMERS; i++)
		TAILQ_INIT(&t->lists[i]);
	t->pool = calloc(t->options.max, sizeof(t->pool[0]));
	t->stations = calloc(t->options.max, sizeof(t->stations[0]));
	t->by_flow = calloc(buckets, sizeof(t->by_flow[0]));
	t->by_end = calloc(buckets, sizeof(t->by_end[0]));
	t->by_mac = calloc(buckets, sizeof(t->by_mac[0]));
	if (t->pool == NULL || t->stations == NULL || t->by_flow == NULL ||
	    t->by_end == NULL || t->by_mac == NULL) {
		flow6_free(t);
		return NULL;
	}
	return t;
}

void
flow6_free(struct flow6_table *table)
{
	if (table == NULL)
		return;
	free(table->pool);
	free(table->stations);
	free(table->by_flow);
	free(table->by_end);
	free(table->by_mac);
	free(table);
}
