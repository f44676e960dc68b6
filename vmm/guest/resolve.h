/*
 * resolve.h - names to addresses by DNS over UDP (RFC 1035, RFC 3596).
 */
#ifndef GUEST_RESOLVE_H
#define GUEST_RESOLVE_H

#include "net/dns.h"

#include "vmm/guest/shell.h"
#include "vmm/guest/stack.h"

#define RESOLVE_SERVERS (STACK_NICS * (NETIF_MAX_DNS + NETIF_DNS6))

/* The name servers of all interfaces; returns how many. */
unsigned int resolve_servers(
    const struct stack *stack, struct ip6_addr list[RESOLVE_SERVERS]);

enum resolved {
	RESOLVE_OK,
	RESOLVE_INTERRUPTED,
	RESOLVE_BAD_NAME,
	RESOLVE_NO_SERVER,
	RESOLVE_NO_ANSWER,
	RESOLVE_NO_NAME, /* there is none, or it has no address */
	RESOLVE_REFUSED,
};

/* Asks the servers of all interfaces, one after the other, twice, for addresses
 * of a type: DNS_TYPE_A or DNS_TYPE_AAAA.  With RESOLVE_OK *answer has at least
 * one. */
enum resolved resolve(
    struct shell *sh, const char *name, uint16_t type, struct dns *answer);

#endif
