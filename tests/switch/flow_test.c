#include "switch/flow.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/cursor.h"
#include "tests/net/exact.h"

#define LEN 64

/* What can differ between two frames. */
struct what {
	uint8_t mac, vlan, from, to;
	uint16_t sport, dport;
	uint8_t protocol, more; /* a fragment */
	bool ip6, swap;
};

static size_t
fill(uint8_t bytes[LEN + 20], const struct what *w)
{
	struct writer out = writer(bytes, LEN + 20);
	uint8_t ends[2][16] = { { [15] = w->from }, { [15] = w->to } };
	uint16_t ports[2] = { w->sport, w->dport };
	int a = w->swap, b = !w->swap;

	memset(bytes, 0, LEN + 20);
	wr_bytes(&out, (uint8_t[6]){ 2, 0, 0, 0, 0, w->swap ? w->mac : 9 }, 6);
	wr_bytes(&out, (uint8_t[6]){ 2, 0, 0, 0, 0, w->swap ? 9 : w->mac }, 6);
	wr_be16(&out, 0x8100);
	wr_be16(&out, w->vlan);
	if (w->ip6) {
		wr_be16(&out, 0x86dd);
		wr_be32(&out, 0x60000000);
		wr_be16(&out, 8);
		wr_u8(&out, w->protocol);
		wr_u8(&out, 64);
		wr_bytes(&out, ends[a], 16);
		wr_bytes(&out, ends[b], 16);
	} else {
		wr_be16(&out, 0x0800);
		wr_be32(&out, 0x45000000);
		wr_be16(&out, 0);
		wr_be16(&out, w->more ? 0x2000 : 0);
		wr_u8(&out, 64);
		wr_u8(&out, w->protocol);
		wr_be16(&out, 0);
		wr_bytes(&out, ends[a] + 12, 4);
		wr_bytes(&out, ends[b] + 12, 4);
	}
	wr_be16(&out, ports[a]);
	wr_be16(&out, ports[b]);
	return LEN + 20;
}

static uint32_t
hash(struct flow_options options, struct what what)
{
	uint8_t bytes[LEN + 20];
	size_t len = fill(bytes, &what);
	struct exact e = exact(bytes, len);
	uint32_t h = flow_hash(&options, e.data, e.len);

	exact_free(&e);
	return h;
}

#define BASE .mac = 1, .vlan = 5, .from = 1, .to = 2, .sport = 7, .dport = 8

static void
each_level_looks_at_what_it_says(void **state)
{
	static const struct {
		struct what what;
		bool differs[3]; /* at levels 2, 3 and 4 */
	} t[] = {
		{ { BASE, .protocol = 17 }, { false, false, false } },
		{ { .mac = 3,
		      .vlan = 5,
		      .from = 1,
		      .to = 2,
		      .sport = 7,
		      .dport = 8,
		      .protocol = 17 },
		    { true, false, false } },
		{ { .mac = 1,
		      .vlan = 6,
		      .from = 1,
		      .to = 2,
		      .sport = 7,
		      .dport = 8,
		      .protocol = 17 },
		    { true, true, true } },
		{ { .mac = 1,
		      .vlan = 5,
		      .from = 3,
		      .to = 2,
		      .sport = 7,
		      .dport = 8,
		      .protocol = 17 },
		    { false, true, true } },
		{ { .mac = 1,
		      .vlan = 5,
		      .from = 1,
		      .to = 2,
		      .sport = 70,
		      .dport = 8,
		      .protocol = 17 },
		    { false, false, true } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int level = FLOW_L2; level <= FLOW_L4; level++)
			for (int ip6 = 0; ip6 < 2; ip6++) {
				struct flow_options o = {
					.level = (enum flow_level)level
				};
				struct what a = t[0].what, b = t[i].what;

				a.ip6 = b.ip6 = ip6;
				assert_int_equal(hash(o, a) != hash(o, b),
				    t[i].differs[level]);
			}
}

static void
a_symmetric_hash_is_the_same_both_ways(void **state)
{
	(void)state;
	for (int level = FLOW_L2; level <= FLOW_L4; level++)
		for (int ip6 = 0; ip6 < 2; ip6++) {
			struct flow_options o = { .level =
						      (enum flow_level)level };
			struct what a = { BASE, .protocol = 6, .ip6 = ip6 };
			struct what b = a, same = a;

			b.swap = true;
			assert_int_not_equal(hash(o, a), hash(o, b));
			o.symmetric = true;
			assert_int_equal(hash(o, a), hash(o, b));
			/* also between two ports of one address */
			a.from = b.from = a.to;
			assert_int_equal(hash(o, a), hash(o, b));
			same.sport = 99;
			if (level == FLOW_L4)
				assert_int_not_equal(hash(o, a), hash(o, same));
		}
}

static void
fragments_and_other_protocols_have_no_ports(void **state)
{
	const struct flow_options o = { .level = FLOW_L4 };
	struct what a = { BASE, .protocol = 17, .more = 1 }, b = a;

	(void)state;
	b.sport = 99;
	assert_int_equal(hash(o, a), hash(o, b));
	a.more = b.more = 0;
	assert_int_not_equal(hash(o, a), hash(o, b));
	a.protocol = b.protocol = 1;
	assert_int_equal(hash(o, a), hash(o, b));
}

static void
frames_that_are_cut_are_hashed_by_what_is_there(void **state)
{
	const struct flow_options o = { .level = FLOW_L4 };
	struct what a = { BASE, .protocol = 17 };
	uint8_t bytes[LEN + 20];

	(void)state;
	fill(bytes, &a);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		struct exact e = exact(bytes, n);
		uint32_t h = flow_hash(&o, e.data, e.len);

		assert_int_equal(h, flow_hash(&o, e.data, e.len));
		exact_free(&e);
	}
}

static void
flows_spread_evenly(void **state)
{
	const struct flow_options o = { .level = FLOW_L4 };
	unsigned int n[256] = { 0 };
	struct what a = { BASE, .protocol = 17 };

	(void)state;
	for (unsigned int i = 0; i < 25600; i++) {
		a.sport = (uint16_t)i;
		n[hash(o, a) % 256]++;
	}
	for (int i = 0; i < 256; i++)
		assert_in_range(n[i], 50, 160);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_level_looks_at_what_it_says),
		cmocka_unit_test(a_symmetric_hash_is_the_same_both_ways),
		cmocka_unit_test(fragments_and_other_protocols_have_no_ports),
		cmocka_unit_test(
		    frames_that_are_cut_are_hashed_by_what_is_there),
		cmocka_unit_test(flows_spread_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
