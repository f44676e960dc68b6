#include "lab/show_rows.h"

#include <stdio.h>

#include "net/ip4.h"

#define END_BYTES (IP6_TEXT_BYTES + 8) /* "[2001:db8::1]:65535" */

const struct table_head flows_head = {
	.name = "flows",
	.help = "the flows of IPv6 that routers let in, and holes that hosts "
		"have asked for",
	.columns = {
		{ "router", "ROUTER" },
		{ "id", "FLOW" },
		{ "protocol", "PROTO" },
		{ "inside", "INSIDE" },
		{ "remote", "REMOTE" },
		{ "from_outside", NULL },
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

static const char *
protocol_text(char out[8], uint8_t protocol)
{
	switch (protocol) {
	case 0: return "any";
	case IP_TCP: return "tcp";
	case IP_UDP: return "udp";
	case IP_ICMP6: return "icmp6";
	default: snprintf(out, 8, "%u", protocol); return out;
	}
}

/* "[2001:db8::1]:80"; without ports, the address alone. */
static const char *
end_text(char out[END_BYTES], const struct ip6_addr *addr, uint16_t port)
{
	char text[IP6_TEXT_BYTES];

	ip6_text(text, addr);
	if (port != 0)
		snprintf(out, END_BYTES, "[%s]:%u", text, port);
	else
		snprintf(out, END_BYTES, "%s", text);
	return out;
}

static void
flow_row(void *arg, const struct flow6_row *row)
{
	struct rows *rows = arg;
	char protocol[8], inside[END_BYTES], remote[END_BYTES];
	bool for_any = row->id == 0 && row->remote_port == 0;

	table_add(rows->table, "[s,I,s,s,s,b,s,f,I,I,I,I,s]", rows->node,
	    number(row->id), protocol_text(protocol, row->protocol),
	    end_text(inside, &row->inside, row->port),
	    for_any ? "any" : end_text(remote, &row->remote, row->remote_port),
	    row->from_outside, row->state, in_seconds(row->left_ns),
	    number(row->out_frames), number(row->out_bytes),
	    number(row->in_frames), number(row->in_bytes), row->why);
}

void
show_flows(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		rows->node = f->lab->routers[i].item.name;
		router_each_flow6(f->routers[i], flow_row, rows);
	}
}
