/*
 * nat_ends.h - the table of a NAT alone: its hosts, and packets by their ends.
 */
#ifndef TESTS_ROUTER_NAT_ENDS_H
#define TESTS_ROUTER_NAT_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "router/nat.h"

#define S       NS_PER_S
#define OUTSIDE UINT32_C(0xcb007101)
#define ALICE   UINT32_C(0x0a000002)
#define BOB     UINT32_C(0x0a000003)
#define SERVER  UINT32_C(0xcb00710a)
#define OTHER   UINT32_C(0xcb00710b)

/* Of 4096 entries, with one outside address. */
static inline struct nat *
table(const struct nat_rules *rules)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = 4096,
		.seed = 7,
		.rules = *rules };
	struct nat *nat = nat_new(&o, NULL);

	assert_non_null(nat);
	return nat;
}

static inline struct nat_flow
udp(uint32_t ip, uint16_t port, uint32_t remote_ip, uint16_t remote_port)
{
	return (struct nat_flow){ .ip = ip,
		.port = port,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.protocol = IP_UDP };
}

/* What becomes of a packet that goes out; port 0: refused, for *why. */
static inline struct nat_hit
out_at(struct nat *nat, struct nat_flow flow, uint64_t now_ns, enum reason *why)
{
	struct nat_hit hit = { .port = 0 };
	enum reason reason = nat_out(nat, &flow, NULL, 60, now_ns, &hit);

	if (why != NULL)
		*why = reason;
	return reason_is_drop(reason) ? (struct nat_hit){ .port = 0 } : hit;
}

/* The outside port of one. */
static inline uint16_t
out(struct nat *nat, struct nat_flow flow, uint64_t now_ns, enum reason *why)
{
	return out_at(nat, flow, now_ns, why).port;
}

static inline enum reason
in_at(struct nat *nat, uint32_t ip, uint16_t port, uint32_t remote_ip,
    uint16_t remote_port, uint64_t now_ns)
{
	struct nat_flow flow = udp(ip, port, remote_ip, remote_port);
	struct nat_hit hit;

	return nat_in(nat, &flow, NULL, 60, now_ns, &hit);
}

static inline enum reason
in(struct nat *nat, uint16_t port, uint32_t remote_ip, uint16_t remote_port,
    uint64_t now_ns)
{
	return in_at(nat, OUTSIDE, port, remote_ip, remote_port, now_ns);
}

#endif
