#include "router/pcp_service.h"

#include <errno.h>
#include <stdlib.h>

#include "net/natpmp.h"
#include "net/pcp.h"
#include "router/datagram.h"
#include "router/pcp_server.h"
#include "router/router_state.h"

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

/* ---- announcements ---- */

static void
announce_on(
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
	uint8_t *packet = len > 0 ? datagram_make(router, &d, &bytes) : NULL;

	if (packet != NULL)
		output_direct(router, out, &to, packet, bytes);
}

static void
announce(void *arg)
{
	struct pcp_service *service = arg;
	struct router *router = service->router;
	uint8_t pcp[ANNOUNCEMENT_BYTES], natpmp[ANNOUNCEMENT_BYTES];
	struct writer w = writer(pcp, sizeof(pcp));
	struct writer v = writer(natpmp, sizeof(natpmp));

	pcp_server_announce(&service->server, epoch_s(service), &w, &v);
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];

		if (iface == router->outside || iface->address.addr == 0)
			continue;
		announce_on(router, iface, pcp, (size_t)(w.at - pcp));
		announce_on(router, iface, natpmp, (size_t)(v.at - natpmp));
	}
	outbox_flush(router->outbox);
	if (++service->announced < ANNOUNCEMENTS)
		loop_timer_set(&service->timer,
		    loop_now_ns(router->loop) +
			(FIRST_GAP_NS << (service->announced - 1)));
}

/* ---- making it ---- */

static bool
is_inside(void *arg, uint32_t ip)
{
	struct router *router = arg;
	const struct place *place = place_find(router, ip);

	return place->route != NULL && place->owner == NULL &&
	    !place->martian && !place->broadcast &&
	    place->route->out != router->outside;
}

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
	service->begun_ns = loop_now_ns(router->loop);
	service->server = (struct pcp_server){ .nat = router->nat,
		.protocols = options->protocols,
		.third_party = options->third_party,
		.min_s =
		    options->min_s != 0 ? options->min_s : ROUTER_PCP_MIN_S,
		.max_s =
		    options->max_s != 0 ? options->max_s : ROUTER_PCP_MAX_S,
		.is_inside = is_inside,
		.arg = router };
	loop_timer_init(&service->timer, router->loop, announce, service);
	loop_timer_set(&service->timer, service->begun_ns);
	return service;
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

bool
pcp_service_wants(const struct packet *p, const struct udp *udp)
{
	return udp->dport == PCP_PORT && p->in != p->in->router->outside &&
	    p->ip.dst == p->in->address.addr;
}

enum reason
pcp_service_take(
    struct pcp_service *service, struct packet *p, const struct udp *udp)
{
	struct router *router = service->router;
	const struct pcp_asked asked = { .bytes = udp->data,
		.len = udp->data_bytes,
		.src = p->ip.src,
		.now_ns = p->now_ns,
		.epoch_s = epoch_s(service) };
	uint8_t answer[PCP_MAX_BYTES];
	struct writer w = writer(answer, sizeof(answer));
	enum reason reason = pcp_server_take(&service->server, &asked, &w);
	const struct datagram d = { .src = p->in->address.addr,
		.dst = p->ip.src,
		.udp = { .sport = PCP_PORT,
		    .dport = udp->sport,
		    .data = answer,
		    .data_bytes = (size_t)(w.at - answer) } };
	size_t bytes;
	uint8_t *packet =
	    w.at > answer ? datagram_make(router, &d, &bytes) : NULL;

	router_arm_timers(router);
	if (packet != NULL) /* else the host asks again */
		output_own(router, packet, bytes);
	return reason;
}
