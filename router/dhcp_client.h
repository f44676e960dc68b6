/*
 * dhcp_client.h - a DHCP client (RFC 2131 4.4): messages, ARP and time go in;
 * what is to be sent, and what has come of it, comes out by calls.
 *
 *                          .-- NAK, in use, expired, refused -- (all)
 *                          v
 *   STOPPED --start--> WAITING --time--> SELECTING --offer--> REQUESTING
 *                 |                        ^  | nothing: again     | ACK
 *                 '--known--> REBOOTING ---'--'                    v
 *                                |-------------ACK-----------> PROBING
 *                                                                  | silence
 *   REBINDING <--T2-- RENEWING <--T1-- BOUND <---------------------'
 *       |                |              ^
 *       '----- ACK ------'--------------'
 *
 * The first offer that is acceptable is taken.  Its address is asked for by ARP
 * before it is used (RFC 5227 2.1), declined if somebody has it, and announced
 * twice (2.3).  Whatever a server does, a client sends no more than some
 * messages a second.
 *
 * Times are nanoseconds, an argument that never goes back.
 */
#ifndef ROUTER_DHCP_CLIENT_H
#define ROUTER_DHCP_CLIENT_H

#include "router/dhcp_offer.h"

enum dhcp_client_state {
	DHCP_CLIENT_STOPPED,
	DHCP_CLIENT_WAITING,
	DHCP_CLIENT_SELECTING,
	DHCP_CLIENT_REQUESTING,
	DHCP_CLIENT_REBOOTING,
	DHCP_CLIENT_PROBING,
	DHCP_CLIENT_BOUND,
	DHCP_CLIENT_RENEWING,
	DHCP_CLIENT_REBINDING,
	DHCP_CLIENT_NSTATES,
};

/* Why an address is not the client's, or not any more. */
enum dhcp_client_loss {
	DHCP_CLIENT_EXPIRED,
	DHCP_CLIENT_NAK,
	DHCP_CLIENT_IN_USE, /* another host has it; by ARP */
	DHCP_CLIENT_LEFT,   /* dhcp_client_stop() */
};

/* They must not call the client. */
struct dhcp_client_calls {
	/* dst IP4_BROADCAST, from src 0; or to a server, from the client's
	 * address.  The message is borrowed. */
	void (*send)(
	    void *arg, const struct dhcp *message, uint32_t src, uint32_t dst);
	void (*probe)(void *arg, uint32_t addr);    /* who has it? */
	void (*announce)(void *arg, uint32_t addr); /* it is ours */
	/* May the router live with it?  REASON_NONE, or why not. */
	enum reason (*judge)(void *arg, const struct dhcp_offer *offer);
	/* An offer or a lease was refused, which server made. */
	void (*refused)(
	    void *arg, const struct dhcp_offer *offer, enum reason why);
	/* It is the client's now; or still, and what comes with it may have
	 * changed. */
	void (*bound)(void *arg, const struct dhcp_offer *lease);
	/* was_bound false: it was only about to be. */
	void (*lost)(void *arg, const struct dhcp_offer *lease,
	    enum dhcp_client_loss why, bool was_bound);
};

struct dhcp_client_options {
	struct mac mac;
	char hostname[DHCP_MAX_NAME]; /* "": none is told */
	uint64_t probe_ns;            /* asks the link for so long; 0: not */
	uint64_t seed;
};

struct dhcp_client {
	const struct dhcp_client_calls *calls;
	void *arg;
	struct dhcp_client_options options;
	enum dhcp_client_state state;
	uint64_t due_ns; /* when something is to be done */
	uint64_t random;
	uint32_t xid;
	uint64_t began_ns;       /* to ask, of which secs tells */
	uint64_t asked_ns;       /* for the lease: it counts from then */
	unsigned int tries;      /* in this state */
	unsigned int failures;   /* since the client was bound */
	uint32_t known;          /* an address of before; 0: none */
	struct dhcp_offer offer; /* asked for; or the client's, if bound */
	uint64_t t1_ns, t2_ns, expires_ns;
	unsigned int announced;
};

/* calls is kept.  The client is stopped. */
void dhcp_client_init(struct dhcp_client *client,
    const struct dhcp_client_options *options,
    const struct dhcp_client_calls *calls, void *arg);

/* Begins to ask; for the address known first, if that is not 0. */
void dhcp_client_start(
    struct dhcp_client *client, uint32_t known, uint64_t now_ns);

/* The link is up again, and may be another one: what the client has is asked for
 * anew of all servers there, without giving it up meanwhile (RFC 2131 3.7). */
void dhcp_client_link_up(struct dhcp_client *client, uint64_t now_ns);

/* Gives the address back if release is set, and asks for none any more. */
void dhcp_client_stop(
    struct dhcp_client *client, bool release, uint64_t now_ns);

/* A message to the client's port.  REASON_DELIVERED, DROP_NOT_OURS (another
 * client's), DROP_DHCP_UNASKED, or why it was refused. */
enum reason dhcp_client_take(
    struct dhcp_client *client, const struct dhcp *m, uint64_t now_ns);

/* ARP: mac has ip, or, with ip 0, asks for target as one who wants it.  True: it
 * was about what the client wants. */
bool dhcp_client_heard(struct dhcp_client *client, uint32_t ip, uint32_t target,
    const struct mac *mac, uint64_t now_ns);

/* Does what is due; to be called at client->due_ns, UINT64_MAX: never. */
void dhcp_client_due(struct dhcp_client *client, uint64_t now_ns);

/* Is the address in use? */
static inline bool
dhcp_client_is_bound(const struct dhcp_client *client)
{
	return client->state >= DHCP_CLIENT_BOUND;
}

/* "stopped", "waiting", ... */
const char *dhcp_client_state_name(enum dhcp_client_state state);

#endif
