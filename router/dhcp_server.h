/*
 * dhcp_server.h - leases of one subnet (RFC 2131, 4.3).
 *
 * A message goes in, the answer comes out; sockets, links and clocks are
 * others'.  The server is authoritative for its subnet: a request for an
 * address of another subnet, or for one that is not the client's, is refused.
 * About a client it knows nothing of, it keeps silent (4.3.2).
 *
 * Which address a client gets is in dhcp_leases.h.  When all are taken there is
 * no answer, DROP_DHCP_FULL; a station that has as many as one may gets no more
 * of them, DROP_DHCP_LIMIT.  Whose station a message is from is told by the
 * frame, or by chaddr when a relay sent it.  An address that a client declines,
 * or that was found to be another host's, is shown as "declined" and avoided
 * for a day, or for ten minutes if no other is left.  What a station declines is
 * counted as its own, so that one that declines all does not empty the pool.
 */
#ifndef ROUTER_DHCP_SERVER_H
#define ROUTER_DHCP_SERVER_H

#include "base/err.h"
#include "net/dhcp.h"
#include "router/router.h"

#define DHCP_LEASE_S          3600  /* default */
#define DHCP_OFFER_S          10    /* an offer is remembered */
#define DHCP_DECLINED_S       86400 /* an address in use by others is avoided */
#define DHCP_PER_STATION      16    /* default */
#define DHCP_LEASES_MAX       65536
#define DHCP_RESERVATIONS_MAX 4096

struct dhcp_server;

/* Where an answer goes (RFC 2131, 4.1). */
enum dhcp_to {
	DHCP_TO_NOBODY,  /* there is none */
	DHCP_TO_ALL,     /* broadcast on the link */
	DHCP_TO_CLIENT,  /* to yiaddr and chaddr, without ARP */
	DHCP_TO_ADDRESS, /* to ciaddr, as any packet */
	DHCP_TO_RELAY,   /* to giaddr, port 67 */
};

struct dhcp_answer {
	enum dhcp_to to;
	uint32_t addr; /* its destination */
	bool is_new;   /* an offer of what was nobody's until now */
	struct dhcp message;
};

/* router: what clients are told as such, and their subnet; own: the server's
 * address, there or elsewhere.  mtu_bytes 0: not told.  NULL: *err says why. */
struct dhcp_server *dhcp_server_new(struct ip4_net router, uint32_t own,
    const struct router_dhcp_options *options, uint16_t mtu_bytes,
    struct err *err);
void dhcp_server_free(struct dhcp_server *server); /* NULL is fine */

/* Is addr one of its subnet's? */
bool dhcp_server_serves(const struct dhcp_server *server, uint32_t addr);

int dhcp_server_reserve(struct dhcp_server *server, const struct mac *mac,
    uint32_t addr, struct err *err);

/* The subnet is another one of the same length, of which own is the server's
 * address: the range and the reservations are where they were within it, and
 * nobody has a lease.  0; -ENOMEM: nothing is changed. */
int dhcp_server_move(struct dhcp_server *server, struct ip4_net own);

/* Leases last for lease_s from now on, but not for longer than they were said to
 * in the beginning.  Never less than before, which keeps leases in order. */
void dhcp_server_lengthen(struct dhcp_server *server, uint32_t lease_s);

/* Takes a message of a client, in a frame of from's.  The answer borrows what
 * the message does.  REASON_DELIVERED with an answer or none, or
 * DROP_DHCP_FULL, DROP_DHCP_LIMIT, DROP_DHCP for what no client sends,
 * DROP_NOT_OURS for what another server or subnet is meant to answer. */
enum reason dhcp_server_take(struct dhcp_server *server,
    const struct dhcp *message, const struct mac *from, uint64_t now_ns,
    struct dhcp_answer *answer);

/* An address that was offered is another host's. */
void dhcp_server_conflict(
    struct dhcp_server *server, uint32_t addr, uint64_t now_ns);

/* ---- what outlives the server ---- */

/* Counts what a restored server would not know. */
uint64_t dhcp_server_changes(const struct dhcp_server *server);

/* Leases, those that ended, and addresses to be avoided.  saved->port is left
 * NULL. */
void dhcp_server_save(const struct dhcp_server *server, uint64_t now_ns,
    void (*each)(void *arg, const struct lease_saved *saved), void *arg);

/* 0; -EINVAL: the server does not have that address, or not for that client, or
 * gave it away already. */
int dhcp_server_restore(struct dhcp_server *server,
    const struct lease_saved *saved, uint64_t now_ns);

/* By address; left_ns counts from now_ns.  row->port is left NULL. */
void dhcp_server_each(const struct dhcp_server *server, uint64_t now_ns,
    void (*each)(void *arg, const struct lease_row *row), void *arg);

#endif
