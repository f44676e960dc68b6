/*
 * Ports of routers that get their address by DHCP.
 */
#include "lab/show_rows.h"

const struct table_head wan_head = {
	.name = "wan",
	.help = "the addresses that routers got by DHCP",
	.columns = {
		{ "port", "PORT" },
		{ "state", "STATE" },
		{ "address", "ADDRESS" },
		{ "gateway", "GATEWAY" },
		{ "dns", "DNS" },
		{ "mtu", "MTU" },
		{ "server", "SERVER" },
		{ "left_s", "EXPIRES IN" },
		{ "refused", "REFUSED" },
		{ "refused_of", "OF" },
		{ NULL, NULL },
	},
};

/* Text of an address; NULL: there is none. */
static const char *
text_of(char *out, uint32_t addr)
{
	return addr != 0 ? ip4_text(out, addr) : NULL;
}

static void
wan_row(void *arg, const struct wan_row *row)
{
	struct rows *rows = arg;
	char net[NET_TEXT_BYTES], gateway[IP4_TEXT_BYTES];
	char dns[IP4_TEXT_BYTES], server[IP4_TEXT_BYTES], of[IP4_TEXT_BYTES];
	bool is_bound = row->address.addr != 0;
	bool expires = is_bound && row->left_ns != UINT64_MAX;
	json_t *left =
	    expires ? json_real(in_seconds(row->left_ns)) : json_null();

	table_add(rows->table, "[s,s,s?,s?,s?,o,s?,o,s?,s?]", row->port->name,
	    row->state, is_bound ? ip4_net_text(net, row->address) : NULL,
	    text_of(gateway, row->gateway), text_of(dns, row->dns),
	    is_bound ? json_integer(row->mtu_bytes) : json_null(),
	    text_of(server, row->server), left,
	    row->why != REASON_NONE ? reason_name(row->why) : NULL,
	    text_of(of, row->refused_server));
}

void
show_wan(struct rows *rows)
{
	const struct fabric *fabric = rows->show->fabric;

	for (unsigned int i = 0; i < fabric->lab->nrouters; i++)
		router_each_wan(fabric->routers[i], wan_row, rows);
}
