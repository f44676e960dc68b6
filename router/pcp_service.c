/*
 * Who asks by an address that is not reached by the port that it came in by is
 * not answered (RFC 6887 8.2): an answer would go elsewhere, and so might a
 * mapping.
 */
#include "router/pcp_service.h"

#include <errno.h>
#include <stdlib.h>

#include "net/natpmp.h"
#include "net/pcp.h"
#include "router/datagram.h"
#include "router/filter6.h"
#include "router/pcp_server.h"
#include "router/router6.h"

#define ALL_HOSTS          UINT32_C(0xe0000001) /* 224.0.0.1 */
#define ANNOUNCEMENTS      10
#define FIRST_GAP_NS       (250 * NS_PER_MS)
#define ANNOUNCEMENT_BYTES 32

struct pcp_service {
	struct router *router;
	struct pcp_server server;
	uint64_t begun_ns;
	struct loop_timer timer;
	unsigned int announced;
};

static uint32_t
epoch_s(const struct pcp_service *service)
{
	uint64_t now_ns = loop_now_ns(service->router->loop);

	return (uint32_t)((now_ns - service->begun_ns) / NS_PER_S);
}

/* ---- inside and outside ---- */

/* Does the outside of IPv6 begin there? */
static bool
is_outside6(const struct router *router, const struct iface *iface)
{
	if (router->filter6 != NULL &&
	    filter6_is_outside(router->filter6, iface))
		return true;
	for (unsigned int i = 0; i < router->npairs; i++)
		if (router->pairs[i].outside == iface)
			return true;
	return false;
}

static bool
has_outside6(const struct router *router)
{
	return router->filter6 != NULL || router->npairs > 0;
}

/* The port by which a host of IPv6 is reached, if it is none of the router's
 * own; NULL: by none. */
static const struct iface *
towards6(const struct router *router, const struct ip6_addr *addr)
{
	struct way6 way;

	return !ip6_is_host(addr) || ip6_is_link_local(addr) ||
		router_owner6(router, NULL, addr) != NULL ||
		!way6_find(router, addr, &way)
	    ? NULL
	    : way.out;
}

static const struct iface *
towards4(struct router *router, uint32_t ip)
{
	const struct place *place = place_find(router, ip);

	return place->route == NULL || place->owner != NULL || place->martian ||
		place->broadcast
	    ? NULL
	    : place->route->out;
}

static bool
is_inside(void *arg, const struct ip6_addr *addr)
{
	struct router *router = arg;
	const struct iface *to;
	uint32_t ip;

	if (ip6_to_ip4(&ip, addr)) {
		to = towards4(router, ip);
		return to != NULL && to != router->outside;
	}
	to = towards6(router, addr);
	return to != NULL && !is_outside6(router, to);
}

/* Hosts inside may be spoken to by the outside, too (RFC 4787 REQ-9). */
static bool
is_outside(void *arg, const struct ip6_addr *addr)
{
	struct router *router = arg;
	const struct place *place;
	uint32_t ip;

	if (!ip6_to_ip4(&ip, addr))
		return towards6(router, addr) != NULL;
	place = place_find(router, ip);
	return place->route != NULL && !place->martian && !place->broadcast;
}

static struct ip6_addr
form_outside(void *arg, const struct ip6_addr *addr)
{
	const struct router *router = arg;
	struct ip6_addr out = *addr;

	for (unsigned int i = 0; i < router->npairs; i++)
		if (ip6_net_has(&router->pairs[i].npt.inside, addr) &&
		    npt6_out(&router->pairs[i].npt, &out) == NPT6_DONE)
			break;
	return out;
}

/* ---- announcements ---- */

static void
announce4(
    struct router *router, struct iface *out, const uint8_t *data, size_t len)
{
	static const struct mac to = { { 0x01, 0x00, 0x5e, 0, 0, 1 } };
	const struct datagram d = { .src = out->address.addr,
		.dst = ALL_HOSTS,
		.ttl = 1,
		.udp = { .sport = PCP_PORT,
		    .dport = PCP_CLIENT_PORT,
		    .data = data,
		    .data_bytes = len } };
	size_t bytes;
	uint8_t *packet;

	if (len == 0 || router->nat == NULL || out == router->outside ||
	    out->address.addr == 0)
		return;
	packet = datagram_make(router, &d, &bytes);
	if (packet != NULL)
		output_direct(router, out, &to, packet, bytes);
}

/* From the address that hosts have learned the router by. */
static void
announce6(
    struct router *router, struct iface *out, const uint8_t *data, size_t len)
{
	static const struct mac to = { { 0x33, 0x33, 0, 0, 0, 1 } };
	const struct datagram6 d = { .src = out->six.link_local,
		.dst = ip6_all_nodes,
		.hop_limit = 1,
		.udp = { .sport = PCP_PORT,
		    .dport = PCP_CLIENT_PORT,
		    .data = data,
		    .data_bytes = len } };
	size_t bytes;
	uint8_t *packet;

	if (len == 0 || !has_outside6(router) || is_outside6(router, out) ||
	    out->six.naddresses == 0 || out->six.link_state != DAD_ASSIGNED)
		return;
	packet = datagram6_make(router, &d, &bytes);
	if (packet != NULL)
		output6_direct(router, out, &to, packet, bytes);
}

static void
announce(void *arg)
{
	struct pcp_service *service = arg;
	struct router *router = service->router;
	uint8_t pcp[ANNOUNCEMENT_BYTES], natpmp[ANNOUNCEMENT_BYTES];
	struct writer w = writer(pcp, sizeof(pcp));
	struct writer v = writer(natpmp, sizeof(natpmp));

	if (router->nat != NULL && nat_address_of(router->nat, 0) == 0)
		return; /* when there is one, it begins anew */
	pcp_server_announce(&service->server, epoch_s(service), &w, &v);
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];

		announce4(router, iface, pcp, (size_t)(w.at - pcp));
		announce4(router, iface, natpmp, (size_t)(v.at - natpmp));
		announce6(router, iface, pcp, (size_t)(w.at - pcp));
	}
	outbox_flush(router->outbox);
	if (++service->announced < ANNOUNCEMENTS)
		loop_timer_set(&service->timer,
		    loop_now_ns(router->loop) +
			(FIRST_GAP_NS << (service->announced - 1)));
}

/* ---- making it ---- */

struct pcp_service *
pcp_service_new(struct router *router, const struct router_pcp_options *options,
    struct err *err)
{
	struct pcp_service *service = calloc(1, sizeof(*service));

	if (service == NULL) {
		err_sys(err, -ENOMEM, NULL, "port mapping");
		return NULL;
	}
	service->router = router;
	service->server = (struct pcp_server){ .nat = router->nat,
		.protocols = options->protocols,
		.opcodes = options->opcodes,
		.third_party = options->third_party,
		.min_s =
		    options->min_s != 0 ? options->min_s : ROUTER_PCP_MIN_S,
		.max_s =
		    options->max_s != 0 ? options->max_s : ROUTER_PCP_MAX_S,
		.is_inside = is_inside,
		.is_outside = is_outside,
		.form_outside = form_outside,
		.arg = router };
	if (router->filter6 != NULL) {
		service->server.pins6 = filter6_pins(router->filter6);
		service->server.flows6 = filter6_flows(router->filter6);
	}
	loop_timer_init(&service->timer, router->loop, announce, service);
	pcp_service_begin(service);
	return service;
}

void
pcp_service_begin(struct pcp_service *service)
{
	service->begun_ns = loop_now_ns(service->router->loop);
	service->announced = 0;
	loop_timer_set(&service->timer, service->begun_ns);
}

void
pcp_service_free(struct pcp_service *service)
{
	if (service == NULL)
		return;
	loop_timer_unset(&service->timer);
	free(service);
}

/* ---- packets ---- */

static struct mac
sender(const uint8_t *frame)
{
	struct mac mac;

	memcpy(mac.b, frame + sizeof(mac.b), sizeof(mac.b));
	return mac;
}

bool
pcp_service_wants(const struct packet *p, const struct udp *udp)
{
	const struct router *router = p->in->router;

	return udp->dport == PCP_PORT && router->nat != NULL &&
	    p->in != router->outside && p->ip.dst == p->in->address.addr;
}

enum reason
pcp_service_take(
    struct pcp_service *service, struct packet *p, const struct udp *udp)
{
	struct router *router = service->router;
	const struct pcp_asked asked = { .bytes = udp->data,
		.len = udp->data_bytes,
		.src = ip6_of_ip4(p->ip.src),
		.station = sender(p->bytes),
		.now_ns = p->now_ns,
		.epoch_s = epoch_s(service) };
	uint8_t answer[PCP_MAX_BYTES];
	struct writer w = writer(answer, sizeof(answer));
	struct datagram d = { .src = p->in->address.addr,
		.dst = p->ip.src,
		.udp = {
		    .sport = PCP_PORT, .dport = udp->sport, .data = answer } };
	enum reason reason;
	uint8_t *packet;
	size_t bytes;

	if (towards4(router, p->ip.src) != p->in)
		return DROP_PCP;
	reason = pcp_server_take(&service->server, &asked, &w);
	d.udp.data_bytes = (size_t)(w.at - answer);
	packet = w.at > answer ? datagram_make(router, &d, &bytes) : NULL;
	router_arm_timers(router);
	if (packet != NULL) /* else the host asks again */
		output_own(router, packet, bytes);
	return reason;
}

bool
pcp_service_wants6(const struct packet6 *p, const struct udp *udp)
{
	const struct router *router = p->in->router;

	return udp->dport == PCP_PORT && has_outside6(router) &&
	    router->pcp->server.protocols != ROUTER_NATPMP_ONLY &&
	    !is_outside6(router, p->in) && !ip6_is_multicast(&p->ip.dst) &&
	    router_owner6(router, p->in, &p->ip.dst) == p->in;
}

enum reason
pcp_service_take6(
    struct pcp_service *service, struct packet6 *p, const struct udp *udp)
{
	struct router *router = service->router;
	const struct pcp_asked asked = { .bytes = udp->data,
		.len = udp->data_bytes,
		.src = p->ip.src,
		.station = sender(p->bytes),
		.now_ns = p->now_ns,
		.epoch_s = epoch_s(service) };
	uint8_t answer[PCP_MAX_BYTES];
	struct writer w = writer(answer, sizeof(answer));
	struct datagram6 d = { .src = p->ip.dst,
		.dst = p->ip.src,
		.udp = {
		    .sport = PCP_PORT, .dport = udp->sport, .data = answer } };
	enum reason reason;
	uint8_t *packet;
	size_t bytes;

	if (!ip6_is_link_local(&p->ip.src) &&
	    towards6(router, &p->ip.src) != p->in)
		return DROP_PCP;
	reason = pcp_server_take(&service->server, &asked, &w);
	d.udp.data_bytes = (size_t)(w.at - answer);
	packet = w.at > answer ? datagram6_make(router, &d, &bytes) : NULL;
	if (router->filter6 != NULL)
		filter6_arm(router->filter6);
	if (packet != NULL) /* else the host asks again */
		output6_own(router, p->in, packet, bytes);
	return reason;
}
