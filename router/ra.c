#include "router/ra.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/dhcp6.h"
#include "net/nd.h"
#include "net/ra.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/nat64.h"

#define INTERVAL_S        600 /* MaxRtrAdvInterval */
#define INTERVAL_MIN_S    4
#define INTERVAL_MAX_S    1800
#define LIFETIME_MAX_S    9000
#define INITIAL           3              /* MAX_INITIAL_RTR_ADVERTISEMENTS */
#define INITIAL_S         16             /* MAX_INITIAL_RTR_ADVERT_INTERVAL */
#define APART_S           3              /* MIN_DELAY_BETWEEN_RAS */
#define DELAY_NS          (NS_PER_S / 2) /* MAX_RA_DELAY_TIME */
#define VALID_S           (30 * 86400)
#define PREFERRED_S       (7 * 86400)
#define HOP_LIMIT         64
#define DHCP6_REFRESH_S   86400
#define DHCP6_REPLY_BYTES 512

struct ra {
	struct router *router;
	struct iface *iface;
	struct router_ra_options options;
	struct loop_timer timer;
	unsigned int
	    initial; /* of the first ones, how many are still to come */
	uint64_t sent_ns;
	bool sent; /* ever */
};

static uint64_t
random_below(struct ra *ra, uint64_t n)
{
	return n == 0 ? 0 : nat_random(&ra->router->seed) % n;
}

/* ---- advertisements ---- */

static struct ra_message
message(const struct ra *ra)
{
	const struct router_ra_options *o = &ra->options;
	const struct iface6 *six = &ra->iface->six;
	struct ra_message m = { .hop_limit = o->hop_limit,
		.managed = o->managed,
		.other = o->other,
		.lifetime_s = (uint16_t)o->lifetime_s,
		.mac = ra->iface->mac,
		.mtu_bytes = ra->iface->mtu_bytes,
		.nprefixes = six->naddresses,
		.ndns = o->ndns,
		.domain = o->domain,
		/* Two advertisements may be lost (RFC 8106 5.1). */
		.dns_s = 3 * o->interval_s };

	for (unsigned int i = 0; i < six->naddresses; i++)
		m.prefix[i] = (struct ra_prefix){ .net = six->address[i],
			.on_link = !o->not_on_link,
			.autonomous =
			    !o->not_autonomous && six->address[i].prefix == 64,
			.valid_s = o->valid_s,
			.preferred_s = o->preferred_s };
	memcpy(m.dns, o->dns, sizeof(m.dns));
	if (six->nat64 != NULL)
		m.nat64 = *nat64_prefix(ra->router);
	return m;
}

static void
advertise(struct ra *ra)
{
	struct ra_message m = message(ra);
	uint8_t *room = output_room(ra->router, RA_MAX_BYTES);
	struct writer w;

	if (room == NULL)
		return; /* there will be others */
	w = writer(room, RA_MAX_BYTES);
	ra_write(&w, &m, &ra->iface->six.link_local, &ip6_all_nodes);
	if (!w.overrun)
		output6_own(ra->router, ra->iface, room, (size_t)(w.at - room));
}

/* Somewhere between a third of the interval and all of it (6.2.4). */
static void
arm(struct ra *ra)
{
	uint64_t most_ns = ra->options.interval_s * NS_PER_S;
	uint64_t least_ns = most_ns / 3, wait_ns;

	if (least_ns < APART_S * NS_PER_S)
		least_ns = APART_S * NS_PER_S;
	wait_ns = least_ns + random_below(ra, most_ns - least_ns + 1);
	if (ra->initial > 0 && wait_ns > INITIAL_S * NS_PER_S)
		wait_ns = INITIAL_S * NS_PER_S;
	loop_timer_set(&ra->timer, loop_now_ns(ra->router->loop) + wait_ns);
}

static void
due(void *arg)
{
	struct ra *ra = arg;

	if (ra->initial > 0)
		ra->initial--;
	ra->sent = true;
	ra->sent_ns = loop_now_ns(ra->router->loop);
	advertise(ra);
	arm(ra);
	outbox_flush(ra->router->outbox);
}

void
ra_link_up(struct ra *ra)
{
	ra->initial = INITIAL;
	loop_timer_set(&ra->timer,
	    loop_now_ns(ra->router->loop) + random_below(ra, DELAY_NS));
}

void
ra_link_down(struct ra *ra)
{
	loop_timer_unset(&ra->timer);
}

void
ra_cease(struct ra *ra)
{
	if (ra->options.lifetime_s == 0 || !ra->sent ||
	    ra->iface->six.link_state != DAD_ASSIGNED)
		return;
	loop_timer_unset(&ra->timer);
	ra->options.lifetime_s = 0;
	advertise(ra);
}

enum reason
ra_solicited(struct ra *ra, struct packet6 *p, struct cursor *c)
{
	struct mac mac;
	enum reason reason = rs_parse(&mac, c, &p->ip);
	uint64_t at_ns = p->now_ns + random_below(ra, DELAY_NS);

	if (reason != REASON_NONE)
		return reason;
	if (mac_is_group(&mac))
		return DROP_ETH_SOURCE;
	if (!mac_is_zero(&mac) && iface6_has_on_link(p->in, &p->ip.src))
		neigh_heard(ra->router->neighbours6, p->in, &p->ip.src, &mac,
		    NEIGH_MAKE);
	if (ra->sent && p->now_ns < ra->sent_ns + APART_S * NS_PER_S)
		at_ns += ra->sent_ns + APART_S * NS_PER_S - p->now_ns;
	if (!loop_timer_is_set(&ra->timer) || at_ns < ra->timer.at_ns)
		loop_timer_set(&ra->timer, at_ns);
	return REASON_DELIVERED;
}

/* ---- stateless DHCPv6 ---- */

static enum reason
answer(struct ra *ra, struct packet6 *p, const struct udp *asked,
    const struct dhcp6_request *request)
{
	struct dhcp6_reply reply = { .server = ra->iface->mac,
		.ndns = ra->options.ndns,
		.domain = ra->options.domain,
		.refresh_s = DHCP6_REFRESH_S };
	struct ip6 ip = {
		.next = IP_UDP, .hop_limit = HOP_LIMIT, .dst = p->ip.src
	};
	struct udp udp = { .sport = DHCP6_SERVER_PORT, .dport = asked->sport };
	const size_t headers = IP6_HEADER_BYTES + UDP_HEADER_BYTES;
	const struct ip6_addr *from = iface6_source(ra->iface, &p->ip.src);
	uint8_t *room = output_room(ra->router, headers + DHCP6_REPLY_BYTES);
	struct writer w;
	size_t bytes;

	if (room == NULL)
		return DROP_PORT_FULL; /* the client asks again */
	if (from == NULL)
		return DROP_TENTATIVE;
	ip.src = *from;
	memcpy(reply.dns, ra->options.dns, sizeof(reply.dns));
	w = writer(room + headers, DHCP6_REPLY_BYTES);
	dhcp6_write(&w, request, &reply);
	if (w.overrun)
		return DROP_DHCP6;
	udp.data = room + headers;
	udp.data_bytes = (size_t)(w.at - udp.data);
	bytes = headers + udp.data_bytes;
	ip.payload_bytes = (uint16_t)(bytes - IP6_HEADER_BYTES);
	w = writer(room, bytes);
	ip6_write(&w, &ip);
	udp6_write(&w, &udp, &ip.src, &ip.dst);
	output6_own(ra->router, ra->iface, room, bytes);
	return REASON_DELIVERED;
}

enum reason
ra_informed(struct ra *ra, struct packet6 *p, const struct udp *udp)
{
	struct cursor c = cursor(udp->data, udp->data_bytes);
	struct dhcp6_request request;
	enum reason reason = dhcp6_parse(&request, &c, &ra->iface->mac);

	if (reason != REASON_NONE)
		return reason;
	if (ip6_is_zero(&p->ip.src))
		return DROP_MARTIAN;
	return answer(ra, p, udp, &request);
}

/* ---- making one ---- */

static int
check(const struct iface *iface, const struct router_ra_options *o,
    struct err *err)
{
	const char *name = iface->port.name;

	if (iface->six.naddresses == 0)
		return err_set(err, -EINVAL,
		    "port \"%s\" has no IPv6 address to advertise; give it "
		    "one",
		    name);
	if (o->interval_s != 0 &&
	    (o->interval_s < INTERVAL_MIN_S || o->interval_s > INTERVAL_MAX_S))
		return err_set(err, -EINVAL,
		    "port \"%s\": advertisements each %u s; use %d to %d", name,
		    o->interval_s, INTERVAL_MIN_S, INTERVAL_MAX_S);
	if (o->lifetime_s > LIFETIME_MAX_S)
		return err_set(err, -EINVAL,
		    "port \"%s\": a lifetime of %u s; use at most %d", name,
		    o->lifetime_s, LIFETIME_MAX_S);
	if (o->preferred_s > (o->valid_s != 0 ? o->valid_s : VALID_S))
		return err_set(err, -EINVAL,
		    "port \"%s\": addresses cannot be preferred for longer "
		    "than they are valid",
		    name);
	return 0;
}

struct ra *
ra_new(struct router *router, struct iface *iface,
    const struct router_ra_options *options, struct err *err)
{
	struct ra *ra;

	if (check(iface, options, err) < 0)
		return NULL;
	ra = calloc(1, sizeof(*ra));
	if (ra == NULL) {
		err_sys(err, -ENOMEM, NULL, "port \"%s\"", iface->port.name);
		return NULL;
	}
	ra->router = router;
	ra->iface = iface;
	ra->options = *options;
	if (ra->options.interval_s == 0)
		ra->options.interval_s = INTERVAL_S;
	if (!ra->options.has_lifetime)
		ra->options.lifetime_s = 3 * ra->options.interval_s;
	if (ra->options.valid_s == 0)
		ra->options.valid_s = VALID_S;
	if (ra->options.preferred_s == 0)
		ra->options.preferred_s = ra->options.valid_s < PREFERRED_S
		    ? ra->options.valid_s
		    : PREFERRED_S;
	if (ra->options.hop_limit == 0)
		ra->options.hop_limit = HOP_LIMIT;
	loop_timer_init(&ra->timer, router->loop, due, ra);
	if (iface->six.dad.done)
		ra_link_up(ra);
	return ra;
}

void
ra_free(struct ra *ra)
{
	if (ra == NULL)
		return;
	loop_timer_unset(&ra->timer);
	free(ra);
}
