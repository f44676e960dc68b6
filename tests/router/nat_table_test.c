/*
 * The connection table against a plain list that does the same, slowly; and
 * its parts: the choice of ports, the index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "router/nat.h"
#include "router/nat_addresses.h"
#include "router/nat_index.h"
#include "router/nat_ports.h"
#include "router/nat_tcp.h"

#include <errno.h>

#define S       NS_PER_S
#define OUTSIDE UINT32_C(0xcb007101)

/* ---- ports ---- */

static int32_t
take_port(struct nat_ports *ports, uint16_t want, uint64_t *random)
{
	struct nat_port_wish wish = nat_port_wish(ports, want);

	return nat_ports_take(ports, &wish, random);
}

static void
every_port_of_a_class_is_given_once(void **state)
{
	static struct nat_ports ports;
	static bool seen[65536];
	uint64_t random = 1;

	(void)state;
	ports.has_classes = true;
	for (int i = 0; i < 65536 - 1024; i++) {
		int32_t port = take_port(&ports, 5000, &random);

		assert_in_range(port, 1024, 65535);
		assert_false(seen[port]);
		seen[port] = true;
	}
	assert_int_equal(take_port(&ports, 5000, &random), -1);
	assert_int_equal(take_port(&ports, 1024, &random), -1);
	for (int i = 1; i < 1024; i++) {
		int32_t port = take_port(&ports, 80, &random);

		assert_in_range(port, 1, 1023);
		assert_false(seen[port]);
		seen[port] = true;
	}
	assert_int_equal(take_port(&ports, 0, &random), -1);
	nat_ports_give(&ports, 40001);
	assert_int_equal(take_port(&ports, 5000, &random), 40001);
	nat_ports_give(&ports, 1);
	assert_int_equal(take_port(&ports, 0, &random), 1);
}

static void
echo_ids_have_no_classes(void **state)
{
	static struct nat_ports ids;
	uint64_t random = 1;

	(void)state;
	assert_int_equal(take_port(&ids, 0, &random), 0);
	for (int i = 1; i < 65536; i++)
		assert_true(take_port(&ids, 7, &random) >= 0);
	assert_int_equal(take_port(&ids, 7, &random), -1);
}

static void
parity_is_kept_while_there_is_one(void **state)
{
	static struct nat_ports ports;
	uint64_t random = 1;

	(void)state;
	ports.has_classes = true;
	for (int i = 0; i < 512; i++)
		assert_int_equal(take_port(&ports, 81, &random) & 1, 1);
	assert_int_equal(take_port(&ports, 81, &random) & 1, 0);
}

/* ---- index ---- */

static void
what_was_added_is_found_whatever_was_removed(void **state)
{
	static uint32_t hash[1000];
	struct nat_index index;
	uint64_t random = 5;

	(void)state;
	assert_int_equal(nat_index_init(&index, 1000, 100, 1000), 0);
	for (int turn = 0; turn < 20000; turn++) {
		uint32_t id = (uint32_t)(nat_random(&random) % 1000);

		if (hash[id] == 0) {
			/* Few homes, some at the end: they send others on,
			 * round the end too. */
			hash[id] =
			    (uint32_t)nat_random(&random) % (UINT32_MAX / 8) -
			    UINT32_MAX / 16;
			nat_index_add(&index, hash[id], id + 1);
		} else {
			nat_index_remove(&index, hash[id], id + 1);
			hash[id] = 0;
		}
		if (turn % 100 != 0)
			continue;
		for (uint32_t i = 0; i < 1000; i++) {
			struct nat_probe probe = nat_probe(&index, hash[i]);
			uint32_t found;

			if (hash[i] == 0)
				continue;
			do {
				found = nat_probe_next(&index, &probe);
				assert_int_not_equal(found, 0);
			} while (found != i + 1);
		}
	}
	for (uint32_t i = 0; i < 1000; i++)
		if (hash[i] != 0)
			nat_index_remove(&index, hash[i], i + 1);
	/* Nothing is left behind, and nobody looks for it. */
	for (uint32_t i = 0; i < index.n; i++)
		for (int k = 0; k <= NAT_BUCKET_SLOTS; k++)
			assert_int_equal(
			    index.buckets[i].lanes[k / 4][k % 4], 0);
	nat_index_clear(&index);
}

/* ---- TCP ---- */

static void
tcp_moves_as_rfc6146_says(void **state)
{
	enum {
		C = NAT_TCP_CLOSED,
		OI = NAT_TCP_OUT_INIT,
		II = NAT_TCP_IN_INIT,
		E = NAT_TCP_ESTABLISHED,
		OF = NAT_TCP_OUT_FIN,
		IF = NAT_TCP_IN_FIN,
		BF = NAT_TCP_BOTH_FIN,
		TR = NAT_TCP_TRANS
	};
	/* from; after SYN, FIN, RST, data: out and in */
	static const uint8_t rows[][9] = {
		{ C, OI, II, C, C, C, C, C, C },
		{ OI, OI, E, OI, OI, OI, OI, OI, OI },
		{ II, E, II, II, II, II, II, II, II },
		{ E, E, E, OF, IF, TR, TR, E, E },
		{ OF, OF, OF, OF, BF, TR, TR, OF, OF },
		{ IF, IF, IF, BF, IF, TR, TR, IF, IF },
		{ BF, OI, II, BF, BF, BF, BF, BF, BF },
		{ TR, OI, II, E, E, TR, TR, E, E },
	};
	static const uint8_t flags[] = { TCP_SYN, TCP_FIN | TCP_ACK, TCP_RST,
		TCP_ACK };
	struct nat_window window = { .known = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < 8; k++) {
			struct nat_segment s = { .flags = flags[k / 2] };

			assert_int_equal(
			    nat_tcp_next((enum nat_tcp_state)rows[i][0], &s,
				k % 2 == 0 ? NAT_OUTWARDS : NAT_INWARDS,
				&window),
			    rows[i][k + 1]);
		}
}

static void
a_reset_is_measured_by_the_scaled_window(void **state)
{
	struct nat_window w = { .known = 0 };
	struct nat_segment syn = { .flags = TCP_SYN, .scale = 7 };
	struct nat_segment ack = {
		.flags = TCP_ACK, .ack = 0xfffffff0, .window = 100
	};
	struct nat_segment rst = { .flags = TCP_RST };
	static const struct {
		uint32_t seq;
		bool inside;
	} rows[] = {
		{ 0xfffffff0, true },
		{ 0xfffffff0 + 12800, true },
		{ 0xfffffff0 + 12801, false },
		{ 0xffffffef, false },
		{ 0, true },
		{ 0x7fffffff, false },
	};

	(void)state;
	nat_window_note(&w, &syn, NAT_OUTWARDS);
	nat_window_note(&w, &ack, NAT_OUTWARDS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rst.seq = rows[i].seq;
		assert_int_equal(
		    nat_tcp_next(NAT_TCP_ESTABLISHED, &rst, NAT_INWARDS, &w),
		    rows[i].inside ? NAT_TCP_TRANS : NAT_TCP_ESTABLISHED);
	}
	/* Nobody has spoken in the other direction: any is believed. */
	rst.seq = 12345;
	assert_int_equal(
	    nat_tcp_next(NAT_TCP_ESTABLISHED, &rst, NAT_OUTWARDS, &w),
	    NAT_TCP_TRANS);
}

/* ---- the table ---- */

#define MODEL_MAX 64
#define TICK      (UINT64_C(1) << 30) /* of the timers' lists */

/* The same, as a list. */
struct model_session {
	bool used;
	struct nat_flow out; /* as seen inside */
	struct nat_flow map; /* what its mapping was made for */
	uint16_t outside;
	uint64_t expires_ns;
	uint32_t id;
};

struct model {
	enum nat_behaviour mapping, filtering;
	struct model_session s[MODEL_MAX];
};

static void
model_expire(struct model *m, uint64_t now_ns)
{
	for (int i = 0; i < MODEL_MAX; i++)
		if (m->s[i].used && m->s[i].expires_ns <= now_ns)
			m->s[i].used = false;
}

static bool
same_mapping(
    const struct model *m, const struct nat_flow *a, const struct nat_flow *b)
{
	if (a->ip != b->ip || a->port != b->port || a->protocol != b->protocol)
		return false;
	if (m->mapping != NAT_ENDPOINT_INDEPENDENT &&
	    a->remote_ip != b->remote_ip)
		return false;
	return m->mapping != NAT_ADDRESS_AND_PORT_DEPENDENT ||
	    a->remote_port == b->remote_port;
}

static struct model_session *
model_add(struct model *m)
{
	for (int i = 0; i < MODEL_MAX; i++)
		if (!m->s[i].used)
			return &m->s[i];
	return NULL;
}

static void
check_out(struct model *m, struct nat *nat, const struct nat_flow *flow,
    uint64_t now_ns)
{
	struct nat_hit hit = { .id = 0 };
	enum reason reason = nat_out(nat, flow, NULL, 60, now_ns, &hit);
	struct model_session *s;
	int outside = -1;

	for (int i = 0; i < MODEL_MAX; i++) {
		s = &m->s[i];
		if (!s->used)
			continue;
		if (memcmp(&s->out, flow, sizeof(*flow)) == 0) {
			assert_int_equal(reason, REASON_NAT_OUT);
			assert_int_equal(hit.port, s->outside);
			assert_int_equal(hit.id, s->id);
			s->expires_ns = now_ns + 300 * S;
			return;
		}
		if (same_mapping(m, &s->map, flow))
			outside = s->outside;
	}
	s = model_add(m);
	if (s == NULL) {
		assert_int_equal(reason, DROP_NAT_FULL);
		return;
	}
	assert_int_equal(reason, REASON_NAT_NEW);
	assert_int_equal(hit.ip, OUTSIDE);
	if (outside >= 0)
		assert_int_equal(hit.port, outside);
	else
		for (int i = 0; i < MODEL_MAX; i++)
			assert_false(m->s[i].used &&
			    m->s[i].out.protocol == flow->protocol &&
			    m->s[i].outside == hit.port);
	*s = (struct model_session){ .used = true,
		.out = *flow,
		.map = *flow,
		.outside = hit.port,
		.expires_ns = now_ns + 300 * S,
		.id = hit.id };
}

/* Does the model admit a packet from outside to this session's mapping? */
static bool
model_admits(const struct model *m, const struct model_session *s,
    const struct nat_flow *in)
{
	switch (m->filtering) {
	case NAT_ENDPOINT_INDEPENDENT: return true;
	case NAT_ADDRESS_DEPENDENT: return s->out.remote_ip == in->remote_ip;
	case NAT_ADDRESS_AND_PORT_DEPENDENT: return false;
	}
	return false;
}

static void
check_in(struct model *m, struct nat *nat, const struct nat_flow *in,
    uint64_t now_ns)
{
	struct nat_hit hit = { .id = 0 };
	enum reason reason = nat_in(nat, in, NULL, 60, now_ns, &hit);
	enum reason expected = DROP_NAT_UNSOLICITED;
	struct nat_flow out = *in, map = *in;
	struct model_session *s;
	int used = 0;

	for (int i = 0; i < MODEL_MAX; i++) {
		s = &m->s[i];
		if (!s->used || s->outside != in->port ||
		    s->out.protocol != in->protocol)
			continue;
		out.ip = s->out.ip;
		out.port = s->out.port;
		map = s->map;
		if (memcmp(&s->out, &out, sizeof(out)) == 0) {
			assert_int_equal(reason, REASON_NAT_IN);
			assert_int_equal(hit.id, s->id);
			assert_int_equal(hit.ip, s->out.ip);
			assert_int_equal(hit.port, s->out.port);
			s->expires_ns = now_ns + 300 * S;
			return;
		}
		if (expected == DROP_NAT_UNSOLICITED)
			expected = DROP_NAT_FILTERED;
		if (model_admits(m, s, in))
			expected = REASON_NAT_IN;
	}
	/* Another mapping may have the pair already. */
	for (int i = 0; i < MODEL_MAX; i++)
		if (expected == REASON_NAT_IN && m->s[i].used &&
		    memcmp(&m->s[i].out, &out, sizeof(out)) == 0)
			expected = DROP_NAT_FILTERED;
	/* A quarter is for those inside. */
	for (int i = 0; i < MODEL_MAX; i++)
		used += m->s[i].used;
	if (used >= MODEL_MAX - MODEL_MAX / 4 && expected == REASON_NAT_IN)
		expected = DROP_NAT_FULL;
	s = model_add(m);
	assert_int_equal(reason, expected);
	if (expected != REASON_NAT_IN)
		return;
	assert_int_equal(hit.ip, out.ip);
	assert_int_equal(hit.port, out.port);
	*s = (struct model_session){ .used = true,
		.out = out,
		.map = map,
		.outside = in->port,
		.expires_ns = now_ns + 300 * S,
		.id = hit.id };
}

static unsigned int
model_count(const struct model *m)
{
	unsigned int n = 0;

	for (int i = 0; i < MODEL_MAX; i++)
		n += m->s[i].used;
	return n;
}

static void
run_model(enum nat_behaviour mapping, enum nat_behaviour filtering)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.rules.mapping = mapping,
		.rules.filtering = filtering,
		.rules.no_rest = true,
		.max_entries = MODEL_MAX,
		.seed = 3 };
	struct nat *nat = nat_new(&o, NULL);
	struct model m = { .mapping = mapping, .filtering = filtering };
	uint64_t random = 99, now_ns = 0;

	assert_non_null(nat);
	for (int i = 0; i < 60000; i++) {
		uint64_t r = nat_random(&random);
		struct nat_flow f;

		memset(&f, 0, sizeof(f));
		f.protocol = IP_UDP;
		f.remote_ip = (uint32_t)(r & 3) + 1;
		f.remote_port = (uint16_t)(r >> 2 & 3);
		if (r >> 4 & 1) {
			f.ip = (uint32_t)(r >> 5 & 3) + 100;
			f.port = (uint16_t)(2000 + (r >> 7 & 3));
		} else {
			f.ip = OUTSIDE;
			f.port = r >> 5 & 1 ? (uint16_t)(2000 + (r >> 7 & 3))
					    : m.s[r >> 7 & 63].outside;
		}
		/* In whole ticks, in which expiry is exact for mappings too. */
		if ((r >> 40 & 7) == 0)
			now_ns += (r >> 20 & 127) * TICK;
		model_expire(&m, now_ns);
		if (nat_due_ns(nat) <= now_ns)
			nat_expire(nat, now_ns);
		if (r >> 4 & 1)
			check_out(&m, nat, &f, now_ns);
		else
			check_in(&m, nat, &f, now_ns);
		assert_int_equal(nat_stats(nat).sessions, model_count(&m));
	}
	/* What has expired is gone a tick later. */
	nat_expire(nat, now_ns);
	now_ns += 302 * S;
	nat_expire(nat, now_ns);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).mappings, 0);
	assert_int_equal(nat_due_ns(nat), UINT64_MAX);
	nat_free(nat);
}

static void
the_table_does_what_a_plain_list_does(void **state)
{
	static const enum nat_behaviour all[] = { NAT_ENDPOINT_INDEPENDENT,
		NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT };

	(void)state;
	for (int i = 0; i < 9; i++)
		run_model(all[i / 3], all[i % 3]);
}

static void
expiry_is_exact_for_who_looks_and_a_tick_late_for_memory(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.rules.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT };
	struct nat *nat = nat_new(&o, NULL);
	struct nat_flow f = { .ip = 1,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_flow in = { .ip = OUTSIDE,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_hit hit;

	(void)state;
	nat_out(nat, &f, NULL, 60, 0, &hit);
	assert_true(nat_find_in(nat, &in, 300 * S - 1, &hit));
	/* The mapping is still there, the session is not. */
	assert_true(nat_find_in(nat, &in, 300 * S, &hit));
	assert_int_equal(hit.id, 0);
	assert_int_equal(
	    nat_in(nat, &in, NULL, 60, 300 * S - 1, &hit), REASON_NAT_IN);
	assert_int_equal(nat_in(nat, &in, NULL, 60, 600 * S - 1, &hit),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(nat_stats(nat).sessions, 0);
	nat_free(nat);
}

/*
 * A full table makes room for a packet from outside by ending what has expired,
 * which may be all that the packet's own mapping had.
 */
static void
a_mapping_that_ends_to_make_room_admits_nobody(void **state)
{
	static const enum nat_behaviour filters[] = { NAT_ENDPOINT_INDEPENDENT,
		NAT_ADDRESS_DEPENDENT };
	struct nat_options o = { .outside_ip = OUTSIDE, .max_entries = 2 };
	struct nat_flow flow = { .ip = 1,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_flow other = { .ip = 4,
		.port = 6000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_flow in = { .ip = OUTSIDE,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 4,
		.protocol = IP_UDP };
	struct nat_hit hit;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct nat *nat;

		o.rules.filtering = filters[i];
		o.rules.no_rest = true;
		nat = nat_new(&o, NULL);
		assert_non_null(nat);
		nat_out(nat, &flow, NULL, 60, 0, &hit);
		nat_out(nat, &other, NULL, 60, 0, &hit);
		assert_int_equal(nat_in(nat, &in, NULL, 60, 300 * S, &hit),
		    DROP_NAT_UNSOLICITED);
		assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
		assert_int_equal(nat_stats(nat).sessions, 0);
		assert_int_equal(nat_stats(nat).mappings, 0);
		assert_int_equal(nat_due_ns(nat), UINT64_MAX);
		nat_free(nat);
	}
}

static void
a_full_table_makes_room_for_a_mapping_that_lives(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE, .max_entries = 2 };
	struct nat_flow gone = { .ip = 4,
		.port = 6000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_flow flow = { .ip = 1,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 3,
		.protocol = IP_UDP };
	struct nat_flow in = { .ip = OUTSIDE,
		.port = 5000,
		.remote_ip = 2,
		.remote_port = 4,
		.protocol = IP_UDP };
	struct nat *nat = nat_new(&o, NULL);
	struct nat_hit hit;

	(void)state;
	assert_non_null(nat);
	nat_out(nat, &gone, NULL, 60, 0, &hit);
	nat_out(nat, &flow, NULL, 60, 10 * S, &hit);
	assert_int_equal(
	    nat_in(nat, &in, NULL, 60, 300 * S - 1, &hit), DROP_NAT_FULL);
	assert_int_equal(
	    nat_in(nat, &in, NULL, 60, 300 * S, &hit), REASON_NAT_IN);
	assert_int_equal(hit.ip, 1);
	assert_int_equal(hit.port, 5000);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 6000));
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_int_equal(nat_stats(nat).sessions, 2);
	assert_int_equal(nat_stats(nat).mappings, 1);
	nat_free(nat);
}

static void
a_million_sessions_fit_and_expire(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = 1000000 };
	struct nat *nat = nat_new(&o, NULL);
	struct nat_hit hit;

	(void)state;
	assert_non_null(nat);
	for (uint32_t i = 0; i < 1000000; i++) {
		struct nat_flow f = { .ip = 0x0a000000 + (i >> 10),
			.port = (uint16_t)(1024 + (i & 63)),
			.remote_ip = 0x08000000 + (i >> 6 & 15),
			.remote_port = 80,
			.protocol = IP_UDP };

		assert_int_equal(
		    nat_out(nat, &f, NULL, 60, i * 1000, &hit), REASON_NAT_NEW);
	}
	assert_int_equal(nat_stats(nat).sessions, 1000000);
	assert_true(nat_stats(nat).bytes / 1000000 < 140);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).mappings, 0);
	nat_free(nat);
}

static void
a_table_that_is_too_large_is_refused_with_a_sentence(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = NAT_MAX_ENTRIES_LIMIT + 1 };
	struct err err = { "" };

	(void)state;
	assert_null(nat_new(&o, &err));
	assert_string_equal(err.text,
	    "a NAT table of 4194305 entries is too large; use 1 to 4194304");
}

static void
an_entry_takes_at_most_128_bytes_all_in(void **state)
{
	static const struct {
		uint32_t max, addresses;
	} tables[] = { { 65536, 1 }, { 65536, 4 }, { 65536, 7 }, { 262144, 16 },
		{ 1000000, 1 }, { 1000000, 16 },
		{ NAT_MAX_ENTRIES_LIMIT, NAT_ADDRESSES_MAX - 1 } };
	uint32_t pool[NAT_ADDRESSES_MAX];

	(void)state;
	for (uint32_t i = 0; i < NAT_ADDRESSES_MAX; i++)
		pool[i] = OUTSIDE + 1 + i;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct nat_options o = { .outside_ip = OUTSIDE,
			.pool = pool,
			.npool = tables[i].addresses,
			.max_entries = tables[i].max };
		struct nat *nat = nat_new(&o, NULL);

		assert_non_null(nat);
		assert_in_range(nat_stats(nat).bytes / tables[i].max, 100, 127);
		nat_free(nat);
	}
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_port_of_a_class_is_given_once),
		T(echo_ids_have_no_classes),
		T(parity_is_kept_while_there_is_one),
		T(what_was_added_is_found_whatever_was_removed),
		T(tcp_moves_as_rfc6146_says),
		T(a_reset_is_measured_by_the_scaled_window),
		T(the_table_does_what_a_plain_list_does),
		T(expiry_is_exact_for_who_looks_and_a_tick_late_for_memory),
		T(a_mapping_that_ends_to_make_room_admits_nobody),
		T(a_full_table_makes_room_for_a_mapping_that_lives),
		T(a_million_sessions_fit_and_expire),
		T(an_entry_takes_at_most_128_bytes_all_in),
		T(a_table_that_is_too_large_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
