/*
 * Fragments: the first one has the ports, and the others pass when it did, for
 * as long as fragments wait for each other at their receiver.  One that comes
 * before its first is refused: nothing says yet what it is of.  A place for each
 * of the latest, by a hash, is enough for that: one that another has taken is
 * a packet lost, as on any link.
 */
#include "router/filter6.h"

#include <errno.h>
#include <stdlib.h>

#include "net/tcp.h"
#include "net/udp.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/nat_tcp.h"
#include "router/nat_translate.h"
#include "router/pin6.h"
#include "router/router6.h"

#define IP_ESP        50
#define IP_MOBILITY   135
#define IP_UDPLITE    136
#define IP_HIP        139
#define PORT_IKE      500
#define SCTP_INIT     1
#define REFUSED_MAX   64 /* that wait; what is more is never answered */
#define REFUSED_NS    (6 * NS_PER_S)
#define REFUSED_BYTES 128
#define FIRSTS        256             /* fragments remembered */
#define FIRST_NS      (60 * NS_PER_S) /* RFC 8200 4.5 */

/* A SYN, or an INIT of SCTP, from outside that was refused. */
struct refused {
	uint64_t due_ns;
	struct flow6_ends ends;
	uint32_t n;
	uint8_t bytes[REFUSED_BYTES]; /* the packet's beginning */
};

struct first {
	struct ip6_addr src, dst;
	uint32_t id;
	uint32_t entry;
	uint64_t until_ns; /* 0: none */
};

struct filter6 {
	struct router *router;
	struct iface *outside;
	bool only_asked;
	struct pin6_table *pins;
	struct flow6_table *flows;
	struct loop_timer timer, refused_timer;
	struct refused refused[REFUSED_MAX]; /* a ring, the oldest first */
	uint32_t first_refused, nrefused;
	uint64_t key;
	struct first first[FIRSTS];
};

/* What a filter reads of a packet. */
struct reading {
	struct ip6_chain chain;
	uint16_t sport, dport;
	bool is_tcp;
	bool opens; /* a connection, of TCP or SCTP */
	struct nat_segment segment;
	bool is_error;
	struct cursor quote; /* of an error */
};

/* ---- reading ---- */

bool
filter6_has_ports(uint8_t protocol)
{
	return protocol == IP_TCP || protocol == IP_UDP ||
	    protocol == IP_UDPLITE || protocol == IP_DCCP ||
	    protocol == IP_SCTP;
}

/* Options may go on beyond what was copied: then no window scale is known. */
static enum reason
read_tcp(struct reading *r, struct cursor *c)
{
	bool cut;
	enum reason reason = nat_read_segment(&r->segment, c, &cut);

	r->is_tcp = true;
	r->opens = reason == REASON_NONE && nat_tcp_opens(&r->segment);
	return reason;
}

/* The first chunk says what it is (RFC 4960 3). */
static void
read_sctp(struct reading *r, struct cursor c)
{
	cur_skip(&c, 8); /* verification tag, checksum */
	r->opens = cur_u8(&c) == SCTP_INIT && !c.overrun;
}

static enum reason
read_icmp(struct reading *r, struct cursor *c)
{
	uint8_t type = cur_u8(c);

	cur_skip(c, 3);
	if (icmp6_is_error(type)) {
		cur_skip(c, 4);
		r->is_error = true;
		r->quote = *c;
	} else if (type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY) {
		r->sport = r->dport = cur_be16(c);
	}
	return c->overrun ? DROP_SHORT : REASON_NONE;
}

/* Of a packet, or of one that is quoted, which may end behind its ports. */
static enum reason
read_upper(
    struct reading *r, struct cursor c, const struct ip6 *ip, bool quoted)
{
	enum reason reason = ip6_chain_parse(&r->chain, &c, ip);

	if (reason != REASON_NONE)
		return reason;
	if (r->chain.offset_bytes != 0)
		return REASON_NONE;
	if (r->chain.protocol == IP_ICMP6)
		return read_icmp(r, &c);
	if (!filter6_has_ports(r->chain.protocol))
		return REASON_NONE;
	r->sport = cur_be16(&c);
	r->dport = cur_be16(&c);
	if (c.overrun)
		return DROP_SHORT;
	if (r->chain.protocol == IP_SCTP)
		read_sctp(r, c);
	return r->chain.protocol == IP_TCP && !quoted ? read_tcp(r, &c)
						      : REASON_NONE;
}

static struct flow6_ends
ends_of(const struct reading *r, const struct ip6 *ip, bool outwards)
{
	return (struct flow6_ends){ .inside = outwards ? ip->src : ip->dst,
		.remote = outwards ? ip->dst : ip->src,
		.port = outwards ? r->sport : r->dport,
		.remote_port = outwards ? r->dport : r->sport,
		.protocol = r->chain.protocol };
}

const void *
filter6_guess(const struct filter6 *filter, const struct iface *in,
    const uint8_t *ip, size_t bytes)
{
	struct cursor c = cursor(ip, bytes);
	struct reading r = { .chain.protocol = 0 };
	struct flow6_ends ends;
	struct ip6 h;

	if (ip6_parse_quoted(&h, &c) != REASON_NONE ||
	    (h.next != IP_TCP && h.next != IP_UDP))
		return NULL;
	r.chain.protocol = h.next;
	r.sport = cur_be16(&c);
	r.dport = cur_be16(&c);
	ends = ends_of(&r, &h, in != filter->outside);
	return flow6_guess(filter->flows, &ends);
}

/* ---- fragments ---- */

static struct first *
place(struct filter6 *f, const struct packet6 *p, const struct reading *r)
{
	uint64_t h = f->key ^ r->chain.id;
	uint64_t v[4];

	memcpy(v, p->ip.src.b, 16);
	memcpy(v + 2, p->ip.dst.b, 16);
	for (int i = 0; i < 4; i++)
		h = (h ^ v[i] ^ h >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return &f->first[(h >> 40) % FIRSTS];
}

static void
remember(struct filter6 *f, const struct packet6 *p, const struct reading *r,
    uint32_t entry)
{
	if (r->chain.fragment_at != 0 && r->chain.more)
		*place(f, p, r) = (struct first){ p->ip.src, p->ip.dst,
			r->chain.id, entry, p->now_ns + FIRST_NS };
}

/* A fragment that is not the first. */
static enum reason
follow(struct filter6 *f, const struct packet6 *p, const struct reading *r,
    uint32_t *entry)
{
	const struct first *first = place(f, p, r);

	if (first->until_ns <= p->now_ns || first->id != r->chain.id ||
	    !ip6_equal(&first->src, &p->ip.src) ||
	    !ip6_equal(&first->dst, &p->ip.dst))
		return DROP_FRAGMENT;
	*entry = first->entry;
	return REASON_FLOW_KNOWN;
}

/* ---- errors ---- */

/* It passes if what it quotes is of a flow: a packet that went the other way. */
static enum reason
judge_error(
    struct filter6 *f, const struct reading *r, bool outwards, uint32_t *entry)
{
	struct reading quoted = { .is_tcp = false };
	struct cursor c = r->quote;
	struct flow6_ends ends;
	struct ip6 ip;

	if (ip6_parse_quoted(&ip, &c) != REASON_NONE ||
	    read_upper(&quoted, c, &ip, true) != REASON_NONE ||
	    quoted.is_error || quoted.chain.offset_bytes != 0)
		return DROP_FLOW_ICMP;
	ends = ends_of(&quoted, &ip, !outwards);
	*entry = flow6_find(f->flows, &ends);
	return *entry != 0 ? REASON_FLOW_ICMP : DROP_FLOW_ICMP;
}

/* ---- refusals ---- */

static void
refuse_later(
    struct filter6 *f, const struct packet6 *p, const struct flow6_ends *ends)
{
	struct refused *r =
	    &f->refused[(f->first_refused + f->nrefused) % REFUSED_MAX];
	uint32_t n = p->head - ETH_HEADER_BYTES;

	if (f->nrefused == REFUSED_MAX)
		return;
	r->due_ns = p->now_ns + REFUSED_NS;
	r->ends = *ends;
	r->n = n < packet6_bytes(p) ? n : packet6_bytes(p);
	if (r->n > REFUSED_BYTES)
		r->n = REFUSED_BYTES;
	memcpy(r->bytes, packet6_ip(p), r->n);
	if (f->nrefused++ == 0)
		loop_timer_set(&f->refused_timer, r->due_ns);
}

static void
refuse_due(void *arg)
{
	const struct icmp6_error error = { ICMP6_UNREACHABLE,
		ICMP6_UNREACH_PROHIBITED, 0 };
	struct filter6 *f = arg;
	uint64_t now_ns = loop_now_ns(f->router->loop);

	while (f->nrefused > 0) {
		struct refused *r = &f->refused[f->first_refused];
		struct iface *towards = NULL;
		struct way6 way;

		if (r->due_ns > now_ns) {
			loop_timer_set(&f->refused_timer, r->due_ns);
			break;
		}
		if (way6_find(f->router, &r->ends.inside, &way))
			towards = way.out;
		/* Both ends may have begun at the same time. */
		if (towards != NULL && flow6_find(f->flows, &r->ends) == 0)
			output6_error_about(
			    f->router, towards, &error, r->bytes, r->n);
		f->first_refused = (f->first_refused + 1) % REFUSED_MAX;
		f->nrefused--;
	}
	outbox_flush(f->router->outbox);
}

/* ---- both ways ---- */

/* What comes in unasked (RFC 6092 3.2.4, 3.2.5). */
static bool
is_always_let_in(const struct filter6 *f, const struct reading *r)
{
	if (f->only_asked)
		return false;
	return r->chain.has_auth || r->chain.protocol == IP_ESP ||
	    r->chain.protocol == IP_MOBILITY || r->chain.protocol == IP_HIP ||
	    (r->chain.protocol == IP_UDP && r->dport == PORT_IKE);
}

/* Has the inside end asked to be kept from it (RFC 6887 13.3)? */
static bool
is_refused(
    const struct filter6 *f, const struct flow6_ends *ends, uint64_t now_ns)
{
	const struct pin6 *by;

	return pin6_ask(f->pins, ends, now_ns, &by) == PIN6_REFUSES;
}

static enum reason
judge(
    struct filter6 *f, const struct packet6 *p, bool outwards, uint32_t *entry)
{
	struct reading r = { .is_tcp = false };
	enum reason reason = read_upper(&r, packet6_payload(p), &p->ip, false);
	const struct nat_segment *segment;
	struct flow6_ends ends;
	struct mac station;

	*entry = 0;
	if (reason != REASON_NONE)
		return reason;
	/* It makes packets go to and fro (RFC 5095). */
	if (r.chain.routing_at != 0 && r.chain.routing_type == 0)
		return DROP_SOURCE_ROUTE;
	if (r.chain.offset_bytes != 0)
		return follow(f, p, &r, entry);
	if (r.is_error)
		return judge_error(f, &r, outwards, entry);
	ends = ends_of(&r, &p->ip, outwards);
	segment = r.is_tcp ? &r.segment : NULL;
	memcpy(station.b, p->bytes + sizeof(station.b), sizeof(station.b));
	reason = outwards ? flow6_out(f->flows, &ends, segment, &station,
				packet6_bytes(p), p->now_ns, entry)
			  : flow6_in(f->flows, &ends, segment, packet6_bytes(p),
				p->now_ns, entry);
	if (reason == DROP_FLOW_UNASKED && is_always_let_in(f, &r) &&
	    !is_refused(f, &ends, p->now_ns))
		reason = REASON_ROUTED;
	if (reason == DROP_FLOW_UNASKED && r.opens)
		refuse_later(f, p, &ends);
	if (!reason_is_drop(reason))
		remember(f, p, &r, *entry);
	return reason;
}

enum reason
filter6_out(struct filter6 *filter, const struct packet6 *p, uint32_t *entry)
{
	return judge(filter, p, true, entry);
}

enum reason
filter6_in(struct filter6 *filter, const struct packet6 *p, uint32_t *entry)
{
	return judge(filter, p, false, entry);
}

bool
filter6_is_outside(const struct filter6 *filter, const struct iface *iface)
{
	return filter->outside == iface;
}

struct pins_each {
	uint64_t now_ns;
	void (*each)(void *arg, const struct flow6_row *row);
	void *arg;
};

static void
each_pin(void *arg, const struct pin6 *pin)
{
	const struct pins_each *p = arg;
	struct flow6_row row = { .protocol = pin->ends.protocol,
		.state = "pinned",
		.why = "its host asked for it by PCP",
		.inside = pin->ends.inside,
		.remote = pin->ends.remote,
		.port = pin->ends.port,
		.remote_port = pin->ends.remote_port,
		.left_ns = pin->until_ns - p->now_ns };

	p->each(p->arg, &row);
}

void
filter6_each(const struct filter6 *filter,
    void (*each)(void *arg, const struct flow6_row *row), void *arg)
{
	uint64_t now_ns = loop_now_ns(filter->router->loop);
	struct pins_each pins = { now_ns, each, arg };

	pin6_each(filter->pins, now_ns, each_pin, &pins);
	flow6_each(filter->flows, now_ns, each, arg);
}

struct pin6_table *
filter6_pins(struct filter6 *filter)
{
	return filter->pins;
}

const struct flow6_table *
filter6_flows(const struct filter6 *filter)
{
	return filter->flows;
}

/* ---- time ---- */

void
filter6_arm(struct filter6 *filter)
{
	uint64_t due_ns = flow6_due_ns(filter->flows);

	if (pin6_due_ns(filter->pins) < due_ns)
		due_ns = pin6_due_ns(filter->pins);
	if (due_ns != UINT64_MAX &&
	    (!loop_timer_is_set(&filter->timer) ||
		due_ns < filter->timer.at_ns))
		loop_timer_set(&filter->timer, due_ns);
}

static void
expire(void *arg)
{
	struct filter6 *f = arg;

	flow6_expire(f->flows, loop_now_ns(f->router->loop));
	pin6_expire(f->pins, loop_now_ns(f->router->loop));
	filter6_arm(f);
}

struct filter6 *
filter6_new(struct router *router, struct iface *outside,
    const struct router_filter6_options *options, struct err *err)
{
	struct filter6 *f = calloc(1, sizeof(*f));
	struct flow6_options o = { .max = options->max_flows,
		.per_station = options->per_station,
		.filtering = options->filtering,
		.seed = nat_random(&router->seed) };

	if (f != NULL)
		o.pins = f->pins = pin6_new(nat_random(&router->seed));
	if (o.pins != NULL)
		f->flows = flow6_new(&o);
	if (f == NULL || f->flows == NULL) {
		if (f != NULL)
			pin6_free(f->pins);
		free(f);
		err_sys(err, -ENOMEM, NULL, "filter of IPv6");
		return NULL;
	}
	f->router = router;
	f->outside = outside;
	f->only_asked = options->only_asked;
	f->key = nat_random(&router->seed);
	loop_timer_init(&f->timer, router->loop, expire, f);
	loop_timer_init(&f->refused_timer, router->loop, refuse_due, f);
	return f;
}

void
filter6_free(struct filter6 *filter)
{
	if (filter == NULL)
		return;
	loop_timer_unset(&filter->timer);
	loop_timer_unset(&filter->refused_timer);
	flow6_free(filter->flows);
	pin6_free(filter->pins);
	free(filter);
}
