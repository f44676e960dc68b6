#include "lab/draw.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lab/draw_node.h"
#include "lab/port_kinds.h"

const char *const draw_formats[] = {
	[DRAW_TEXT] = "text",
	[DRAW_DOT] = "dot",
	[DRAW_MERMAID] = "mermaid",
	[DRAW_SVG] = "svg",
	NULL,
};

/* ---- nodes ---- */

static void add_line(struct draw_node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_line(struct draw_node *node, const char *format, ...)
{
	va_list args;

	if (node->nlines == DRAW_LINES)
		return;
	va_start(args, format);
	vsnprintf(node->line[node->nlines++], DRAW_TEXT_BYTES, format, args);
	va_end(args);
}

/* The node of an item, or the one before if both came from one entry. */
static struct draw_node *
add_node(struct draw_lab *draw, enum lab_kind kind, const struct lab_item *item,
    const struct lab_item *before, struct lab_port *ports, unsigned int nports)
{
	struct draw_node *node;

	if (before != NULL && before->node == item->node && draw->nnodes > 0) {
		draw->nodes[draw->nnodes - 1].count++;
		return NULL;
	}
	node = &draw->nodes[draw->nnodes++];
	*node = (struct draw_node){
		.name = item->node->key,
		.kind = kind,
		.count = 1,
		.ports = ports,
		.nports = nports,
	};
	return node;
}

static void
add_router(struct draw_lab *draw, struct lab_router *router)
{
	struct draw_node *node = add_node(draw, LAB_ROUTER, &router->item, NULL,
	    router->ports, router->nports);

	add_line(node, "router");
	if (router->nat.item.node != NULL)
		add_line(node, "NAT at %s", router->nat.outside);
	if (router->pcp.item.node != NULL)
		add_line(node, "PCP");
	for (unsigned int k = 0; k < router->nports; k++)
		if (router->ports[k].dhcp.first != 0)
			add_line(
			    node, "DHCP at %s", router->ports[k].item.name);
		else if (router->ports[k].relay.n > 0)
			add_line(node, "DHCP relay at %s",
			    router->ports[k].item.name);
}

static void
add_vm(struct draw_lab *draw, unsigned int i)
{
	struct lab_vm *vm = &draw->lab->vms[i];
	struct draw_node *node = add_node(draw, LAB_VM, &vm->item,
	    i > 0 ? &vm[-1].item : NULL, vm->ports, vm->nports);

	if (node == NULL)
		return;
	if (vm->kernel != NULL)
		add_line(node, "VM");
	else if (vm->guest == GUEST_DISK)
		add_line(node, "VM from its disk");
	else
		add_line(node, "%s VM", lab_guests[vm->guest]);
	for (unsigned int k = 0; k < vm->ndisks; k++)
		if (vm->disks[k].file != NULL)
			add_line(node, "disk %s%s", vm->disks[k].file,
			    vm->disks[k].read_only ? ", read-only" : "");
}

static void
add_host(struct draw_lab *draw, unsigned int i)
{
	struct lab_host *host = &draw->lab->hosts[i];
	struct draw_node *node = add_node(draw, LAB_HOST, &host->item,
	    i > 0 ? &host[-1].item : NULL, &host->port, 1);

	if (node == NULL)
		return;
	add_line(node, "host");
	if (host->send.item.node != NULL)
		add_line(node, "sends %s",
		    host->send.protocol == 0 ? "UDP" : "pings");
}

static void
add_plug(struct draw_lab *draw, struct lab_plug *plug)
{
	struct draw_node *node =
	    add_node(draw, LAB_PLUG, &plug->item, NULL, &plug->port, 1);
	size_t len = strlen(plug->locator);

	if (port_kind_of(port_kinds, plug->locator) == &port_traffic) {
		add_line(node, "%.*s", (int)strcspn(plug->locator, "?"),
		    plug->locator);
		return;
	}
	/* The end of a long path says more than its beginning. */
	add_line(node, "%.*s%s", (int)strcspn(plug->locator, "/"),
	    plug->locator,
	    len <= 30 ? plug->locator + strcspn(plug->locator, "/")
		      : plug->locator + len - 20);
}

static void
add_bridge(struct draw_lab *draw, struct lab_bridge *bridge)
{
	struct draw_node *node =
	    add_node(draw, LAB_BRIDGE, &bridge->item, NULL, &bridge->port, 1);

	if (bridge->mode == BRIDGE_HOST_ONLY)
		add_line(node, "the host, no way out");
	else if (bridge->mode == BRIDGE_MONITOR)
		add_line(node, "WiFi by %s", bridge->nic);
	else
		add_line(node, "NIC %s%s%s", bridge->nic,
		    bridge->mode == BRIDGE_MAC_NAT ? ", MAC-NAT" : "",
		    bridge->host ? ", the host too" : "");
}

int
draw_lab_init(struct draw_lab *draw, const struct lab *lab)
{
	size_t nnodes = (size_t)lab->nrouters + lab->nvms + lab->nhosts +
	    lab->nplugs + lab->nbridges;

	*draw = (struct draw_lab){ .lab = lab };
	draw->nodes = arena_array(lab->arena, nnodes, sizeof(draw->nodes[0]));
	draw->buses = arena_array(
	    lab->arena, lab->nswitches + lab->nports, sizeof(draw->buses[0]));
	if (draw->nodes == NULL || draw->buses == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < lab->nswitches; i++)
		draw->buses[draw->nbuses++].sw = &lab->switches[i];
	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *p = lab->ports[i];

		if (p->peer != NULL && strcmp(p->full, p->peer->full) < 0)
			draw->buses[draw->nbuses++].end = p;
	}
	for (unsigned int i = 0; i < lab->nvms; i++)
		add_vm(draw, i);
	for (unsigned int i = 0; i < lab->nhosts; i++)
		add_host(draw, i);
	for (unsigned int i = 0; i < lab->nrouters; i++)
		add_router(draw, &lab->routers[i]);
	for (unsigned int i = 0; i < lab->nplugs; i++)
		add_plug(draw, &lab->plugs[i]);
	for (unsigned int i = 0; i < lab->nbridges; i++)
		add_bridge(draw, &lab->bridges[i]);
	return 0;
}

/* ---- buses ---- */

unsigned int
draw_bus_of_switch(const struct draw_lab *draw, const struct lab_switch *sw)
{
	return (unsigned int)(sw - draw->lab->switches);
}

unsigned int
draw_bus_of(const struct draw_lab *draw, const struct lab_port *port)
{
	const struct lab_port *end = port;

	if (port->sw != NULL)
		return draw_bus_of_switch(draw, port->sw);
	if (strcmp(port->peer->full, port->full) < 0)
		end = port->peer;
	for (unsigned int b = draw->lab->nswitches; b < draw->nbuses; b++)
		if (draw->buses[b].end == end)
			return b;
	return 0; /* not reached: each cable has its bus */
}

const char *
draw_bus_name(const struct draw_bus *bus)
{
	return bus->sw != NULL ? bus->sw->item.name : "cable";
}

char *
draw_address(char out[DRAW_TEXT_BYTES], const struct lab_port *port)
{
	char net[NET_TEXT_BYTES], net6[IP6_NET_TEXT_BYTES] = "";

	if (port->address6.n > 0)
		ip6_net_text(net6, &port->address6.net[0]);
	if (port->address.addr != 0)
		snprintf(out, DRAW_TEXT_BYTES, "%s%s%s",
		    ip4_net_text(net, port->address),
		    net6[0] != '\0' ? " " : "", net6);
	else if (net6[0] != '\0')
		snprintf(out, DRAW_TEXT_BYTES, "%s", net6);
	else
		snprintf(out, DRAW_TEXT_BYTES, "%s",
		    port->asks_dhcp || port->by_dhcp ? "by DHCP"
			: port->kind == LAB_VM       ? "by RA"
						     : "");
	return out;
}

int
draw(const struct lab *lab, enum draw_format format, unsigned int width,
    FILE *out)
{
	struct draw_lab it;
	int e = draw_lab_init(&it, lab);

	if (e < 0)
		return e;
	switch (format) {
	case DRAW_TEXT:
		fprintf(out, "%s%s%s\n\n", lab->name,
		    lab->description != NULL ? ": " : "",
		    lab->description != NULL ? lab->description : "");
		e = draw_diagram(&it, width, out);
		if (e == -E2BIG) {
			draw_outline(&it, out);
			e = 0;
		}
		return e;
	case DRAW_DOT: draw_dot(&it, out); return 0;
	case DRAW_MERMAID: draw_mermaid(&it, out); return 0;
	case DRAW_SVG: return draw_svg(&it, out);
	}
	return 0;
}
