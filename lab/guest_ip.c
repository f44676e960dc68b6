#include "lab/guest_ip.h"

#include <string.h>

/* Is there a port in port's segment that satisfies test? */
static bool
some_there(const struct segments *segments, const struct lab_port *port,
    bool (*test)(const struct lab_port *port))
{
	const struct lab *lab = segments->lab;
	size_t here, there;

	if (!segment_of(segments, port, &here))
		return false;
	for (unsigned int i = 0; i < lab->nports; i++)
		if (test(lab->ports[i]) &&
		    segment_of(segments, lab->ports[i], &there) &&
		    there == here)
			return true;
	return false;
}

static bool
routes_ip6(const struct lab_port *port)
{
	return port->kind == LAB_ROUTER && port->address6.n > 0;
}

/* The item is the first member of its owner. */
static bool
is_generator(const struct lab_port *port)
{
	return strncmp(((const struct lab_plug *)port->owner)->locator,
		   "traffic:", strlen("traffic:")) == 0;
}

/* What is not of the lab may speak anything, as may a kernel of the user's. */
static bool
has_ip4(const struct lab_port *port)
{
	if (port->address.addr != 0 || port->dhcp.first != 0 ||
	    port->relay.n > 0 || port->kind == LAB_BRIDGE)
		return true;
	if (port->kind == LAB_PLUG)
		return !is_generator(port);
	return port->kind == LAB_VM &&
	    ((const struct lab_vm *)port->owner)->kernel != NULL;
}

static bool
speaks_ip6_alone(const struct segments *segments, const struct lab_port *port)
{
	return (port->address6.n > 0 ||
		   some_there(segments, port, routes_ip6)) &&
	    !some_there(segments, port, has_ip4);
}

void
guest_ip_resolve(struct lab *lab)
{
	struct segments segments;

	segments_init(&segments, lab);
	segments_join_all(&segments);
	for (unsigned int i = 0; i < lab->nvms; i++)
		for (unsigned int k = 0; k < lab->vms[i].nports; k++) {
			struct lab_port *port = &lab->vms[i].ports[k];

			port->asks_dhcp = port->address.addr == 0 &&
			    !speaks_ip6_alone(&segments, port);
		}
}

static char *
words4(struct arena *arena, const struct lab_port *port, const char *line)
{
	char net[NET_TEXT_BYTES], gw[IP4_TEXT_BYTES], dns[IP4_TEXT_BYTES];

	if (port->address.addr == 0)
		return arena_printf(arena, "%s lanyard.%s=%s", line,
		    port->item.name, port->asks_dhcp ? "dhcp" : "none");
	return arena_printf(arena, "%s lanyard.%s=%s%s%s%s%s", line,
	    port->item.name, ip4_net_text(net, port->address),
	    port->gateway != 0 ? ",gw=" : "",
	    port->gateway != 0 ? ip4_text(gw, port->gateway) : "",
	    port->dns != 0 ? ",dns=" : "",
	    port->dns != 0 ? ip4_text(dns, port->dns) : "");
}

static char *
list6(struct arena *arena, const struct lab_port *port, char *line)
{
	const char *separator = "=";
	char text[IP6_NET_TEXT_BYTES];

	for (unsigned int i = 0; i < port->address6.n && line != NULL; i++) {
		line = arena_printf(arena, "%s%s%s", line, separator,
		    ip6_net_text(text, &port->address6.net[i]));
		separator = ",";
	}
	if (port->address6.n == 0 && line != NULL)
		line = arena_printf(arena, "%s=auto", line);
	for (unsigned int i = 0; i < port->gateway6.n && line != NULL; i++)
		line = arena_printf(arena, "%s,gw=%s", line,
		    ip6_text(text, &port->gateway6.addr[i]));
	for (unsigned int i = 0; i < port->dns6.n && line != NULL; i++)
		line = arena_printf(arena, "%s,dns=%s", line,
		    ip6_text(text, &port->dns6.addr[i]));
	return line;
}

char *
guest_ip_words(struct arena *arena, const struct segments *segments,
    const struct lab_port *port, const char *line)
{
	char *out = words4(arena, port, line);

	if (out == NULL)
		return NULL;
	if (port->address6.word == NETS6_NONE)
		return arena_printf(
		    arena, "%s lanyard.%s.ip6=none", out, port->item.name);
	if (port->address6.word != NETS6_AUTO && port->address6.n == 0 &&
	    port->dns6.n == 0 && !some_there(segments, port, routes_ip6))
		return out;
	out = arena_printf(arena, "%s lanyard.%s.ip6", out, port->item.name);
	return out != NULL ? list6(arena, port, out) : NULL;
}

/* ---- which they come to have ---- */

static bool
advertises(const struct lab_port *port)
{
	return port->kind == LAB_ROUTER && port->ra.item.node != NULL &&
	    port->ra.autonomous;
}

unsigned int
guest_ip6(const struct lab *lab, const struct lab_port *port,
    struct ip6_addr *addr, unsigned int max)
{
	const struct ip6_addr id = ip6_link_local(&port->mac);
	struct segments segments;
	unsigned int n = 0;
	size_t here, there;

	for (unsigned int i = 0; i < port->address6.n && n < max; i++)
		addr[n++] = port->address6.net[i].addr;
	segments_init(&segments, lab);
	segments_join_all(&segments);
	if (port->kind != LAB_VM || port->address6.word == NETS6_NONE ||
	    !segment_of(&segments, port, &here))
		return n;
	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *router = lab->ports[i];

		if (!advertises(router) ||
		    !segment_of(&segments, router, &there) || there != here)
			continue;
		for (unsigned int k = 0; k < router->address6.n && n < max; k++)
			if (router->address6.net[k].prefix == 64) {
				addr[n] = router->address6.net[k].addr;
				memcpy(addr[n++].b + 8, id.b + 8, 8);
			}
	}
	return n;
}
