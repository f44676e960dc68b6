/*
 * nat_keys.h - what a lab file or `lanyard set` says about how a NAT behaves.
 *
 * The keys (keyset.h) stand at nat: of a router, and as nat.KEY=VALUE behind
 * lanyard set.
 */
#ifndef LAB_NAT_KEYS_H
#define LAB_NAT_KEYS_H

#include "lab/keyset.h"
#include "router/nat_rules.h"

#define NAT_KEY_PREFIX "nat." /* of lanyard set */

/* Zero: nothing. */
struct lab_nat_rules {
	int preset, mapping, filtering, tcp_filtering, ports, refresh,
	    hairpin_source, unsolicited_syn, pooling;
	bool hairpin, parity, ftp, sip;
	uint64_t udp_idle_ns, udp_one_way_ns, tcp_idle_ns, tcp_transitory_ns,
	    tcp_opening_ns, tcp_closing_ns, icmp_idle_ns, udp_dns_ns, rest_ns;
	uint64_t host_limit, block, rest_limit;
	uint64_t given; /* by nat_keys */
};

extern const struct keyset nat_keys; /* of struct lab_nat_rules */

/* What is said becomes part of *rules: a preset takes the place of all, other
 * keys that of one.  0, or -EINVAL with *err if that cannot be. */
int nat_keys_apply(
    const struct lab_nat_rules *said, struct nat_rules *rules, struct err *err);

/* The words for enum nat_behaviour; NULL at the end. */
extern const char *const nat_behaviours[];

#endif
