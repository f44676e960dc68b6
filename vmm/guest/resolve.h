/*
 * resolve.h - names to addresses by DNS over UDP (RFC 1035).
 */
#ifndef GUEST_RESOLVE_H
#define GUEST_RESOLVE_H

#include "net/dns.h"

#include "vmm/guest/shell.h"

enum resolved {
	RESOLVE_OK,
	RESOLVE_INTERRUPTED,
	RESOLVE_BAD_NAME,
	RESOLVE_NO_SERVER,
	RESOLVE_NO_ANSWER,
	RESOLVE_NO_NAME, /* there is none, or it has no address */
	RESOLVE_REFUSED,
};

/* Asks the servers of all interfaces, one after the other, twice.  With
 * RESOLVE_OK *answer has at least one address. */
enum resolved resolve(struct shell *sh, const char *name, struct dns *answer);

#endif
