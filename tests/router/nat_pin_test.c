/*
 * Mappings that were asked for: who is admitted by them, whose they are, when
 * they end, and what rules and limits have to say.
 */
#include "net/tcp.h"
#include "router/nat_pin.h"
#include "router/nat_ports.h" /* nat_random() */
#include "tests/router/nat_ends.h"

static struct nat_flow
flow_of(uint8_t protocol, uint32_t ip, uint16_t port, uint32_t remote_ip,
    uint16_t remote_port)
{
	return (struct nat_flow){ .ip = ip,
		.port = port,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.protocol = protocol };
}

/* The outside port of a datagram that goes out; 0: it is refused. */
static uint16_t
ask_name(struct nat *nat, uint32_t ip, uint16_t port, uint32_t remote_ip,
    uint64_t now_ns)
{
	struct nat_flow flow = flow_of(IP_UDP, ip, port, remote_ip, 53);
	struct nat_hit hit;

	return reason_is_drop(nat_out(nat, &flow, NULL, 60, now_ns, &hit))
	    ? 0
	    : hit.port;
}

static enum reason
segment(struct nat *nat, bool outwards, uint16_t port, uint8_t flags,
    uint64_t now_ns)
{
	struct nat_segment s = { .flags = flags, .window = 1000 };
	struct nat_flow flow =
	    flow_of(IP_TCP, outwards ? ALICE : OUTSIDE, port, SERVER, 80);
	struct nat_hit hit;

	return outwards ? nat_out(nat, &flow, &s, 60, now_ns, &hit)
			: nat_in(nat, &flow, &s, 60, now_ns, &hit);
}

static struct nat_pin
pin(uint32_t ip, uint16_t port, uint16_t out_port, uint64_t until_ns)
{
	return (struct nat_pin){ .protocol = IP_UDP,
		.in_ip = ip,
		.in_port = port,
		.out_port = out_port,
		.by = NAT_PIN_BY_PCP,
		.until_ns = until_ns };
}

/* The outside port that it got; 0: refused with fate. */
static uint16_t
set(struct nat *nat, struct nat_pin p, uint64_t now_ns, enum nat_pin_fate *fate)
{
	enum nat_pin_fate f = nat_pin_set(nat, &p, now_ns);

	if (fate != NULL)
		*fate = f;
	if (f > NAT_PIN_RENEWED)
		return 0;
	assert_int_equal(p.out_ip, OUTSIDE);
	return p.out_port;
}

/* ---- whom a pin admits ---- */

static void
a_pin_admits_all_whatever_the_rules_are(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		struct nat_rules rules = { .mapping = i % 3,
			.filtering = i / 3 };
		struct nat *nat = table(&rules);

		assert_int_equal(
		    in(nat, 4000, SERVER, 9, 0), DROP_NAT_UNSOLICITED);
		assert_int_equal(
		    set(nat, pin(ALICE, 5000, 4000, 60 * S), 0, NULL), 4000);
		assert_int_equal(in(nat, 4000, SERVER, 9, 0), REASON_NAT_IN);
		assert_int_equal(in(nat, 4000, OTHER, 10, 0), REASON_NAT_IN);
		/* It is the inside end's, towards all. */
		assert_int_equal(ask_name(nat, ALICE, 5000, SERVER, 0), 4000);
		assert_int_equal(ask_name(nat, ALICE, 5000, OTHER, 0), 4000);
		nat_free(nat);
	}
}

static void
filters_admit_whom_they_name_alone(void **state)
{
	static const struct {
		uint32_t ip;
		uint16_t port;
		enum reason want;
	} rows[] = {
		{ SERVER, 7, REASON_NAT_IN },
		{ SERVER, 8, DROP_NAT_FILTERED },
		{ OTHER, 7, DROP_NAT_FILTERED },
		{ UINT32_C(0xc6336401), 9, REASON_NAT_IN },
		{ UINT32_C(0xc63364ff), 1, REASON_NAT_IN },
		{ UINT32_C(0xc6336501), 1, DROP_NAT_FILTERED },
	};
	struct nat *nat = table(nat_preset(NAT_PRESET_FULL_CONE));
	struct nat_pin p = pin(ALICE, 5000, 4000, 60 * S);

	(void)state;
	p.nfilters = 2;
	p.filters[0] = (struct nat_pin_filter){ SERVER, 7, 32 };
	p.filters[1] = (struct nat_pin_filter){ UINT32_C(0xc6336400), 0, 24 };
	assert_int_equal(set(nat, p, 0, NULL), 4000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    in(nat, 4000, rows[i].ip, rows[i].port, 0), rows[i].want);
	/* Who is spoken to may answer, and no other port of it. */
	assert_int_equal(ask_name(nat, ALICE, 5000, OTHER, 0), 4000);
	assert_int_equal(in(nat, 4000, OTHER, 53, 0), REASON_NAT_IN);
	assert_int_equal(in(nat, 4000, OTHER, 54, 0), DROP_NAT_FILTERED);
	p.nfilters = 0;
	assert_int_equal(set(nat, p, 0, NULL), 4000);
	assert_int_equal(in(nat, 4000, OTHER, 54, 0), REASON_NAT_IN);
	nat_free(nat);
}

static void
a_pin_for_one_end_admits_what_a_packet_to_it_would(void **state)
{
	/* by filtering: the same end, another port of it, another address */
	static const enum reason want[3][3] = {
		{ REASON_NAT_IN, REASON_NAT_IN, REASON_NAT_IN },
		{ REASON_NAT_IN, REASON_NAT_IN, DROP_NAT_FILTERED },
		{ REASON_NAT_IN, DROP_NAT_FILTERED, DROP_NAT_FILTERED },
	};

	(void)state;
	for (int i = 0; i < 9; i++) {
		struct nat_rules rules = { .mapping = i % 3,
			.filtering = i / 3 };
		struct nat *nat = table(&rules);
		struct nat_pin p = pin(ALICE, 5000, 4000, 60 * S);

		p.remote_ip = SERVER;
		p.remote_port = 53;
		assert_int_equal(set(nat, p, 0, NULL), 4000);
		assert_int_equal(in(nat, 4000, SERVER, 53, 0), want[i / 3][0]);
		assert_int_equal(in(nat, 4000, SERVER, 54, 0), want[i / 3][1]);
		assert_int_equal(in(nat, 4000, OTHER, 53, 0), want[i / 3][2]);
		assert_int_equal(ask_name(nat, ALICE, 5000, SERVER, 0), 4000);
		assert_int_equal(
		    ask_name(nat, ALICE, 5000, OTHER + 1, 0) == 4000,
		    rules.mapping == NAT_ENDPOINT_INDEPENDENT);
		nat_free(nat);
	}
}

static void
a_connection_with_a_pin_outlives_its_session(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p = pin(ALICE, 5000, 0, 86400 * S);
	uint64_t later = 3 * 3600 * S;

	(void)state;
	p.protocol = IP_TCP;
	p.remote_ip = SERVER;
	p.remote_port = 80;
	segment(nat, true, 5000, TCP_SYN, 0);
	segment(nat, false, 5000, TCP_SYN | TCP_ACK, 0);
	assert_int_equal(set(nat, p, 0, NULL), 5000);
	nat_expire(nat, later);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(
	    segment(nat, false, 5000, TCP_RST, later), DROP_NAT_STATE);
	assert_int_equal(
	    segment(nat, false, 5000, TCP_ACK, later), REASON_NAT_IN);
	assert_int_equal(
	    segment(nat, true, 5000, TCP_ACK, later), REASON_NAT_OUT);
	/* It is established again: two hours are nothing to it. */
	nat_expire(nat, later + 7200 * S);
	assert_int_equal(nat_stats(nat).sessions, 1);
	nat_free(nat);
}

/* ---- how long ---- */

static void
a_pin_lasts_without_traffic_until_its_time(void **state)
{
	struct nat *nat = table(&nat_rules_default);

	(void)state;
	set(nat, pin(ALICE, 1, 4000, 1000 * S), 0, NULL);
	set(nat, pin(ALICE, 2, 4001, NAT_PIN_FOREVER), 0, NULL);
	assert_int_equal(nat_due_ns(nat), 1000 * S);
	assert_int_equal(nat_expire(nat, 999 * S), 1000 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 4000));
	assert_int_equal(in(nat, 4000, SERVER, 9, 999 * S), REASON_NAT_IN);
	/* Admitted before, it goes on; another is not admitted any more. */
	nat_expire(nat, 1001 * S);
	assert_int_equal(in(nat, 4000, SERVER, 9, 1001 * S), REASON_NAT_IN);
	assert_int_equal(in(nat, 4000, OTHER, 9, 1001 * S), DROP_NAT_FILTERED);
	nat_expire(nat, 2000 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 4000));
	nat_expire(nat, 365 * 86400 * S);
	assert_int_equal(
	    in(nat, 4001, OTHER, 9, 365 * 86400 * S), REASON_NAT_IN);
	nat_free(nat);
}

static void
a_pin_is_renewed_shortened_and_deleted(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p = pin(ALICE, 1, 4000, 100 * S);
	enum nat_pin_fate fate;

	(void)state;
	assert_int_equal(set(nat, p, 0, &fate), 4000);
	assert_int_equal(fate, NAT_PIN_MADE);
	p.until_ns = 300 * S;
	p.out_port = 4711; /* it is where it was */
	assert_int_equal(set(nat, p, 50 * S, &fate), 4000);
	assert_int_equal(fate, NAT_PIN_RENEWED);
	nat_expire(nat, 299 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 4000));
	p.until_ns = 299 * S + 1;
	set(nat, p, 299 * S, NULL);
	nat_expire(nat, 299 * S + 1);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 4000));
	p.until_ns = 400 * S;
	assert_int_equal(set(nat, p, 300 * S, &fate), 4711);
	assert_int_equal(fate, NAT_PIN_MADE);
	assert_int_equal(nat_pin_delete(nat, &p, 300 * S), NAT_PIN_RENEWED);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 4711));
	assert_int_equal(nat_pin_delete(nat, &p, 300 * S), NAT_PIN_RENEWED);
	nat_free(nat);
}

/* Each port is mapped exactly while some list of the test says so. */
static void
pins_end_in_order_whatever_was_changed(void **state)
{
	static uint64_t until[256];
	struct nat *nat = table(&nat_rules_default);
	uint64_t random = 3, now = 0;

	(void)state;
	memset(until, 0, sizeof(until));
	for (int turn = 0; turn < 20000; turn++) {
		uint16_t i = (uint16_t)(nat_random(&random) % 256);
		struct nat_pin p = pin(ALICE + i % 7, 5000 + i, 4000 + i,
		    now + nat_random(&random) % (100 * S) + 1);

		now += nat_random(&random) % S;
		if (nat_random(&random) % 4 == 0) {
			nat_pin_delete(nat, &p, now);
			until[i] = 0;
		} else if (p.until_ns > now) {
			assert_int_equal(set(nat, p, now, NULL), 4000 + i);
			until[i] = p.until_ns;
		}
		nat_expire(nat, now);
		if (turn % 16 != 0)
			continue;
		for (uint16_t k = 0; k < 256; k++)
			assert_int_equal(nat_has_port(nat, OUTSIDE, IP_UDP,
					     (uint16_t)(4000 + k)),
			    until[k] > now);
	}
	nat_expire(nat, now + 200 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	nat_free(nat);
}

/* ---- whose ---- */

static void
who_does_not_know_the_nonce_changes_nothing(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p = pin(ALICE, 1, 4000, 100 * S), other, fixed;

	(void)state;
	p.nonce[11] = 1;
	set(nat, p, 0, NULL);
	other = p;
	other.nonce[11] = 2;
	other.until_ns = 900 * S;
	assert_int_equal(nat_pin_set(nat, &other, 0), NAT_PIN_OTHERS);
	assert_int_equal(other.until_ns, 100 * S);
	assert_int_equal(other.out_port, 4000);
	other.nonce[11] = 2;
	assert_int_equal(nat_pin_delete(nat, &other, 0), NAT_PIN_OTHERS);
	fixed = pin(BOB, 1, 80, NAT_PIN_FOREVER);
	fixed.by = NAT_PIN_BY_FILE;
	set(nat, fixed, 0, NULL);
	other = pin(BOB, 1, 81, 100 * S);
	assert_int_equal(nat_pin_set(nat, &other, 0), NAT_PIN_OTHERS);
	assert_int_equal(other.by, NAT_PIN_BY_FILE);
	assert_int_equal(other.out_port, 80);
	other = pin(BOB, 1, 81, 100 * S);
	assert_int_equal(nat_pin_delete(nat, &other, 0), NAT_PIN_OTHERS);
	assert_int_equal(nat_pin_delete_all(
			     nat, BOB, IP_UDP, NAT_PIN_BY_PCP, other.nonce, 0),
	    0);
	nat_free(nat);
}

static void
all_of_a_host_go_and_no_others(void **state)
{
	static const uint8_t none[12];
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin tcp = pin(ALICE, 9, 4009, 100 * S);
	struct nat_pin fixed = pin(ALICE, 8, 4008, NAT_PIN_FOREVER);

	(void)state;
	tcp.protocol = IP_TCP;
	fixed.by = NAT_PIN_BY_FILE;
	set(nat, tcp, 0, NULL);
	set(nat, fixed, 0, NULL);
	for (uint16_t i = 0; i < 5; i++) {
		set(nat, pin(ALICE, i + 1, 4000 + i, 100 * S), 0, NULL);
		set(nat, pin(BOB, i + 1, 5000 + i, 100 * S), 0, NULL);
	}
	assert_int_equal(
	    nat_pin_delete_all(nat, ALICE, IP_UDP, NAT_PIN_BY_PMP, none, 0), 0);
	assert_int_equal(
	    nat_pin_delete_all(nat, ALICE, IP_UDP, NAT_PIN_BY_PCP, none, 0), 5);
	for (uint16_t i = 0; i < 5; i++) {
		assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 4000 + i));
		assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000 + i));
	}
	assert_true(nat_has_port(nat, OUTSIDE, IP_TCP, 4009));
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 4008));
	nat_free(nat);
}

/* ---- which port ---- */

static void
a_taken_port_is_replaced_or_refused_as_wished(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p = pin(ALICE, 5000, 6000, 100 * S);
	enum nat_pin_fate fate;
	uint16_t port;

	(void)state;
	assert_int_equal(ask_name(nat, BOB, 6000, SERVER, 0), 6000);
	p.exact = true;
	assert_int_equal(set(nat, p, 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_TAKEN);
	assert_int_equal(nat_stats(nat).mappings, 1);
	p.out_ip = OTHER;
	assert_int_equal(set(nat, p, 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_FOREIGN);
	p.exact = false;
	p.out_ip = 0;
	port = set(nat, p, 0, NULL);
	assert_in_range(port, 1024, 65535);
	assert_int_not_equal(port, 6000);
	/* Without a wish it is the inside one. */
	assert_int_equal(set(nat, pin(BOB, 7000, 0, S), 0, NULL), 7000);
	/* What a host has already stays where it is. */
	ask_name(nat, ALICE, 8000, SERVER, 0);
	assert_int_equal(set(nat, pin(ALICE, 8000, 9000, S), 0, NULL), 8000);
	nat_free(nat);
}

static void
the_other_protocols_port_is_kept_for_its_host(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p = pin(ALICE, 1, 4000, 100 * S);
	uint16_t port;

	(void)state;
	p.pair = true;
	assert_int_equal(set(nat, p, 0, NULL), 4000);
	p.protocol = IP_TCP;
	p.in_ip = BOB;
	port = set(nat, p, 0, NULL);
	assert_int_not_equal(port, 0);
	assert_int_not_equal(port, 4000);
	assert_false(nat_has_port(nat, OUTSIDE, IP_TCP, 4000));
	p.in_ip = ALICE;
	assert_int_equal(set(nat, p, 0, NULL), 4000);
	nat_free(nat);
}

static void
overloading_leaves_a_pins_port_alone(void **state)
{
	struct nat *nat = table(nat_preset(NAT_PRESET_LINUX));
	struct nat_pin p = pin(ALICE, 4002, 0, S);

	(void)state;
	assert_int_equal(set(nat, pin(ALICE, 5000, 4000, S), 0, NULL), 4000);
	assert_int_equal(ask_name(nat, BOB, 4001, OTHER, 0), 4001);
	assert_int_not_equal(ask_name(nat, BOB, 4000, SERVER, 0), 4000);
	assert_int_equal(in(nat, 4000, OTHER, 9, 0), REASON_NAT_IN);
	/* Nor if it is for one remote end. */
	p.remote_ip = SERVER;
	p.remote_port = 53;
	assert_int_equal(set(nat, p, 0, NULL), 4002);
	assert_int_not_equal(ask_name(nat, BOB, 4002, SERVER, 0), 4002);
	assert_int_not_equal(ask_name(nat, BOB, 4002, OTHER, 0), 4002);
	assert_int_equal(ask_name(nat, ALICE, 4002, SERVER, 0), 4002);
	/* Nor does it take one that is shared. */
	assert_int_not_equal(set(nat, pin(ALICE, 1, 4001, S), 0, NULL), 4001);
	nat_free(nat);
}

/* ---- limits ---- */

static void
pins_count_to_the_limit_of_their_host(void **state)
{
	struct nat_rules rules = { .host_sessions = 3 };
	struct nat *nat = table(&rules);
	enum nat_pin_fate fate;

	(void)state;
	assert_int_equal(ask_name(nat, ALICE, 1, SERVER, 0), 1);
	set(nat, pin(ALICE, 2, 0, 10 * S), 0, NULL);
	set(nat, pin(ALICE, 3, 0, 20 * S), 0, NULL);
	assert_int_equal(set(nat, pin(ALICE, 4, 0, 20 * S), 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_HOST_FULL);
	assert_int_equal(ask_name(nat, ALICE, 5, SERVER, 0), 0);
	assert_int_equal(ask_name(nat, BOB, 7, SERVER, 0), 7);
	assert_int_equal(ask_name(nat, ALICE, 5, SERVER, 11 * S), 5);
	/* Rules that count anew know of them. */
	assert_int_equal(nat_set_rules(nat, &rules, 11 * S, NULL), 0);
	assert_int_equal(ask_name(nat, ALICE, 6, SERVER, 11 * S), 0);
	assert_int_equal(ask_name(nat, ALICE, 6, SERVER, 21 * S), 6);
	nat_free(nat);
}

static void
a_host_asks_for_so_many_and_the_table_has_so_many(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_pin p;
	enum nat_pin_fate fate;
	uint32_t made = 0;

	(void)state;
	for (uint16_t i = 0; i < NAT_PINS_OF_HOST; i++)
		assert_int_not_equal(
		    set(nat, pin(ALICE, 1000 + i, 0, 9 * S), 0, NULL), 0);
	assert_int_equal(set(nat, pin(ALICE, 999, 0, 9 * S), 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_HOST_FULL);
	/* The lab file may. */
	p = pin(ALICE, 999, 0, NAT_PIN_FOREVER);
	p.by = NAT_PIN_BY_FILE;
	assert_int_not_equal(set(nat, p, 0, NULL), 0);
	for (uint32_t ip = BOB; made < NAT_PINS_MAX - NAT_PINS_OF_HOST - 1;
	     ip++)
		for (uint16_t i = 0; i < 200; i++)
			made += set(nat, pin(ip, 1000 + i, 0, 9 * S), 0,
				    &fate) != 0;
	assert_int_equal(set(nat, pin(1, 1, 0, 9 * S), 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_FULL);
	/* The first ones are there. */
	for (uint16_t i = 0; i < NAT_PINS_OF_HOST; i++)
		assert_true(
		    nat_has_port(nat, OUTSIDE, IP_UDP, 1000 + i) || i < 24);
	assert_int_equal(nat_stats(nat).mappings, NAT_PINS_MAX);
	nat_expire(nat, 9 * S);
	assert_int_equal(nat_stats(nat).mappings, 1);
	nat_free(nat);
}

static void
a_pin_holds_its_hosts_block_of_ports(void **state)
{
	struct nat *nat = table(nat_preset(NAT_PRESET_CGN));
	uint16_t port = set(nat, pin(ALICE, 5000, 0, 100 * S), 0, NULL);
	struct nat_pin p = pin(ALICE, 6000, 40000, 100 * S);
	enum nat_pin_fate fate;

	(void)state;
	assert_in_range(port, 1024, 1024 + 511);
	assert_in_range(set(nat, p, 0, NULL), 1024, 1024 + 511);
	p = pin(ALICE, 7000, 40000, 100 * S);
	p.exact = true;
	assert_int_equal(set(nat, p, 0, &fate), 0);
	assert_int_equal(fate, NAT_PIN_TAKEN);
	assert_in_range(
	    ask_name(nat, BOB, 1, SERVER, 0), 1024 + 512, 1024 + 1023);
	/* And while its ports rest. */
	nat_expire(nat, 100 * S);
	assert_in_range(ask_name(nat, BOB + 1, 1, SERVER, 100 * S), 1024 + 1024,
	    1024 + 1535);
	nat_expire(nat, 222 * S);
	assert_in_range(ask_name(nat, BOB + 2, 1, SERVER, 222 * S), 1024, 1535);
	nat_free(nat);
}

/* ---- what is shown ---- */

static void
count_rows(void *arg, const struct nat_row *row)
{
	struct nat_row *last = arg;

	if (row->id == 0)
		*last = *row;
}

static void
a_pin_is_shown_with_its_time_and_why(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_row row = { .left_ns = 0 };

	(void)state;
	set(nat, pin(ALICE, 5000, 4000, 100 * S), 0, NULL);
	nat_each(nat, 40 * S, count_rows, &row);
	assert_int_equal(row.left_ns, 60 * S);
	assert_int_equal(row.inside_ip, ALICE);
	assert_int_equal(row.inside_port, 5000);
	assert_int_equal(row.outside_ip, OUTSIDE);
	assert_int_equal(row.outside_port, 4000);
	assert_int_equal(row.remote_ip, 0);
	assert_string_equal(row.state, "pinned");
	assert_string_equal(row.why, "its host asked for it by PCP");
	row.left_ns = 1;
	nat_each(nat, 100 * S, count_rows, &row);
	assert_int_equal(row.left_ns, 1); /* none */
	nat_free(nat);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pin_admits_all_whatever_the_rules_are),
		cmocka_unit_test(filters_admit_whom_they_name_alone),
		cmocka_unit_test(
		    a_pin_for_one_end_admits_what_a_packet_to_it_would),
		cmocka_unit_test(a_connection_with_a_pin_outlives_its_session),
		cmocka_unit_test(a_pin_lasts_without_traffic_until_its_time),
		cmocka_unit_test(a_pin_is_renewed_shortened_and_deleted),
		cmocka_unit_test(pins_end_in_order_whatever_was_changed),
		cmocka_unit_test(who_does_not_know_the_nonce_changes_nothing),
		cmocka_unit_test(all_of_a_host_go_and_no_others),
		cmocka_unit_test(a_taken_port_is_replaced_or_refused_as_wished),
		cmocka_unit_test(the_other_protocols_port_is_kept_for_its_host),
		cmocka_unit_test(overloading_leaves_a_pins_port_alone),
		cmocka_unit_test(pins_count_to_the_limit_of_their_host),
		cmocka_unit_test(
		    a_host_asks_for_so_many_and_the_table_has_so_many),
		cmocka_unit_test(a_pin_holds_its_hosts_block_of_ports),
		cmocka_unit_test(a_pin_is_shown_with_its_time_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
