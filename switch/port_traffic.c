/*
 * traffic:[ADDRESS/PREFIX][?gateway=A&ip6=ADDRESS/PREFIX&gateway6=A&mac=M] - a
 * port that measures the lab (meter.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch/locator.h"
#include "switch/meter_state.h"

/* ---- what can be ---- */

static bool
is_station4(uint32_t addr)
{
	return addr != IP4_BROADCAST && !ip4_is_multicast(addr) &&
	    !ip4_is_loopback(addr);
}

int
meter_address_check(
    const char *name, const struct meter_address *a, struct err *err)
{
	char text[IP6_TEXT_BYTES], mac[MAC_TEXT_BYTES];

	if (mac_is_group(&a->mac) || mac_is_zero(&a->mac))
		return err_set(err, -EINVAL,
		    "%s: %s is no station's address; use one that begins with "
		    "an even byte",
		    name, mac_text(mac, &a->mac));
	if (!is_station4(a->ip4.addr) || a->ip4.prefix > 32)
		return err_set(err, -EINVAL,
		    "%s: %s is no host's address; use one", name,
		    ip4_text(text, a->ip4.addr));
	if (a->gateway4 != 0 &&
	    (!is_station4(a->gateway4) || a->ip4.addr == 0 ||
		!ip4_net_has(a->ip4, a->gateway4) ||
		a->gateway4 == a->ip4.addr))
		return err_set(err, -EINVAL,
		    "%s: the gateway %s is no other host of its network; use "
		    "one that is",
		    name, ip4_text(text, a->gateway4));
	if (ip6_is_multicast(&a->ip6) || a->prefix6 > 128 ||
	    (ip6_is_zero(&a->ip6) && !ip6_is_zero(&a->gateway6)) ||
	    ip6_is_multicast(&a->gateway6))
		return err_set(err, -EINVAL,
		    "%s: %s is no host's address; use one", name,
		    ip6_text(text, &a->ip6));
	return 0;
}

static int
out_of_range(const char *what, uint64_t value, uint64_t min, uint64_t max,
    struct err *err)
{
	return err_set(err, -EINVAL,
	    "%s: %" PRIu64 " is not possible; use %" PRIu64 " to %" PRIu64,
	    what, value, min, max);
}

static int
check_sizes(const struct meter_sizes *s, struct err *err)
{
	unsigned int n = s->order == METER_IN_TURN ? s->n : 2;

	if (n == 0 || n > METER_SIZES_MAX)
		return out_of_range("sizes", n, 1, METER_SIZES_MAX, err);
	for (unsigned int i = 0; i < n; i++)
		if (s->bytes[i] < ETH_MIN_BYTES || s->bytes[i] > TEST_FRAME_MAX)
			return out_of_range("frame", s->bytes[i] + 4,
			    ETH_MIN_BYTES + 4, TEST_FRAME_MAX + 4, err);
	if (s->order != METER_IN_TURN && s->bytes[0] > s->bytes[1])
		return err_set(err, -EINVAL,
		    "frame: %u is above %u; give the smaller one first",
		    s->bytes[0] + 4, s->bytes[1] + 4);
	return 0;
}

int
meter_options_check(const struct meter_options *o, struct err *err)
{
	const struct {
		const char *name;
		uint64_t value, min, max;
	} limits[] = {
		{ "rate", o->fps, 0, METER_RATE_MAX },
		{ "rate", o->bps, 0, METER_BPS_MAX },
		{ "burst", o->burst, 1, METER_BURST_MAX },
		{ "flows", o->flows, 1, METER_FLOWS_MAX },
		{ "macs", o->macs, 1, METER_MACS_MAX },
		{ "vlan", o->vlan, 0, 4094 },
		{ "count", o->count, 0, METER_COUNT_MAX },
		{ "for", o->for_ns, 0, METER_FOR_MAX_NS },
		{ "wait", o->wait_ns, 0, METER_FOR_MAX_NS },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].value < limits[i].min ||
		    limits[i].value > limits[i].max)
			return out_of_range(limits[i].name, limits[i].value,
			    limits[i].min, limits[i].max, err);
	if (o->count == 0 && o->for_ns == 0)
		return err_set(err, -EINVAL,
		    "a run has an end; give the count of frames or the time");
	if (o->fps != 0 && o->bps != 0)
		return err_set(err, -EINVAL,
		    "a rate is in frames or in bits; give one of them");
	return check_sizes(&o->sizes, err);
}

/* ---- the locator ---- */

/* "2001:db8::1/64", or without a prefix where prefix is NULL. */
static bool
read_ip6(struct ip6_addr *addr, uint8_t *prefix, const char *text)
{
	struct ip6_net net;

	if (prefix == NULL)
		return ip6_read(addr, text);
	if (!ip6_net_read(&net, text))
		return false;
	*addr = net.addr;
	*prefix = net.prefix;
	return true;
}

static int
unreadable(const char *name, const char *what, const char *text,
    const char *example, struct err *err)
{
	return err_set(err, -EINVAL,
	    "%s: %s \"%.60s\" cannot be read; write it as %s", name, what, text,
	    example);
}

static int
read_address(struct meter_address *a, const char *name, const char *rest,
    struct err *err)
{
	static const char *const keys[] = { "gateway", "ip6", "gateway6", "mac",
		NULL };
	const char *text;
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	if (e < 0)
		return e;
	*a = (struct meter_address){ .mac = mac_of_name(name) };
	if (l.place[0] != '\0' && !ip4_net_read(&a->ip4, l.place))
		return unreadable(name, "address", l.place, "10.0.0.1/24", err);
	text = locator_get(&l, "gateway", 0);
	if (text != NULL && !ip4_read(&a->gateway4, text))
		return unreadable(name, "gateway", text, "10.0.0.254", err);
	text = locator_get(&l, "ip6", 0);
	if (text != NULL && !read_ip6(&a->ip6, &a->prefix6, text))
		return unreadable(name, "ip6", text, "2001:db8::1/64", err);
	text = locator_get(&l, "gateway6", 0);
	if (text != NULL && !read_ip6(&a->gateway6, NULL, text))
		return unreadable(name, "gateway6", text, "2001:db8::fe", err);
	text = locator_get(&l, "mac", 0);
	if (text != NULL && !mac_read(&a->mac, text))
		return unreadable(name, "mac", text, "02:00:00:00:00:01", err);
	return meter_address_check(name, a, err);
}

static int
check_traffic(const char *name, const char *rest, struct err *err)
{
	struct meter_address address;

	return read_address(&address, name, rest, err);
}

/* ---- the port ---- */

static void
close_traffic(struct port *port)
{
	struct meter *m = (struct meter *)port;

	meter_leave(m);
	free(m);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct meter *m = (const struct meter *)port;

	snprintf(out, len, "traffic, %s", meter_state(m));
	return out;
}

static const struct port_ops traffic_ops = {
	.take = meter_take,
	.close = close_traffic,
	.describe = describe,
};

static struct port *
open_traffic(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct meter_address address;
	struct meter *m;

	if (read_address(&address, name, rest, err) < 0)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&m->port, &traffic_ops, node, name);
	m->port.accepts = 0;
	m->port.mtu_bytes = TEST_FRAME_MAX;
	m->address = address;
	meter_init(m, loop);
	return &m->port;
}

const struct port_kind port_traffic = {
	.scheme = "traffic",
	.syntax = "traffic:[ADDRESS/PREFIX]",
	.virtual_time = true,
	.check = check_traffic,
	.open = open_traffic,
};

struct meter *
meter_of(struct port *port)
{
	return port != NULL && port->ops == &traffic_ops ? (struct meter *)port
							 : NULL;
}
