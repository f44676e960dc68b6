/*
 * Kinds of NAT that have a name.
 *
 * Those of RFC 3489 are pairs of mapping and filtering.  linux is what nftables
 * masquerade does: it keeps the inside port wherever the remote end tells
 * sessions apart, and so looks endpoint-independent until two hosts speak to
 * the same server from the same port.  pf has a random port for each remote
 * end.  Both have shorter timers than the RFCs ask for and no hairpin; they are
 * what their documentation says, closing being pf's tcp.finwait.
 */
#include "router/nat_rules.h"

#include <assert.h>
#include <errno.h>

#include "base/loop.h"

#define EI  NAT_ENDPOINT_INDEPENDENT
#define AD  NAT_ADDRESS_DEPENDENT
#define APD NAT_ADDRESS_AND_PORT_DEPENDENT

const struct nat_rules nat_rules_default = {
	.mapping = EI, .filtering = APD, .hairpin = true
};

static const struct nat_rules presets[] = {
	[NAT_PRESET_NONE] = { EI, APD, .hairpin = true },
	[NAT_PRESET_FULL_CONE] = { EI, EI, .hairpin = true },
	[NAT_PRESET_RESTRICTED] = { EI, AD, .hairpin = true },
	[NAT_PRESET_PORT_RESTRICTED] = { EI, APD, .hairpin = true },
	[NAT_PRESET_SYMMETRIC] = { APD, APD, .ports = NAT_PORTS_RANDOM,
	    .hairpin = true },
	[NAT_PRESET_LINUX] = { APD, APD, .ports = NAT_PORTS_OVERLOAD,
	    .any_parity = true,
	    .idle_s = { [NAT_TIMER_UDP] = 120,
		[NAT_TIMER_UDP_ONE_WAY] = 30,
		[NAT_TIMER_TCP] = 432000,
		[NAT_TIMER_TCP_OPENING] = 120,
		[NAT_TIMER_TCP_CLOSING] = 120,
		[NAT_TIMER_ICMP] = 30 } },
	[NAT_PRESET_PF] = { APD, APD, .ports = NAT_PORTS_RANDOM,
	    .any_parity = true,
	    .idle_s = { [NAT_TIMER_UDP] = 60,
		[NAT_TIMER_UDP_ONE_WAY] = 60,
		[NAT_TIMER_TCP] = 86400,
		[NAT_TIMER_TCP_OPENING] = 30,
		[NAT_TIMER_TCP_CLOSING] = 45,
		[NAT_TIMER_ICMP] = 20 } },
	[NAT_PRESET_CGN] = { EI, EI, .ports = NAT_PORTS_BLOCKS, .hairpin = true,
	    .host_sessions = 1024, .block_ports = 512 },
};
static_assert(
    sizeof(presets) / sizeof(presets[0]) == NAT_PRESETS, "a preset has no row");

const struct nat_rules *
nat_preset(enum nat_preset preset)
{
	return &presets[preset];
}

uint64_t
nat_idle_ns(const struct nat_rules *rules, enum nat_timer timer)
{
	static const uint32_t otherwise[] = {
		[NAT_TIMER_UDP] = NAT_UDP_IDLE_S,
		[NAT_TIMER_UDP_ONE_WAY] = NAT_UDP_IDLE_S,
		[NAT_TIMER_UDP_DNS] = NAT_UDP_IDLE_S,
		[NAT_TIMER_TCP] = NAT_TCP_IDLE_S,
		[NAT_TIMER_TCP_OPENING] = NAT_TCP_TRANSITORY_S,
		[NAT_TIMER_TCP_CLOSING] = NAT_TCP_TRANSITORY_S,
		[NAT_TIMER_ICMP] = NAT_ICMP_IDLE_S,
	};
	uint32_t s = rules->idle_s[timer];

	if (s == 0 &&
	    (timer == NAT_TIMER_UDP_ONE_WAY || timer == NAT_TIMER_UDP_DNS))
		s = rules->idle_s[NAT_TIMER_UDP];
	return (s != 0 ? s : otherwise[timer]) * NS_PER_S;
}

uint64_t
nat_rest_ns(const struct nat_rules *rules)
{
	if (rules->no_rest)
		return 0;
	return (rules->rest_s != 0 ? rules->rest_s : NAT_REST_S) * NS_PER_S;
}

int
nat_rules_check(const struct nat_rules *rules, struct err *err)
{
	if (rules->ports == NAT_PORTS_OVERLOAD && rules->mapping != APD)
		return err_set(err, -EINVAL,
		    "ports are overloading, but mapping is not "
		    "address-and-port-dependent; two hosts with one outside "
		    "port are told apart by the remote end alone");
	if (rules->ports == NAT_PORTS_BLOCKS &&
	    rules->pooling != NAT_POOLING_PAIRED)
		return err_set(err, -EINVAL,
		    "ports are blocks, but pooling is not paired; a host has "
		    "one block, at one address");
	if (rules->block_ports != 0 &&
	    (rules->block_ports < NAT_BLOCK_PORTS_MIN ||
		rules->block_ports > NAT_BLOCK_PORTS_MAX))
		return err_set(err, -EINVAL,
		    "a block of %u ports cannot be; use %d to %d",
		    rules->block_ports, NAT_BLOCK_PORTS_MIN,
		    NAT_BLOCK_PORTS_MAX);
	return 0;
}
