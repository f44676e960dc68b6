#include "net/dhcp6.h"

#include "net/dns.h"

#define SOLICIT         1
#define LAST_OF_CLIENTS 11 /* of messages that clients send */

#define OPT_CLIENT  1
#define OPT_SERVER  2
#define OPT_IA      3
#define OPT_IA_TEMP 4
#define OPT_WANTED  6
#define OPT_DNS     23
#define OPT_DOMAINS 24
#define OPT_IA_PD   25
#define OPT_REFRESH 32

#define DUID_LL    3
#define HARD_ETHER 1

const struct ip6_addr dhcp6_servers = { { 0xff, 2, [13] = 1, [15] = 2 } };

static void
write_duid(struct writer *w, const struct mac *mac)
{
	wr_be16(w, DUID_LL);
	wr_be16(w, HARD_ETHER);
	wr_mac(w, mac);
}

static bool
is_of_server(struct cursor body, const struct mac *server)
{
	uint8_t duid[DHCP6_DUID_BYTES];
	struct writer w = writer(duid, sizeof(duid));

	write_duid(&w, server);
	return cur_left(&body) == sizeof(duid) &&
	    memcmp(body.at, duid, sizeof(duid)) == 0;
}

static enum reason
read_option(struct dhcp6_request *r, uint16_t type, struct cursor body,
    const struct mac *server)
{
	size_t n = cur_left(&body);

	switch (type) {
	case OPT_CLIENT:
		if (n == 0 || n > sizeof(r->client) || r->client_bytes != 0)
			return DROP_DHCP6;
		memcpy(r->client, body.at, n);
		r->client_bytes = (uint16_t)n;
		return DROP_NONE;
	case OPT_SERVER:
		return is_of_server(body, server) ? DROP_NONE : DROP_DHCP6;
	case OPT_IA:
	case OPT_IA_TEMP:
	case OPT_IA_PD: return DROP_DHCP6;
	case OPT_WANTED:
		while (cur_left(&body) >= 2) {
			uint16_t wanted = cur_be16(&body);

			r->wants_dns |= wanted == OPT_DNS;
			r->wants_domain |= wanted == OPT_DOMAINS;
		}
		return cur_left(&body) == 0 ? DROP_NONE : DROP_DHCP6;
	default: return DROP_NONE; /* open: others may say more */
	}
}

enum reason
dhcp6_parse(
    struct dhcp6_request *request, struct cursor *c, const struct mac *server)
{
	uint32_t word = cur_be32(c);
	struct dhcp6_request r = { .id = word & 0xffffff };
	uint8_t type = (uint8_t)(word >> 24);
	enum reason reason = DROP_NONE;

	if (c->overrun)
		return DROP_SHORT;
	if (type != DHCP6_INFORMATION)
		return type >= SOLICIT && type < LAST_OF_CLIENTS
		    ? DROP_DHCP6_STATEFUL
		    : DROP_DHCP6;
	while (cur_left(c) > 0 && reason == DROP_NONE) {
		uint16_t option = cur_be16(c);
		struct cursor body = cur_sub(c, cur_be16(c));

		if (c->overrun)
			return DROP_SHORT;
		reason = read_option(&r, option, body, server);
	}
	if (reason == DROP_NONE)
		*request = r;
	return reason;
}

static void
write_servers(struct writer *w, const struct dhcp6_reply *reply)
{
	wr_be16(w, OPT_DNS);
	wr_be16(w, (uint16_t)(16 * reply->ndns));
	for (unsigned int i = 0; i < reply->ndns; i++)
		wr_ip6(w, &reply->dns[i]);
}

static void
write_domain(struct writer *w, const char *domain)
{
	uint8_t name[DNS_NAME_BYTES + 2];
	struct writer n = writer(name, sizeof(name));
	size_t bytes;

	dns_write_name(&n, domain);
	if (n.overrun)
		return;
	bytes = (size_t)(n.at - name);
	wr_be16(w, OPT_DOMAINS);
	wr_be16(w, (uint16_t)bytes);
	wr_bytes(w, name, bytes);
}

void
dhcp6_write(struct writer *w, const struct dhcp6_request *request,
    const struct dhcp6_reply *reply)
{
	wr_be32(w, (uint32_t)DHCP6_REPLY << 24 | request->id);
	wr_be16(w, OPT_SERVER);
	wr_be16(w, DHCP6_DUID_BYTES);
	write_duid(w, &reply->server);
	if (request->client_bytes > 0) {
		wr_be16(w, OPT_CLIENT);
		wr_be16(w, request->client_bytes);
		wr_bytes(w, request->client, request->client_bytes);
	}
	if (request->wants_dns && reply->ndns > 0)
		write_servers(w, reply);
	if (request->wants_domain && reply->domain[0] != '\0')
		write_domain(w, reply->domain);
	wr_be16(w, OPT_REFRESH);
	wr_be16(w, 4);
	wr_be32(w, reply->refresh_s);
}
