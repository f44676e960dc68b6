/*
 * What is due is done at the end of a round: a burst of reports is one sweep.
 */
#include "switch/snooping.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "net/eth.h"
#include "switch/vlan.h"

#define PEEK_BYTES 62 /* of a frame: two tags and the addresses of IPv6 */

struct snooping {
	struct switch_protocol protocol; /* first */
	struct groups *groups;
	struct loop_timer timer;
	struct loop_defer defer;
	bool look;                /* for VLANs of ports that are up */
	const struct port **port; /* by index; NULL: none */
	unsigned int nports;
};

static struct snooping *
snooping_of(const struct switch_protocol *protocol)
{
	return (struct snooping *)(uintptr_t)protocol;
}

static uint64_t
now_of(const struct snooping *s)
{
	return loop_now_ns(switch_loop(s->protocol.sw));
}

/* ---- VLANs ---- */

static void
use_trunk(struct snooping *s, const struct vlan_options *vlans, uint64_t now_ns)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 64; i++)
		n += (unsigned int)__builtin_popcountll(vlans->allowed.word[i]);
	if (vlans->vlan != 0)
		(void)groups_vlan(s->groups, vlans->vlan, now_ns);
	for (uint16_t v = 1; v <= VLAN_MAX && n <= SNOOPING_TRUNK_VLANS; v++)
		if (vlan_set_has(&vlans->allowed, v))
			(void)groups_vlan(s->groups, v, now_ns);
}

/* The VLANs of a port are in use. */
static void
use_vlans(struct snooping *s, const struct port *port, uint64_t now_ns)
{
	struct vlan_options vlans;

	switch_get_vlan(port, &vlans);
	switch (vlans.mode) {
	case VLAN_TRANSPARENT: (void)groups_vlan(s->groups, 0, now_ns); return;
	case VLAN_ACCESS:
	case VLAN_TUNNEL:
		(void)groups_vlan(s->groups, vlans.vlan, now_ns);
		return;
	case VLAN_TRUNK: use_trunk(s, &vlans, now_ns); return;
	}
}

static void
look(struct snooping *s)
{
	uint64_t now_ns = now_of(s);

	s->look = false;
	for (unsigned int i = 0; i < s->nports; i++)
		if (s->port[i] != NULL && switch_port_link(s->port[i]))
			use_vlans(s, s->port[i], now_ns);
}

/* ---- time ---- */

static void
run(void *arg)
{
	struct snooping *s = arg;
	uint64_t next;

	if (s->look)
		look(s);
	next = groups_run(s->groups, now_of(s));
	if (next == GROUPS_NEVER)
		loop_timer_unset(&s->timer);
	else
		loop_timer_set(&s->timer, next);
}

/* ---- what groups.h asks for ---- */

static void
send_query(
    void *arg, uint16_t vlan, uint32_t port, const struct member_query *query)
{
	struct snooping *s = arg;
	struct lan_switch *sw = s->protocol.sw;
	struct mac mac = switch_mac(sw);
	uint8_t frame[MEMBER_QUERY_BYTES];
	struct writer w = writer(frame, sizeof(frame));
	struct port_set only = { 0 };

	member_write_query(&w, &mac, query);
	assert(!w.overrun);
	if (port != GROUPS_ALL_PORTS)
		port_set_add(&only, port);
	switch_send_vlan(sw, vlan, port == GROUPS_ALL_PORTS ? NULL : &only,
	    frame, (size_t)(w.at - frame));
}

static void
free_later(void *arg, void *memory)
{
	struct snooping *s = arg;

	switch_free_later(s->protocol.sw, memory);
}

static const struct groups_calls calls = { send_query, free_later };

/* ---- messages ---- */

static enum reason
parse(struct member_msg *msg, const struct switch_input *in)
{
	struct cursor c = cursor(in->bytes, in->len);
	enum reason reason;
	struct ip4 ip4;
	struct ip6 ip6;

	cur_skip(&c, in->payload);
	if (in->type == ETH_IPV4) {
		reason = ip4_parse(&ip4, &c);
		return reason != DROP_NONE ? reason : igmp_parse(msg, &ip4, &c);
	}
	reason = ip6_parse(&ip6, &c);
	return reason != DROP_NONE ? reason : mld_parse(msg, &ip6, &c);
}

/* Is there nobody in set but port? */
static bool
is_only(const struct port_set *set, unsigned int port)
{
	struct port_set others = *set;

	port_set_remove(&others, port);
	return port_set_is_empty(&others);
}

static enum reason
input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct snooping *s = snooping_of(protocol);
	unsigned int port = switch_port_index(in->port);
	struct member_msg msg = { .kind = MEMBER_NOTHING };
	enum reason reason;

	if (in->tagged && in->vlan == 0)
		return REASON_NONE;
	reason = parse(&msg, in);
	if (reason != DROP_NONE)
		return reason;
	in->only = groups_receive(s->groups, in->vlan, port, &msg, in->now_ns);
	loop_defer_ask(&s->defer);
	return in->only != NULL && is_only(in->only, port) ? REASON_DELIVERED
							   : REASON_NONE;
}

/* ---- what is sent to groups ---- */

static const struct port_set *
group(const struct switch_protocol *protocol, const struct mac *dst,
    const struct frame *frame, uint16_t vlan)
{
	const struct snooping *s = snooping_of(protocol);
	size_t len = frame->head < PEEK_BYTES ? frame->head : PEEK_BYTES;
	uint8_t bytes[PEEK_BYTES];
	struct ip6_addr src, to;
	struct cursor c;
	struct eth eth;
	bool ip6;

	(void)dst;
	memcpy(bytes, frame->data, len);
	c = cursor(bytes, len);
	if (eth_parse(&eth, &c) != DROP_NONE || (eth.nvlans > 0 && vlan == 0))
		return NULL;
	ip6 = eth.type == ETH_IPV6;
	if (!ip6 && eth.type != ETH_IPV4)
		return NULL;
	cur_skip(&c, ip6 ? 8 : 12);
	if (ip6) {
		cur_ip6(&c, &src);
		cur_ip6(&c, &to);
	} else {
		src = ip6_of_ip4(cur_be32(&c));
		to = ip6_of_ip4(cur_be32(&c));
	}
	if (c.overrun)
		return NULL;
	return groups_find(s->groups, vlan, ip6, &to, &src, now_of(s));
}

/* ---- ports ---- */

static void
port_added(struct switch_protocol *protocol, struct port *port)
{
	struct snooping *s = snooping_of(protocol);
	unsigned int index = switch_port_index(port);

	if (index >= s->nports) {
		const struct port **more =
		    reallocarray(s->port, index + 1, sizeof(more[0]));

		if (more == NULL)
			return;
		s->port = more;
		while (s->nports <= index)
			more[s->nports++] = NULL;
	}
	if (groups_add(s->groups, index) == 0)
		s->port[index] = port;
}

static void
port_removed(struct switch_protocol *protocol, struct port *port)
{
	struct snooping *s = snooping_of(protocol);
	unsigned int index = switch_port_index(port);

	groups_remove(s->groups, index, now_of(s));
	if (index < s->nports)
		s->port[index] = NULL;
	loop_defer_ask(&s->defer);
}

static void
link(struct switch_protocol *protocol, struct port *port, bool up)
{
	struct snooping *s = snooping_of(protocol);
	uint64_t now_ns = now_of(s);

	groups_link(s->groups, switch_port_index(port), up, now_ns);
	if (up)
		s->look = true;
	loop_defer_ask(&s->defer);
}

static void
set(struct switch_protocol *protocol, struct port *port)
{
	struct snooping *s = snooping_of(protocol);

	(void)port;
	s->look = true;
	loop_defer_ask(&s->defer);
}

/* Members may be behind other ports now. */
static void
flushed(struct switch_protocol *protocol, struct port *port)
{
	struct snooping *s = snooping_of(protocol);

	(void)port;
	groups_changed(s->groups, now_of(s));
	loop_defer_ask(&s->defer);
}

static const struct switch_protocol_ops ops = {
	.name = "snooping",
	.snoops = true,
	.input = input,
	.group = group,
	.port_added = port_added,
	.port_removed = port_removed,
	.link = link,
	.set = set,
	.flushed = flushed,
};

/* ---- all of it ---- */

struct snooping *
snooping_new(struct lan_switch *sw, const struct groups_options *options,
    struct err *err)
{
	struct snooping *s = calloc(1, sizeof(*s));
	struct groups_options own = *options;

	if (s == NULL)
		goto fail;
	own.mac = switch_mac(sw);
	s->protocol.ops = &ops;
	s->groups = groups_new(&own, switch_secret(sw), &calls, s);
	if (s->groups == NULL)
		goto fail;
	loop_timer_init(&s->timer, switch_loop(sw), run, s);
	loop_defer_init(&s->defer, switch_loop(sw), run, s);
	if (switch_join(sw, &s->protocol) == 0)
		return s;
	groups_free(s->groups);
	free(s);
	err_set(err, -EBUSY, "%s: snoops on groups already; once is enough",
	    switch_node(sw)->name);
	return NULL;
fail:
	free(s);
	err_sys(err, -ENOMEM, NULL, "%s", switch_node(sw)->name);
	return NULL;
}

void
snooping_free(struct snooping *snooping)
{
	if (snooping == NULL)
		return;
	loop_timer_unset(&snooping->timer);
	loop_defer_cancel(&snooping->defer);
	groups_free(snooping->groups); /* for which the switch frees later */
	switch_leave(&snooping->protocol);
	free(snooping->port);
	free(snooping);
}

void
snooping_set_router(struct snooping *snooping, const struct port *port)
{
	groups_set_router(
	    snooping->groups, switch_port_index(port), true, now_of(snooping));
}

const struct groups *
snooping_groups(const struct snooping *snooping)
{
	return snooping->groups;
}

const struct port *
snooping_port(const struct snooping *snooping, unsigned int index)
{
	return index < snooping->nports ? snooping->port[index] : NULL;
}
