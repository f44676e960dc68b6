/*
 * Frames that a protocol reads are few, so it is handed a contiguous copy on
 * the stack; the rest of the switch knows of protocols only which reserved
 * addresses are claimed, and who restricts groups.
 */
#include "switch/protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "net/membership.h"
#include "switch/switch_state.h"

#define SNOOP_BYTES 96 /* of a frame: where all that is looked at lies */

/* ---- what is for a protocol ---- */

/* IPv6 multicast listener discovery always has a hop-by-hop header. */
static bool
is_snooped_ip6(struct cursor *c)
{
	const uint8_t *ip = cur_bytes(c, IP6_HEADER_BYTES);
	const uint8_t *ext = cur_bytes(c, 8);

	if (c->overrun)
		return false;
	if (ip[6] != IP_HOP_BY_HOP)
		return ip[6] == IP_PIM;
	cur_skip(c, (size_t)ext[1] * 8);
	return ext[0] == IP_ICMP6 && membership_is_mld(cur_u8(c));
}

bool
protocol_is_snooped(const struct lan_switch *sw, const struct passing *p)
{
	uint8_t bytes[SNOOP_BYTES];
	size_t n =
	    p->frame->head < sizeof(bytes) ? p->frame->head : sizeof(bytes);
	struct cursor c = cursor(bytes, n);
	struct eth eth;
	const uint8_t *ip;

	if (sw->snooper == NULL || !mac_is_group(&p->head->dst))
		return false;
	memcpy(bytes, p->frame->data, n);
	if (eth_parse(&eth, &c) != DROP_NONE)
		return false;
	if (eth.type == ETH_IPV6)
		return is_snooped_ip6(&c);
	ip = cur_bytes(&c, IP4_HEADER_BYTES);
	return eth.type == ETH_IPV4 && ip != NULL &&
	    (ip[9] == IP_IGMP || ip[9] == IP_PIM);
}

static bool
wants(const struct switch_protocol *protocol, const struct mac *dst)
{
	return is_reserved(dst) ? protocol->ops->reserved >> dst->b[5] & 1
				: protocol->ops->snoops;
}

const char *
protocol_of(const struct lan_switch *sw, const struct passing *p)
{
	bool snooped = protocol_is_snooped(sw, p);

	for (const struct switch_protocol *a = sw->protocols; a != NULL;
	     a = a->next)
		if (wants(a, &p->head->dst) &&
		    (snooped || is_reserved(&p->head->dst)))
			return a->ops->name;
	return NULL;
}

static void
describe_frame(struct switch_input *in, const struct passing *p)
{
	struct cursor c = cursor(in->bytes, in->len);
	struct eth eth = { .nvlans = 0 };

	if (eth_parse(&eth, &c) != DROP_NONE)
		c.at = c.end;
	in->payload = (size_t)(c.at - in->bytes);
	in->type = eth.type;
	in->tagged = eth.nvlans > 0;
	in->vlan = p->tag.vlan;
}

enum reason
protocol_take(struct switch_port *wire, struct passing *p, uint64_t now_ns)
{
	struct lan_switch *sw = wire->sw;
	uint8_t bytes[SWITCH_INPUT_BYTES];
	struct switch_input in = {
		.bytes = bytes,
		.len = p->frame->len < sizeof(bytes) ? p->frame->len
						     : sizeof(bytes),
		.frame_len = p->frame->len,
		.now_ns = now_ns,
	};
	const struct mac dst = p->head->dst;
	enum reason reason = REASON_NONE;

	frame_copy(bytes, p->frame, 0, in.len);
	memcpy(bytes, p->head, 2 * sizeof(struct mac)); /* as decided upon */
	/* The source is a group, or the header is not whole: nobody's. */
	if (mac_is_group(&p->head->src))
		return DROP_ETH_SOURCE;
	describe_frame(&in, p);
	for (struct switch_protocol *a = sw->protocols, *next;
	     a != NULL && reason == REASON_NONE; a = next) {
		next = a->next;
		if (!wants(a, &dst))
			continue;
		in.port = a->ops->wires ? &wire->port : &wire->lead->port;
		reason = a->ops->input(a, &in);
	}
	p->only = in.only;
	return reason;
}

/* ---- joining ---- */

static void
tell_port(void *arg, struct port *port)
{
	struct switch_protocol *protocol = arg;

	if (protocol->ops->port_added != NULL)
		protocol->ops->port_added(protocol, port);
	if (protocol->ops->link != NULL && switch_port_link(port))
		protocol->ops->link(protocol, port, true);
}

static void
claims_changed(struct lan_switch *sw)
{
	sw->reserved_claimed = 0;
	sw->snooper = NULL;
	for (struct switch_protocol *a = sw->protocols; a != NULL;
	     a = a->next) {
		sw->reserved_claimed |= a->ops->reserved;
		if (a->ops->group != NULL)
			sw->snooper = a;
	}
	guard_set_off(sw,
	    sw->guard_unwanted ||
		(sw->reserved_claimed >> RESERVED_BRIDGE & 1) != 0);
}

int
switch_join(struct lan_switch *sw, struct switch_protocol *protocol)
{
	if (protocol->ops->group != NULL && sw->snooper != NULL)
		return -EBUSY;
	protocol->sw = sw;
	protocol->next = sw->protocols;
	sw->protocols = protocol;
	claims_changed(sw);
	switch_each_port(sw, protocol->ops->wires, tell_port, protocol);
	return 0;
}

void
switch_leave(struct switch_protocol *protocol)
{
	struct lan_switch *sw = protocol->sw;
	struct switch_protocol **at;

	if (sw == NULL)
		return;
	at = &sw->protocols;
	while (*at != protocol)
		at = &(*at)->next;
	*at = protocol->next;
	protocol->sw = NULL;
	claims_changed(sw);
}

void
protocol_added(struct switch_port *port, bool wire)
{
	for (struct switch_protocol *a = port->sw->protocols; a != NULL;
	     a = a->next)
		if (a->ops->wires == wire && a->ops->port_added != NULL)
			a->ops->port_added(a, &port->port);
}

void
protocol_removed(struct switch_port *port, bool wire)
{
	for (struct switch_protocol *a = port->sw->protocols; a != NULL;
	     a = a->next)
		if (a->ops->wires == wire && a->ops->port_removed != NULL)
			a->ops->port_removed(a, &port->port);
}

void
protocol_link(struct switch_port *port, bool wire, bool up)
{
	for (struct switch_protocol *a = port->sw->protocols; a != NULL;
	     a = a->next)
		if (a->ops->wires == wire && a->ops->link != NULL)
			a->ops->link(a, &port->port, up);
}

void
protocol_set(struct switch_port *port)
{
	for (struct switch_protocol *a = port->sw->protocols; a != NULL;
	     a = a->next)
		if (a->ops->set != NULL)
			a->ops->set(a, &port->port);
}

static void
protocol_flushed(const struct switch_port *port)
{
	for (struct switch_protocol *a = port->sw->protocols; a != NULL;
	     a = a->next)
		if (a->ops->flushed != NULL)
			a->ops->flushed(a, &switch_port_of(&port->port)->port);
}

/* ---- what a switch offers ---- */

void
switch_free_later(struct lan_switch *sw, void *memory)
{
	struct later *later;

	if (memory == NULL)
		return;
	later = sw->busy > 0 ? malloc(sizeof(*later)) : NULL;
	if (sw->busy > 0 && later == NULL)
		return; /* better lost than in use */
	if (later == NULL) {
		free(memory);
		return;
	}
	*later = (struct later){ sw->later, memory };
	sw->later = later;
}

void
later_free(struct lan_switch *sw)
{
	while (sw->later != NULL) {
		struct later *later = sw->later;

		sw->later = later->next;
		free(later->memory);
		free(later);
	}
}

struct mac
switch_mac(const struct lan_switch *sw)
{
	return sw->mac;
}

struct mac
switch_port_mac(const struct port *port)
{
	return mac_of_name(port->name);
}

struct loop *
switch_loop(const struct lan_switch *sw)
{
	return sw->loop;
}

uint64_t
switch_secret(const struct lan_switch *sw)
{
	return sw->guard.seed;
}

unsigned int
switch_port_index(const struct port *port)
{
	return switch_port_of(port)->index;
}

struct port *
switch_bridge_port(const struct port *wire)
{
	return &switch_port_of(wire)->lead->port;
}

bool
switch_port_link(const struct port *port)
{
	const struct switch_port *p = switch_port_of(port);

	return p->bond != NULL ? p->up : p->linked;
}

void
switch_each_port(struct lan_switch *sw, bool wires,
    void (*each)(void *arg, struct port *port), void *arg)
{
	for (unsigned int i = SELF_INDEX + 1; i < sw->nports; i++) {
		struct switch_port *p = sw->port[i];

		if (p == NULL)
			continue;
		if (wires ? p->bond == NULL : p->lead == p)
			each(arg, &p->port);
	}
}

enum reason
switch_send(struct port *port, const void *bytes, size_t len)
{
	struct switch_port *p = switch_port_of(port);
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	if (p->bond != NULL) {
		if (p->bond->nsending == 0)
			return DROP_LINK_DOWN;
		p = p->bond->wire[0];
	}
	port_send(&p->port, &burst);
	return (enum reason)burst.frame[0].verdict.reason;
}

static void
send_into(
    struct switch_port *port, uint16_t vlan, const void *bytes, size_t len)
{
	const struct verdict sent = { .node = &port->sw->node,
		.out = &port->port,
		.reason = REASON_SENT,
		.nout = 1 };
	struct burst burst;
	struct plan plan;

	burst_clear(&burst);
	burst_add(&burst, bytes, len)->verdict = sent;
	plan.to[0] = port->index;
	plan.tag[0] = (struct tagging){ .vlan = vlan, .tpid = ETH_VLAN };
	memset(&plan.head[0], 0, sizeof(plan.head[0]));
	memcpy(&plan.head[0], bytes,
	    len < sizeof(plan.head[0]) ? len : sizeof(plan.head[0]));
	egress_special(port, &burst, &plan, &port->sw->self, 0);
}

unsigned int
switch_send_vlan(struct lan_switch *sw, uint16_t vlan,
    const struct port_set *only, const void *bytes, size_t len)
{
	unsigned int n = 0;

	sw->busy++;
	for (unsigned int i = SELF_INDEX + 1; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i];

		if (port == NULL || !port->up ||
		    (only != NULL && !port_set_has(only, i)) ||
		    decide_exit(&sw->self, port, vlan) != DROP_NONE)
			continue;
		send_into(port, vlan, bytes, len);
		n++;
	}
	if (--sw->busy == 0)
		later_free(sw);
	return n;
}

/* ---- trees ---- */

int
switch_set_tree(struct lan_switch *sw, uint16_t vlan, unsigned int tree)
{
	assert(tree < SWITCH_TREES);
	if (sw->tree_of == NULL && tree != 0) {
		sw->tree_of = calloc(VLAN_MAX + 2, 1);
		if (sw->tree_of == NULL)
			return -ENOMEM;
	}
	if (sw->tree_of != NULL)
		sw->tree_of[vlan & 0xfff] = (uint8_t)tree;
	return 0;
}

void
switch_set_state(struct port *port, unsigned int tree, enum switch_state state)
{
	struct switch_port *p = switch_port_of(port);
	uint64_t bit = UINT64_C(1) << tree;

	assert(tree < SWITCH_TREES);
	p->learns &= ~bit;
	p->forwards &= ~bit;
	switch (state) {
	case SWITCH_DISCARDING: break;
	case SWITCH_FORWARDING: p->forwards |= bit; /* fall through */
	case SWITCH_LEARNING: p->learns |= bit; break;
	}
	if (p->forwards == UINT64_MAX)
		port_flags(p, 0, PORT_STATES);
	else
		port_flags(p, PORT_STATES, 0);
}

enum switch_state
switch_get_state(const struct port *port, unsigned int tree)
{
	const struct switch_port *p = switch_port_of(port);

	if (p->forwards >> tree & 1)
		return SWITCH_FORWARDING;
	return p->learns >> tree & 1 ? SWITCH_LEARNING : SWITCH_DISCARDING;
}

struct in_tree {
	const struct lan_switch *sw;
	unsigned int tree;
};

static bool
is_in_tree(const void *arg, uint16_t vlan)
{
	const struct in_tree *in = arg;

	return tree_of(in->sw, vlan) == in->tree;
}

void
switch_flush(struct port *port, unsigned int tree)
{
	const struct switch_port *p = switch_port_of(port);
	const struct in_tree in = { p->sw, tree };

	fdb_forget_port(p->sw->fdb, p->index,
	    tree == SWITCH_ALL_TREES ? NULL : is_in_tree, &in);
	protocol_flushed(p);
}
