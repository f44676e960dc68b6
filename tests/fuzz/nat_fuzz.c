/* libs: router switch net base */
/*
 * The connection table under any order of packets, errors, time and new rules.
 *
 * What must hold: what goes out gets a way back to exactly where it came from,
 * no matter what else happened; two inside ends never have one outside port
 * towards the same remote end, and none at all unless rules let them; a host
 * that is paired has one outside address; no host gets more than its limit;
 * nothing comes in without a mapping; the table never holds more than it may,
 * and nothing at all when all has expired.
 */
#include <assert.h>
#include <string.h>

#include "base/loop.h"
#include "net/cursor.h"
#include "net/ip4.h"
#include "router/nat.h"

#define MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The last one is of no pool, and perhaps one host's own. */
static const uint32_t outside[] = { 0xcb007105, 0xcb0071c8, 0xcb007101,
	0xcb007109 };

static const struct router_nat_pair pairs[] = { { 0xcb007109, 0x0a000002 } };

static struct {
	struct nat *nat;
	struct cursor in;
	uint64_t now_ns;
	bool paired; /* rules have always wanted it so */
	bool shared; /* rules let hosts share ports, now or before */
	unsigned int rows;
	struct nat_row row[MAX];
} f;

static struct nat_flow
random_flow(uint8_t *flags)
{
	static const uint8_t protocols[] = { IP_TCP, IP_UDP, IP_ICMP, IP_TCP };
	uint8_t a = cur_u8(&f.in), b = cur_u8(&f.in), c = cur_u8(&f.in);
	struct nat_flow flow = { .protocol = protocols[a & 3] };

	flow.ip = 0x0a000001 + (a >> 2 & 3);
	flow.port = (uint16_t)(a & 0x10 ? a >> 5 : 5000 + (a >> 5));
	flow.remote_ip = 0x08080801 + (b & 7);
	flow.remote_port = flow.protocol == IP_ICMP ? 0 : b >> 4;
	*flags = c & 0x3f;
	return flow;
}

static void
collect(void *arg, const struct nat_row *row)
{
	(void)arg;
	if (row->id == 0)
		return; /* the pair */
	assert(f.rows < MAX);
	f.row[f.rows++] = *row;
}

static void
check_table(void)
{
	f.rows = 0;
	nat_each(f.nat, f.now_ns, collect, NULL);
	assert(nat_stats(f.nat).sessions <= MAX);
	assert(nat_stats(f.nat).sessions >= f.rows);
	assert(nat_stats(f.nat).mappings <= nat_stats(f.nat).sessions);
	for (unsigned int i = 0; i < f.rows; i++) {
		const struct nat_row *a = &f.row[i];

		assert(f.shared ||
		    nat_has_port(
			f.nat, a->outside_ip, a->protocol, a->outside_port));
		for (unsigned int k = 0; k < i; k++) {
			const struct nat_row *b = &f.row[k];

			assert(!f.paired || a->inside_ip != b->inside_ip ||
			    a->outside_ip == b->outside_ip);
			assert(a->protocol != b->protocol ||
			    a->outside_ip != b->outside_ip ||
			    a->outside_port != b->outside_port ||
			    (a->inside_ip == b->inside_ip &&
				a->inside_port == b->inside_port) ||
			    (f.shared &&
				(a->remote_ip != b->remote_ip ||
				    a->remote_port != b->remote_port)));
		}
	}
}

/* Sessions of a host, as the last check_table() saw them. */
static unsigned int
sessions_of(uint32_t ip)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < f.rows; i++)
		n += f.row[i].inside_ip == ip;
	return n;
}

static struct nat_rules
random_rules(void)
{
	uint8_t a = cur_u8(&f.in), b = cur_u8(&f.in);
	struct nat_rules rules = { .mapping = a % 3,
		.filtering = a / 3 % 3,
		.any_parity = a & 0x80,
		.ports = b % NAT_PORT_RULES,
		.pooling = a / 9 % NAT_POOLINGS,
		.refresh = b / 8 % NAT_REFRESHES,
		.host_sessions = b & 0x80 ? 3 : 0,
		.block_ports = b & 0x40 ? NAT_BLOCK_PORTS_MAX : 64 };

	if (rules.ports == NAT_PORTS_OVERLOAD)
		rules.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
	if (rules.ports == NAT_PORTS_BLOCKS)
		rules.pooling = NAT_POOLING_PAIRED;
	if (a & 0x40)
		rules.idle_s[NAT_TIMER_UDP] = 10;
	if (a & 0x20)
		rules.idle_s[NAT_TIMER_UDP_ONE_WAY] = 5;
	rules.no_rest = a & 4;
	rules.rest_ports = b & 2 ? 3 : 0;
	f.paired &= rules.pooling == NAT_POOLING_PAIRED;
	f.shared |= rules.ports == NAT_PORTS_OVERLOAD;
	return rules;
}

static void
change(void)
{
	struct nat_rules rules = random_rules();
	unsigned int rows = f.rows;

	assert(nat_set_rules(f.nat, &rules, f.now_ns, NULL) == 0);
	f.rows = 0;
	nat_each(f.nat, f.now_ns, collect, NULL);
	assert(f.rows <= rows);
}

static void
out(void)
{
	struct nat_segment segment = { .window = 100 };
	struct nat_hit hit, back;
	enum reason reason;
	struct nat_flow flow = random_flow(&segment.flags), in;

	reason = nat_out(f.nat, &flow,
	    flow.protocol == IP_TCP ? &segment : NULL, 60, f.now_ns, &hit);
	if (reason == REASON_NAT_NEW && nat_rules(f.nat)->host_sessions != 0)
		assert(sessions_of(flow.ip) < nat_rules(f.nat)->host_sessions);
	if (reason_is_drop(reason))
		return;
	in = flow;
	in.ip = hit.ip;
	in.port = hit.port;
	assert(hit.id != 0 && nat_has_address(f.nat, hit.ip));
	assert(nat_find_in(f.nat, &in, f.now_ns, &back));
	assert(back.ip == flow.ip && back.port == flow.port);
	assert(back.id == hit.id);
	assert(nat_find_out(f.nat, &flow, f.now_ns, &back));
	assert(back.ip == hit.ip && back.port == hit.port);
	assert(back.id == hit.id);
}

static void
in(void)
{
	struct nat_segment segment = { .window = 100 };
	struct nat_hit hit, back;
	enum reason reason;
	struct nat_flow flow = random_flow(&segment.flags), reply;
	bool mapped;

	flow.ip = outside[flow.ip & 3];
	mapped = nat_has_port(f.nat, flow.ip, flow.protocol, flow.port);
	reason = nat_in(f.nat, &flow, flow.protocol == IP_TCP ? &segment : NULL,
	    60, f.now_ns, &hit);
	if (reason == DROP_NAT_UNSOLICITED)
		assert(!nat_has_port(f.nat, flow.ip, flow.protocol, flow.port));
	if (reason_is_drop(reason))
		return;
	assert((mapped || f.shared) && hit.id != 0);
	reply = flow;
	reply.ip = hit.ip;
	reply.port = hit.port;
	assert(nat_find_out(f.nat, &reply, f.now_ns, &back));
	assert(back.ip == flow.ip);
	assert(back.port == flow.port && back.id == hit.id);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nat_options o = { .outside_ip = outside[2],
		.pool = outside,
		.pairs = pairs,
		.max_entries = MAX,
		.seed = 1 };

	f.in = cursor(data, size);
	f.now_ns = 0;
	f.rows = 0;
	f.shared = false;
	f.paired = true;
	o.npool = cur_u8(&f.in);
	o.npairs = o.npool >> 2 & 1;
	o.npool &= 3;
	o.rules = random_rules();
	f.nat = nat_new(&o, NULL);
	assert(f.nat != NULL);
	while (cur_left(&f.in) > 0) {
		uint8_t op = cur_u8(&f.in);

		switch (op & 7) {
		case 0: f.now_ns += (uint64_t)(op >> 3) * 20 * NS_PER_S; break;
		case 1: f.now_ns += (uint64_t)op * NS_PER_MS; break;
		case 2: nat_expire(f.nat, f.now_ns); break;
		case 3:
		case 4: in(); break;
		case 7:
			if (op < 0x20)
				change();
			else
				out();
			break;
		default: out(); break;
		}
		check_table();
	}
	f.now_ns += 10000 * NS_PER_S;
	nat_expire(f.nat, f.now_ns);
	f.now_ns += 200 * NS_PER_S; /* and rested */
	assert(nat_expire(f.nat, f.now_ns) == UINT64_MAX);
	assert(nat_stats(f.nat).sessions == 0);
	assert(nat_stats(f.nat).mappings == 0);
	assert(nat_stats(f.nat).resting == 0);
	nat_free(f.nat);
	return 0;
}
