/*
 * An offer that waits is the client's message, copied: when nobody answered, the
 * server is asked again, and makes the same offer.  When somebody did, the
 * server avoids the address, and asked again it chooses another.  A message that
 * a client repeats meanwhile is not answered twice.
 */
#include "router/dhcp_service.h"

#include <errno.h>
#include <stdlib.h>

#include "net/arp.h"
#include "router/datagram.h"
#include "router/router_state.h"

struct probe {
	struct dhcp_server *server; /* NULL: it is free */
	uint32_t addr;              /* that is asked for */
	uint64_t due_ns;
	struct mac from;
	struct dhcp message;
	uint8_t bytes[3][UINT8_MAX]; /* that it borrows */
};

struct dhcp_service {
	struct router *router;
	struct iface *iface;
	struct dhcp_server *server[1 + ROUTER_RELAYED];
	unsigned int nservers;
	bool has_link; /* the first one is for it */
	uint64_t probe_ns;
	struct loop_timer timer;
	unsigned int nprobes;
	struct probe probe[DHCP_PROBES];
};

/* ---- making it ---- */

static void probes_due(void *arg);

struct dhcp_service *
dhcp_service_new(struct router *router, struct iface *iface)
{
	struct dhcp_service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	service->router = router;
	service->iface = iface;
	loop_timer_init(&service->timer, router->loop, probes_due, service);
	return service;
}

void
dhcp_service_free(struct dhcp_service *service)
{
	if (service == NULL)
		return;
	loop_timer_unset(&service->timer);
	for (unsigned int i = 0; i < service->nservers; i++)
		dhcp_server_free(service->server[i]);
	free(service);
}

int
dhcp_service_add(struct dhcp_service *service,
    const struct router_dhcp_options *options, struct err *err)
{
	const struct iface *iface = service->iface;
	struct dhcp_server *server;

	if (service->has_link)
		return err_set(err, -EEXIST,
		    "port \"%s\" serves DHCP already; use one range",
		    iface->port.name);
	if (service->nservers > ROUTER_RELAYED)
		return err_set(err, -ENOSPC,
		    "port \"%s\" serves DHCP to %d other subnets already; use "
		    "fewer",
		    iface->port.name, ROUTER_RELAYED);
	server = dhcp_server_new(iface->address, iface->address.addr, options,
	    (uint16_t)iface->mtu_bytes, err);
	if (server == NULL)
		return -EINVAL;
	memmove(service->server + 1, service->server,
	    service->nservers * sizeof(service->server[0]));
	service->server[0] = server;
	service->nservers++;
	service->has_link = true;
	service->probe_ns = options->probe_ns;
	return 0;
}

int
dhcp_service_add_relayed(struct dhcp_service *service, struct ip4_net relay,
    const struct router_dhcp_options *options, struct err *err)
{
	const struct iface *iface = service->iface;
	char text[NET_TEXT_BYTES];
	struct dhcp_server *server;

	ip4_net_text(text, relay);
	if (service->nservers - service->has_link >= ROUTER_RELAYED)
		return err_set(err, -ENOSPC,
		    "port \"%s\" serves DHCP to %d other subnets already; use "
		    "fewer",
		    iface->port.name, ROUTER_RELAYED);
	if (dhcp_service_of(service, relay.addr) != NULL ||
	    ip4_net_has(iface->address, relay.addr))
		return err_set(err, -EEXIST,
		    "port \"%s\" is in the subnet of the relay %s, or serves "
		    "it "
		    "DHCP already; leave it out",
		    iface->port.name, text);
	server = dhcp_server_new(relay, iface->address.addr, options, 0, err);
	if (server == NULL)
		return -EINVAL;
	service->server[service->nservers++] = server;
	return 0;
}

struct dhcp_server *
dhcp_service_of(const struct dhcp_service *service, uint32_t addr)
{
	for (unsigned int i = 0; i < service->nservers; i++)
		if (dhcp_server_serves(service->server[i], addr))
			return service->server[i];
	return NULL;
}

struct dhcp_server *
dhcp_service_server(const struct dhcp_service *service, unsigned int i)
{
	return i < service->nservers ? service->server[i] : NULL;
}

/* Is it by a client on the link? */
static bool
is_on_link(const struct dhcp_service *service, const struct packet *p,
    const struct dhcp *m, const struct mac *from)
{
	return p->in == service->iface && m->giaddr == 0 &&
	    (p->ip.dst == IP4_BROADCAST || m->ciaddr == 0 ||
		mac_equal(&m->chaddr, from) ||
		place_find(service->router, p->ip.dst)->broadcast);
}

/* Who is to be asked.  NULL: nobody here. */
static struct dhcp_server *
server_for(struct dhcp_service *service, const struct packet *p,
    const struct dhcp *m, const struct mac *from)
{
	uint32_t link = dhcp_relay_address(m, DHCP_RELAY_LINK);

	if (is_on_link(service, p, m, from))
		return service->has_link ? service->server[0] : NULL;
	if (m->giaddr != 0)
		return dhcp_service_of(service, link != 0 ? link : m->giaddr);
	return dhcp_service_of(service, m->ciaddr);
}

/* ---- answers ---- */

/* Writes a message that the client is sure to take, leaving out what does not
 * fit.  Its length, or 0. */
static size_t
write_message(uint8_t *out, size_t room, const struct dhcp *message)
{
	struct dhcp m = *message;
	struct writer w = writer(out, room);

	dhcp_write(&w, &m);
	if (w.overrun) {
		m.nextra = 0;
		m.client_id = NULL;
		m.client_id_bytes = 0;
		w = writer(out, room);
		dhcp_write(&w, &m);
	}
	return w.overrun ? 0 : (size_t)(w.at - out);
}

/* Who had the address before does not have it any more. */
static void
tell_neighbours(
    struct router *router, struct iface *out, const struct dhcp *message)
{
	struct ip6_addr ip = ip6_of_ip4(message->yiaddr);

	neigh_told(router->neighbours, out, &ip, &message->chaddr);
}

/* Sends an answer to whom it is for. */
static void
send_answer(struct dhcp_service *service, const struct dhcp_answer *answer)
{
	struct router *router = service->router;
	struct iface *out = service->iface;
	/* The size that all take (RFC 2131 2). */
	uint8_t message[ICMP_ERROR_BYTES - IP4_HEADER_BYTES - UDP_HEADER_BYTES];
	const struct dhcp *m = &answer->message;
	const struct datagram d = { .src = out->address.addr,
		.dst = answer->addr,
		.udp = { .sport = DHCP_SERVER_PORT,
		    .dport = answer->to == DHCP_TO_RELAY ? DHCP_SERVER_PORT
							 : DHCP_CLIENT_PORT,
		    .data = message,
		    .data_bytes =
			write_message(message, sizeof(message), m) } };
	uint8_t *packet;
	size_t bytes;

	if (d.udp.data_bytes == 0)
		return;
	packet = datagram_make(router, &d, &bytes);
	if (packet == NULL)
		return; /* the client asks again */
	if (m->type == DHCP_ACK && answer->to != DHCP_TO_RELAY &&
	    ip4_net_has(out->address, m->yiaddr))
		tell_neighbours(router, out, m);
	switch (answer->to) {
	case DHCP_TO_NOBODY: break;
	case DHCP_TO_ALL:
		output_direct(router, out, &mac_broadcast, packet, bytes);
		break;
	case DHCP_TO_CLIENT:
		output_direct(router, out, &m->chaddr, packet, bytes);
		break;
	case DHCP_TO_ADDRESS:
	case DHCP_TO_RELAY: output_own(router, packet, bytes); break;
	}
}

/* ---- probes ---- */

static void
keep_bytes(uint8_t *to, const uint8_t **data, uint8_t bytes)
{
	if (*data == NULL)
		return;
	memcpy(to, *data, bytes);
	*data = to;
}

static void
arm(struct dhcp_service *service)
{
	uint64_t due_ns = UINT64_MAX;

	for (unsigned int i = 0; i < DHCP_PROBES; i++)
		if (service->probe[i].server != NULL &&
		    service->probe[i].due_ns < due_ns)
			due_ns = service->probe[i].due_ns;
	if (due_ns != UINT64_MAX)
		loop_timer_set(&service->timer, due_ns);
}

static void
ask(struct dhcp_service *service, uint32_t addr)
{
	const struct iface *iface = service->iface;
	const struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = iface->mac,
		.sender_ip = iface->address.addr,
		.target_ip = addr };

	output_arp(service->router, service->iface, &mac_broadcast, &arp);
}

/* Begins to ask for the address of an answer. */
static void
begin(struct dhcp_service *service, struct probe *probe, uint32_t addr)
{
	probe->addr = addr;
	probe->due_ns = loop_now_ns(service->router->loop) + service->probe_ns;
	ask(service, addr);
	arm(service);
}

/* False: there is no room, or no need. */
static bool
wait_for(struct dhcp_service *service, struct dhcp_server *server,
    const struct dhcp *m, const struct mac *from,
    const struct dhcp_answer *answer)
{
	struct probe *probe = service->probe;

	if (!answer->is_new || m->giaddr != 0 || service->probe_ns == 0 ||
	    service->nprobes == DHCP_PROBES)
		return false;
	while (probe->server != NULL)
		probe++;
	probe->server = server;
	service->nprobes++;
	probe->from = *from;
	probe->message = *m;
	keep_bytes(probe->bytes[0], &probe->message.client_id,
	    probe->message.client_id_bytes);
	keep_bytes(probe->bytes[1], &probe->message.parameters,
	    probe->message.nparameters);
	keep_bytes(probe->bytes[2], &probe->message.relay_info,
	    probe->message.relay_info_bytes);
	begin(service, probe, answer->message.yiaddr);
	return true;
}

/* Asks the server again, now that the link has been asked. */
static void
finish(struct dhcp_service *service, struct probe *probe)
{
	struct dhcp_answer answer;
	enum reason reason = dhcp_server_take(probe->server, &probe->message,
	    &probe->from, loop_now_ns(service->router->loop), &answer);
	bool answered =
	    reason == REASON_DELIVERED && answer.to != DHCP_TO_NOBODY;

	if (answered && answer.message.yiaddr != probe->addr) {
		begin(service, probe, answer.message.yiaddr);
		return;
	}
	if (answered)
		send_answer(service, &answer);
	probe->server = NULL;
	service->nprobes--;
}

static void
probes_due(void *arg)
{
	struct dhcp_service *service = arg;
	uint64_t now_ns = loop_now_ns(service->router->loop);

	for (unsigned int i = 0; i < DHCP_PROBES; i++)
		if (service->probe[i].server != NULL &&
		    service->probe[i].due_ns <= now_ns)
			finish(service, &service->probe[i]);
	arm(service);
	outbox_flush(service->router->outbox);
}

void
dhcp_service_heard(
    struct dhcp_service *service, uint32_t ip, const struct mac *mac)
{
	uint64_t now_ns = loop_now_ns(service->router->loop);

	for (unsigned int i = 0; i < DHCP_PROBES && service->nprobes > 0; i++) {
		struct probe *probe = &service->probe[i];

		if (probe->server == NULL || probe->addr != ip ||
		    mac_equal(&probe->message.chaddr, mac) ||
		    mac_equal(&probe->from, mac))
			continue;
		dhcp_server_conflict(probe->server, ip, now_ns);
		finish(service, probe);
	}
}

void
dhcp_service_settle(struct dhcp_service *service)
{
	if (service->has_link)
		dhcp_server_lengthen(service->server[0], UINT32_MAX);
}

int
dhcp_service_move(struct dhcp_service *service, struct ip4_net own)
{
	int e =
	    service->has_link ? dhcp_server_move(service->server[0], own) : 0;

	for (unsigned int i = 0; i < DHCP_PROBES && e == 0; i++)
		service->probe[i].server = NULL;
	if (e == 0)
		service->nprobes = 0;
	return e;
}

static bool
is_asking_for(const struct dhcp_service *service, const struct dhcp *m)
{
	for (unsigned int i = 0; i < DHCP_PROBES && service->nprobes > 0; i++)
		if (service->probe[i].server != NULL &&
		    mac_equal(&service->probe[i].message.chaddr, &m->chaddr) &&
		    service->probe[i].message.xid == m->xid)
			return true;
	return false;
}

enum reason
dhcp_service_take(
    struct dhcp_service *service, struct packet *p, const struct udp *udp)
{
	struct cursor c = cursor(udp->data, udp->data_bytes);
	struct dhcp message;
	struct dhcp_answer answer = { .to = DHCP_TO_NOBODY };
	struct dhcp_server *server;
	struct mac from;
	enum reason reason = dhcp_parse(&message, &c);

	if (reason != REASON_NONE)
		return reason;
	if (message.type == DHCP_DISCOVER && is_asking_for(service, &message))
		return REASON_DELIVERED;
	memcpy(from.b, p->bytes + sizeof(from.b), sizeof(from.b));
	server = server_for(service, p, &message, &from);
	if (server == NULL)
		return DROP_NOT_OURS;
	reason = dhcp_server_take(server, &message, &from, p->now_ns, &answer);
	if (reason == REASON_DELIVERED && answer.to != DHCP_TO_NOBODY &&
	    !wait_for(service, server, &message, &from, &answer))
		send_answer(service, &answer);
	return reason;
}
