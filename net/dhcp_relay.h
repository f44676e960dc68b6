/*
 * dhcp_relay.h - what a relay changes in messages of BOOTP and DHCP
 * (RFC 1542 4.1, RFC 3046).
 *
 * All else stays as it is, known or not.
 */
#ifndef NET_DHCP_RELAY_H
#define NET_DHCP_RELAY_H

#include "net/addr.h"
#include "net/reason.h"

#define DHCP_RELAY_HOPS       4 /* a message has come by more: it is in a loop */
#define DHCP_RELAY_INFO_BYTES 64 /* of a circuit's name */

/* A message of len bytes, in an array of room. */
struct dhcp_relayed {
	uint8_t *bytes;
	size_t len, room;
};

/* Is it a reply?  What is neither that nor a request is refused later. */
bool dhcp_relay_is_reply(const struct dhcp_relayed *m);

/* The relay that passed a message on first; 0: none did. */
uint32_t dhcp_relay_first(const struct dhcp_relayed *m);

/* A client's message to a server, that came to a relay whose address there is
 * own.  circuit: the name of where it came by, told to the server and cut to
 * DHCP_RELAY_INFO_BYTES if there is room; NULL: nothing is told.
 * REASON_DHCP_RELAYED; DROP_DHCP; DROP_DHCP_HOPS; DROP_DHCP_RELAY: it says by
 * itself what only a relay may. */
enum reason dhcp_relay_request(
    struct dhcp_relayed *m, uint32_t own, const char *circuit);

/* Where a server's answer goes. */
struct dhcp_relay_to {
	uint32_t relay; /* whose address that is */
	struct mac mac; /* of the client, or all */
	uint32_t ip;
};

/* An answer; with strip, what the server was told goes no further.
 * REASON_DHCP_RELAYED; DROP_DHCP. */
enum reason dhcp_relay_reply(
    struct dhcp_relayed *m, bool strip, struct dhcp_relay_to *to);

#endif
