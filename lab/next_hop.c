#include "lab/next_hop.h"

#include <errno.h>
#include <string.h>

struct lease {
	const struct mac *mac;
	uint32_t ip;             /* of that MAC */
	const struct port *port; /* the router's, which gave it */
};

static void
find_lease(void *arg, const struct lease_row *row)
{
	struct lease *lease = arg;

	if (!mac_equal(&row->mac, lease->mac) ||
	    (strcmp(row->state, "leased") != 0 &&
		strcmp(row->state, "reserved") != 0))
		return;
	lease->ip = row->ip;
	lease->port = row->port;
}

static struct lease
lease_of(const struct fabric *f, const struct lab_port *port)
{
	struct lease lease = { .mac = &port->mac };

	for (unsigned int i = 0; i < f->lab->nrouters && lease.ip == 0; i++)
		router_each_lease(f->routers[i], find_lease, &lease);
	return lease;
}

uint32_t
next_hop_address(const struct fabric *f, const struct lab_port *port)
{
	uint32_t addr = fabric_address(f, port).addr;

	return addr != 0 ? addr : lease_of(f, port).ip;
}

/* The lab's port with that address, or NULL. */
static const struct lab_port *
owner_of(const struct fabric *f, uint32_t ip)
{
	for (unsigned int i = 0; i < f->lab->nports; i++)
		if (next_hop_address(f, f->lab->ports[i]) == ip)
			return f->lab->ports[i];
	return NULL;
}

/* 01-00-5E and the low 23 bits (RFC 1112, 6.4). */
static struct mac
multicast_mac(uint32_t ip)
{
	return (struct mac){ { 0x01, 0x00, 0x5e, (uint8_t)(ip >> 16 & 0x7f),
	    (uint8_t)(ip >> 8), (uint8_t)ip } };
}

int
next_hop(const struct fabric *f, const struct lab_port *from, uint32_t ip,
    struct mac *mac, struct err *err)
{
	struct ip4_net net = fabric_address(f, from);
	uint32_t via = from->gateway;
	const struct lab_port *owner;
	char text[IP4_TEXT_BYTES];

	if (net.addr == 0) {
		struct lease lease = lease_of(f, from);
		const struct lab_port *router = lease.port == NULL
		    ? NULL
		    : lab_port(f->lab, lease.port->name);

		if (router != NULL) {
			net = fabric_address(f, router);
			via = net.addr;
		}
	}
	if (ip == IP4_BROADCAST ||
	    (net.addr != 0 && ip4_net_broadcast(net) == ip)) {
		*mac = mac_broadcast;
		return 0;
	}
	if (ip4_is_multicast(ip)) {
		*mac = multicast_mac(ip);
		return 0;
	}
	if (net.addr == 0)
		return err_set(err, -ENOENT,
		    "%s has no address yet, so whom it sends to is not known; "
		    "write ether MAC > MAC in front",
		    from->full);
	if (ip4_net_has(net, ip))
		via = ip;
	ip4_text(text, via != 0 ? via : ip);
	if (via == 0)
		return err_set(err, -ENOENT,
		    "%s has no way to %s: it is not in its subnet, and there "
		    "is no gateway; write ether MAC > MAC in front",
		    from->full, text);
	owner = owner_of(f, via);
	if (owner == NULL)
		return err_set(err, -ENOENT,
		    "no port of the lab has the address %s; write ether MAC > "
		    "MAC in front",
		    text);
	*mac = owner->mac;
	return 0;
}
