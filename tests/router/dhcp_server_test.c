/*
 * The DHCP server by messages in and out: the duties of RFC 2131, 4.1 and 4.3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/dhcp_server.h"

#include "base/loop.h"

#include <errno.h>

#define S      NS_PER_S
#define SERVER UINT32_C(0x0a000001)
#define FIRST  UINT32_C(0x0a000064) /* 10.0.0.100 */
#define LAST   UINT32_C(0x0a000067)

struct bench {
	struct dhcp_server *server;
	uint64_t now_ns;
	struct dhcp_answer answer;
};

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct router_dhcp_options o = { .first = FIRST,
		.last = LAST,
		.dns = SERVER,
		.domain = "lab.test" };

	b->server = dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 1500, NULL);
	b->now_ns = 1000 * S;
	*state = b;
	return b->server == NULL;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	dhcp_server_free(b->server);
	free(b);
	return 0;
}

static struct dhcp
from(uint8_t client, enum dhcp_type type)
{
	return (struct dhcp){ .op = DHCP_BOOTREQUEST,
		.xid = 0x1000u + client,
		.chaddr = { { 2, 0, 0, 0, 0, client } },
		.type = type };
}

static enum reason
take(struct bench *b, const struct dhcp *m)
{
	memset(&b->answer, 0, sizeof(b->answer));
	return dhcp_server_take(
	    b->server, m, &m->chaddr, b->now_ns, &b->answer);
}

/* The address that is offered; 0: none. */
static uint32_t
discover(struct bench *b, uint8_t client, uint32_t requested)
{
	struct dhcp m = from(client, DHCP_DISCOVER);

	m.requested = requested;
	if (take(b, &m) != REASON_DELIVERED || b->answer.to == DHCP_TO_NOBODY)
		return 0;
	assert_int_equal(b->answer.message.type, DHCP_OFFER);
	return b->answer.message.yiaddr;
}

/* The type of the answer to a request in SELECTING. */
static enum dhcp_type
request(struct bench *b, uint8_t client, uint32_t addr)
{
	struct dhcp m = from(client, DHCP_REQUEST);

	m.server = SERVER;
	m.requested = addr;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	return b->answer.message.type;
}

static uint32_t
lease(struct bench *b, uint8_t client)
{
	uint32_t addr = discover(b, client, 0);

	assert_int_not_equal(addr, 0);
	assert_int_equal(request(b, client, addr), DHCP_ACK);
	return addr;
}

static void
addresses_are_given_in_order_and_to_one_client_each(void **state)
{
	struct bench *b = *state;

	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(lease(b, i), FIRST + i);
}

static void
d1_the_same_client_gets_the_same_address(void **state)
{
	struct bench *b = *state;
	uint32_t addr = lease(b, 1);

	lease(b, 2);
	assert_int_equal(discover(b, 1, 0), addr);
	b->now_ns += 4000 * S; /* expired, and not needed by others */
	assert_int_equal(discover(b, 1, 0), addr);
}

static void
d1_a_new_client_gets_what_it_asks_for_if_that_is_free(void **state)
{
	struct bench *b = *state;

	assert_int_equal(discover(b, 1, LAST), LAST);
	assert_int_equal(discover(b, 2, LAST), FIRST);
	assert_int_equal(discover(b, 3, 0x0a000032), FIRST + 1);
	assert_int_equal(discover(b, 4, 0xc0a80001), FIRST + 2);
}

static void
d2_an_offer_is_not_made_to_another_meanwhile(void **state)
{
	struct bench *b = *state;
	uint32_t one = discover(b, 1, 0), two = discover(b, 2, 0);

	assert_int_not_equal(one, two);
	assert_int_equal(request(b, 2, two), DHCP_ACK);
	assert_int_equal(request(b, 1, one), DHCP_ACK);
}

static void
d2_an_offer_not_taken_is_free_again(void **state)
{
	struct bench *b = *state;

	for (uint8_t i = 0; i < 4; i++)
		discover(b, i, 0);
	assert_int_equal(discover(b, 9, 0), 0);
	b->now_ns += DHCP_OFFER_S * S;
	assert_int_not_equal(discover(b, 9, 0), 0);
}

static void
d3_answers_carry_what_table_3_says(void **state)
{
	struct bench *b = *state;
	const struct dhcp *r = &b->answer.message;

	discover(b, 1, 0);
	assert_int_equal(r->op, DHCP_BOOTREPLY);
	assert_int_equal(r->xid, 0x1001);
	assert_int_equal(r->server, SERVER);
	assert_int_equal(r->lease_s, DHCP_LEASE_S);
	assert_int_equal(r->renewal_s, DHCP_LEASE_S / 2);
	assert_int_equal(r->rebinding_s, DHCP_LEASE_S / 8 * 7);
	assert_int_equal(r->requested, 0);
	assert_null(r->client_id);
	assert_null(r->parameters);
	assert_int_equal(r->mask, 0xffffff00);
	assert_int_equal(r->router, SERVER);
	assert_int_equal(r->dns[0], SERVER);
	assert_string_equal(r->domain, "lab.test");
	assert_int_equal(request(b, 2, 0xc0a80001), DHCP_NAK);
	assert_int_equal(r->lease_s, 0);
	assert_int_equal(r->yiaddr, 0);
	assert_int_equal(r->mask, 0);
	assert_int_equal(r->server, SERVER);
	assert_non_null(r->message);
}

static void
d4_what_is_not_asked_for_is_not_told(void **state)
{
	static const uint8_t mask_only[] = { DHCP_OPT_MASK, DHCP_OPT_MTU };
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_DISCOVER);

	m.parameters = mask_only;
	m.nparameters = 2;
	take(b, &m);
	assert_int_equal(b->answer.message.mask, 0xffffff00);
	assert_int_equal(b->answer.message.mtu, 1500);
	assert_int_equal(b->answer.message.router, 0);
	assert_int_equal(b->answer.message.ndns, 0);
	assert_string_equal(b->answer.message.domain, "");
	assert_int_not_equal(b->answer.message.lease_s, 0);
}

static void
d5_another_servers_offer_taken_frees_ours_silently(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);
	uint32_t addr = discover(b, 1, 0);

	m.server = SERVER + 1;
	m.requested = addr;
	assert_int_equal(take(b, &m), DROP_NOT_OURS);
	assert_int_equal(b->answer.to, DHCP_TO_NOBODY);
	assert_int_equal(discover(b, 2, addr), addr);
}

static void
d6_a_rebooting_client_on_the_wrong_net_is_refused(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);

	m.requested = 0xc0a80007;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->answer.message.type, DHCP_NAK);
	assert_int_equal(b->answer.to, DHCP_TO_ALL);
}

static void
d6_a_rebooting_client_with_anothers_address_is_refused(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);

	lease(b, 1);
	m.requested = lease(b, 2);
	take(b, &m);
	assert_int_equal(b->answer.message.type, DHCP_NAK);
}

static void
d6_a_rebooting_client_nobody_knows_hears_nothing(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);

	m.requested = FIRST;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->answer.to, DHCP_TO_NOBODY);
}

static void
d6_a_rebooting_client_keeps_its_address(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);

	m.requested = lease(b, 1);
	take(b, &m);
	assert_int_equal(b->answer.message.type, DHCP_ACK);
	assert_int_equal(b->answer.message.yiaddr, m.requested);
}

static void
d7_renewing_and_rebinding_extend(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_REQUEST);

	m.ciaddr = lease(b, 1);
	for (int i = 0; i < 5; i++) {
		b->now_ns += 1800 * S;
		take(b, &m);
		assert_int_equal(b->answer.message.type, DHCP_ACK);
		assert_int_equal(b->answer.message.ciaddr, m.ciaddr);
		assert_int_equal(b->answer.to, DHCP_TO_ADDRESS);
		assert_int_equal(b->answer.addr, m.ciaddr);
	}
	for (uint8_t i = 2; i < 5; i++)
		assert_int_not_equal(lease(b, i), m.ciaddr);
	assert_int_equal(discover(b, 9, 0), 0);
}

static void
d8_a_declined_address_is_avoided_for_a_day(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_DECLINE);
	uint32_t addr = lease(b, 1);

	m.requested = addr;
	m.server = SERVER;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->answer.to, DHCP_TO_NOBODY);
	assert_int_not_equal(discover(b, 1, addr), addr);
	for (uint8_t i = 2; i < 4; i++)
		assert_int_not_equal(lease(b, i), addr);
	assert_int_equal(discover(b, 9, 0), 0);
	b->now_ns += DHCP_DECLINED_S * S;
	assert_int_equal(request(b, 1, addr), DHCP_NAK);
}

static void
d8_a_client_that_declines_all_empties_the_range_for_minutes_only(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_DECLINE);
	uint32_t first = 0;

	m.server = SERVER;
	for (int i = 0; i < 4; i++) {
		m.requested = discover(b, 1, 0);
		assert_int_not_equal(m.requested, 0);
		first = i == 0 ? m.requested : first;
		b->now_ns += S;
		take(b, &m);
	}
	assert_int_equal(discover(b, 2, 0), 0);
	b->now_ns += 590 * S;
	assert_int_equal(discover(b, 2, 0), 0);
	b->now_ns += 7 * S;
	assert_int_equal(discover(b, 2, 0), first);
	assert_true(b->answer.is_new); /* the link is asked before */
}

static void
d8_only_its_client_declines_or_releases_a_lease(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(2, DHCP_DECLINE);
	uint32_t addr = lease(b, 1);

	m.requested = addr;
	take(b, &m);
	m.type = DHCP_RELEASE;
	m.requested = 0;
	m.ciaddr = addr;
	take(b, &m);
	assert_int_equal(discover(b, 1, 0), addr);
	assert_int_not_equal(discover(b, 2, addr), addr);
}

static void
d8_a_released_address_is_remembered_for_its_client(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_RELEASE);

	m.ciaddr = lease(b, 1);
	m.server = SERVER;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->answer.to, DHCP_TO_NOBODY);
	assert_int_not_equal(discover(b, 2, 0), m.ciaddr);
	assert_int_equal(discover(b, 1, 0), m.ciaddr);
	/* And free for who asks for it. */
	m = from(1, DHCP_RELEASE);
	m.ciaddr = FIRST;
	b->now_ns += 20 * S;
	assert_int_equal(discover(b, 3, FIRST), FIRST);
}

static void
d8_inform_is_answered_without_a_lease(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_INFORM);

	m.ciaddr = 0x0a000032;
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->answer.message.type, DHCP_ACK);
	assert_int_equal(b->answer.message.yiaddr, 0);
	assert_int_equal(b->answer.message.lease_s, 0);
	assert_int_equal(b->answer.message.mask, 0xffffff00);
	assert_int_equal(b->answer.to, DHCP_TO_ADDRESS);
	assert_int_equal(b->answer.addr, m.ciaddr);
}

static void
d9_answers_go_where_4_1_says(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(1, DHCP_DISCOVER);

	take(b, &m);
	assert_int_equal(b->answer.to, DHCP_TO_CLIENT);
	assert_int_equal(b->answer.addr, FIRST);
	m.flags = DHCP_BROADCAST;
	take(b, &m);
	assert_int_equal(b->answer.to, DHCP_TO_ALL);
	m.giaddr = 0x0a000032;
	take(b, &m);
	assert_int_equal(b->answer.to, DHCP_TO_RELAY);
	assert_int_equal(b->answer.addr, m.giaddr);
	assert_int_equal(b->answer.message.giaddr, m.giaddr);
	m.flags = 0;
	m.type = DHCP_REQUEST;
	m.requested = 0xc0a80001;
	take(b, &m);
	assert_int_equal(b->answer.message.type, DHCP_NAK);
	assert_int_equal(b->answer.to, DHCP_TO_RELAY);
	assert_int_equal(b->answer.message.flags, DHCP_BROADCAST);
}

/* Who declines all that it is offered gets no more than its share. */
static void
rfc2131_s4_3_3_one_station_cannot_decline_all_for_others(void **state)
{
	struct bench *b = *state;
	struct mac one = { { 2, 7, 7, 7, 7, 7 } };
	struct router_dhcp_options o = {
		.first = FIRST, .last = LAST, .per_station = 2
	};
	unsigned int declined = 0;

	dhcp_server_free(b->server);
	b->server = dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 0, NULL);
	for (uint8_t i = 1; i < 10; i++) {
		struct dhcp m = from(i, DHCP_DISCOVER);

		if (dhcp_server_take(b->server, &m, &one, b->now_ns,
			&b->answer) == DROP_DHCP_LIMIT)
			continue;
		m = from(i, DHCP_DECLINE);
		m.requested = b->answer.message.yiaddr;
		dhcp_server_take(b->server, &m, &one, b->now_ns, &b->answer);
		declined++;
	}
	assert_int_equal(declined, 2);
	assert_int_not_equal(discover(b, 50, 0), 0);
	assert_int_not_equal(discover(b, 51, 0), 0);
	/* When they are tried again, they are counted no more. */
	b->now_ns += (DHCP_DECLINED_S + 1) * S;
	assert_int_not_equal(discover(b, 50, 0), 0);
}

static void
a_client_identifier_comes_before_the_mac_address(void **state)
{
	struct bench *b = *state;
	static const uint8_t id[] = { 255, 1, 2, 3 };
	struct dhcp m = from(1, DHCP_DISCOVER);
	uint32_t addr = lease(b, 1);

	m.client_id = id;
	m.client_id_bytes = sizeof(id);
	take(b, &m);
	assert_int_not_equal(b->answer.message.yiaddr, addr);
	addr = b->answer.message.yiaddr;
	m.chaddr.b[5] = 99;
	take(b, &m);
	assert_int_equal(b->answer.message.yiaddr, addr);
}

static void
identifiers_of_each_length_are_told_apart(void **state)
{
	struct bench *b = *state;
	uint8_t id[255] = { 0 };
	struct dhcp m = from(1, DHCP_DISCOVER);

	m.client_id = id;
	m.client_id_bytes = 255;
	take(b, &m);
	assert_int_equal(b->answer.message.yiaddr, FIRST);
	m.client_id_bytes = 254;
	take(b, &m);
	assert_int_equal(b->answer.message.yiaddr, FIRST + 1);
	m.client_id_bytes = 255;
	id[254] = 1;
	take(b, &m);
	assert_int_equal(b->answer.message.yiaddr, FIRST + 2);
	id[254] = 0;
	take(b, &m);
	assert_int_equal(b->answer.message.yiaddr, FIRST);
}

static void
a_full_range_answers_nobody_new(void **state)
{
	struct bench *b = *state;
	struct dhcp m = from(9, DHCP_DISCOVER);

	for (uint8_t i = 0; i < 4; i++)
		lease(b, i);
	assert_int_equal(take(b, &m), DROP_DHCP_FULL);
	assert_int_equal(b->answer.to, DHCP_TO_NOBODY);
	/* The address that was free for longest is taken first. */
	b->now_ns += 3000 * S;
	lease(b, 0);
	lease(b, 1);
	b->now_ns += 1000 * S;
	assert_true(discover(b, 9, 0) >= FIRST + 2);
}

static void
a_reservation_is_for_its_mac_address_alone(void **state)
{
	struct bench *b = *state;
	struct mac mac = { { 2, 0, 0, 0, 0, 7 } };

	assert_int_equal(dhcp_server_reserve(b->server, &mac, FIRST, NULL), 0);
	assert_int_not_equal(discover(b, 1, FIRST), FIRST);
	assert_int_equal(lease(b, 7), FIRST);
	mac.b[5] = 8;
	assert_int_equal(
	    dhcp_server_reserve(b->server, &mac, 0x0a000032, NULL), 0);
	assert_int_equal(lease(b, 8), 0x0a000032);
	assert_int_equal(request(b, 1, 0x0a000032), DHCP_NAK);
}

static void
an_address_that_was_reserved_meanwhile_is_not_renewed(void **state)
{
	struct bench *b = *state;
	struct mac mac = { { 2, 0, 0, 0, 0, 7 } };
	struct dhcp m = from(1, DHCP_REQUEST);

	m.ciaddr = lease(b, 1);
	assert_int_equal(
	    dhcp_server_reserve(b->server, &mac, m.ciaddr, NULL), 0);
	take(b, &m);
	assert_int_equal(b->answer.message.type, DHCP_NAK);
	assert_int_not_equal(discover(b, 1, 0), m.ciaddr);
}

static void
bad_reservations_and_ranges_are_refused_with_a_sentence(void **state)
{
	struct bench *b = *state;
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0xc0a80001, 0xc0a80002 },
		{ 0x0a000000, 0x0a000010 },
		{ 0x0a000010, 0x0a0000ff },
		{ 0x0a000020, 0x0a000010 },
	};
	struct mac mac = { { 2, 0, 0, 0, 0, 7 } };
	struct err err = { "" };

	for (size_t i = 0; i < 4; i++) {
		struct router_dhcp_options o = { .first = ranges[i].first,
			.last = ranges[i].last };

		err_clear(&err);
		assert_null(dhcp_server_new(
		    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 0, &err));
		assert_non_null(strstr(err.text, ";"));
	}
	err_clear(&err);
	assert_int_equal(
	    dhcp_server_reserve(b->server, &mac, SERVER, &err), -EINVAL);
	assert_int_equal(dhcp_server_reserve(b->server, &mac, FIRST, NULL), 0);
	err_clear(&err);
	assert_int_equal(
	    dhcp_server_reserve(b->server, &mac, FIRST, &err), -EEXIST);
	assert_string_equal(err.text,
	    "dhcp: 10.0.0.100 is reserved for 02:00:00:00:00:07 already; "
	    "use another address");
}

static void
what_no_client_sends_is_refused(void **state)
{
	struct bench *b = *state;
	static const enum dhcp_type types[] = { DHCP_NO_TYPE, DHCP_OFFER,
		DHCP_ACK, DHCP_NAK };
	struct dhcp m;

	for (size_t i = 0; i < 4; i++) {
		m = from(1, types[i]);
		assert_int_equal(take(b, &m), DROP_DHCP);
	}
	m = from(1, DHCP_DISCOVER);
	m.op = DHCP_BOOTREPLY;
	assert_int_equal(take(b, &m), DROP_DHCP);
	m = from(1, DHCP_DISCOVER);
	m.chaddr.b[0] = 1;
	assert_int_equal(take(b, &m), DROP_DHCP);
	m = from(1, DHCP_REQUEST);
	assert_int_equal(take(b, &m), DROP_DHCP);
	m = from(1, DHCP_INFORM);
	assert_int_equal(take(b, &m), DROP_NOT_OURS);
}

struct rows {
	unsigned int n;
	struct lease_row row[8];
};

static void
each(void *arg, const struct lease_row *row)
{
	struct rows *rows = arg;

	rows->row[rows->n++] = *row;
}

static void
rows_tell_the_state_of_each_lease(void **state)
{
	struct bench *b = *state;
	struct mac mac = { { 2, 0, 0, 0, 0, 7 } };
	struct rows rows = { .n = 0 };
	struct dhcp m = from(1, DHCP_REQUEST);

	m.server = SERVER;
	m.requested = discover(b, 1, 0);
	snprintf(m.hostname, sizeof(m.hostname), "alice");
	take(b, &m);
	b->now_ns += 100 * S;
	discover(b, 2, 0);
	dhcp_server_reserve(b->server, &mac, LAST, NULL);
	dhcp_server_each(b->server, b->now_ns, each, &rows);
	assert_int_equal(rows.n, 3);
	assert_int_equal(rows.row[0].ip, FIRST);
	assert_string_equal(rows.row[0].state, "leased");
	assert_string_equal(rows.row[0].hostname, "alice");
	assert_int_equal(rows.row[0].left_ns, 3500 * S);
	assert_string_equal(rows.row[1].state, "offered");
	assert_int_equal(rows.row[2].ip, LAST);
	assert_string_equal(rows.row[2].state, "reserved");
	rows.n = 0;
	dhcp_server_each(b->server, b->now_ns + 5000 * S, each, &rows);
	assert_string_equal(rows.row[0].state, "expired");
}

/* A message of client number n in a frame of the same station's. */
static enum reason
take_of_one_station(struct bench *b, uint8_t n, struct dhcp *m)
{
	static const struct mac station = { { 2, 0, 0, 0, 0, 99 } };

	*m = from(n, DHCP_DISCOVER);
	memset(&b->answer, 0, sizeof(b->answer));
	return dhcp_server_take(b->server, m, &station, b->now_ns, &b->answer);
}

static void
a_station_that_invents_clients_starves_nobody_else(void **state)
{
	struct bench *b = *state;
	struct router_dhcp_options o = {
		.first = FIRST, .last = FIRST + 99, .per_station = 4
	};
	struct dhcp m;

	dhcp_server_free(b->server);
	b->server = dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 1500, NULL);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(
		    take_of_one_station(b, i, &m), REASON_DELIVERED);
	for (uint8_t i = 4; i < 90; i++)
		assert_int_equal(
		    take_of_one_station(b, i, &m), DROP_DHCP_LIMIT);
	/* Who has one may ask again, and others are served. */
	assert_int_equal(take_of_one_station(b, 2, &m), REASON_DELIVERED);
	lease(b, 200);
	/* Its offers ended, so it may have others. */
	b->now_ns += DHCP_OFFER_S * S;
	assert_int_equal(take_of_one_station(b, 50, &m), REASON_DELIVERED);
}

static void
a_flood_of_questions_pushes_out_its_own_kind(void **state)
{
	struct bench *b = *state;
	uint32_t addr = lease(b, 200);

	for (uint8_t i = 0; i < 3; i++)
		assert_int_not_equal(discover(b, i, 0), 0);
	assert_int_equal(discover(b, 9, 0), 0);
	b->now_ns += 2 * S; /* LEASE_OFFER_MIN_S */
	assert_int_not_equal(discover(b, 9, 0), 0);
	assert_int_not_equal(b->answer.message.yiaddr, addr);
	assert_int_equal(request(b, 9, b->answer.message.yiaddr), DHCP_ACK);
	/* The one that was pushed out cannot take it any more. */
	assert_int_equal(request(b, 0, FIRST + 1), DHCP_NAK);
}

static void
an_address_in_use_by_another_host_is_not_given(void **state)
{
	struct bench *b = *state;

	assert_int_equal(discover(b, 1, 0), FIRST);
	assert_true(b->answer.is_new);
	dhcp_server_conflict(b->server, FIRST, b->now_ns);
	assert_int_equal(discover(b, 1, 0), FIRST + 1);
	assert_true(b->answer.is_new);
	assert_int_equal(discover(b, 1, 0), FIRST + 1);
	assert_false(b->answer.is_new);
	assert_int_equal(request(b, 1, FIRST + 1), DHCP_ACK);
	/* A lease that is in use stays its client's. */
	dhcp_server_conflict(b->server, FIRST + 1, b->now_ns);
	assert_int_equal(discover(b, 1, 0), FIRST + 1);
	assert_int_not_equal(discover(b, 2, FIRST), FIRST);
}

static void
more_options_are_told_to_who_asks_for_them(void **state)
{
	struct bench *b = *state;
	static const uint8_t ntp[] = { DHCP_OPT_MASK, 42 };
	const struct dhcp_extra extra[] = {
		{ .code = 42, .len = 4, .data = { 10, 0, 0, 9 } },
		{ .code = 67, .len = 4, .data = "boot" },
	};
	struct router_dhcp_options o = {
		.first = FIRST, .last = LAST, .extra = extra, .nextra = 2
	};
	struct dhcp m = from(1, DHCP_DISCOVER);
	struct err err = { "" };
	struct dhcp_extra big[2] = { { .len = 100 }, { .len = 100 } };

	dhcp_server_free(b->server);
	b->server = dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 1500, NULL);
	m.parameters = ntp;
	m.nparameters = 2;
	take(b, &m);
	assert_int_equal(b->answer.message.nextra, 1);
	assert_int_equal(b->answer.message.extra[0]->code, 42);
	m.parameters = NULL;
	take(b, &m);
	assert_int_equal(b->answer.message.nextra, 2);
	o.extra = big;
	assert_null(dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 1500, &err));
	assert_non_null(strstr(err.text, "do not fit"));
}

static void
identifier_and_relay_information_come_back(void **state)
{
	struct bench *b = *state;
	static const uint8_t id[] = { 1, 2, 3 }, info[] = { 1, 1, 7 };
	struct dhcp m = from(1, DHCP_DISCOVER);

	m.client_id = id;
	m.client_id_bytes = 3;
	m.relay_info = info;
	m.relay_info_bytes = 3;
	m.giaddr = 0x0a000032;
	take(b, &m);
	assert_memory_equal(b->answer.message.client_id, id, 3);
	assert_memory_equal(b->answer.message.relay_info, info, 3);
	assert_int_equal(b->answer.to, DHCP_TO_RELAY);
}

struct kept {
	unsigned int n;
	struct lease_saved saved[8];
};

static void
keep(void *arg, const struct lease_saved *saved)
{
	struct kept *kept = arg;

	kept->saved[kept->n++] = *saved;
}

static void
leases_outlive_the_server(void **state)
{
	struct bench *b = *state;
	struct router_dhcp_options o = { .first = FIRST, .last = LAST };
	struct kept kept = { .n = 0 };
	struct dhcp m = from(3, DHCP_DECLINE);
	uint64_t changes = dhcp_server_changes(b->server);
	uint32_t one = lease(b, 1), two = lease(b, 2);

	m.requested = lease(b, 3);
	assert_true(dhcp_server_changes(b->server) > changes);
	changes = dhcp_server_changes(b->server);
	take(b, &m);
	assert_int_not_equal(dhcp_server_changes(b->server), changes);
	m = from(2, DHCP_RELEASE);
	m.ciaddr = two;
	take(b, &m);
	discover(b, 4, 0); /* offers are not kept */
	b->now_ns += 600 * S;
	dhcp_server_save(b->server, b->now_ns, keep, &kept);
	assert_int_equal(kept.n, 3);
	dhcp_server_free(b->server);
	b->now_ns = 5 * S;
	b->server = dhcp_server_new(
	    (struct ip4_net){ SERVER, 24 }, SERVER, &o, 1500, NULL);
	for (unsigned int i = 0; i < kept.n; i++) {
		assert_int_equal(
		    dhcp_server_restore(b->server, &kept.saved[i], b->now_ns),
		    0);
		assert_int_equal(
		    dhcp_server_restore(b->server, &kept.saved[i], b->now_ns),
		    -EINVAL);
	}
	/* One renews, and two gets its old address back. */
	m = from(1, DHCP_REQUEST);
	m.ciaddr = one;
	take(b, &m);
	assert_int_equal(b->answer.message.type, DHCP_ACK);
	assert_int_equal(discover(b, 2, 0), two);
	assert_int_not_equal(discover(b, 5, FIRST + 2), FIRST + 2);
	/* None is lost: the declined one comes last. */
	b->now_ns += 2 * DHCP_LEASE_S * S;
	for (uint8_t i = 10; i < 13; i++)
		assert_int_not_equal(lease(b, i), FIRST + 2);
	assert_int_equal(discover(b, 13, 0), FIRST + 2);
}

static void
a_saved_lease_that_does_not_fit_is_refused(void **state)
{
	struct bench *b = *state;
	const struct lease_saved good = { .ip = FIRST,
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.client = { 0, 2, 0, 0, 0, 0, 1 },
		.client_bytes = 7,
		.left_ns = UINT64_MAX };
	struct mac other = { { 2, 0, 0, 0, 0, 7 } };
	struct lease_saved bad = good;
	struct rows rows = { .n = 0 };

	bad.ip = 0xc0a80001;
	assert_int_equal(
	    dhcp_server_restore(b->server, &bad, b->now_ns), -EINVAL);
	bad.ip = SERVER;
	assert_int_equal(
	    dhcp_server_restore(b->server, &bad, b->now_ns), -EINVAL);
	bad = good;
	bad.client_bytes = 0;
	assert_int_equal(
	    dhcp_server_restore(b->server, &bad, b->now_ns), -EINVAL);
	bad.client_bytes = 257;
	assert_int_equal(
	    dhcp_server_restore(b->server, &bad, b->now_ns), -EINVAL);
	bad = good;
	bad.ip = LAST;
	dhcp_server_reserve(b->server, &other, LAST, NULL);
	assert_int_equal(
	    dhcp_server_restore(b->server, &bad, b->now_ns), -EINVAL);
	assert_int_equal(dhcp_server_restore(b->server, &good, b->now_ns), 0);
	dhcp_server_each(b->server, b->now_ns, each, &rows);
	assert_int_equal(rows.row[0].left_ns, DHCP_LEASE_S * S);
}

/* Two clients in turn, over and over, on a server of two addresses. */
static void
clients_that_come_and_go_never_share_an_address(void **state)
{
	struct bench *b = *state;
	uint64_t x = 1;

	for (int i = 0; i < 20000; i++) {
		struct dhcp m;
		uint32_t holder[8] = { 0 };
		struct rows rows = { .n = 0 };

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		m = from((uint8_t)(x >> 40 & 7),
		    (enum dhcp_type)(1 + (x >> 50) % 8));
		m.requested = x >> 33 & 1 ? FIRST + (uint32_t)(x >> 34 & 7) : 0;
		m.ciaddr = x >> 37 & 1 ? FIRST + (uint32_t)(x >> 38 & 3) : 0;
		m.server = x >> 44 & 1 ? SERVER : 0;
		take(b, &m);
		b->now_ns += (x >> 20 & 1023) * S;
		dhcp_server_each(b->server, b->now_ns, each, &rows);
		assert_true(rows.n <= 4);
		for (unsigned int k = 0; k < rows.n; k++) {
			uint8_t client = rows.row[k].mac.b[5];

			if (rows.row[k].state[0] != 'l')
				continue;
			assert_int_equal(holder[client], 0);
			holder[client] = rows.row[k].ip;
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_are_given_in_order_and_to_one_client_each),
		T(d1_the_same_client_gets_the_same_address),
		T(d1_a_new_client_gets_what_it_asks_for_if_that_is_free),
		T(d2_an_offer_is_not_made_to_another_meanwhile),
		T(d2_an_offer_not_taken_is_free_again),
		T(d3_answers_carry_what_table_3_says),
		T(d4_what_is_not_asked_for_is_not_told),
		T(d5_another_servers_offer_taken_frees_ours_silently),
		T(d6_a_rebooting_client_on_the_wrong_net_is_refused),
		T(d6_a_rebooting_client_with_anothers_address_is_refused),
		T(d6_a_rebooting_client_nobody_knows_hears_nothing),
		T(d6_a_rebooting_client_keeps_its_address),
		T(d7_renewing_and_rebinding_extend),
		T(d8_a_declined_address_is_avoided_for_a_day),
		T(d8_a_client_that_declines_all_empties_the_range_for_minutes_only),
		T(d8_only_its_client_declines_or_releases_a_lease),
		T(d8_a_released_address_is_remembered_for_its_client),
		T(d8_inform_is_answered_without_a_lease),
		T(d9_answers_go_where_4_1_says),
		T(rfc2131_s4_3_3_one_station_cannot_decline_all_for_others),
		T(a_client_identifier_comes_before_the_mac_address),
		T(identifiers_of_each_length_are_told_apart),
		T(a_full_range_answers_nobody_new),
		T(a_reservation_is_for_its_mac_address_alone),
		T(an_address_that_was_reserved_meanwhile_is_not_renewed),
		T(bad_reservations_and_ranges_are_refused_with_a_sentence),
		T(what_no_client_sends_is_refused),
		T(rows_tell_the_state_of_each_lease),
		T(clients_that_come_and_go_never_share_an_address),
		T(a_station_that_invents_clients_starves_nobody_else),
		T(a_flood_of_questions_pushes_out_its_own_kind),
		T(an_address_in_use_by_another_host_is_not_given),
		T(more_options_are_told_to_who_asks_for_them),
		T(identifier_and_relay_information_come_back),
		T(leases_outlive_the_server),
		T(a_saved_lease_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
