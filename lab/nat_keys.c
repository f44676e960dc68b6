#include "lab/nat_keys.h"

#include <errno.h>
#include <stddef.h>

#include "base/loop.h"
#include "lab/schema.h"

#define KEY(p, t, m)                     \
	.path = (p), .type = SCHEMA_##t, \
	.into = offsetof(struct lab_nat_rules, m)
#define DAY_NS (86400 * NS_PER_S)

static const char *const presets[] = { [NAT_PRESET_NONE] = "rfc4787",
	[NAT_PRESET_FULL_CONE] = "full-cone",
	[NAT_PRESET_RESTRICTED] = "restricted",
	[NAT_PRESET_PORT_RESTRICTED] = "port-restricted",
	[NAT_PRESET_SYMMETRIC] = "symmetric",
	[NAT_PRESET_LINUX] = "linux",
	[NAT_PRESET_PF] = "pf",
	[NAT_PRESET_CGN] = "cgn",
	NULL };
const char *const nat_behaviours[] = { [NAT_ENDPOINT_INDEPENDENT] =
					   "endpoint-independent",
	[NAT_ADDRESS_DEPENDENT] = "address-dependent",
	[NAT_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
	NULL };
static const char *const port_rules[] = { [NAT_PORTS_PRESERVE] = "preserving",
	[NAT_PORTS_OVERLOAD] = "overloading",
	[NAT_PORTS_CONTIGUOUS] = "contiguous",
	[NAT_PORTS_RANDOM] = "random",
	[NAT_PORTS_BLOCKS] = "blocks",
	NULL };
static const char *const poolings[] = { [NAT_POOLING_PAIRED] = "paired",
	[NAT_POOLING_SOFT] = "soft",
	[NAT_POOLING_ARBITRARY] = "arbitrary",
	NULL };
static const char *const refreshes[] = { [NAT_REFRESH_BOTH] = "both",
	[NAT_REFRESH_OUTBOUND] = "outbound",
	[NAT_REFRESH_INBOUND] = "inbound",
	NULL };
static const char *const answers[] = { "silent", "refused", NULL };
static const char *const sources[] = { "external", "internal", NULL };

static const struct schema_key keys[] = {
	{ KEY("preset", CHOICE, preset), .choices = presets,
	    .preset = "rfc4787",
	    .help = "A kind of NAT that has a name, which the other keys "
		    "change: those of RFC 3489, what nftables masquerade and "
		    "OpenBSD's pf do, or a carrier's (RFC 6888)." },
	{ KEY("mapping", CHOICE, mapping), .choices = nat_behaviours,
	    .preset = "endpoint-independent",
	    .help = "On what the outside port of an inside endpoint depends "
		    "(RFC 4787, section 4.1)." },
	{ KEY("filtering", CHOICE, filtering), .choices = nat_behaviours,
	    .preset = "address-and-port-dependent",
	    .help = "Who may send to a mapping from outside (RFC 4787, "
		    "section 5)." },
	{ KEY("tcp-filtering", CHOICE, tcp_filtering),
	    .choices = nat_behaviours, .preset = "filtering",
	    .help = "The same for TCP alone (RFC 5382, REQ-3)." },
	{ KEY("ports", CHOICE, ports), .choices = port_rules,
	    .preset = "preserving",
	    .help = "Which outside port a mapping gets (RFC 4787, section "
		    "4.2): the inside one, if it is free; that, even if other "
		    "hosts have it, where the remote end tells them apart; "
		    "that, or the one beside its neighbour's; any; or one of "
		    "the inside host's own block." },
	{ KEY("parity", BOOL, parity), .preset = "true",
	    .help = "Where the wanted port is taken, another is even if that "
		    "was even, as long as there is one." },
	{ KEY("block", COUNT, block), .min = NAT_BLOCK_PORTS_MIN,
	    .max = NAT_BLOCK_PORTS_MAX, .preset = "512",
	    .help = "How many ports a host's block has." },
	{ KEY("pooling", CHOICE, pooling), .choices = poolings,
	    .preset = "paired",
	    .help = "Which of several outside addresses a mapping gets "
		    "(RFC 4787, REQ-2): that of its inside host, and none "
		    "when that is out of ports; the same, or else another; "
		    "or any." },
	{ KEY("port-rest", DURATION, rest_ns), .max = DAY_NS, .preset = "120s",
	    .help = "How long a free outside port keeps away from other hosts "
		    "(RFC 6888, REQ-8), unless filtering depends on the "
		    "remote end, or it was one of TCP." },
	{ KEY("port-rest-limit", COUNT, rest_limit), .min = 1, .max = 1000000,
	    .preset = "any",
	    .help = "How many ports may do so; then the oldest are free." },
	{ KEY("host-limit", COUNT, host_limit), .min = 1, .max = 1000000,
	    .preset = "any",
	    .help = "How many entries one inside host may have; it is "
		    "refused more (RFC 6888, REQ-4).  A quarter is for what "
		    "it begins itself." },
	{ KEY("hairpin", BOOL, hairpin), .preset = "true",
	    .help = "Let inside hosts reach each other by their outside "
		    "addresses (RFC 4787, section 6)." },
	{ KEY("hairpin-source", CHOICE, hairpin_source), .choices = sources,
	    .preset = "external",
	    .help = "Where such packets come from: the sender's outside end, "
		    "as REQ-9 asks, or its inside one." },
	{ KEY("ftp", BOOL, ftp), .preset = "false",
	    .help = "Read FTP's control connections, and let the data "
		    "connections through that they ask for: active mode of "
		    "clients inside, passive mode of servers inside, and "
		    "either between two inside hosts by the outer address." },
	{ KEY("sip", BOOL, sip), .preset = "false",
	    .help = "Read SIP over UDP, port 5060, write outside ends into it, "
		    "and let calls and their media come in to the host that "
		    "names them." },
	{ KEY("refresh", CHOICE, refresh), .choices = refreshes,
	    .preset = "both",
	    .help = "Packets of which direction keep a UDP or ICMP entry "
		    "alive (RFC 4787, REQ-6)." },
	{ KEY("unsolicited-syn", CHOICE, unsolicited_syn), .choices = answers,
	    .preset = "silent",
	    .help = "Whether who opens a connection from outside, and is not "
		    "admitted, is told so: by port unreachable, after 6 s in "
		    "which the host inside may open it as well (RFC 5382, "
		    "REQ-4)." },
	{ KEY("udp-idle", DURATION, udp_idle_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "300s",
	    .help = "How long a UDP entry lives without packets, in whole "
		    "seconds." },
	{ KEY("udp-one-way", DURATION, udp_one_way_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "udp-idle",
	    .help = "The same until the other side has answered." },
	{ KEY("udp-dns", DURATION, udp_dns_ns), .min = NS_PER_S, .max = DAY_NS,
	    .preset = "udp-idle",
	    .help = "The same for entries to port 53 that are made from then "
		    "on (RFC 4787, REQ-5a)." },
	{ KEY("tcp-idle", DURATION, tcp_idle_ns), .min = NS_PER_S,
	    .max = 7 * DAY_NS, .preset = "7440s",
	    .help = "How long an established TCP entry lives without "
		    "packets." },
	{ KEY("tcp-transitory", DURATION, tcp_transitory_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "240s",
	    .help = "How long a TCP entry that is opening or closing lives." },
	{ KEY("tcp-opening", DURATION, tcp_opening_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "tcp-transitory",
	    .help = "The same for one that is opening alone (RFC 7857, section "
		    "2.1)." },
	{ KEY("tcp-closing", DURATION, tcp_closing_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "tcp-transitory",
	    .help = "The same for one that is closing, or reset, alone." },
	{ KEY("icmp-idle", DURATION, icmp_idle_ns), .min = NS_PER_S,
	    .max = DAY_NS, .preset = "60s",
	    .help = "How long an ICMP echo entry lives without packets." },
	{ .path = NULL },
};

const struct keyset nat_keys = { "keys of NAT", keys,
	offsetof(struct lab_nat_rules, given) };

static bool
says(const struct lab_nat_rules *said, const char *key)
{
	return keyset_is_given(&nat_keys, said, key);
}

static int
apply_timers(
    const struct lab_nat_rules *said, struct nat_rules *rules, struct err *err)
{
	const struct {
		const char *key;
		uint64_t ns;
		enum nat_timer timer;
	} timers[] = {
		{ "udp-idle", said->udp_idle_ns, NAT_TIMER_UDP },
		{ "udp-one-way", said->udp_one_way_ns, NAT_TIMER_UDP_ONE_WAY },
		{ "udp-dns", said->udp_dns_ns, NAT_TIMER_UDP_DNS },
		{ "tcp-idle", said->tcp_idle_ns, NAT_TIMER_TCP },
		{ "tcp-transitory", said->tcp_transitory_ns,
		    NAT_TIMER_TCP_OPENING },
		{ "tcp-transitory", said->tcp_transitory_ns,
		    NAT_TIMER_TCP_CLOSING },
		{ "tcp-opening", said->tcp_opening_ns, NAT_TIMER_TCP_OPENING },
		{ "tcp-closing", said->tcp_closing_ns, NAT_TIMER_TCP_CLOSING },
		{ "icmp-idle", said->icmp_idle_ns, NAT_TIMER_ICMP },
	};

	for (unsigned int i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		if (!says(said, timers[i].key))
			continue;
		if (timers[i].ns % NS_PER_S != 0)
			return err_set(err, -EINVAL,
			    "%s is counted in whole seconds; write it as 60s",
			    timers[i].key);
		rules->idle_s[timers[i].timer] =
		    (uint32_t)(timers[i].ns / NS_PER_S);
	}
	return 0;
}

static int
apply_rest(
    const struct lab_nat_rules *said, struct nat_rules *rules, struct err *err)
{
	if (!says(said, "port-rest"))
		return 0;
	if (said->rest_ns % NS_PER_S != 0)
		return err_set(err, -EINVAL,
		    "port-rest is counted in whole seconds; write it as 60s");
	rules->rest_s = (uint32_t)(said->rest_ns / NS_PER_S);
	rules->no_rest = rules->rest_s == 0;
	return 0;
}

int
nat_keys_apply(
    const struct lab_nat_rules *said, struct nat_rules *rules, struct err *err)
{
	struct nat_rules r = *rules;

	if (says(said, "preset"))
		r = *nat_preset((enum nat_preset)said->preset);
	if (says(said, "mapping"))
		r.mapping = (enum nat_behaviour)said->mapping;
	if (says(said, "filtering"))
		r.filtering = (enum nat_behaviour)said->filtering;
	if (says(said, "tcp-filtering")) {
		r.tcp_apart = true;
		r.tcp_filtering = (enum nat_behaviour)said->tcp_filtering;
	}
	if (says(said, "ports"))
		r.ports = (enum nat_port_rule)said->ports;
	if (says(said, "parity"))
		r.any_parity = !said->parity;
	if (says(said, "block"))
		r.block_ports = (uint32_t)said->block;
	if (says(said, "pooling"))
		r.pooling = (enum nat_pooling)said->pooling;
	if (says(said, "port-rest-limit"))
		r.rest_ports = (uint32_t)said->rest_limit;
	if (says(said, "host-limit"))
		r.host_sessions = (uint32_t)said->host_limit;
	if (says(said, "hairpin"))
		r.hairpin = said->hairpin;
	if (says(said, "hairpin-source"))
		r.hairpin_internal = said->hairpin_source == 1;
	if (says(said, "ftp"))
		r.ftp = said->ftp;
	if (says(said, "sip"))
		r.sip = said->sip;
	if (says(said, "unsolicited-syn"))
		r.refuse_syn = said->unsolicited_syn == 1;
	if (says(said, "refresh"))
		r.refresh = (enum nat_refresh)said->refresh;
	if (apply_timers(said, &r, err) < 0 || apply_rest(said, &r, err) < 0 ||
	    nat_rules_check(&r, err) < 0)
		return -EINVAL;
	*rules = r;
	return 0;
}
