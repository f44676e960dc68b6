/* libs: net */
#include "net/dhcp.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define FIXED     240 /* up to and with the magic cookie */
#define MAX_BYTES 2048

static void
check_name(const char name[DHCP_MAX_NAME])
{
	const char *end = memchr(name, '\0', DHCP_MAX_NAME);

	CHECK(end != NULL);
	for (; name < end; name++)
		CHECK(*name > ' ' && *name < 0x7f);
}

static void
check_borrowed(
    const uint8_t *part, size_t len, const uint8_t *message, size_t size)
{
	CHECK((part == NULL) == (len == 0));
	CHECK(part == NULL ||
	    (part >= message + 44 && part + len <= message + size));
}

/* They are whole, and their host bits are cleared. */
static void
check_routes(const struct dhcp *dhcp)
{
	struct cursor c = cursor(dhcp->routes, dhcp->routes_bytes);
	struct ip4_net to;
	uint32_t via;

	CHECK(dhcp->routes_bytes <= DHCP_ROUTE_BYTES);
	while (dhcp_read_route(&c, &to, &via))
		CHECK(to.prefix <= 32 && (to.addr & ~ip4_mask(to.prefix)) == 0);
	CHECK(!c.overrun && cur_left(&c) == 0);
}

static void
check_same(const struct dhcp *a, const struct dhcp *b)
{
	CHECK(a->op == b->op && a->xid == b->xid && a->secs == b->secs);
	CHECK(a->flags == b->flags && a->ciaddr == b->ciaddr);
	CHECK(a->yiaddr == b->yiaddr && a->siaddr == b->siaddr);
	CHECK(a->giaddr == b->giaddr && mac_equal(&a->chaddr, &b->chaddr));
	CHECK(a->type == b->type && a->server == b->server);
	CHECK(a->requested == b->requested && a->mask == b->mask);
	CHECK(a->router == b->router && a->ndns == b->ndns);
	CHECK(memcmp(a->dns, b->dns, sizeof(a->dns)) == 0);
	CHECK(a->mtu == b->mtu && a->lease_s == b->lease_s);
	CHECK(a->max_bytes == b->max_bytes && a->broadcast == b->broadcast);
	CHECK(a->hops == b->hops);
	CHECK(a->relay_info_bytes == b->relay_info_bytes);
	CHECK(a->relay_info == NULL ||
	    memcmp(a->relay_info, b->relay_info, a->relay_info_bytes) == 0);
	CHECK(a->renewal_s == b->renewal_s);
	CHECK(a->rebinding_s == b->rebinding_s);
	CHECK(strcmp(a->hostname, b->hostname) == 0);
	CHECK(strcmp(a->domain, b->domain) == 0);
	CHECK(a->client_id_bytes == b->client_id_bytes);
	CHECK(a->client_id == NULL ||
	    memcmp(a->client_id, b->client_id, a->client_id_bytes) == 0);
	CHECK(a->routes_bytes == b->routes_bytes);
	CHECK(memcmp(a->routes, b->routes, a->routes_bytes) == 0);
	CHECK(a->nparameters == b->nparameters);
	CHECK(a->parameters == NULL ||
	    memcmp(a->parameters, b->parameters, a->nparameters) == 0);
}

static void
check_message(const uint8_t *message, size_t size)
{
	struct cursor c = cursor(message, size);
	struct dhcp dhcp, again;
	enum reason reason = dhcp_parse(&dhcp, &c);
	uint8_t out[MAX_BYTES];
	struct writer w = writer(out, sizeof(out));

	CHECK(c.at >= message && c.at <= c.end && c.end == message + size);
	CHECK((reason == DROP_SHORT) == (size < FIXED));
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_DHCP);
		return;
	}
	CHECK(dhcp.type <= DHCP_INFORM && dhcp.ndns <= DHCP_MAX_DNS);
	check_routes(&dhcp);
	check_name(dhcp.hostname);
	check_name(dhcp.domain);
	check_borrowed(dhcp.client_id, dhcp.client_id_bytes, message, size);
	check_borrowed(dhcp.parameters, dhcp.nparameters, message, size);
	check_borrowed(dhcp.relay_info, dhcp.relay_info_bytes, message, size);
	for (int option = 0; option < 256; option++)
		(void)dhcp_wants(&dhcp, (uint8_t)option);

	dhcp_write(&w, &dhcp);
	CHECK(!w.overrun && w.at - out >= DHCP_MIN_BYTES);
	c = cursor(out, (size_t)(w.at - out));
	CHECK(dhcp_parse(&again, &c) == DROP_NONE);
	check_same(&dhcp, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message = malloc(size + 1), *m = message + 1;

	CHECK(message != NULL);
	memcpy(m, data, size);
	check_message(m, size);
	if (size >= FIXED) { /* spares the fuzzer the search for these */
		m[0] = (uint8_t)(DHCP_BOOTREQUEST + (m[0] & 1));
		m[1] = 1;
		m[2] = 6;
		put_be32(m + FIXED - 4, 0x63825363);
		check_message(m, size);
	}
	free(message);
	return 0;
}
