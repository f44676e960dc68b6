/*
 * What a DHCP server may say, and what is made of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/dhcp_offer.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))
#define SERVER IP(192, 0, 2, 1)
#define OURS   IP(192, 0, 2, 77)
#define MASK24 IP(255, 255, 255, 0)

static struct dhcp
good(void)
{
	return (struct dhcp){ .op = DHCP_BOOTREPLY,
		.type = DHCP_ACK,
		.yiaddr = OURS,
		.server = SERVER,
		.mask = MASK24,
		.router = SERVER,
		.lease_s = 3600 };
}

static void
impossible_offers_are_refused_each_with_its_reason(void **state)
{
	static const struct {
		uint32_t yiaddr, mask, router, server, lease_s;
		enum reason reason;
	} cases[] = {
		{ OURS, MASK24, SERVER, SERVER, 3600, REASON_NONE },
		{ OURS, MASK24, 0, SERVER, 3600, REASON_NONE },
		{ OURS, MASK24, SERVER, IP(10, 9, 8, 7), 3600, REASON_NONE },
		{ OURS, IP(255, 0, 0, 0), SERVER, SERVER, 3600, REASON_NONE },
		{ OURS, IP(255, 255, 255, 254), OURS - 1, SERVER, 3600,
		    REASON_NONE },
		/* no server, no time */
		{ OURS, MASK24, SERVER, 0, 3600, DROP_DHCP_SERVER },
		{ OURS, MASK24, SERVER, IP(127, 0, 0, 1), 3600,
		    DROP_DHCP_SERVER },
		{ OURS, MASK24, SERVER, IP4_BROADCAST, 3600, DROP_DHCP_SERVER },
		{ OURS, MASK24, SERVER, SERVER, 0, DROP_DHCP_SERVER },
		{ OURS, MASK24, SERVER, SERVER, 3, DROP_DHCP_SERVER },
		/* no host's */
		{ 0, MASK24, SERVER, SERVER, 3600, DROP_DHCP_ADDRESS },
		{ IP(0, 1, 2, 3), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP(127, 0, 0, 2), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP(224, 0, 0, 5), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP(240, 0, 0, 5), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP4_BROADCAST, MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP(192, 0, 2, 0), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ IP(192, 0, 2, 255), MASK24, SERVER, SERVER, 3600,
		    DROP_DHCP_ADDRESS },
		{ SERVER, MASK24, 0, SERVER, 3600, DROP_DHCP_ADDRESS },
		/* no subnet */
		{ OURS, 0, SERVER, SERVER, 3600, DROP_DHCP_MASK },
		{ OURS, IP(128, 0, 0, 0), SERVER, SERVER, 3600,
		    DROP_DHCP_MASK },
		{ OURS, IP4_BROADCAST, SERVER, SERVER, 3600, DROP_DHCP_MASK },
		/* elsewhere, or nobody */
		{ OURS, MASK24, IP(192, 0, 3, 1), SERVER, 3600,
		    DROP_DHCP_GATEWAY },
		{ OURS, MASK24, OURS, SERVER, 3600, DROP_DHCP_GATEWAY },
		{ OURS, MASK24, IP(192, 0, 2, 0), SERVER, 3600,
		    DROP_DHCP_GATEWAY },
		{ OURS, MASK24, IP(192, 0, 2, 255), SERVER, 3600,
		    DROP_DHCP_GATEWAY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dhcp m = good();
		struct dhcp_offer offer;

		m.yiaddr = cases[i].yiaddr;
		m.mask = cases[i].mask;
		m.router = cases[i].router;
		m.server = cases[i].server;
		m.lease_s = cases[i].lease_s;
		assert_int_equal(dhcp_offer_read(&offer, &m), cases[i].reason);
	}
}

static void
times_are_in_order_whatever_is_said(void **state)
{
	static const struct {
		uint32_t lease_s, t1, t2, want_t1, want_t2;
	} cases[] = {
		{ 1000, 0, 0, 500, 875 },
		{ 1000, 100, 200, 100, 200 },
		{ 1000, 200, 100, 500, 875 },
		{ 1000, 200, 200, 500, 875 },
		{ 1000, 100, 1000, 500, 875 },
		{ 1000, 100, 0, 500, 875 },
		{ 4, 0, 0, 2, 3 },
		{ UINT32_MAX - 1, 0, 0, UINT32_MAX / 2,
		    (uint32_t)((uint64_t)(UINT32_MAX - 1) * 7 / 8) },
		{ UINT32_MAX, 5, 6, UINT32_MAX, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dhcp m = good();
		struct dhcp_offer offer;

		m.lease_s = cases[i].lease_s;
		m.renewal_s = cases[i].t1;
		m.rebinding_s = cases[i].t2;
		assert_int_equal(dhcp_offer_read(&offer, &m), REASON_NONE);
		assert_int_equal(offer.renewal_s, cases[i].want_t1);
		assert_int_equal(offer.rebinding_s, cases[i].want_t2);
	}
}

static void
add_route(struct dhcp *m, const char *bytes, size_t n)
{
	memcpy(m->routes + m->routes_bytes, bytes, n);
	m->routes_bytes = (uint16_t)(m->routes_bytes + n);
}
#define ADD(m, bytes) add_route(m, bytes, sizeof(bytes) - 1)

static void
classless_routes_take_the_place_of_the_router(void **state)
{
	struct dhcp m = good();
	struct dhcp_offer offer;

	(void)state;
	ADD(&m, "\x18\x0a\x1b\x81\xc0\x00\x02\x05");     /* 10.27.129.0/24 */
	ADD(&m, "\x00\xc0\x00\x02\x06");                 /* default */
	ADD(&m, "\x10\x0a\x11\x00\x00\x00\x00");         /* on the link */
	ADD(&m, "\x08\x0b\xc0\x00\x03\x01");             /* beyond it */
	ADD(&m, "\x08\xe0\xc0\x00\x02\x01");             /* multicast */
	ADD(&m, "\x19\x81\xd2\xb1\x84\xc0\x00\x02\x01"); /* RFC 3442's */
	assert_int_equal(dhcp_offer_read(&offer, &m), REASON_NONE);
	assert_int_equal(offer.gateway, IP(192, 0, 2, 6));
	assert_int_equal(offer.nroutes, 2);
	assert_int_equal(offer.routes[0].to.addr, IP(10, 27, 129, 0));
	assert_int_equal(offer.routes[0].to.prefix, 24);
	assert_int_equal(offer.routes[0].via, IP(192, 0, 2, 5));
	assert_int_equal(offer.routes[1].to.addr, IP(129, 210, 177, 128));
	assert_int_equal(offer.routes[1].to.prefix, 25);
	/* The router option counts for nothing beside them. */
	m.routes_bytes = 0;
	ADD(&m, "\x08\x0b\xc0\x00\x02\x01");
	assert_int_equal(dhcp_offer_read(&offer, &m), REASON_NONE);
	assert_int_equal(offer.gateway, 0);
	/* A default route beyond the subnet refuses all. */
	m.routes_bytes = 0;
	ADD(&m, "\x00\xc0\x00\x03\x06");
	assert_int_equal(dhcp_offer_read(&offer, &m), DROP_DHCP_GATEWAY);
}

static void
more_routes_than_there_is_room_for_are_left_out(void **state)
{
	struct dhcp m = good();
	struct dhcp_offer offer;

	(void)state;
	for (int i = 0; i < 40; i++) {
		char route[] = "\x08\x0b\xc0\x00\x02\x01";

		route[1] = (char)(11 + i);
		add_route(&m, route, 6);
	}
	assert_int_equal(dhcp_offer_read(&offer, &m), REASON_NONE);
	assert_int_equal(offer.nroutes, DHCP_OFFER_ROUTES);
}

static void
name_servers_that_are_no_hosts_are_left_out(void **state)
{
	struct dhcp m = good();
	struct dhcp_offer offer;

	(void)state;
	m.dns[0] = IP(127, 0, 0, 1);
	m.dns[1] = IP(9, 9, 9, 9);
	m.dns[2] = OURS;
	m.dns[3] = IP(224, 0, 0, 251);
	m.ndns = 4;
	assert_int_equal(dhcp_offer_read(&offer, &m), REASON_NONE);
	assert_int_equal(offer.ndns, 1);
	assert_int_equal(offer.dns[0], IP(9, 9, 9, 9));
	assert_int_equal(offer.dns[1], 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(impossible_offers_are_refused_each_with_its_reason),
		T(times_are_in_order_whatever_is_said),
		T(classless_routes_take_the_place_of_the_router),
		T(more_routes_than_there_is_room_for_are_left_out),
		T(name_servers_that_are_no_hosts_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
