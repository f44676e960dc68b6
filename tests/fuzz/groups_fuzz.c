/* libs: switch/groups.c switch/groups_table.c switch/groups_report.c switch/groups_query.c net base */
#include "switch/groups.h"

#include <stdlib.h>

#include "net/checksum.h"
#include "net/eth.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define S     UINT64_C(1000000000)
#define PORTS 4

struct state {
	struct groups *groups;
	struct groups_options options;
	uint64_t now_ns;
	unsigned int rows, per_port[PORTS];
};

static enum reason
parse(struct member_msg *msg, bool ip6, struct cursor *c)
{
	enum reason reason;
	struct ip4 h4;
	struct ip6 h6;

	if (ip6) {
		reason = ip6_parse(&h6, c);
		return reason != DROP_NONE ? reason : mld_parse(msg, &h6, c);
	}
	reason = ip4_parse(&h4, c);
	return reason != DROP_NONE ? reason : igmp_parse(msg, &h4, c);
}

/* Queries of our own are read by the same rules. */
static void
query(void *arg, uint16_t vlan, uint32_t port, const struct member_query *q)
{
	struct state *s = arg;
	uint8_t frame[MEMBER_QUERY_BYTES];
	struct writer w = writer(frame, sizeof(frame));
	struct member_msg msg;
	struct cursor c;

	CHECK(s->options.querier != 0 && vlan < 2);
	CHECK(port < PORTS || port == GROUPS_ALL_PORTS);
	member_write_query(&w, &s->options.mac, q);
	CHECK(!w.overrun);
	c = cursor(frame + 14, (size_t)(w.at - frame - 14));
	CHECK(parse(&msg, q->ip6, &c) == DROP_NONE);
	CHECK(msg.kind == MEMBER_QUERY && msg.version == q->version);
	CHECK(ip6_equal(&msg.group, &q->group));
	CHECK(msg.record.nsources == q->nsources);
}

static void
free_later(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

static const struct groups_calls calls = { query, free_later };

/* What is shown and what is sent agree. */
static void
check_row(void *arg, const struct group_row *row)
{
	static const struct ip6_addr stranger = { { 0x20, 0x01, [15] = 0x77 } };
	struct state *s = arg;
	const struct port_set *only;
	uint32_t ip4;

	CHECK(row->port < PORTS && row->vlan < 2);
	CHECK(row->left_ns > 0 && row->nsources <= GROUP_SOURCES);
	s->rows++;
	s->per_port[row->port]++;
	only = groups_find(s->groups, row->vlan, !ip6_to_ip4(&ip4, &row->group),
	    &row->group, &stranger, s->now_ns);
	if (only != NULL && row->exclude)
		CHECK(port_set_has(only, row->port));
}

static void
check_router(void *arg, const struct group_router_row *row)
{
	(void)arg;
	CHECK(row->port < PORTS || row->port == GROUPS_ALL_PORTS);
	CHECK(row->left_ns > 0);
}

static void
check(struct state *s)
{
	s->rows = 0;
	memset(s->per_port, 0, sizeof(s->per_port));
	groups_each(s->groups, s->now_ns, check_row, s);
	groups_each_router(s->groups, s->now_ns, check_router, NULL);
	for (unsigned int i = 0; i < PORTS; i++)
		CHECK(s->per_port[i] <= s->options.max_groups);
}

static void
pass(struct state *s, uint64_t ns)
{
	uint64_t end_ns = s->now_ns + ns, next;

	while ((next = groups_run(s->groups, s->now_ns)) <= end_ns) {
		CHECK(next > s->now_ns);
		s->now_ns = next;
	}
	s->now_ns = end_ns;
	CHECK(groups_run(s->groups, end_ns) > end_ns);
}

static void
receive(struct state *s, uint8_t where, struct member_msg *msg)
{
	const struct port_set *only = groups_receive(
	    s->groups, where >> 2 & 1, where % PORTS, msg, s->now_ns);

	CHECK((only != NULL) == (msg->kind == MEMBER_REPORT));
	CHECK(only == NULL || !port_set_has(only, PORTS));
}

/* A packet of bytes from the wire, whose checksums may be put right. */
static void
raw(struct state *s, uint8_t where, struct cursor *c)
{
	uint8_t len = cur_u8(c);
	struct cursor bytes = cur_sub(c, len);
	size_t n = cur_left(&bytes);
	uint8_t *m = malloc(n + 1);
	struct member_msg msg;
	bool ip6 = where & 8;

	CHECK(m != NULL);
	if (n > 0)
		memcpy(m, bytes.at, n);
	if (!ip6 && where & 16 && n >= 24) {
		m[0] = 0x45;
		put_be16(m + 2, (uint16_t)n);
		put_be16(m + 6, 0);
		m[9] = IP_IGMP;
		put_be16(m + 10, 0);
		put_be16(m + 10, csum_finish(csum_add_bytes(0, m, 20)));
		put_be16(m + 22, 0);
		put_be16(
		    m + 22, csum_finish(csum_add_bytes(0, m + 20, n - 20)));
	}
	if (ip6 && where & 16 && n >= 72) {
		static const uint8_t alert[] = { 58, 0, 5, 2, 0, 0, 1, 0 };
		struct ip6_addr src, dst;

		m[0] = 0x60;
		put_be16(m + 4, (uint16_t)(n - 40));
		m[6] = 0;
		m[7] = 1;
		m[8] = 0xfe;
		m[9] = 0x80;
		memcpy(m + 40, alert, sizeof(alert));
		memcpy(&src, m + 8, 16);
		memcpy(&dst, m + 24, 16);
		put_be16(m + 50, 0);
		put_be16(m + 50,
		    csum_finish(csum_add_bytes(
			csum_pseudo6(&src, &dst, 58, (uint32_t)(n - 48)),
			m + 48, n - 48)));
	}
	bytes = cursor(m, n);
	if (parse(&msg, ip6, &bytes) == DROP_NONE)
		receive(s, where, &msg);
	free(m);
}

/* A record of few groups and few sources, so that they meet. */
static void
likely(struct state *s, uint8_t where, struct cursor *c)
{
	uint8_t what = cur_u8(c), nsources = cur_u8(c) % 40, age = cur_u8(c);
	uint8_t bytes[1024];
	struct writer w = writer(bytes, sizeof(bytes));
	struct member_msg msg = { .kind = MEMBER_REPORT,
		.version = age % 4 == 0 ? 1 + (age >> 2 & 1) : 3,
		.nrecords = 1,
		.record = { .change = (enum member_change)(1 + what % 6),
		    .group = ip6_of_ip4(0xef010100u + (what >> 3 & 7)) } };

	if (msg.version == 3) {
		wr_u8(&w, (uint8_t)(1 + what % 6));
		wr_u8(&w, 0);
		wr_be16(&w, nsources);
		wr_be32(&w, 0xef010100u + (what >> 3 & 7));
		for (unsigned int i = 0; i < nsources; i++)
			wr_be32(&w, 0x0a000000u + (age + i) % 48);
		msg.records = cursor(bytes, (size_t)(w.at - bytes));
	} else {
		msg.record.change =
		    what & 1 ? MEMBER_IS_EXCLUDE : MEMBER_TO_INCLUDE;
	}
	receive(s, where, &msg);
}

static void
asked(struct state *s, uint8_t where, struct cursor *c)
{
	uint8_t what = cur_u8(c);
	struct member_msg msg = { .kind = MEMBER_QUERY,
		.version = 3,
		.src = ip6_of_ip4(what & 1 ? 0x0a0000feu : 0x09000001u),
		.robustness = what >> 1 & 7,
		.interval_s = cur_u8(c),
		.max_response_ms = 10u * cur_u8(c),
		.suppress = what >> 4 & 1 };

	if (what >> 5 & 1)
		msg.group = ip6_of_ip4(0xef010100u + (what >> 5 & 7));
	receive(s, where, &msg);
}

static void
step(struct state *s, struct cursor *c)
{
	uint8_t op = cur_u8(c), where = cur_u8(c);
	unsigned int port = where % PORTS;

	switch (op & 7) {
	case 0: raw(s, where, c); break;
	case 1: asked(s, where, c); break;
	case 2: pass(s, where * S / 16); break;
	case 3: pass(s, where * S * 2); break;
	case 4: groups_link(s->groups, port, where & 16, s->now_ns); break;
	case 5:
		if (where & 16) {
			groups_set_router(
			    s->groups, port, where & 32, s->now_ns);
			break;
		}
		groups_remove(s->groups, port, s->now_ns);
		CHECK(groups_add(s->groups, port) == 0);
		break;
	default: likely(s, where, c); break;
	}
	pass(s, 0);
	check(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint8_t options = cur_u8(&c);
	struct state s = { .options = {
			       .unregistered = options & 1 ? GROUPS_FLOOD
							   : GROUPS_TO_ROUTERS,
			       .fast_leave = options >> 1 & 1,
			       .querier = options >> 2 & 1 ? 0x0a000001 : 0,
			       .mac = { { 2, 0, 0, 0, 0, 1 } },
			       .query_ns = 20 * S,
			       .response_ns = 5 * S,
			       .igmp = options >> 3 & 1 ? 2 : 3,
			       .max_groups = 1 + (options >> 4 & 7),
			   } };

	s.groups = groups_new(&s.options, 7, &calls, &s);
	CHECK(s.groups != NULL);
	for (unsigned int i = 0; i < PORTS; i++)
		CHECK(groups_add(s.groups, i) == 0);
	CHECK(groups_vlan(s.groups, 0, 0) == 0);
	for (int i = 0; i < 200 && cur_left(&c) > 0; i++)
		step(&s, &c);
	/* Nobody speaks any more: nobody is a member. */
	s.now_ns += UINT64_C(300000) * S;
	pass(&s, 0);
	check(&s);
	CHECK(s.rows == 0);
	groups_free(s.groups);
	return 0;
}
