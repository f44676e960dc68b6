/*
 * One pass.  Times go into buckets that grow by the eighth root of two, bytes
 * into bins of equal width, which is doubled whenever the capture turns out to
 * be longer.
 *
 * A round trip is timed as RFC 6298 does it, one segment at a time in each
 * direction, and not if it was sent twice (Karn's algorithm).  A segment is
 * taken for a retransmission when all of it was seen before.
 */
#include "pcap-tools/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/ip4.h"
#include "net/tcp.h"
#include "pcap-tools/pair.h"

#define HASH_SIZE  (2 * STATS_FLOWS)
#define BUCKETS    (sizeof(((struct stats_times *)0)->bucket) / sizeof(uint32_t))
#define BIN_NS     1000000ULL /* at first */
#define ECHO_ASKED 4          /* echoes that wait for answers, per flow */

/* What is remembered of one direction. */
struct sender {
	bool seen, timing;
	uint32_t next;  /* behind the last byte that was sent */
	uint32_t timed; /* an answer to this ends the timing */
	uint64_t timed_at_ns;
};

struct flow {
	struct stats_flow is;
	uint32_t chain; /* of the same hash: index plus 1 */
	struct sender sender[2];
	struct {
		uint16_t seq;
		bool waits;
		uint64_t at_ns;
	} echo[ECHO_ASKED];
};

struct stats {
	struct stats_point *points;
	uint32_t npoints;
	struct flow *flows;
	uint32_t nflows, max_flows;
	uint32_t hash[HASH_SIZE]; /* index plus 1 */
	uint64_t other_frames;
	struct stats_hop hops[STATS_WAYS];
	uint32_t nhops;
	struct pairing *pairing;
	bool started;
	uint64_t start_ns, bin_ns;
};

/* ---- times ---- */

/* Bucket b ends at 2^(b/8). */
static unsigned int
bucket_of(uint64_t ns)
{
	double b = ns > 1 ? log2((double)ns) * 8 : 0;

	return b < (double)BUCKETS - 1 ? (unsigned int)b : BUCKETS - 1;
}

static void
add_time(struct stats_times *t, uint64_t ns)
{
	t->min_ns = t->n == 0 || ns < t->min_ns ? ns : t->min_ns;
	t->max_ns = ns > t->max_ns ? ns : t->max_ns;
	t->n++;
	t->bucket[bucket_of(ns)]++;
}

uint64_t
stats_median_ns(const struct stats_times *t)
{
	uint64_t below = 0, at;

	for (unsigned int b = 0; b < BUCKETS; b++) {
		below += t->bucket[b];
		if (below * 2 < t->n || below == 0)
			continue;
		at = (uint64_t)exp2((b + 0.5) / 8);
		at = at < t->min_ns ? t->min_ns : at;
		return at > t->max_ns ? t->max_ns : at;
	}
	return 0;
}

/* ---- points ---- */

static struct stats_point *
point_of(struct stats *s, uint32_t number)
{
	struct stats_point *grown;

	if (number < s->npoints)
		return &s->points[number];
	grown = realloc(s->points, (number + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	memset(
	    grown + s->npoints, 0, (number + 1 - s->npoints) * sizeof(*grown));
	s->points = grown;
	s->npoints = number + 1;
	return &s->points[number];
}

static void
halve_bins(struct stats *s)
{
	for (uint32_t i = 0; i < s->npoints; i++) {
		uint64_t *bin = s->points[i].bin;

		for (unsigned int b = 0; b < STATS_BINS / 2; b++)
			bin[b] = bin[2 * b] + bin[2 * b + 1];
		memset(
		    bin + STATS_BINS / 2, 0, STATS_BINS / 2 * sizeof(bin[0]));
	}
	s->bin_ns *= 2;
}

static void
add_to_bin(struct stats *s, struct stats_point *p, uint64_t at_ns, uint32_t len)
{
	uint64_t since;

	if (!s->started) {
		s->started = true;
		s->start_ns = at_ns;
	}
	since = at_ns > s->start_ns ? at_ns - s->start_ns : 0;
	while (since / s->bin_ns >= STATS_BINS)
		halve_bins(s);
	p->bin[since / s->bin_ns] += len;
}

/* ---- conversations ---- */

static struct flow *
flow_of(struct stats *s, const struct crossing *c)
{
	uint64_t h = packet_flow_hash(&c->packet.flow) + c->frame.interface;
	uint32_t *slot = &s->hash[h % HASH_SIZE];
	struct flow *f;

	for (uint32_t i = *slot; i != 0; i = s->flows[i - 1].chain) {
		f = &s->flows[i - 1];
		if (f->is.point == c->frame.interface &&
		    packet_same_flow(&f->is.flow, &c->packet.flow))
			return f;
	}
	if (s->nflows == STATS_FLOWS)
		return NULL;
	if (s->nflows == s->max_flows) {
		uint32_t max = s->max_flows != 0 ? 2 * s->max_flows : 64;
		void *grown = realloc(s->flows, max * sizeof(*f));

		if (grown == NULL)
			return NULL;
		s->flows = grown;
		s->max_flows = max;
	}
	f = &s->flows[s->nflows++];
	memset(f, 0, sizeof(*f));
	f->is.flow = c->packet.flow;
	f->is.point = c->frame.interface;
	f->is.first_ns = c->frame.at_ns;
	f->chain = *slot;
	*slot = s->nflows;
	return f;
}

static bool
is_reverse(const struct packet_flow *flow, const struct packet_flow *first)
{
	return memcmp(flow->src.address, first->src.address,
		   sizeof(flow->src.address)) != 0 ||
	    flow->src.port != first->src.port;
}

/* From a frame to its answer, if the clock did not jump back. */
static void
add_rtt(struct stats_flow *f, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ns = to_ns - from_ns;

	if (to_ns < from_ns)
		return;
	f->rtt_min_ns = f->rtts == 0 || ns < f->rtt_min_ns ? ns : f->rtt_min_ns;
	f->rtt_max_ns = ns > f->rtt_max_ns ? ns : f->rtt_max_ns;
	f->rtt_sum_ns += ns;
	f->rtts++;
}

static void
add_tcp(
    struct flow *f, const struct packet *p, unsigned int way, uint64_t at_ns)
{
	struct sender *me = &f->sender[way], *other = &f->sender[!way];
	uint32_t len =
	    p->data_bytes + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
	uint32_t end = p->seq + len;

	if (p->flags & TCP_ACK && other->timing &&
	    (int32_t)(p->ack - other->timed) >= 0) {
		add_rtt(&f->is, other->timed_at_ns, at_ns);
		other->timing = false;
	}
	if (len == 0)
		return;
	if (me->seen && (int32_t)(end - me->next) <= 0) {
		f->is.way[way].retransmissions++;
		me->timing = false;
		return;
	}
	me->seen = true;
	me->next = end;
	if (!me->timing) {
		me->timing = true;
		me->timed = end;
		me->timed_at_ns = at_ns;
	}
}

static void
add_echo(
    struct flow *f, const struct packet *p, unsigned int way, uint64_t at_ns)
{
	unsigned int slot = p->icmp_seq % ECHO_ASKED;

	if (way == 0) {
		f->echo[slot].seq = p->icmp_seq;
		f->echo[slot].waits = true;
		f->echo[slot].at_ns = at_ns;
	} else if (f->echo[slot].waits && f->echo[slot].seq == p->icmp_seq) {
		f->echo[slot].waits = false;
		add_rtt(&f->is, f->echo[slot].at_ns, at_ns);
	}
}

static int
add_to_flow(struct stats *s, const struct crossing *c)
{
	struct flow *f = flow_of(s, c);
	const struct packet *p = &c->packet;
	unsigned int way;

	if (f == NULL) {
		s->other_frames++;
		return s->nflows == STATS_FLOWS ? 0 : -ENOMEM;
	}
	way = is_reverse(&p->flow, &f->is.flow);
	f->is.last_ns = c->frame.at_ns;
	f->is.way[way].frames++;
	f->is.way[way].bytes += c->frame.len_bytes;
	f->is.way[way].dropped += c->verdict.drop;
	if (!c->frame.stamped || p->later_fragment)
		return 0; /* no clock to time by, or no header */
	if (p->flow.layer != PACKET_ETHERNET && p->flow.protocol == IP_TCP)
		add_tcp(f, p, way, c->frame.at_ns);
	else if (p->echo)
		add_echo(f, p, way, c->frame.at_ns);
	return 0;
}

/* ---- between points ---- */

static void
add_hop(struct stats *s, const struct paired *from, const struct paired *to)
{
	uint32_t i = 0;

	if (to->at_ns < from->at_ns)
		return;
	while (i < s->nhops &&
	    (s->hops[i].from != from->point || s->hops[i].to != to->point))
		i++;
	if (i == STATS_WAYS)
		return;
	if (i == s->nhops) {
		s->nhops++;
		s->hops[i].from = from->point;
		s->hops[i].to = to->point;
	}
	add_time(&s->hops[i].delay, to->at_ns - from->at_ns);
}

/* ---- the whole ---- */

struct stats *
stats_new(void)
{
	struct stats *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->bin_ns = BIN_NS;
	s->pairing = pairing_new();
	if (s->pairing == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
stats_free(struct stats *s)
{
	if (s == NULL)
		return;
	pairing_free(s->pairing);
	free(s->points);
	free(s->flows);
	free(s);
}

int
stats_add(struct stats *s, const struct crossing *c)
{
	struct stats_point *p;
	struct paired from, to;

	if (c->frame.interface >= STATS_POINTS)
		return -E2BIG;
	p = point_of(s, c->frame.interface);
	if (p == NULL)
		return -ENOMEM;
	if (p->frames == 0)
		p->first_ns = c->frame.at_ns;
	p->last_ns = c->frame.at_ns;
	p->frames++;
	p->bytes += c->frame.len_bytes;
	p->dropped += c->verdict.drop;
	if (c->frame.stamped)
		add_to_bin(s, p, c->frame.at_ns, c->frame.len_bytes);
	if (pairing_next(s->pairing, c, 0, c->frame.interface, &from, &to))
		add_hop(s, &from, &to);
	return c->readable ? add_to_flow(s, c) : 0;
}

uint32_t
stats_points(const struct stats *s)
{
	return s->npoints;
}

const struct stats_point *
stats_point(const struct stats *s, uint32_t i)
{
	return &s->points[i];
}

uint64_t
stats_bin_ns(const struct stats *s, uint64_t *start_ns)
{
	*start_ns = s->start_ns;
	return s->bin_ns;
}

static int
by_bytes(const void *a, const void *b)
{
	const struct flow *fa = a, *fb = b;
	uint64_t na = fa->is.way[0].bytes + fa->is.way[1].bytes;
	uint64_t nb = fb->is.way[0].bytes + fb->is.way[1].bytes;

	if (na != nb)
		return na < nb ? 1 : -1;
	if (fa->is.first_ns != fb->is.first_ns)
		return fa->is.first_ns < fb->is.first_ns ? -1 : 1;
	return (fa->is.point > fb->is.point) - (fa->is.point < fb->is.point);
}

uint32_t
stats_flows(struct stats *s)
{
	/* The chains are of no use any more. */
	if (s->nflows > 0)
		qsort(s->flows, s->nflows, sizeof(s->flows[0]), by_bytes);
	memset(s->hash, 0, sizeof(s->hash));
	return s->nflows;
}

const struct stats_flow *
stats_flow(const struct stats *s, uint32_t i)
{
	return &s->flows[i].is;
}

uint64_t
stats_other_frames(const struct stats *s)
{
	return s->other_frames;
}

uint32_t
stats_hops(const struct stats *s)
{
	return s->nhops;
}

const struct stats_hop *
stats_hop(const struct stats *s, uint32_t i)
{
	return &s->hops[i];
}
