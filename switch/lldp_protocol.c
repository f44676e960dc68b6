#include "switch/lldp_protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/eth.h"
#include "switch/bond.h"
#include "switch/vlan.h"

#define FRAME_BYTES    1514
#define ETH_EXTRA      (ETH_HEADER_BYTES + 4) /* and FCS */
#define VLAN_NAME_ROOM 12                     /* "VLAN 4094" */

struct lldp_protocol {
	struct switch_protocol protocol; /* first */
	struct lldp_protocol_options options;
	struct lldp_agent *agent;
	struct loop_timer timer;
	struct loop_defer defer;
	struct port **port; /* by index; NULL: none */
	unsigned int nports;
};

static struct lldp_protocol *
lldp_of(const struct switch_protocol *protocol)
{
	return (struct lldp_protocol *)(uintptr_t)protocol;
}

static uint64_t
now_of(const struct lldp_protocol *p)
{
	return loop_now_ns(switch_loop(p->protocol.sw));
}

static void
run(void *arg)
{
	struct lldp_protocol *p = arg;
	uint64_t next = lldp_agent_run(p->agent, now_of(p));

	if (next == LLDP_AGENT_NEVER)
		loop_timer_unset(&p->timer);
	else
		loop_timer_set(&p->timer, next);
}

static bool
has_port(const struct lldp_protocol *p, const struct port *port)
{
	unsigned int index = switch_port_index(port);

	return index < p->nports && p->port[index] == port;
}

/* ---- what is said ---- */

static struct lldp_bytes
bytes_of(const void *data, size_t len)
{
	return (struct lldp_bytes){ .data = data,
		.len = (uint16_t)(len < LLDP_TEXT_MAX ? len : LLDP_TEXT_MAX) };
}

static struct lldp_bytes
text(const char *s)
{
	return bytes_of(s, strlen(s));
}

static void
add_vlan(struct lldp *l, char name[][VLAN_NAME_ROOM], uint16_t vlan)
{
	unsigned int i = l->nvlans;

	if (i == LLDP_VLANS_MAX)
		return;
	snprintf(name[i], VLAN_NAME_ROOM, "VLAN %u", vlan);
	l->vlan[i] = (struct lldp_vlan){ .id = vlan, .name = text(name[i]) };
	l->nvlans++;
}

/* name has room for LLDP_VLANS_MAX of them. */
static void
say_vlans(struct lldp *l, const struct port *port, char name[][VLAN_NAME_ROOM])
{
	struct vlan_options vlans;

	switch_get_vlan(port, &vlans);
	if (vlans.mode == VLAN_TRANSPARENT)
		return;
	l->has_pvid = true;
	l->pvid = vlans.vlan;
	if (vlans.vlan != 0)
		add_vlan(l, name, vlans.vlan);
	for (uint16_t v = 1; vlans.mode == VLAN_TRUNK && v <= VLAN_MAX; v++)
		if (v != vlans.vlan && vlan_set_has(&vlans.allowed, v))
			add_vlan(l, name, v);
}

static void
say_bond(struct lldp *l, const struct port *port)
{
	const struct port *bond = switch_bridge_port(port);

	l->has_aggregation = true;
	l->aggregation = LLDP_AGGREGATION_CAPABLE;
	if (bond == port)
		return;
	/* Where it tells something, also as those expect it who only know the
	 * part that was before. */
	l->has_old_aggregation = true;
	l->aggregation |= LLDP_AGGREGATION_ENABLED;
	l->aggregation_port = switch_port_index(bond);
}

static void
say(void *arg, unsigned int index, uint16_t ttl_s)
{
	struct lldp_protocol *p = arg;
	struct port *port = p->port[index];
	struct lan_switch *sw = p->protocol.sw;
	struct mac mac = switch_mac(sw), from = switch_port_mac(port);
	char to[NODE_NAME_BYTES + 16], vlan[LLDP_VLANS_MAX][VLAN_NAME_ROOM];
	uint32_t mtu = switch_mtu(switch_bridge_port(port));
	uint8_t frame[FRAME_BYTES], address[4];
	struct writer w = writer(frame, sizeof(frame));
	struct lldp l = {
		.chassis = { LLDP_CHASSIS_MAC, bytes_of(mac.b, 6) },
		.port = { LLDP_PORT_IFNAME, text(port->name) },
		.ttl_s = ttl_s,
		.name = text(switch_node(sw)->name),
		.description = text(p->options.description),
		.has_capabilities = true,
		.capabilities = LLDP_CAN_BRIDGE,
		.enabled = LLDP_CAN_BRIDGE,
		.max_frame_bytes =
		    (uint16_t)((mtu != 0 ? mtu : ETH_MTU) + ETH_EXTRA),
		.nmgmt = 1,
		.mgmt = { { .family = LLDP_FAMILY_MAC,
		    .address = bytes_of(mac.b, 6),
		    .number_subtype = LLDP_IFNUMBER_IFINDEX,
		    .number = index } },
	};

	if (ttl_s == 0) { /* goodbye takes no more (9.1.2) */
		l = (struct lldp){ .chassis = l.chassis, .port = l.port };
		lldp_write(&w, &from, &l);
		switch_send(port, frame, (size_t)(w.at - frame));
		return;
	}
	if (port->peer != NULL) {
		snprintf(to, sizeof(to), "cable to %s", port->peer->name);
		l.port_description = text(to);
	}
	if (p->options.address != 0) {
		put_be32(address, p->options.address);
		l.mgmt[0].family = LLDP_FAMILY_IP4;
		l.mgmt[0].address = bytes_of(address, sizeof(address));
	}
	say_vlans(&l, switch_bridge_port(port), vlan);
	say_bond(&l, port);
	lldp_write(&w, &from, &l);
	assert(!w.overrun);
	switch_send(port, frame, (size_t)(w.at - frame));
}

/* ---- what the switch tells ---- */

static enum reason
input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct lldp_protocol *p = lldp_of(protocol);
	enum reason reason;

	if (in->type != ETH_LLDP || !has_port(p, in->port))
		return REASON_NONE;
	if (in->len < in->frame_len)
		return DROP_LLDP;
	reason = lldp_agent_receive(p->agent, switch_port_index(in->port),
	    in->bytes + in->payload, in->len - in->payload, in->now_ns);
	loop_defer_ask(&p->defer);
	return reason;
}

static void
port_added(struct switch_protocol *protocol, struct port *port)
{
	struct lldp_protocol *p = lldp_of(protocol);
	unsigned int index = switch_port_index(port);

	if (index >= p->nports) {
		struct port **more =
		    reallocarray(p->port, index + 1, sizeof(more[0]));

		if (more == NULL)
			return;
		p->port = more;
		while (p->nports <= index)
			more[p->nports++] = NULL;
	}
	if (lldp_agent_add(p->agent, index) == 0)
		p->port[index] = port;
}

static void
port_removed(struct switch_protocol *protocol, struct port *port)
{
	struct lldp_protocol *p = lldp_of(protocol);

	if (!has_port(p, port))
		return;
	lldp_agent_remove(p->agent, switch_port_index(port));
	p->port[switch_port_index(port)] = NULL;
}

static void
link(struct switch_protocol *protocol, struct port *port, bool up)
{
	struct lldp_protocol *p = lldp_of(protocol);

	if (!has_port(p, port))
		return;
	lldp_agent_link(p->agent, switch_port_index(port), up, now_of(p));
	loop_defer_ask(&p->defer);
}

/* There is something else to say, by all wires of a bond. */
static void
set(struct switch_protocol *protocol, struct port *port)
{
	struct lldp_protocol *p = lldp_of(protocol);

	for (unsigned int i = 0; i < p->nports; i++)
		if (p->port[i] != NULL &&
		    switch_bridge_port(p->port[i]) == port)
			lldp_agent_changed(p->agent, i, now_of(p));
	loop_defer_ask(&p->defer);
}

static const struct switch_protocol_ops ops = {
	.name = "lldp",
	.wires = true,
	.reserved = 1 << RESERVED_NEAREST,
	.input = input,
	.port_added = port_added,
	.port_removed = port_removed,
	.link = link,
	.set = set,
};

/* ---- all of it ---- */

struct lldp_protocol *
lldp_protocol_new(struct lan_switch *sw,
    const struct lldp_protocol_options *options, struct err *err)
{
	struct lldp_protocol *p = calloc(1, sizeof(*p));

	if (p == NULL)
		goto fail;
	p->options = *options;
	p->protocol.ops = &ops;
	p->agent = lldp_agent_new(&options->agent, say, p);
	if (p->agent == NULL)
		goto fail;
	loop_timer_init(&p->timer, switch_loop(sw), run, p);
	loop_defer_init(&p->defer, switch_loop(sw), run, p);
	switch_join(sw, &p->protocol);
	return p;
fail:
	free(p);
	err_sys(err, -ENOMEM, NULL, "%s", switch_node(sw)->name);
	return NULL;
}

void
lldp_protocol_stop(struct lldp_protocol *lldp)
{
	lldp_agent_stop(lldp->agent, now_of(lldp));
}

void
lldp_protocol_free(struct lldp_protocol *lldp)
{
	if (lldp == NULL)
		return;
	loop_timer_unset(&lldp->timer);
	loop_defer_cancel(&lldp->defer);
	switch_leave(&lldp->protocol);
	lldp_agent_free(lldp->agent);
	free(lldp->port);
	free(lldp);
}

struct walk {
	const struct lldp_protocol *lldp;
	void (*each)(void *arg, const struct port *port,
	    const struct lldp *neighbour, uint64_t left_ns);
	void *arg;
};

static void
walk_port(
    void *arg, unsigned int port, const struct lldp *lldp, uint64_t left_ns)
{
	const struct walk *walk = arg;

	walk->each(walk->arg, walk->lldp->port[port], lldp, left_ns);
}

void
lldp_protocol_each(const struct lldp_protocol *lldp,
    void (*each)(void *arg, const struct port *port,
	const struct lldp *neighbour, uint64_t left_ns),
    void *arg)
{
	struct walk walk = { lldp, each, arg };

	lldp_agent_each(lldp->agent, now_of(lldp), walk_port, &walk);
}
