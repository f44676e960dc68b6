/* libs: router switch net base */
/*
 * The connection table under any order of packets, errors, time, new rules and
 * mappings that are asked for.
 *
 * What must hold: what goes out gets a way back to exactly where it came from,
 * no matter what else happened; two inside ends never have one outside port
 * towards the same remote end, and none at all unless rules let them; a host
 * that is paired has one outside address; no host gets more than its limit;
 * nothing comes in without a mapping; the table never holds more than it may,
 * and nothing at all when all has expired.
 *
 * A pin is there, at the outside end that was told, for as long as was said,
 * whatever else happens, and is ended by who knows its nonce alone; nobody else
 * has that end.  Whom a pin for anybody admits gets in, and others do not.
 */
#include <assert.h>
#include <string.h>

#include "base/loop.h"
#include "net/cursor.h"
#include "net/ip4.h"
#include "router/nat.h"
#include "router/nat_pin.h"

#define MAX      24
#define PINS     12                   /* asked for at a time */
#define STRANGER UINT32_C(0x09090900) /* a net that nobody inside speaks to */

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
	bool owned;  /* a host has an address of its own */
	bool asked;  /* and something was asked for meanwhile */
	unsigned int rows;
	struct nat_row row[MAX + PINS];
	unsigned int pins; /* that were made, and not ended yet by anybody */
	struct nat_pin pin[PINS];
	uint16_t stranger; /* its port, each time another */
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
	if (row->id == 0 && row->protocol == 0)
		return; /* the pair */
	assert(f.rows < MAX + PINS);
	f.row[f.rows++] = *row;
}

/* ---- pins ---- */

static bool
same_ends(const struct nat_pin *a, const struct nat_pin *b)
{
	return a->protocol == b->protocol && a->in_ip == b->in_ip &&
	    a->in_port == b->in_port && a->remote_ip == b->remote_ip &&
	    a->remote_port == b->remote_port;
}

static struct nat_pin *
known(const struct nat_pin *ends)
{
	for (unsigned int i = 0; i < f.pins; i++)
		if (same_ends(&f.pin[i], ends))
			return &f.pin[i];
	return NULL;
}

/* Those that have ended are none, once the table has been told the time. */
static void
forget_pins(void)
{
	for (unsigned int i = 0; i < f.pins;)
		if (f.pin[i].until_ns <= f.now_ns)
			f.pin[i] = f.pin[--f.pins];
		else
			i++;
}

static void
check_pins(void)
{
	for (unsigned int i = 0; i < f.pins; i++) {
		const struct nat_pin *a = &f.pin[i];
		struct nat_pin is;
		bool found = nat_pin_find(f.nat, a, &is, f.now_ns);

		assert(found == (a->until_ns > f.now_ns));
		if (!found)
			continue;
		assert(is.until_ns == a->until_ns && is.by == a->by);
		assert(is.out_ip == a->out_ip && is.out_port == a->out_port);
		assert(
		    nat_has_port(f.nat, a->out_ip, a->protocol, a->out_port));
		for (unsigned int k = 0; k < f.rows; k++) {
			const struct nat_row *b = &f.row[k];

			assert(a->protocol != b->protocol ||
			    a->out_ip != b->outside_ip ||
			    a->out_port != b->outside_port ||
			    (a->in_ip == b->inside_ip &&
				a->in_port == b->inside_port));
		}
	}
}

/* A stranger tries a pin for anybody. */
static void
try_pin(const struct nat_pin *pin)
{
	struct nat_segment syn = { .flags = 2, .window = 100 };
	struct nat_flow flow = { .ip = pin->out_ip,
		.port = pin->out_port,
		.remote_ip = STRANGER + (f.stranger & 1),
		.remote_port = ++f.stranger,
		.protocol = pin->protocol };
	bool admits = pin->nfilters == 0 ||
	    pin->filters[0].ip == flow.remote_ip || pin->filters[0].prefix == 0;
	enum reason reason;
	struct nat_hit hit;

	reason = nat_in(f.nat, &flow, pin->protocol == IP_TCP ? &syn : NULL, 60,
	    f.now_ns, &hit);
	if (!admits) {
		assert(reason == DROP_NAT_FILTERED);
		return;
	}
	assert(reason == REASON_NAT_IN || reason == DROP_NAT_FULL ||
	    reason == DROP_NAT_HOST_LIMIT);
	if (reason == REASON_NAT_IN)
		assert(hit.ip == pin->in_ip && hit.port == pin->in_port);
}

static void
end_pins(const struct nat_pin *pin, bool all)
{
	enum nat_pin_fate fate = NAT_PIN_RENEWED;
	unsigned int n = 0, want = 0;
	struct nat_pin *was;

	forget_pins();
	was = known(pin);
	if (all)
		n = nat_pin_delete_all(f.nat, pin->in_ip, pin->protocol,
		    pin->by, pin->nonce, f.now_ns);
	else
		fate = nat_pin_delete(f.nat, pin, f.now_ns);
	for (unsigned int i = f.pins; i-- > 0;) {
		const struct nat_pin *a = &f.pin[i];

		if (a->nonce[0] != pin->nonce[0] ||
		    (all ? a->in_ip != pin->in_ip || a->by != pin->by ||
				a->protocol != pin->protocol
			 : a != was))
			continue;
		want++;
		f.pin[i] = f.pin[--f.pins];
	}
	assert(!all || n == want);
	assert((fate == NAT_PIN_OTHERS) == (!all && was != NULL && want == 0));
}

static void
set_pin(struct nat_pin *pin)
{
	const struct nat_pin wanted = *pin;
	struct nat_pin *was;
	enum nat_pin_fate fate;

	forget_pins();
	was = known(pin);
	if (was == NULL && f.pins == PINS)
		return;
	/* At an address of its own, asking is all that gives another port. */
	f.asked |= f.owned;
	f.paired &= pin->out_ip == 0;
	fate = nat_pin_set(f.nat, pin, f.now_ns);
	assert(fate != NAT_PIN_RENEWED || was != NULL);
	assert(fate != NAT_PIN_MADE || was == NULL);
	if (was != NULL && was->nonce[0] != wanted.nonce[0])
		assert(fate == NAT_PIN_OTHERS || fate == NAT_PIN_FOREIGN);
	else
		assert(fate != NAT_PIN_OTHERS);
	if (fate > NAT_PIN_RENEWED)
		return;
	assert(same_ends(pin, &wanted) && nat_has_address(f.nat, pin->out_ip));
	assert(!wanted.exact ||
	    ((wanted.out_port == 0 || pin->out_port == wanted.out_port) &&
		(wanted.out_ip == 0 || pin->out_ip == wanted.out_ip)));
	assert(was == NULL ||
	    (pin->out_ip == was->out_ip && pin->out_port == was->out_port));
	if (was == NULL)
		was = &f.pin[f.pins++];
	*was = *pin;
	if (pin->remote_port == 0)
		try_pin(pin);
}

static void
ask(void)
{
	uint8_t what = cur_u8(&f.in), how = cur_u8(&f.in), flags;
	struct nat_flow flow = random_flow(&flags);
	struct nat_pin pin = { .protocol = flow.protocol,
		.in_ip = flow.ip,
		.in_port = flow.port,
		.out_port = what & 1 ? 5000 + (what >> 5) : 0,
		.out_ip = what & 2 ? outside[what >> 6] : 0,
		.exact = what & 4,
		.pair = what & 8,
		.by = what & 16 ? NAT_PIN_BY_PCP : NAT_PIN_BY_PMP,
		.nonce = { how & 1 },
		.until_ns = f.now_ns + (how >> 3) * 20 * NS_PER_S + 1 };

	if (pin.protocol == IP_ICMP || pin.in_port == 0)
		return;
	if (how & 2 && flow.remote_port != 0) {
		pin.remote_ip = flow.remote_ip;
		pin.remote_port = flow.remote_port;
	} else if (how & 4) {
		pin.nfilters = 1;
		pin.filters[0] = (struct nat_pin_filter){ .ip = STRANGER,
			.prefix = flags & 1 ? 32 : 0 };
	}
	if (flags < 4)
		end_pins(&pin, flags < 2);
	else
		set_pin(&pin);
}

/* ---- all of it ---- */

static void
check_table(void)
{
	f.rows = 0;
	nat_each(f.nat, f.now_ns, collect, NULL);
	check_pins();
	assert(nat_stats(f.nat).sessions <= MAX);
	assert(nat_stats(f.nat).sessions + f.pins >= f.rows);
	assert(nat_stats(f.nat).mappings <= nat_stats(f.nat).sessions + f.pins);
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
		assert(f.asked ||
		    !nat_has_port(f.nat, flow.ip, flow.protocol, flow.port));
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
	f.rows = f.pins = 0;
	f.stranger = 0;
	f.asked = f.shared = false;
	f.paired = true;
	o.npool = cur_u8(&f.in);
	o.npairs = o.npool >> 2 & 1;
	f.owned = o.npairs > 0;
	o.npool &= 3;
	o.rules = random_rules();
	f.nat = nat_new(&o, NULL);
	assert(f.nat != NULL);
	while (cur_left(&f.in) > 0) {
		uint8_t op = cur_u8(&f.in);

		switch (op & 7) {
		case 0: f.now_ns += (uint64_t)(op >> 3) * 20 * NS_PER_S; break;
		case 1: f.now_ns += (uint64_t)op * NS_PER_MS; break;
		case 2:
			if (op & 0x80) {
				nat_expire(f.nat, f.now_ns);
				forget_pins();
			} else
				ask();
			break;
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
	forget_pins();
	assert(f.pins == 0);
	assert(nat_expire(f.nat, f.now_ns) == UINT64_MAX);
	assert(nat_stats(f.nat).sessions == 0);
	assert(nat_stats(f.nat).mappings == 0);
	assert(nat_stats(f.nat).resting == 0);
	nat_free(f.nat);
	return 0;
}
