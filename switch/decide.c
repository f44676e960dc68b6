/*
 * Where a frame goes, and why, in the order of IEEE 802.1Q-2018, 8.6: what may
 * come in (8.6.1, 8.6.2), where its destination is (8.6.3), what may leave
 * (8.6.1, 8.6.4).  Nothing here changes anything, so that the same functions
 * explain a frame that was never sent.  What has a memory lies between them, in
 * forward.c: learning, and the counting of storms.
 */
#include "switch/switch_state.h"

#include <errno.h>

/* What a provider's VLAN passes of the reserved addresses: those of customers'
 * bridges, 0, B, C, D and F (table 8-2). */
#define PROVIDER_PASSES 0xb801

/* ---- coming in ---- */

uint32_t
payload_bytes(const struct frame *frame, const struct head *head)
{
	uint32_t headers = ETH_HEADER_BYTES, bytes = frame->len;
	uint16_t type = get_be16(head->type);

	if (type == ETH_VLAN || type == ETH_QINQ)
		headers += ETH_VLAN_BYTES;
	if (headers > ETH_HEADER_BYTES && frame->head >= headers) {
		type = get_be16(frame->data + headers - 2);
		if (type == ETH_VLAN || type == ETH_QINQ)
			headers += ETH_VLAN_BYTES;
	}
	if (frame->flags & (FRAME_TSO4 | FRAME_TSO6) &&
	    (uint32_t)frame->header_bytes + frame->gso_bytes < bytes)
		bytes = (uint32_t)frame->header_bytes + frame->gso_bytes;
	return bytes > headers ? bytes - headers : 0;
}

static bool
has_bit(uint64_t bits, unsigned int n)
{
	return bits >> n & 1;
}

enum reason
decide_entry(struct passing *p, bool *learns)
{
	const struct switch_port *from = p->from;
	enum reason reason;

	*learns = false;
	p->tag = (struct tagging){ 0 };
	p->only = NULL;
	if (p->frame->head < ETH_HEADER_BYTES)
		return DROP_SHORT;
	if (from->flags & PORT_MIRROR_TO)
		return DROP_MIRROR_PORT;
	if (from->flags & PORT_LOOPED)
		return DROP_LOOP_BLOCKED;
	if (p->wire->flags & PORT_MEMBER && !p->wire->collecting)
		return DROP_COLLECTING;
	if (from->flags & PORT_VLANS) {
		reason = vlan_classify(from, p->frame, p->head, &p->tag);
		if (reason != DROP_NONE)
			return reason;
	}
	if (from->flags & PORT_MTU &&
	    payload_bytes(p->frame, p->head) > from->mtu)
		return DROP_TOO_LONG;
	if (mac_equal(&p->head->src, &from->sw->mac))
		return DROP_OWN_ADDRESS;
	if (from->flags & PORT_STATES) {
		unsigned int tree = tree_of(from->sw, p->tag.vlan);

		*learns = has_bit(from->learns, tree);
		return has_bit(from->forwards, tree) ? REASON_NONE
						     : DROP_DISCARDING;
	}
	*learns = true;
	return REASON_NONE;
}

enum reason
decide_learned(int learned)
{
	switch (learned) {
	case -EINVAL: return DROP_ETH_SOURCE;
	case -EPERM: return DROP_MAC_PINNED;
	case -ENOSPC: return DROP_MAC_LIMIT;
	default: return REASON_NONE;
	}
}

/* ---- leaving ---- */

enum reason
decide_exit(
    const struct switch_port *from, const struct switch_port *to, uint16_t vlan)
{
	if (to == from)
		return DROP_SAME_PORT;
	if (to->flags == 0)
		return DROP_NONE;
	if (to->flags & PORT_SELF)
		return DROP_OWN_ADDRESS;
	if (to->flags & PORT_MIRROR_TO)
		return DROP_MIRROR_PORT;
	if (to->flags & PORT_LOOPED)
		return DROP_LOOP_BLOCKED;
	if (from->flags & to->flags & PORT_ISOLATED)
		return DROP_ISOLATED;
	if (to->flags & PORT_VLANS && !vlan_carries(to, vlan))
		return DROP_VLAN_OUT;
	if (to->flags & PORT_STATES &&
	    !has_bit(to->forwards, tree_of(to->sw, vlan)))
		return DROP_DISCARDING_OUT;
	return DROP_NONE;
}

/* ---- where to ---- */

static struct destination
nowhere(struct verdict *verdict, enum reason reason)
{
	verdict->reason = (uint16_t)reason;
	return (struct destination){ .to = TO_NOBODY };
}

/* The ports that a flood leaves by: the first, and how many. */
static unsigned int
flood_ports(const struct passing *p, const struct port_set *only,
    const struct port **first)
{
	const struct lan_switch *sw = p->from->sw;
	bool plain = only == NULL && sw->nspecial == 0;
	unsigned int n = 0;

	*first = NULL;
	for (unsigned int i = 0; i < sw->nports; i++) {
		const struct switch_port *port = sw->port[i];

		if (port == NULL || !port->up || port == p->from)
			continue;
		if (!plain &&
		    ((only != NULL && !port_set_has(only, i)) ||
			decide_exit(p->from, port, p->tag.vlan) != DROP_NONE))
			continue;
		if (*first == NULL)
			*first = &port->port;
		if (plain)
			return sw->nup - p->from->up;
		n++;
	}
	return n;
}

static struct destination
flood(const struct passing *p, const struct port_set *only,
    struct verdict *verdict, enum reason reason)
{
	unsigned int n = flood_ports(p, only, &verdict->out);

	if (n == 0)
		return nowhere(verdict,
		    only != NULL ? DROP_NO_MEMBER : DROP_NO_OTHER_PORT);
	verdict->reason = (uint16_t)reason;
	verdict->nout = (uint16_t)n;
	return (struct destination){ .to = TO_ALL, .only = only };
}

/* Customers' protocols are payload to a provider. */
static bool
passes_reserved(const struct passing *p, uint8_t last)
{
	uint16_t mask = p->from->sw->reserved_forward;

	if (p->from->flags & PORT_VLANS &&
	    (p->from->vlans.mode == VLAN_TUNNEL ||
		(p->from->vlans.mode == VLAN_TRUNK && p->from->vlans.provider)))
		mask |= PROVIDER_PASSES;
	return mask >> last & 1;
}

static struct destination
decide_group(const struct passing *p, struct verdict *verdict)
{
	const struct switch_protocol *snooper = p->from->sw->snooper;
	const struct port_set *only = NULL;
	const struct mac *dst = &p->head->dst;

	if (mac_is_broadcast(dst))
		return flood(p, NULL, verdict, REASON_FLOOD_BROADCAST);
	if (is_reserved(dst) && !passes_reserved(p, dst->b[5]))
		return nowhere(verdict, DROP_RESERVED);
	if (p->only != NULL) /* a report */
		return flood(p, p->only, verdict, REASON_TO_ROUTERS);
	if (snooper != NULL && !is_reserved(dst))
		only = snooper->ops->group(snooper, dst, p->frame, p->tag.vlan);
	return flood(p, only, verdict,
	    only != NULL ? REASON_TO_MEMBERS : REASON_FLOOD_GROUP);
}

struct destination
decide(const struct passing *p, uint64_t now_ns, struct verdict *verdict)
{
	const struct lan_switch *sw = p->from->sw;
	const struct switch_port *port;
	enum reason refusal;
	int to;

	verdict->out = NULL;
	verdict->nout = 0;
	verdict->entry = 0;
	verdict->other = 0;
	if (mac_is_group(&p->head->dst))
		return decide_group(p, verdict);
	if (mac_equal(&p->head->dst, &sw->mac))
		return nowhere(verdict, DROP_OWN_ADDRESS);
	to = fdb_find(sw->fdb, &p->head->dst, p->tag.vlan, now_ns);
	if (to == FDB_FLOOD)
		return flood(p, NULL, verdict, REASON_FLOOD_UNKNOWN);
	port = sw->port[to];
	refusal = decide_exit(p->from, port, p->tag.vlan);
	if (refusal != DROP_NONE)
		return nowhere(verdict, refusal);
	verdict->reason = REASON_FORWARDED;
	verdict->out = &port->port;
	verdict->nout = 1;
	return (struct destination){ .to = (uint16_t)to };
}

enum storm_class
decide_storm_class(enum reason reason)
{
	switch (reason) {
	case REASON_FLOOD_BROADCAST: return STORM_BROADCAST;
	case REASON_FLOOD_UNKNOWN: return STORM_UNKNOWN;
	case REASON_FLOOD_GROUP:
	case REASON_TO_MEMBERS:
	case REASON_TO_ROUTERS: return STORM_MULTICAST;
	default: return STORM_CLASSES;
	}
}
