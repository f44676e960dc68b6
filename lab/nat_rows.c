#include "lab/nat_rows.h"

#include <stdio.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "net/ip6.h"

const char *
nat_protocol_text(uint8_t protocol)
{
	switch (protocol) {
	case IP_TCP: return "tcp";
	case IP_UDP: return "udp";
	case IP_ICMP: return "icmp";
	default: return "ip";
	}
}

/* IPv4 is ::ffff:10.0.0.1 in ip. */
static const char *
end6_text(char out[NAT_END_BYTES], uint8_t protocol, const struct ip6_addr *ip,
    uint16_t port)
{
	char text[IP6_TEXT_BYTES];
	uint32_t ip4;

	ip6_text(text, ip);
	if (protocol == IP_TCP || protocol == IP_UDP)
		snprintf(out, NAT_END_BYTES,
		    ip6_to_ip4(&ip4, ip) ? "%s:%u" : "[%s]:%u", text, port);
	else if (protocol == IP_ICMP && port != 0)
		snprintf(out, NAT_END_BYTES, "%s id %u", text, port);
	else
		snprintf(out, NAT_END_BYTES, "%s", text);
	return out;
}

const char *
nat_end_text(
    char out[NAT_END_BYTES], uint8_t protocol, uint32_t ip, uint16_t port)
{
	struct ip6_addr addr = ip6_of_ip4(ip);

	return end6_text(out, protocol, &addr, port);
}

const struct table_head nat_rows_head = {
	.name = "nat",
	.help = "the NAT tables of routers",
	.columns = {
		{ "router", "ROUTER" },
		{ "id", "ENTRY" },
		{ "protocol", "PROTO" },
		{ "inside", "INSIDE" },
		{ "outside", "OUTSIDE" },
		{ "remote", "REMOTE" },
		{ "state", "STATE" },
		{ "left_s", "EXPIRES IN" },
		{ "out_frames", "OUT" },
		{ "out_bytes", "BYTES" },
		{ "in_frames", "IN" },
		{ "in_bytes", "BYTES" },
		{ "why", "WHY" },
		{ NULL, NULL },
	},
};

/* An end of IPv6, if ip6 is not zero; else of IPv4, or not known. */
static json_t *
end_cell(
    uint8_t protocol, const struct ip6_addr *ip6, uint32_t ip, uint16_t port)
{
	char text[NAT_END_BYTES];

	if (!ip6_is_zero(ip6))
		return json_string(end6_text(text, protocol, ip6, port));
	return ip == 0 ? json_null()
		       : json_string(nat_end_text(text, protocol, ip, port));
}

static json_int_t
number(uint64_t n)
{
	return (json_int_t)(n > INT64_MAX ? INT64_MAX : n);
}

void
nat_rows_add(struct table *table, const char *router, const struct nat_row *row)
{
	static const struct ip6_addr none = { { 0 } };
	bool six = !ip6_is_zero(&row->inside6);

	if (!table_has_room(table))
		return;
	table_add(table, "[s,o,s,o,o,o,s,o,I,I,I,I,s]", router,
	    row->id == 0 ? json_null() : json_integer(number(row->id)),
	    nat_protocol_text(row->protocol),
	    end_cell(
		row->protocol, &row->inside6, row->inside_ip, row->inside_port),
	    end_cell(row->protocol, &none, row->outside_ip, row->outside_port),
	    end_cell(row->protocol, six ? &row->remote6 : &none, row->remote_ip,
		row->remote_port),
	    row->state,
	    row->left_ns == UINT64_MAX
		? json_null()
		: json_real((double)(row->left_ns / NS_PER_MS) / 1000),
	    number(row->out_frames), number(row->out_bytes),
	    number(row->in_frames), number(row->in_bytes), row->why);
}
