#include "router/dhcp_relay.h"

#include <errno.h>
#include <stdlib.h>

#include "net/dhcp.h"
#include "net/dhcp_relay.h"
#include "router/datagram.h"
#include "router/router_state.h"

#define MESSAGE_BYTES (ETH_MTU - IP4_HEADER_BYTES - UDP_HEADER_BYTES)

struct dhcp_relay {
	struct router_dhcp_relay_options options;
};

struct dhcp_relay *
dhcp_relay_new(const struct iface *iface,
    const struct router_dhcp_relay_options *options, struct err *err)
{
	struct dhcp_relay *relay;
	char text[IP4_TEXT_BYTES];

	if (options->nservers == 0 ||
	    options->nservers > ROUTER_RELAY_SERVERS) {
		err_set(err, -EINVAL,
		    "port \"%s\": a relay has 1 to %d servers, not %u",
		    iface->port.name, ROUTER_RELAY_SERVERS, options->nservers);
		return NULL;
	}
	for (unsigned int i = 0; i < options->nservers; i++)
		if (ip4_net_has(iface->address, options->servers[i])) {
			err_set(err, -EINVAL,
			    "port \"%s\": the DHCP server %s is on its own "
			    "link, and hears the clients there; leave the "
			    "relay out",
			    iface->port.name,
			    ip4_text(text, options->servers[i]));
			return NULL;
		}
	relay = calloc(1, sizeof(*relay));
	if (relay == NULL) {
		err_sys(err, -ENOMEM, NULL, "dhcp relay");
		return NULL;
	}
	relay->options = *options;
	return relay;
}

void
dhcp_relay_free(struct dhcp_relay *relay)
{
	free(relay);
}

/* The interface with a relay whose address is addr, or NULL. */
static struct iface *
relay_at(const struct router *router, uint32_t addr)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];

		if (iface->relay != NULL && iface->address.addr == addr)
			return iface;
	}
	return NULL;
}

static bool
is_server(const struct dhcp_relay *relay, uint32_t addr)
{
	for (unsigned int i = 0; i < relay->options.nservers; i++)
		if (relay->options.servers[i] == addr)
			return true;
	return false;
}

bool
dhcp_relay_wants(const struct packet *p, const struct udp *udp)
{
	const struct dhcp_relayed m = { .bytes = (uint8_t *)udp->data,
		.len = udp->data_bytes };

	if (udp->dport != DHCP_SERVER_PORT)
		return false;
	return dhcp_relay_is_reply(&m)
	    ? relay_at(p->in->router, p->ip.dst) != NULL
	    : p->in->relay != NULL;
}

/* Sends the message: to mac on out, or, if that is NULL, as any packet. */
static enum reason
send_on(struct router *router, const struct datagram *d, struct iface *out,
    const struct mac *mac)
{
	size_t bytes;
	uint8_t *packet = datagram_make(router, d, &bytes);
	enum reason reason;

	if (packet == NULL)
		return DROP_PORT_FULL;
	reason = out != NULL ? output_direct(router, out, mac, packet, bytes)
			     : output_own(router, packet, bytes);
	return reason_is_drop(reason) ? reason : REASON_DHCP_RELAYED;
}

static enum reason
to_server(struct router *router, const struct dhcp_relayed *m, uint32_t server)
{
	struct datagram d = { .dst = server,
		.udp = { .sport = DHCP_SERVER_PORT,
		    .dport = DHCP_SERVER_PORT,
		    .data = m->bytes,
		    .data_bytes = m->len } };
	struct way way;

	if (!way_find(router, server, &way))
		return DROP_NO_ROUTE;
	d.src = way.out->address.addr;
	return send_on(router, &d, NULL, NULL);
}

/* What comes of it is what comes of the best way. */
static enum reason
to_servers(struct router *router, struct iface *in, struct dhcp_relayed *m)
{
	const struct router_dhcp_relay_options *o = &in->relay->options;
	uint32_t other = dhcp_relay_first(m);
	enum reason reason;

	/* Nobody else is at our address (RFC 3046 2.1.1). */
	if (other != 0 && place_find(router, other)->owner != NULL)
		return DROP_DHCP_RELAY;
	reason = dhcp_relay_request(
	    m, in->address.addr, o->info ? in->port.name : NULL);
	if (reason != REASON_DHCP_RELAYED)
		return reason;
	reason = DROP_NO_ROUTE;
	for (unsigned int i = 0; i < o->nservers; i++) {
		enum reason sent = to_server(router, m, o->servers[i]);

		if (reason != REASON_DHCP_RELAYED)
			reason = sent;
	}
	return reason;
}

static enum reason
to_client(struct router *router, const struct packet *p, struct dhcp_relayed *m)
{
	struct iface *out = relay_at(router, p->ip.dst);
	struct dhcp_relay_to to;
	struct datagram d = { .src = out->address.addr };
	enum reason reason;

	if (!is_server(out->relay, p->ip.src))
		return DROP_DHCP_RELAY;
	reason = dhcp_relay_reply(m, out->relay->options.info, &to);
	if (reason != REASON_DHCP_RELAYED)
		return reason;
	if (to.relay != out->address.addr)
		return DROP_DHCP_RELAY;
	d.dst = to.ip;
	d.udp = (struct udp){ .sport = DHCP_SERVER_PORT,
		.dport = DHCP_CLIENT_PORT,
		.data = m->bytes,
		.data_bytes = m->len };
	return send_on(router, &d, out, &to.mac);
}

enum reason
dhcp_relay_take(struct router *router, struct packet *p, const struct udp *udp)
{
	uint8_t bytes[MESSAGE_BYTES];
	struct dhcp_relayed m = {
		.bytes = bytes, .len = udp->data_bytes, .room = sizeof(bytes)
	};

	if (udp->data_bytes > sizeof(bytes))
		return DROP_DHCP;
	if (udp->data_bytes > 0)
		memcpy(bytes, udp->data, udp->data_bytes);
	return dhcp_relay_is_reply(&m) ? to_client(router, p, &m)
				       : to_servers(router, p->in, &m);
}
